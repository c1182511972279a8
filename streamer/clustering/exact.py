"""ExactDBSCAN: DBSCAN that takes and gives back one vector at a time and always equals the batch algorithm.

Kept per vector: its number of neighbours, a union-find over core samples, and the nearest core sample of a border
sample; no adjacency. An insertion costs one range search and one more for every sample that becomes core (Ester
et al. 1998, "Incremental Clustering for Mining in a Data Warehousing Environment"); a deletion searches anew
around the components that lost a core sample, since only those can fall apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamer.clustering.identities import grown
from streamer.clustering.neighbors import NeighborIndex
from streamer.clustering.space import Space
from streamer.errors import ConfigError
from streamer.items import F64, I64

NOISE = -1
COLUMNS = ("_exact", "_neighbors", "_core", "_parent", "_border")


class Change(NamedTuple):
    """What an insertion did, in rows: components that became one (survivor, swallowed), in order, and every row
    whose cluster may be another now."""

    joined: list[tuple[int, int]]
    touched: I64


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
        self._joined: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._keys)

    # ------------------------------------------------------------------ insertion
    def insert(self, track: int, vector: ArrayLike) -> Change:
        """Adds one vector under a number of the caller's; ConfigError when the number is taken."""
        if track in self._row_of:
            raise ConfigError(f"track {track} is already in. Remove it first, or use another number.")
        x = np.asarray(vector, np.float64).ravel()
        if self._space is None:
            self._open(len(x))
        row = self._append(track, x)
        near = self._within(row)
        self._neighbors[near] += 1
        self._neighbors[row] = len(near)
        fresh = near[(self._neighbors[near] >= self.min_samples) & ~self._core[near]]
        self._core[fresh] = True
        self._joined, touched = [], [near]
        for core in fresh.tolist():
            around = near if core == row else self._within(core)
            self._connect(core, around)
            touched.append(around)
        if not self._core[row]:
            self._border[row] = self._nearest_core(row, near)
        return Change(self._joined, np.unique(np.concatenate(touched)))

    def _open(self, dimension: int) -> None:
        self._space = Space(self.metric, dimension)
        self._index = NeighborIndex(self._space.width)
        self._exact = np.zeros((16, dimension))

    def _append(self, track: int, x: F64) -> int:
        assert self._space is not None
        self._space.check(x.astype(np.float32), track)
        if self.metric == "cosine":
            x = x / np.linalg.norm(x)
        single = x.astype(np.float32)
        row = self._index.add(self._space.row(single, 1.0))
        for name in COLUMNS:
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
        if p != q:
            self._parent[q] = p
            self._joined.append((p, q))

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
        for name in COLUMNS:
            column = getattr(self, name)
            column[row] = column[last]
        self._exact[last] = 0.0
        n = len(self)
        if row != last:
            self._keys[row] = key
            self._row_of[key] = row
            for column in (self._parent, self._border):
                column[:n][column[:n] == last] = row

    # ------------------------------------------------------------------ answers
    def __contains__(self, track: int) -> bool:
        return track in self._row_of

    def key(self, row: int) -> int:
        """The track in a row."""
        return self._keys[row]

    def home(self, row: int) -> int:
        """The component of a row, as the row of its oldest core sample; -1: noise."""
        core = row if self._core[row] else int(self._border[row])
        return core if core < 0 else self._root(core)

    def homes(self) -> dict[int, int]:
        """track -> component, as in `home`, in the order of the rows."""
        return {k: self.home(r) for r, k in enumerate(self._keys)}

    def nearest(self, row: int) -> float:
        """Distance to the nearest core sample within eps, itself not counted; NaN where there is none."""
        near = self._within(row)
        near = near[self._core[near] & (near != row)]
        if not len(near):
            return float("nan")
        d = float(self._distance(row, near).min())
        return d if self.metric == "cosine" else float(np.sqrt(d))

    def core_tracks(self) -> set[int]:
        """Tracks with at least min_samples neighbours."""
        return {k for r, k in enumerate(self._keys) if self._core[r]}

    def labels(self) -> dict[int, int]:
        """track -> cluster, numbered from 0 in the order of their lowest track; -1: noise."""
        names: dict[int, int] = {}
        out: dict[int, int] = {}
        for track in sorted(self._row_of):
            row = self._row_of[track]
            home = self.home(row)
            out[track] = NOISE if home < 0 else names.setdefault(home, len(names))
        return out

    # ------------------------------------------------------------------ state
    def columns(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, a row per vector; `load` continues bit-equal."""
        n = len(self)
        return {"keys": np.asarray(self._keys, np.int64)} | {name[1:]: getattr(self, name)[:n] for name in COLUMNS}

    def load(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """An empty one becomes the one whose `columns` these are."""
        exact, keys = columns["exact"], columns["keys"].tolist()
        if not keys:
            return
        self._open(exact.shape[1])
        assert self._space is not None
        for single in exact.astype(np.float32):
            self._index.add(self._space.row(single, 1.0))
        for name in COLUMNS:
            setattr(self, name, np.array(columns[name[1:]]))
        self._keys, self._row_of = keys, {k: r for r, k in enumerate(keys)}
        self._largest = max(1.0, float(np.einsum("ij,ij->i", exact, exact).max()))
