"""One algebra for cosine and Euclidean models: dissimilarity d(x, y) = |x - y|^2 / 2.

For unit vectors d is 1 - cos, for raw vectors half the squared Euclidean distance. Its mean over two sets A, B
follows from their sums alone (Huygens): mean d = E_A/W_A + E_B/W_B - S_A.S_B / (W_A W_B) with S the sum of vectors,
W their number and E the sum of |x|^2 / 2, so average linkage needs no list of pairs.

All bars of the clusterer are multiples of the pack's own `link` dissimilarity: an embedder whose strangers have
cosine 0.0 and one whose strangers have 0.84 run through the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError, StoreError
from streamer.items import F32, Tracklet


@dataclass(frozen=True, slots=True)
class Space:
    """The metric of one embedder and how its vectors lie in the neighbour index."""

    metric: str
    dimension: int

    def __post_init__(self) -> None:
        if self.metric not in ("cosine", "euclid"):
            raise ConfigError(
                f"clusterer.metric is {self.metric!r}. Choose 'cosine' or 'euclid', as the model pack says."
            )
        if self.dimension < 1:
            raise ConfigError(
                f"clusterer.dimension is {self.dimension}. It is the length of the model's vectors, at least 1."
            )

    @property
    def width(self) -> int:
        """Columns of an index row: Euclid carries |m|^2 / 2 and a one, so that an inner product gives -d."""
        return self.dimension if self.metric == "cosine" else self.dimension + 2

    def dissimilarity(self, threshold: Any) -> Any:
        """d of a pack's threshold: cosine similarity, or Euclidean distance."""
        return 1.0 - threshold if self.metric == "cosine" else threshold * threshold / 2.0

    def threshold(self, dissimilarity: float) -> float:
        """The inverse of `dissimilarity`."""
        return 1.0 - dissimilarity if self.metric == "cosine" else float(np.sqrt(max(0.0, 2.0 * dissimilarity)))

    def distance(self, dissimilarity: float) -> float:
        """What events report: 1 - cos, or the Euclidean distance."""
        d = max(0.0, dissimilarity)
        return d if self.metric == "cosine" else float(np.sqrt(2.0 * d))

    def radius(self, dissimilarity: float) -> float:
        """The inner product of query and row at this d."""
        return 1.0 - dissimilarity if self.metric == "cosine" else -dissimilarity

    def check(self, vector: F32, track: int) -> F32:
        """The vector as the algorithms want it (unit for cosine); StoreError for another dimension."""
        if vector.shape != (self.dimension,):
            raise StoreError(
                f"track {track} has a vector of shape {vector.shape}, the library's have {self.dimension} numbers. "
                "Vectors of two models cannot be mixed: use the library's model, or start a new library."
            )
        if self.metric == "euclid":
            return np.ascontiguousarray(vector, np.float32)
        norm = float(np.sqrt(np.dot(vector, vector)))
        if norm == 0.0:
            raise StoreError(
                f"track {track} has a vector of length 0, which has no direction. "
                "Leave out faces that were not embedded."
            )
        return np.ascontiguousarray(vector / np.float32(norm), np.float32)

    def vector(self, t: Tracklet, model: str) -> F32:
        """`check` of the track's own vector; StoreError where another model than `model` ("": any) made it."""
        if model and t.model and t.model != model:
            raise StoreError(
                f"track {t.id} was embedded by {t.model}, this library holds faces of {model}. "
                "Vectors of two models cannot be mixed: run with the library's model, or start a new library."
            )
        return self.check(t.embedding, t.id)

    def energy(self, vectors: F32) -> NDArray[np.float64]:
        """|x|^2 / 2 per row."""
        squared: NDArray[np.float64] = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
        return squared / 2.0

    def query(self, vectors: F32) -> F32:
        """(n, d) -> (n, width): what is multiplied with index rows."""
        if self.metric == "cosine":
            return vectors
        return np.hstack(
            [vectors, np.ones((len(vectors), 1), np.float32), -self.energy(vectors)[:, None].astype(np.float32)]
        )

    def row(self, total: F32, weight: float) -> F32:
        """The index row of a sum of `weight` vectors: its direction, or its mean."""
        if self.metric == "cosine":
            return np.asarray(total / max(float(np.sqrt(np.dot(total, total))), 1e-12), np.float32)
        mean = total / np.float32(weight)
        return np.concatenate([mean, [-np.dot(mean, mean) / 2.0, 1.0]]).astype(np.float32)

    def means(self, totals: F32, weights: NDArray[np.float64]) -> F32:
        """(n, d) what stands for sums of vectors: their directions, or their means."""
        if self.metric == "cosine":
            lengths = np.sqrt(np.einsum("ij,ij->i", totals, totals))
            return np.asarray(totals / np.maximum(lengths, 1e-12)[:, None], np.float32)
        return np.asarray(totals / weights[:, None].astype(np.float32), np.float32)

    def from_product(self, product: Any) -> Any:
        """d from the inner product of query and row."""
        return 1.0 - product if self.metric == "cosine" else -product
