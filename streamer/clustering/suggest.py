"""How many clusters there may be: elbow, silhouette and eigengap, each with the curve it was read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from streamer.clustering.batch import distances, k_means, metric_rows
from streamer.errors import ConfigError
from streamer.items import F64, I64


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`k` clusters, read from `values` at `ks`; `shows` says what the values are."""

    k: int
    ks: tuple[int, ...]
    values: tuple[float, ...]
    shows: str


def elbow(vectors: ArrayLike, ks: Sequence[int], metric: str = "cosine") -> Suggestion:
    """The k where the curve of k-means inertia is farthest below the line from its first to its last point."""
    x = metric_rows(vectors, metric)
    kept = sorted({k for k in ks if 1 <= k <= len(x)})
    if len(kept) < 3:
        raise ConfigError("the elbow needs at least three values of k that are not above the number of items.")
    inertia = np.array([_inertia(x, k_means(x, k, "euclid")) for k in kept])
    line = np.interp(kept, [kept[0], kept[-1]], inertia[[0, -1]])
    return Suggestion(kept[int((line - inertia).argmax())], tuple(kept), tuple(inertia.tolist()), "inertia of k-means")


def silhouettes(vectors: ArrayLike, ks: Sequence[int], metric: str = "cosine") -> Suggestion:
    """The k whose k-means clusters have the greatest mean silhouette; the smaller one at a tie."""
    from sklearn.metrics import silhouette_score

    d = distances(vectors, metric)
    kept = sorted({k for k in ks if 2 <= k < len(d)})
    if not kept:
        raise ConfigError("the silhouette needs a k of at least 2 and below the number of items.")
    marks = [_silhouette(silhouette_score, d, k_means(vectors, k, metric)) for k in kept]
    return Suggestion(kept[int(np.argmax(marks))], tuple(kept), tuple(marks), "mean silhouette of k-means")


def eigengap(vectors: ArrayLike, most: int = 50, neighbours: int = 7, metric: str = "cosine") -> Suggestion:
    """The k before the widest gap of the smallest eigenvalues of the normalised graph Laplacian (von Luxburg 2007).

    Affinity exp(-d^2 / (s_i s_j)) with s the distance to the `neighbours`-th neighbour (Zelnik-Manor and Perona 2004).
    Fewer than three items are as many clusters.
    """
    from scipy.linalg import eigh

    d = distances(vectors, metric)
    n = len(d)
    if n < 3:
        return Suggestion(n, tuple(range(1, n + 1)), (0.0,) * n, "eigenvalue")
    scale = np.maximum(np.sort(d, axis=1)[:, min(neighbours, n - 1)], 1e-12)
    affinity = np.exp(-(d**2) / np.outer(scale, scale))
    root = 1.0 / np.sqrt(affinity.sum(1))
    last = min(most + 1, n) - 1
    values = eigh(np.eye(n) - affinity * np.outer(root, root), eigvals_only=True, subset_by_index=[0, last])
    k = int(np.diff(values).argmax()) + 1
    return Suggestion(k, tuple(range(1, len(values) + 1)), tuple(values.tolist()), "eigenvalue of the graph")


def spread(most: int, points: int = 30) -> list[int]:
    """Values of k to look at from 1 to `most`: all of them, or `points` with growing steps."""
    if most <= points:
        return list(range(1, most + 1))
    return sorted({int(k) for k in np.geomspace(1, most, points).round()})


def _silhouette(score: object, d: F64, labels: I64) -> float:
    assert callable(score)
    return float(score(d, labels, metric="precomputed")) if len(np.unique(labels)) > 1 else -1.0


def _inertia(x: F64, labels: I64) -> float:
    return float(sum(((x[labels == c] - x[labels == c].mean(0)) ** 2).sum() for c in np.unique(labels)))
