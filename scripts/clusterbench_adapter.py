"""OnlineClusterer as a peer of clusterbench.py: `clusterbench.py --peers scripts/clusterbench_adapter.py:Online`."""

from __future__ import annotations

import numpy as np

from streamer.clustering.online import OnlineClusterer
from streamer.items import Tracklet


class Online:
    """`plain=True` keeps quality and conflicts from the clusterer, so that its input equals the peers'."""

    def __init__(self, dimension: int, batch: int = 32, plain: bool = False, **options: object) -> None:
        self.batch = batch
        self.plain = plain
        self.count = 0
        self.clusterer = OnlineClusterer(dimension, **{"conflicts": "soft", "keep_vectors": False, **options})

    def insert_batch(self, vectors, qualities, shots, cannot_links) -> None:
        out = []
        for x, q, cl in zip(vectors, qualities, cannot_links):
            q, cl = (1.0, ()) if self.plain else (q, cl)
            out.append(Tracklet(self.count + 1, "", 0.0, 1.0, 1, x, x[None], q, frozenset(j + 1 for j in cl)))
            self.count += 1
        self.clusterer.add(out)

    def finish(self) -> None:
        self.clusterer.finish()

    def labels(self) -> np.ndarray:
        found = self.clusterer.labels()
        return np.asarray([found[i + 1] or -1 for i in range(self.count)])

    def stats(self) -> dict[str, int]:
        c = self.clusterer
        return {"exemplars": len(c.exemplars), "identities": len(c.identities), "pending": len(c.pending)}
