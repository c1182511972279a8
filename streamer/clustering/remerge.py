"""Average linkage over sums, with constraints: the groups that stay apart by more than their bar.

`agglomerate` merges all pairs that are each other's nearest allowed neighbour at once, round after round. Average
linkage is reducible, so this gives the dendrogram of merging one closest pair at a time (Murtagh 1983, reciprocal
nearest neighbours), in about twenty numpy passes instead of a heap of Python tuples. Mean dissimilarities come from
sums (see space.py), or by Lance-Williams from the edges that were merged when all of them are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.items import F32, F64, I64

USER = 1 << 40  # conflicts of this weight never give way


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars that fall with size: f(n) between `one` (two single tracks) and `many` (both of `full` tracks or more)."""

    one: float
    many: float
    full: int = 8

    def at(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> F64:
        """The largest mean dissimilarity at which clusters of a and b tracks are merged.

        The mean of n x m pairs scatters like 1 / sqrt(n m) around the true one, so small clusters need a closer match.
        """
        f = 1.0 / np.sqrt(np.minimum(a, self.full).astype(np.float64) * np.minimum(b, self.full))
        low = 1.0 / self.full
        return self.many + (self.one - self.many) * np.maximum(0.0, (f - low) / (1.0 - low))


@dataclass(slots=True)
class Pool:
    """What is to be merged: m rows. `sums` (m, d), `weights` and `energies` as in space.py, `counts` tracks."""

    sums: F32
    weights: F64
    energies: F64
    counts: I64
    pins: I64  # 0: none; clusters with two different pins are never merged (both carry a name)

    def mean_dissimilarity(self, a: I64, b: I64) -> F64:
        """Average linkage between rows a and b (arrays of positions)."""
        out = np.empty(len(a), np.float64)
        for s in range(0, len(a), 4096):  # 4096 pairs of 512 floats stay in the second-level cache's reach
            i, j = a[s : s + 4096], b[s : s + 4096]
            out[s : s + 4096] = np.einsum("ij,ij->i", self.sums[i], self.sums[j])
        own = self.energies / self.weights
        return own[a] + own[b] - out / (self.weights[a] * self.weights[b])

    def join(self, kept: I64, dropped: I64) -> None:
        """Adds rows `dropped` to rows `kept`; each row at most once in each."""
        self.sums[kept] += self.sums[dropped]
        self.weights[kept] += self.weights[dropped]
        self.energies[kept] += self.energies[dropped]
        self.counts[kept] += self.counts[dropped]
        self.pins[kept] = np.maximum(self.pins[kept], self.pins[dropped])


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs of rows with a weight: known neighbours, or conflicts."""

    a: I64
    b: I64
    weight: F64 | I64

    @classmethod
    def none(cls) -> Links:
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


def vetoed(conflicts: I64, a: I64, b: I64, *, doubts: float = 0.03) -> NDArray[np.bool_]:
    """Whether conflicts (tracks seen in one frame) forbid to merge clusters of a and b tracks.

    One conflict is enough against a cluster of one or two tracks; otherwise two, and more than `doubts` of the
    smaller cluster: mirrors, posters and double detections make wrong conflicts, and one of them would keep a person
    in two for ever.
    """
    small = np.minimum(a, b)
    return (conflicts >= 1) & ((small <= 2) | ((conflicts >= 2) & (conflicts > doubts * small)))


def _grouped(a: I64, b: I64, size: int, *columns: NDArray[Any]) -> tuple[I64, I64, list[NDArray[Any]]]:
    """Unique pairs (low, high) ascending with the columns summed; pairs of one row with itself are dropped."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    key = low * size + high
    order = np.argsort(key, kind="stable")
    order = order[low[order] != high[order]]
    key = key[order]
    first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.zeros(0, np.int64)
    sums = [np.add.reduceat(c[order], first) if len(first) else c[:0] for c in columns]
    return key[first] // size, key[first] % size, sums


def _lookup(keys: I64, values: I64, wanted: I64) -> I64:
    """values at `wanted` in ascending `keys`, 0 where missing."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def _reciprocal(a: I64, b: I64, d: F64, size: int) -> tuple[I64, I64]:
    """Pairs (low, high) that are each other's nearest; of equal ones the partner of lowest number."""
    node, partner = np.concatenate([a, b]), np.concatenate([b, a])
    order = np.lexsort((partner, np.concatenate([d, d]), node))
    node, partner = node[order], partner[order]
    first = np.flatnonzero(np.r_[True, node[1:] != node[:-1]])
    nearest = np.full(size, -1, np.int64)
    nearest[node[first]] = partner[first]
    low = node[first]
    low = low[(nearest[low] > low) & (nearest[nearest[low]] == low)]
    return low, nearest[low]


def agglomerate(pool: Pool, edges: Links, bars: Bars, conflicts: Links, together: Links | None = None) -> I64:
    """(m,) the row that stands for each row's cluster (its lowest row). `pool` is used up.

    `edges` are the pairs looked at (weights unused), `conflicts` carry how often two rows were seen in one frame
    (USER and above: never to be merged), `together` pairs are merged first, whatever their distance.
    """
    m = len(pool.weights)
    root = np.arange(m)
    for i, j in zip(together.a.tolist(), together.b.tolist()) if together is not None else ():
        p, q = sorted((int(root[i]), int(root[j])))
        if p != q:
            pool.join(np.array([p]), np.array([q]))
            root[root == q] = p
    ca, cb, (cw,) = _grouped(root[conflicts.a], root[conflicts.b], m, conflicts.weight)
    a, b, _ = _grouped(root[edges.a], root[edges.b], m)
    d = pool.mean_dissimilarity(a, b)
    mass = pool.weights[a] * pool.weights[b]
    while len(a):
        allowed = d <= bars.at(pool.counts[a], pool.counts[b])
        pa, pb = pool.pins[a], pool.pins[b]
        allowed &= (pa == 0) | (pb == 0) | (pa == pb)
        if len(ca):
            seen = _lookup(ca * m + cb, cw, a * m + b)
            allowed &= ~vetoed(seen, pool.counts[a], pool.counts[b])
        if not allowed.any():
            break
        kept, dropped = _reciprocal(a[allowed], b[allowed], d[allowed], m)
        step = np.arange(m)
        step[dropped] = kept
        pool.join(kept, dropped)
        root = step[root]
        ca, cb, (cw,) = _grouped(step[ca], step[cb], m, cw)
        a, b, d, mass = _relinked(pool, a, b, d, mass, step, kept)
    return root


def _relinked(pool: Pool, a: I64, b: I64, d: F64, mass: F64, step: I64, kept: I64) -> tuple[I64, I64, F64, F64]:
    """The edges after a round: untouched as they were, touched by Lance-Williams, or anew where a part is missing."""
    touched = np.zeros(len(step), bool)
    touched[kept] = True
    a, b = step[a], step[b]
    changed = touched[a] | touched[b]
    na, nb, (total, part) = _grouped(a[changed], b[changed], len(step), (d * mass)[changed], mass[changed])
    whole = pool.weights[na] * pool.weights[nb]
    nd = total / np.maximum(part, 1e-300)
    missing = np.flatnonzero(part < whole * (1.0 - 1e-9))
    nd[missing] = pool.mean_dissimilarity(na[missing], nb[missing])
    same = ~changed
    return np.r_[a[same], na], np.r_[b[same], nb], np.r_[d[same], nd], np.r_[mass[same], whole]
