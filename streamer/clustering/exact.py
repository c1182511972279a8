"""ExactDBSCAN: DBSCAN that takes and gives back one vector at a time and always equals the batch algorithm.

Kept per vector: its number of neighbours, a union-find over core samples, and the nearest core sample of a border
sample; no adjacency. An insertion costs one range search and one more for every sample that becomes core (Ester
et al. 1998, "Incremental Clustering for Mining in a Data Warehousing Environment"); a deletion searches anew
around the components that lost a core sample, since only those can fall apart.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from streamer.clustering.identities import grown
from streamer.clustering.neighbors import NeighborIndex
from streamer.clustering.space import Space
from streamer.errors import ConfigError
from streamer.items import F64, I64

NOISE = -1


class ExactDBSCAN:
    """Clusters with the meaning of `sklearn.cluster.DBSCAN(eps, min_samples, metric)`: neighbours at distance <=
    eps, itself counted.

    Cores and noise are equal to scikit-learn's; a border sample goes to its nearest core (scikit-learn: to the first
    that claims it). Distances are compared in float64, so ties at eps are decided as in exact arithmetic where the
    numbers allow; candidates come from the float32 index with room to spare.
    """

    def __init__(self, eps: float, min_samples: int = 5, metric: str = "cosine") -> None:
        if not eps > 0:
            raise ConfigError(f"clusterer.eps is {eps}. It is the largest distance of two neighbours, above 0.")
        if min_samples < 1:
            raise ConfigError(f"clusterer.min_samples is {min_samples}. It counts the sample itself, so at least 1.")
        self.eps, self.min_samples, self.metric = float(eps), int(min_samples), metric
        self._space: Space | None = None
        self._index = NeighborIndex(1)
        self._exact: F64 = np.zeros((0, 1))
        self._neighbors = np.zeros(16, np.int64)
        self._core = np.zeros(16, bool)
        self._parent = np.zeros(16, np.int64)
        self._border = np.zeros(16, np.int64)
        self._keys: list[int] = []
        self._row_of: dict[int, int] = {}
        self._largest = 1.0  # |x|^2 of the longest vector: float32 errors grow with it

    def __len__(self) -> int:
        return len(self._keys)

    # ------------------------------------------------------------------ insertion
    def insert(self, track: int, vector: ArrayLike) -> None:
        """Adds one vector under a number of the caller's; ConfigError when the number is taken."""
        if track in self._row_of:
            raise ConfigError(f"track {track} is already in. Remove it first, or use another number.")
        x = np.asarray(vector, np.float64).ravel()
        if self._space is None:
            self._space = Space(self.metric, len(x))
            self._index, self._exact = NeighborIndex(self._space.width), np.zeros((16, len(x)))
        row = self._append(track, x)
        near = self._within(row)
        self._neighbors[near] += 1
        self._neighbors[row] = len(near)
        fresh = near[(self._neighbors[near] >= self.min_samples) & ~self._core[near]]
        self._core[fresh] = True
        for core in fresh.tolist():
            self._connect(core, near if core == row else self._within(core))
        if not self._core[row]:
            self._border[row] = self._nearest_core(row, near)

    def _append(self, track: int, x: F64) -> int:
        assert self._space is not None
        self._space.check(x.astype(np.float32), track)
        if self.metric == "cosine":
            x = x / np.linalg.norm(x)
        single = x.astype(np.float32)
        row = self._index.add(self._space.row(single, 1.0))
        for name in ("_exact", "_neighbors", "_core", "_parent", "_border"):
            setattr(self, name, grown(getattr(self, name), row))
        self._exact[row] = x
        self._core[row], self._parent[row], self._border[row] = False, row, -1
        self._keys.append(track)
        self._row_of[track] = row
        self._largest = max(self._largest, float(x @ x))
        return row

    def _within(self, row: int) -> I64:
        """Rows at distance <= eps of a row, itself among them, ascending."""
        return self._around(np.array([row]))[0]

    def _around(self, rows: I64) -> list[I64]:
        assert self._space is not None
        single = self._exact[rows].astype(np.float32)
        radius = self._space.radius(self.eps if self.metric == "cosine" else self.eps**2 / 2.0)
        offsets, found = self._index.within(self._space.query(single), radius - 1e-4 * self._largest)
        out = []
        for i, row in enumerate(rows.tolist()):
            near = np.sort(found[offsets[i] : offsets[i + 1]])
            out.append(near[self._distance(row, near) <= self._bar])
        return out

    @property
    def _bar(self) -> float:
        return self.eps if self.metric == "cosine" else self.eps**2

    def _distance(self, row: int, others: I64) -> F64:
        """1 - cos, or the squared Euclidean distance, in float64."""
        if self.metric == "cosine":
            dots: F64 = np.einsum("ij,j->i", self._exact[others], self._exact[row])
            return np.maximum(0.0, 1.0 - dots)
        gap = self._exact[others] - self._exact[row]
        squared: F64 = np.einsum("ij,ij->i", gap, gap)
        return squared

    def _connect(self, core: int, near: I64) -> None:
        """A core sample joins the core samples around it; the others around it may be its border."""
        for other in near.tolist():
            if self._core[other]:
                self._join(core, other)
            else:
                self._offer(other, core)

    def _offer(self, row: int, core: int) -> None:
        now = int(self._border[row])
        if now < 0 or not self._core[now]:
            self._border[row] = core
        else:
            d = self._distance(row, np.array([core, now]))
            if (d[0], core) < (d[1], now):
                self._border[row] = core

    def _nearest_core(self, row: int, near: I64) -> int:
        cores = near[self._core[near]]
        return int(cores[int(np.argmin(self._distance(row, cores)))]) if len(cores) else -1

    def _root(self, row: int) -> int:
        parent = self._parent
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    def _join(self, a: int, b: int) -> None:
        p, q = sorted((self._root(a), self._root(b)))
        self._parent[q] = p

    # ------------------------------------------------------------------ deletion
    def remove(self, tracks: Iterable[int]) -> None:
        """Takes vectors out: the rest is clustered as if they had never been there. Unknown tracks are passed over."""
        for track in tracks:
            if track in self._row_of:
                self._remove(self._row_of[track])

    def _remove(self, row: int) -> None:
        near = self._within(row)
        self._neighbors[near] -= 1
        lost = near[self._core[near] & ((self._neighbors[near] < self.min_samples) | (near == row))]
        n = len(self)
        roots = {self._root(int(r)) for r in lost}
        hurt = (
            np.asarray([r for r in range(n) if self._core[r] and self._root(r) in roots], np.int64) if roots else lost
        )
        self._core[lost] = False
        self._parent[lost] = lost
        loose = np.flatnonzero(~self._core[:n] & np.isin(self._border[:n], lost))
        hurt = hurt[self._core[hurt]]
        self._parent[hurt] = hurt
        for core, around in zip(hurt.tolist(), self._around(hurt) if len(hurt) else []):
            for other in around[self._core[around]].tolist():
                self._join(core, other)
        again = np.union1d(loose, lost)
        for r, around in zip(again.tolist(), self._around(again) if len(again) else []):
            self._border[r] = self._nearest_core(r, around[around != row])
        self._drop(row)

    def _drop(self, row: int) -> None:
        """The last row moves into the hole; whoever pointed at it is told."""
        del self._row_of[self._keys[row]]
        last = self._index.remove(row)
        key = self._keys.pop()
        for column in (self._exact, self._neighbors, self._core, self._parent, self._border):
            column[row] = column[last]
        self._exact[last] = 0.0
        n = len(self)
        if row != last:
            self._keys[row] = key
            self._row_of[key] = row
            for column in (self._parent, self._border):
                column[:n][column[:n] == last] = row

    # ------------------------------------------------------------------ answers
    def core_tracks(self) -> set[int]:
        """Tracks with at least min_samples neighbours."""
        return {k for r, k in enumerate(self._keys) if self._core[r]}

    def labels(self) -> dict[int, int]:
        """track -> cluster, numbered from 0 in the order of their lowest track; -1: noise."""
        names: dict[int, int] = {}
        out: dict[int, int] = {}
        for track in sorted(self._row_of):
            row = self._row_of[track]
            home = row if self._core[row] else int(self._border[row])
            out[track] = NOISE if home < 0 else names.setdefault(self._root(home), len(names))
        return out
