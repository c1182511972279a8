"""Unit vectors, distances, mean directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from streamer.items import F32


def unit(rows: ArrayLike) -> F32:
    """Rows (or one vector) at length 1; a zero vector stays zero."""
    a = np.asarray(rows, np.float32)
    norm = np.linalg.norm(a, axis=-1, keepdims=True)
    return np.asarray(a / np.maximum(norm, 1e-12), np.float32)


def cosine_distance(a: ArrayLike, b: ArrayLike) -> F32:
    """1 - cos between every row of a (n, d) and every row of b (m, d): (n, m)."""
    return np.asarray(1.0 - unit(np.atleast_2d(np.asarray(a))) @ unit(np.atleast_2d(np.asarray(b))).T, np.float32)


def mean_direction(rows: ArrayLike, weights: ArrayLike | None = None) -> F32:
    """Unit vector of the weighted sum of unit rows (n, d), n >= 1; weights default to 1."""
    a = unit(np.atleast_2d(np.asarray(rows, np.float32)))
    w = np.ones(len(a), np.float32) if weights is None else np.asarray(weights, np.float32)
    return unit((a * w[:, None]).sum(0))


def weighted_mean(rows: ArrayLike, weights: ArrayLike | None = None) -> F32:
    """Weighted arithmetic mean of rows (n, d): the centre for Euclidean models."""
    a = np.atleast_2d(np.asarray(rows, np.float32))
    w = np.ones(len(a), np.float32) if weights is None else np.asarray(weights, np.float32)
    return np.asarray((a * w[:, None]).sum(0) / max(float(w.sum()), 1e-12), np.float32)
