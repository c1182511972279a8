"""Repair of the first guess: periodic average-linkage merges of identities, and consolidation of all exemplars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.clustering.consolidate import Diff, Snapshot, plan
from streamer.clustering.people import People
from streamer.clustering.remerge import Bars, Links, Pool, agglomerate
from streamer.items import F32, I64, Assigned, Event, Split

# The end of a source consolidates everything while it is cheap (4096 exemplars: 0.1 s) or has grown by 2 %, else only
# people the source changed: with 24,000 exemplars 0.1 s instead of 1.3 s after every clip.
SMALL, GROWTH = 4096, 1.02
FEW, MANY = 1000, 10_000  # tracks between which the bar of single ones rises, with their logarithm
CHUNK = 64  # queries searched in one matrix product
LOOKED = 1024  # tracks of nobody compared with few exemplars at a time


class Repair(People):
    """What needs merge bars and `retry_bar` (dissimilarities); `_near` collects identities that saw each other."""

    model: str
    options: dict[str, Any]
    merge_few: Bars  # among up to FEW tracks
    merge_many: Bars  # among MANY tracks and more
    retry_bar: float
    consolidate_growth: float | None
    _near: set[tuple[int, int]]
    _since_remerge: int
    _consolidated_at: int
    _retried_at: int  # tracks when those of nobody were last compared with everybody who changed

    @property
    def merge_bars(self) -> Bars:
        """The merge bars among as many tracks as there are now: the more, the likelier a stranger looks like a single
        one by chance, and the nearer two must be."""
        grown = math.log(max(1.0, self.tracks.count / FEW)) / math.log(MANY / FEW)
        few, many = self.merge_few, self.merge_many
        return Bars(few.one + min(1.0, grown) * (many.one - few.one), many.many, many.full)

    # ------------------------------------------------------------------ re-merge
    def remerge(self) -> list[Event]:
        """Merges identities that saw each other since the last time, by average linkage."""
        self._remerge()
        return self.take()

    def _remerge(self) -> None:
        self._since_remerge = 0
        pairs = {(self.aliases.resolve(a), self.aliases.resolve(b)) for a, b in self._near}
        self._near.clear()
        slot_of = self.identities.slot_of
        edges = sorted((slot_of[a], slot_of[b]) for a, b in pairs if a != b and a in slot_of and b in slot_of)
        if edges:
            self._merge_slots(np.asarray(edges, np.int64))

    def _merge_slots(self, edges: I64) -> None:
        ids = self.identities
        slots, local = np.unique(edges, return_inverse=True)
        local = local.reshape(edges.shape)
        pool = Pool(
            ids.sums[slots], ids.weight[slots].copy(), ids.energy[slots].copy(), ids.count[slots].copy(),
            self.pins(slots),
        )  # fmt: skip
        place = np.full(len(ids.rows), -1, np.int64)
        place[slots] = np.arange(len(slots))
        root = agglomerate(pool, Links(local[:, 0], local[:, 1], np.zeros(0)), self.merge_bars, self.conflicts(place))
        for r in np.unique(root[root != np.arange(len(root))]):
            self._merge_group(slots[root == r])
        self.settle_conflicts()

    def _merge_group(self, slots: I64) -> None:
        numbers = sorted(self.identities.number[slots].tolist(), key=lambda n: (n not in self.identities.pinned, n))
        for dropped in numbers[1:]:
            self.merge(numbers[0], dropped, "remerge")

    # ------------------------------------------------------------------ consolidation
    @property
    def consolidation_due(self) -> bool:
        """Whether tracks grew enough since the last consolidation."""
        return self.tracks.count >= self._consolidate_from()

    def _consolidate_from(self) -> int:
        return math.ceil((self.consolidate_growth or 1.6) * self._consolidated_at)

    def consolidation_job(self, *, whole: bool = True) -> Callable[[], Diff]:
        """A function of a snapshot taken now; it may run anywhere, and its result goes to `apply`.

        Not `whole`: only people that changed since the last time, and those near them.
        """
        ex, n = self.exemplars, len(self.exemplars)
        chosen = np.ones(n, bool) if whole else self._stirred()[ex.owner[:n]]
        if whole:
            self._consolidated_at = max(self._consolidated_at, self.tracks.count)
        rows = np.flatnonzero(chosen)
        local = np.full(n + 1, -1, np.int64)  # the last for tracks without an exemplar
        local[rows] = np.arange(len(rows))
        edges = self._graph()
        inside = chosen[edges.a] & chosen[edges.b]
        place = local[self.tracks.row[: self.tracks.count]]
        parts = ex.parts(slice(0, n) if whole else rows)
        weights, energies, pins = ex.weight[rows], ex.energy[rows], self.pins(ex.owner[rows])
        counts = np.fromiter((len(ex.members[r]) for r in rows.tolist()), np.int64, len(rows))
        snapshot = Snapshot(
            ex.key[rows], lambda: Pool(parts(), weights, energies, counts, pins),
            Links(local[edges.a[inside]], local[edges.b[inside]], np.zeros(0)),
            self.merge_bars, self.constraints.between(place), self.constraints.together(place),
        )  # fmt: skip
        return snapshot.cluster

    def _stirred(self) -> NDArray[np.bool_]:
        """Per slot whether the identity changed since it was consolidated, or is near enough to one that did."""
        ids = self.identities
        n = len(ids.rows)
        taken, weight = ids.number[:n] > 0, np.maximum(ids.weight[:n], 1.0)
        changed = np.flatnonzero(self._changed())
        own = ids.energy[:n] / weight
        means = ids.sums[changed] / weight[changed, None].astype(np.float32)
        dots = (ids.sums[:n] @ means.T) / weight[:, None].astype(np.float32)  # the means of all would be a copy of all
        near: NDArray[np.bool_] = own[:, None] + own[changed] - dots <= max(self.merge_bars.one, self.merge_bars.many)
        out = taken & near.any(1)
        out[changed] = True
        return out

    def _changed(self) -> NDArray[np.bool_]:
        """Per slot whether the identity has other tracks than when it was last consolidated."""
        ids, n = self.identities, len(self.identities.rows)
        return np.asarray((ids.number[:n] > 0) & (ids.count[:n] != ids.settled[:n]))

    def _graph(self) -> Links:
        """Neighbours remembered at creation, and a chain through every identity's exemplars."""
        ex, n = self.exemplars, len(self.exemplars)
        row_of = np.full(max(1, ex.next_key), -1, np.int64)
        row_of[ex.key[:n]] = np.arange(n)
        near = ex.near[:n]
        a = np.repeat(np.arange(n), (near >= 0).sum(1))
        b = row_of[near[near >= 0]]
        order = np.argsort(ex.owner[:n], kind="stable")
        same = ex.owner[order[1:]] == ex.owner[order[:-1]]
        a, b = np.r_[a, order[:-1][same]], np.r_[b, order[1:][same]]
        return Links(a[b >= 0], b[b >= 0], np.zeros(0))

    def apply(self, diff: Diff) -> list[Event]:
        """Brings the identities to what the consolidation found, with as few changes of number as can be."""
        self.renumber(diff)
        return self.take()

    def _consolidate(self, *, whole: bool = True) -> None:
        self._remerge()
        self.renumber(self.consolidation_job(whole=whole)())
        self._retry_pending(whole)
        self.identities.settled[:] = self.identities.count

    @property
    def grown(self) -> bool:
        """Whether there is so little, or so much new, that all of it is to be consolidated."""
        return len(self.exemplars) <= SMALL or self.tracks.count >= GROWTH * self._consolidated_at

    def renumber(self, diff: Diff, reason: str = "consolidate") -> None:
        """Makes the clusters of `diff` the identities."""
        ex, ids = self.exemplars, self.identities
        n = len(ex)
        sizes = np.fromiter((len(m) for m in ex.members), np.int64, n)
        number = ids.number[ex.owner[:n]]
        target, order = plan(diff, ex.key[:n], number, sizes, ids.pinned, self.new_identity)
        changed = np.flatnonzero(target != number)
        if not len(changed):
            return
        for old, new, whole in order:
            rows = changed[(number[changed] == old) & (target[changed] == new)]
            self._transfer(old, new, rows, whole, reason)
        affected = sorted(set(number[changed].tolist()) | set(target[changed].tolist()))
        ordered = np.argsort(target, kind="stable")
        ends = np.searchsorted(target[ordered], affected, "right")
        for one, first, end in zip(affected, np.searchsorted(target[ordered], affected).tolist(), ends.tolist()):
            rows = ordered[first:end].tolist()
            slot = ids.slot_of.get(one)
            if rows:
                ids.recompute(ids.create(one) if slot is None else slot, rows, ex)
            elif slot is not None:
                ids.end(slot)
        self._near |= {(a, b) if a < b else (b, a) for a, b, _ in order}
        self.settle_conflicts()

    def _transfer(self, old: int, new: int, rows: I64, whole: bool, reason: str) -> None:
        """Events for the exemplars that go from `old` to `new`; `whole`: nothing else of `old` is left."""
        members = sorted(at for r in rows.tolist() for at in self.exemplars.members[r] if at not in self.exiles)
        if whole:
            d = self.distance_between(new, old) if new in self.identities.slot_of else float("nan")
            self.retire(new, old, d, reason)
        elif new in self.identities.slot_of:
            for at in members:
                self.move(at, new, reason)
        elif members:
            numbers = tuple(int(t) for t in self.tracks.number[members])
            self.emit(Split(self.next_seq(), old, new, numbers, reason))

    def _retry_pending(self, whole: bool) -> None:
        """Low-quality tracks of nobody join the nearest exemplar that is near enough by now.

        Not `whole`: those that waited before look only at people who changed since. An archive of 100,000 tracks has
        4000 of them; to compare these with everybody took 2.5 s after every file.
        """
        ex = self.exemplars
        since = 0 if whole else self._retried_at
        new, old = (sorted(p for p in self.pending if (p >= since) is late) for late in (True, False))
        self._retried_at = self.tracks.count
        radius = self.space.radius(self.retry_bar)
        for part, queries in self._asked(new if len(ex) else [], CHUNK):
            offsets, found = ex.index.within(queries, radius)
            self._retry(part, queries, np.split(found, offsets[1:-1]))
        changed = np.flatnonzero(self._changed()[ex.owner[: len(ex)]])
        rows = ex.index.take(changed)
        for part, queries in self._asked(old if len(changed) else [], LOOKED):
            self._retry(part, queries, [changed[near] for near in queries @ rows.T > radius])

    def _asked(self, waiting: list[int], size: int) -> Iterator[tuple[list[int], F32]]:
        """Tracks of nobody, up to `size` at a time, and their queries."""
        for at in range(0, len(waiting), size):
            part = waiting[at : at + size]
            yield part, self.space.query(np.stack([self.pending[p] for p in part]))

    def _retry(self, part: list[int], queries: F32, found: list[I64]) -> None:
        """The tracks join the nearest of the exemplars found for each that they may join."""
        near = [i for i, rows in enumerate(found) if len(rows)]
        foes = self.constraints.of_each(np.asarray([part[i] for i in near], np.int64)) if near else {}
        for i in near:
            self._retry_one(part[i], queries[i], found[i], foes[part[i]])

    def _retry_one(self, at: int, query: F32, rows: I64, among: list[int]) -> None:
        enemies = self.foes(at, among)
        rows = rows[~np.isin(self.exemplars.owner[rows], list(enemies))]
        if not len(rows):
            return
        rows = np.sort(rows)
        d = self.space.from_product(self.exemplars.index.products(rows, query))
        row = int(rows[int(np.argmin(d))])
        slot = int(self.exemplars.owner[row])
        del self.pending[at]
        self.exemplars.members[row].append(at)
        self.tracks.row[at] = row
        self.identities.count[slot] += 1
        track, number = int(self.tracks.number[at]), int(self.identities.number[slot])
        self.emit(Assigned(self.next_seq(), track, number, self.space.distance(float(d.min())), reason="retry"))
