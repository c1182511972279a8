"""Scores of a clustering against true labels, all from one sparse contingency table.

A label below 0 is noise: such an item is a cluster of its own (B-cubed and pairs then punish it as a split, never as a
merge). Terms as in Amigo et al., "A comparison of extrinsic clustering evaluation metrics based on formal
constraints", 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamer.items import F64, I64

Normaliser = Literal["arithmetic", "geometric", "min", "max"]


@dataclass(frozen=True, slots=True)
class PRF:
    """Precision and recall with their weighted harmonic means."""

    precision: float
    recall: float

    def f(self, beta: float = 1.0) -> float:
        """F-beta; beta > 1 gives recall more weight. 0 where precision and recall are both 0."""
        bottom = beta**2 * self.precision + self.recall
        return (1 + beta**2) * self.precision * self.recall / bottom if bottom else 0.0


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of items: tp together in both, fp only in the clusters, fn only in the truth, tn in neither."""

    tp: float
    fp: float
    fn: float
    tn: float

    @property
    def rand(self) -> float:
        """Share of pairs both agree on; 1 where there is no pair."""
        total = self.tp + self.fp + self.fn + self.tn
        return (self.tp + self.tn) / total if total else 1.0

    @property
    def adjusted_rand(self) -> float:
        """Rand index corrected for chance (Hubert and Arabie 1985); 1 where both agree on every pair."""
        tp, fp, fn, tn = self.tp, self.fp, self.fn, self.tn
        if fp == 0 and fn == 0:
            return 1.0
        return 2 * (tp * tn - fn * fp) / ((tp + fn) * (fn + tn) + (tp + fp) * (fp + tn))

    @property
    def prf(self) -> PRF:
        """Precision and recall over pairs; 1 where there is nothing to be wrong about."""
        found, true = self.tp + self.fp, self.tp + self.fn
        return PRF(self.tp / found if found else 1.0, self.tp / true if true else 1.0)


