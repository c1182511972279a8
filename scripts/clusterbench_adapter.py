"""OnlineClusterer as a peer of clusterbench.py: `clusterbench.py --peers scripts/clusterbench_adapter.py:Online`."""

from __future__ import annotations

import ctypes
import resource
import time
from array import array
from pathlib import Path
from typing import Any

import numpy as np

from streamer.clustering.online import OnlineClusterer
from streamer.items import F32, Tracklet

PAGE_MB = resource.getpagesize() / 2**20
LAG = 8  # batches that come while a consolidation runs elsewhere


def resident() -> float:
    """MB of this process in memory now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


class Online:
    """`plain=True` keeps quality and conflicts from the clusterer, so that its input equals the peers'.

    `background=True`: consolidations fall due as tracks grow, are computed apart from the insert path (their CPU time
    is counted apart) and applied as a diff some batches later.
    """

    def __init__(
        self, dimension: int, batch: int = 64, plain: bool = False, background: bool = False, **options: Any
    ) -> None:
        self.batch, self.plain, self.background = batch, plain, background
        self.count = 0
        self.clusterer = OnlineClusterer(dimension, **{"conflicts": "soft", "keep_vectors": False, **options})
        self.job: Any = None
        self.wait = 0
        self.apart = 0.0  # CPU seconds of consolidations beside the insert path
        self.stalls: list[float] = []  # CPU seconds of each call in the insert path
        self.first = array("q")  # label at insertion per track, 0: none
        self.resident: float | None = None  # MB before the second batch: FAISS and its buffers are there by then
        self.grown = 0.0  # MB since then, without what was freed; 8 bytes a track of it are `first`

    def insert_batch(self, vectors: F32, qualities: list[float], shots: list[int], rivals: list[list[int]]) -> None:
        """One micro-batch; the insert path is everything but the consolidation's own computation."""
        if self.resident is None and self.count:
            self.resident = resident()
        began, apart = time.process_time(), self.apart
        self.clusterer.add(self._tracklets(vectors, qualities, rivals))
        if self.background:
            self._consolidate()
        self.stalls.append(time.process_time() - began - (self.apart - apart))
        for number in range(self.count - len(vectors) + 1, self.count + 1):
            self.first.append(self.clusterer.identity_of(number) or 0)

    def _tracklets(self, vectors: F32, qualities: list[float], rivals: list[list[int]]) -> list[Tracklet]:
        out = []
        for x, quality, earlier in zip(vectors, qualities, rivals, strict=True):
            q, cannot = (1.0, frozenset[int]()) if self.plain else (quality, frozenset(j + 1 for j in earlier))
            self.count += 1
            out.append(Tracklet(self.count, "", 0.0, 1.0, 1, x, x[None], q, cannot))
        return out

    def _consolidate(self) -> None:
        if self.job is None and self.clusterer.consolidation_due:
            self.job, self.wait = self.clusterer.consolidation_job(), LAG
        elif self.job is not None:
            self.wait -= 1
            if self.wait == 0:
                began = time.process_time()
                diff = self.job()
                self.apart += time.process_time() - began
                self.clusterer.apply(diff)
                self.job = None

    def finish(self) -> None:
        """The last word."""
        self.clusterer.finish()
        ctypes.CDLL(None).malloc_trim(0)
        self.grown = resident() - (self.resident or 0.0)

    def labels(self) -> np.ndarray:
        found = self.clusterer.labels()
        return np.asarray([found[i + 1] or -1 for i in range(self.count)])

    def stats(self) -> dict[str, Any]:
        """What the driver's own figures do not tell."""
        c = self.clusterer
        final = c.labels()
        told = [(t, i) for t, i in enumerate(self.first, 1) if i and final[t] is not None]
        kept = sum(c.aliases.resolve(i) == final[t] for t, i in told)
        stalls = np.asarray(self.stalls[1:] or [0.0])  # the first call imports FAISS
        return {
            "exemplars": len(c.exemplars), "identities": len(c.identities), "pending": len(c.pending),
            "label_kept": kept / max(1, len(told)), "stall_p99": float(np.percentile(stalls, 99)),
            "stall_max": float(stalls.max()), "apart_s": self.apart, "grown_mb": self.grown,
        }  # fmt: skip
