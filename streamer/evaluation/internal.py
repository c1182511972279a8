"""Scores of a clustering from its vectors alone. Items with a label below 0 (noise) are left out.

All need at least two clusters and one cluster of more than one item; where that is not so the answer is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from streamer.items import F64, I64


def silhouette(vectors: ArrayLike, labels: ArrayLike, metric: str = "euclidean") -> float:
    """Mean silhouette, -1..1, higher is better (Rousseeuw 1987). `metric` as in scikit-learn, e.g. cosine."""
    from sklearn.metrics import silhouette_score

    x, y = _kept(vectors, labels)
    return float(silhouette_score(x, y, metric=metric)) if _usable(y) else float("nan")


def davies_bouldin(vectors: ArrayLike, labels: ArrayLike) -> float:
    """Davies-Bouldin index, Euclidean, lower is better (1979)."""
    from sklearn.metrics import davies_bouldin_score

    x, y = _kept(vectors, labels)
    return float(davies_bouldin_score(x, y)) if _usable(y) else float("nan")


def calinski_harabasz(vectors: ArrayLike, labels: ArrayLike) -> float:
    """Calinski-Harabasz index (variance ratio), Euclidean, higher is better (1974)."""
    from sklearn.metrics import calinski_harabasz_score

    x, y = _kept(vectors, labels)
    return float(calinski_harabasz_score(x, y)) if _usable(y) else float("nan")


def dunn(vectors: ArrayLike, labels: ArrayLike, metric: str = "euclidean") -> float:
    """Dunn index: smallest distance between two clusters over the largest inside one; higher is better (1974)."""
    from sklearn.metrics import pairwise_distances

    x, y = _kept(vectors, labels)
    if not _usable(y):
        return float("nan")
    distances = pairwise_distances(x, metric=metric)
    same = y[:, None] == y[None, :]
    diameter = float(distances[same].max())
    return float(distances[~same].min()) / diameter if diameter else float("inf")


def internal_scores(vectors: ArrayLike, labels: ArrayLike, metric: str = "euclidean") -> dict[str, float]:
    """Every internal score by name. `metric` is used by silhouette and Dunn; the other two are Euclidean."""
    return {
        "silhouette": silhouette(vectors, labels, metric),
        "davies_bouldin": davies_bouldin(vectors, labels),
        "dunn": dunn(vectors, labels, metric),
        "calinski_harabasz": calinski_harabasz(vectors, labels),
    }


def _kept(vectors: ArrayLike, labels: ArrayLike) -> tuple[F64, I64]:
    x, y = np.asarray(vectors, np.float64), np.asarray(labels, np.int64)
    if len(x) != len(y):
        raise ValueError(f"{len(x)} vectors and {len(y)} labels do not fit")
    return x[y >= 0], y[y >= 0]


def _usable(labels: I64) -> bool:
    return 2 <= len(np.unique(labels)) < len(labels)