@dataclass(frozen=True, slots=True)
class Contingency:
    """How often true class `rows[k]` met cluster `columns[k]`: `counts[k]` > 0 items, or their weight."""

    rows: I64
    columns: I64
    counts: F64
    classes: F64  # size of each true class
    clusters: F64  # size of each cluster

    @property
    def total(self) -> float:
        return float(self.counts.sum())

    @classmethod
    def of(cls, truth: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> Contingency:
        """From two labelings of the same items, integers or strings; `weights` (n,) e.g. seconds, default 1."""
        y, c = _codes(truth), _codes(labels)
        if y.shape != c.shape:
            raise ValueError(f"{len(y)} true labels and {len(c)} cluster labels do not fit")
        w = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
        width = int(c.max()) + 1 if len(c) else 1
        cells, where = np.unique(y * width + c, return_inverse=True)
        counts, classes, clusters = (np.asarray(np.bincount(k, w), np.float64) for k in (where, y, c))
        return cls(cells // width, cells % width, counts, classes, clusters)

    @classmethod
    def from_table(cls, table: ArrayLike) -> Contingency:
        """From a dense table, rows = true classes, columns = clusters."""
        t = np.asarray(table, np.float64)
        i, j = np.nonzero(t)
        return cls(i.astype(np.int64), j.astype(np.int64), t[i, j], t.sum(1), t.sum(0))

    def purity(self) -> float:
        """Share of items that belong to the majority class of their cluster."""
        best = np.zeros(len(self.clusters))
        np.maximum.at(best, self.columns, self.counts)
        return _share(float(best.sum()), self.total)

    def wcp(self) -> float:
        """Weighted cluster purity: purity of each cluster weighted by its size, which is `purity` by another name."""
        return self.purity()

    def inverse_purity(self) -> float:
        """Share of items in the largest piece of their class: purity with the roles exchanged."""
        best = np.zeros(len(self.classes))
        np.maximum.at(best, self.rows, self.counts)
        return _share(float(best.sum()), self.total)

    def pairs(self) -> Pairs:
        """The four counts of pairs. Only for counted items: weights have no pairs."""
        tp, true, found = _pairs(self.counts), _pairs(self.classes), _pairs(self.clusters)
        return Pairs(tp, found - tp, true - tp, self.total * (self.total - 1) / 2 - found - true + tp)

    def bcubed(self) -> PRF:
        """Mean over items of how pure their cluster is of their class, and how complete (Bagga and Baldwin 1998)."""
        precision = float((self.counts**2 / self.clusters[self.columns]).sum())
        recall = float((self.counts**2 / self.classes[self.rows]).sum())
        return PRF(_share(precision, self.total), _share(recall, self.total))

    def entropies(self, base: float = np.e) -> tuple[float, float]:
        """Entropy of the classes and of the clusters; base 2 gives bits, e (the default) nats."""
        return _entropy(self.classes, base), _entropy(self.clusters, base)

    def mutual_information(self, base: float = np.e) -> float:
        """What the clusters tell about the classes; base 2 gives bits, e (the default) nats."""
        n = self.total
        if not n:
            return 0.0
        ratio = self.counts * n / (self.classes[self.rows] * self.clusters[self.columns])
        return max(0.0, float((self.counts / n * np.log(ratio)).sum() / np.log(base)))

    def nmi(self, normaliser: Normaliser = "arithmetic") -> float:
        """Mutual information over a mean of both entropies; the base cancels out.

        The normaliser matters in the second digit, so it has a name: the arithmetic mean (as scikit-learn), the
        geometric mean, the smaller or the larger entropy. 1 where both sides are one single group.
        """
        a, b = self.entropies()
        if a == 0 and b == 0:
            return 1.0
        by = {"arithmetic": (a + b) / 2, "geometric": float(np.sqrt(a * b)), "min": min(a, b), "max": max(a, b)}
        return min(1.0, self.mutual_information() / by[normaliser]) if by[normaliser] else 0.0

    def homogeneity_completeness(self) -> tuple[float, float]:
        """1 - H(class | cluster) / H(class), and the same with the roles exchanged (Rosenberg and Hirschberg 2007)."""
        a, b = self.entropies()
        mutual = self.mutual_information()
        return mutual / a if a else 1.0, mutual / b if b else 1.0

    def v_measure(self, beta: float = 1.0) -> float:
        """Weighted harmonic mean of homogeneity and completeness; beta > 1 gives completeness more weight."""
        h, c = self.homogeneity_completeness()
        return (1 + beta) * h * c / (beta * h + c) if beta * h + c else 0.0


def scores(truth: ArrayLike, labels: ArrayLike, beta: float = 1.0) -> dict[str, float]:
    """Every external score by name, in the order tables print them."""
    table = Contingency.of(truth, labels)
    pairs, cubed = table.pairs(), table.bcubed()
    homogeneity, completeness = table.homogeneity_completeness()
    return {
        "bcubed_precision": cubed.precision,
        "bcubed_recall": cubed.recall,
        "bcubed_f": cubed.f(beta),
        "pair_precision": pairs.prf.precision,
        "pair_recall": pairs.prf.recall,
        "pair_f": pairs.prf.f(beta),
        "rand": pairs.rand,
        "adjusted_rand": pairs.adjusted_rand,
        "nmi": table.nmi(),
        "homogeneity": homogeneity,
        "completeness": completeness,
        "v_measure": table.v_measure(),
        "purity": table.purity(),
        "wcp": table.wcp(),
        "clusters": float(len(table.clusters)),
        "classes": float(len(table.classes)),
    }


def time_error(truth: Sequence[Sequence[tuple[float, float]]], found: Sequence[Sequence[tuple[float, float]]]) -> float:
    """Time-weighted error: (missed + false + confused seconds) / true seconds, under the best one-to-one naming.

    Each argument holds the half-open stretches of one person per entry. As the diarization error rate without a
    collar: seconds are counted per person, so two people at once count twice; 0 is perfect, more than 1 is possible.
    NaN where the truth is empty.
    """
    from scipy.optimize import linear_sum_assignment

    from streamer.intervals import overlap, total

    true_seconds = sum(total(t) for t in truth)
    if not true_seconds:
        return float("nan")
    shared = np.array([[total(overlap(t, f)) for f in found] for t in truth]).reshape(len(truth), len(found))
    i, j = linear_sum_assignment(-shared)
    correct = float(shared[i, j].sum())
    edges = sorted({x for person in (*truth, *found) for stretch in person for x in stretch})
    errors = 0.0
    for start, end in pairwise(edges):
        present = [sum(any(s <= start < e for s, e in person) for person in side) for side in (truth, found)]
        errors += max(present) * (end - start)
    return (errors - correct) / true_seconds


def _codes(labels: ArrayLike) -> I64:
    """Labels as 0..k-1; every negative number becomes a label of its own."""
    a: NDArray[Any] = np.asarray(labels)
    if a.ndim != 1:
        raise ValueError(f"labels must be one row, not {a.shape}")
    if a.dtype.kind in "if":
        a = a.astype(np.int64)
        noise = a < 0
        a[noise] = (a.max() if len(a) else 0) + 1 + np.arange(int(noise.sum()))
    return np.asarray(np.unique(a, return_inverse=True)[1], np.int64)


def _pairs(counts: F64) -> float:
    return float((counts * (counts - 1) / 2).sum())


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def _entropy(sizes: F64, base: float) -> float:
    p = sizes[sizes > 0] / sizes.sum() if sizes.sum() else sizes[:0]
    return abs(float((p * np.log(p)).sum() / np.log(base)))
