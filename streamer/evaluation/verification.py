"""Same person or not: what similarities of labelled pairs are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamer.items import F64

FARS = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True, slots=True)
class Verification:
    """ROC of a verifier: accepted are pairs with a similarity of at least `thresholds[i]`, descending.

    `far` and `tar` are the accepted shares of different and of same pairs. `best` is the threshold of the greatest
    balanced accuracy, the highest at a tie.
    """

    thresholds: F64
    far: F64
    tar: F64
    auc: float
    best: float
    accuracy: float  # balanced, at `best`
    same: int
    different: int

    def tar_at(self, far: float) -> float:
        """The greatest share of same pairs accepted while at most `far` of the different ones are."""
        return float(self.tar[self.far <= far].max(initial=0.0))


def verification(similarity: ArrayLike, same: ArrayLike) -> Verification:
    """The ROC of pairs (n,) with their truth (n,); higher means more alike. ValueError without both kinds of pair."""
    s, y = np.asarray(similarity, np.float64), np.asarray(same, bool)
    positives, negatives = int(y.sum()), int((~y).sum())
    if not positives or not negatives:
        raise ValueError(f"{positives} same and {negatives} different pairs: verification needs both.")
    order = np.argsort(-s, kind="stable")
    ends = np.flatnonzero(np.diff(s[order], append=-np.inf))  # ties are accepted together
    tar = np.concatenate([[0.0], np.cumsum(y[order])[ends] / positives])
    far = np.concatenate([[0.0], np.cumsum(~y[order])[ends] / negatives])
    thresholds = np.concatenate([[np.inf], s[order][ends]])
    balanced = (tar + 1 - far) / 2
    best = int(balanced.argmax())
    area = float(((tar[1:] + tar[:-1]) / 2 * np.diff(far)).sum())
    return Verification(
        thresholds, far, tar, area, float(thresholds[best]), float(balanced[best]), positives, negatives
    )


def all_pairs(vectors: ArrayLike, identity: Sequence[object] | NDArray[np.generic]) -> tuple[F64, NDArray[np.bool_]]:
    """Cosine similarity and truth of every pair i < j of rows (n, d)."""
    x = np.asarray(vectors, np.float64)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    i, j = np.triu_indices(len(x), 1)
    who = np.unique(np.asarray(identity), return_inverse=True)[1]
    return np.asarray((x @ x.T)[i, j], np.float64), np.asarray(who[i] == who[j])
