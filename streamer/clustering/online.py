"""OnlineClusterer: nearest-neighbour assignment as the first guess, average linkage as the last word.

A track joins the identity that a blend of its nearest exemplar and the identity's mean brings under the bar, or
founds one. Every few tracks identities near each other are merged by average linkage, and now and then all exemplars
are clustered from scratch, which also splits. Identities keep their numbers through all of it.

Settings were chosen on generated streams (`scripts/CLUSTERBENCH.md`); every bar is a multiple of the pack's `link`
dissimilarity, so they hold for models whose strangers are at cosine 0.0 and at 0.84.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from streamer.clustering import corrections, snapshot
from streamer.clustering.constraints import MUST
from streamer.clustering.neighbors import FLAT_ROWS, Found
from streamer.clustering.people import Vectors
from streamer.clustering.remerge import USER, Bars
from streamer.clustering.repair import CHUNK, Repair
from streamer.clustering.space import Space
from streamer.errors import ConfigError
from streamer.items import F32, I64, Assigned, Event, Tracklet
from streamer.pages import Pages

# Multiples of the link dissimilarity (0.58 for cosine 0.42), from the grid of the notes in cosine on 512-d streams.
NEAR = 0.7  # share of the nearest exemplar in the score, the rest is the identity's mean
JOIN_MANY = 1.155  # bar of an identity of 8 and more (cosine 0.33); 1.0 = link for one of 1
# Added to the merge bar for two single tracks, among up to FEW tracks and among MANY (see repair.py), and for large
# identities: at merge 0.31 that is 0.28, 0.40 and 0.30. -0.155 for all split people who come back looking different.
# B-cubed F with 0.05: synthetic casts (scripts/eval_robustness) 92.2 -> 96.8 with EdgeFace, 81.5 -> 86.2 with dlib;
# clips made worse 98.1 -> 98.9 and 96.1 -> 96.3; labelled ones 99.6 as before and 97.8 -> 98.2; LFW albums of 15 to 120
# people + 1. 10,000 generated tracks lose 0.2 by it.
SINGLE_FEW, SINGLE_MANY, MERGE_MANY = 0.05, -0.155, 0.026
ABSORB = 0.431  # nearer than this (0.75) a track melts into an exemplar
GATE = 0.948  # a low-quality track joins below this (0.45)
RETRY = 0.948  # and, in a consolidation, below this to an exemplar (0.45); 0.776 lost 0.4 on the labelled videos
FULL = 8  # from this many tracks an identity counts as large
ESTABLISHED = 3  # tracks from which an identity may take in low-quality tracks
LOOKED_AGAIN = 2000  # exemplars: a film's, 0.1 s; older ones keep the neighbours they saw
FIRST_OWNERS = 6  # nearest owners whose mean is looked at


class OnlineClusterer(Repair):
    """Incremental identities over tracklets; see streamer.clustering.base for the contract.

    `link` and `merge` are the pack's thresholds in its own metric. Tracks below quality `q_seed` may join but never
    found or move an identity. `conflicts`: "exclusive" never gives two tracks of one frame the same label, "soft"
    lets doubtful conflicts (mirrors, posters) be overruled in the labels too. `consolidate_growth`: tracks grow by
    this factor between two inline consolidations; None leaves them to the caller (`consolidation_due`,
    `consolidation_job`, `apply`).
    """

    def __init__(
        self,
        dimension: int,
        *,
        metric: str = "cosine",
        link: float = 0.42,
        merge: float = 0.31,
        model: str = "",
        q_seed: float = 0.30,
        min_tracks: int = 3,
        max_exemplars: int = 256,  # 24 filled exemplars with other people: average linkage could not part them again
        remerge_every: int = 128,
        consolidate_growth: float | None = None,
        conflicts: str = "exclusive",
        keep_vectors: bool = True,
        flat_rows: int = FLAT_ROWS,
        vectors: Vectors | None = None,
    ) -> None:
        if conflicts not in ("exclusive", "soft"):
            raise ConfigError(f"clusterer.conflicts is {conflicts!r}. Choose 'exclusive' or 'soft'.")
        space = Space(metric, dimension)
        super().__init__(
            space,
            exclusive=conflicts == "exclusive",
            min_tracks=min_tracks,
            keep_vectors=keep_vectors,
            vectors=vectors,
            flat_rows=flat_rows,
        )
        self.model = model
        self.options = {
            "metric": metric, "link": link, "merge": merge, "q_seed": q_seed, "min_tracks": min_tracks,
            "max_exemplars": max_exemplars, "remerge_every": remerge_every, "consolidate_growth": consolidate_growth,
            "conflicts": conflicts, "keep_vectors": keep_vectors, "flat_rows": flat_rows,
        }  # fmt: skip
        self.q_seed, self.max_exemplars = q_seed, max_exemplars
        self.remerge_every, self.consolidate_growth = remerge_every, consolidate_growth
        self._set_bars()
        self._near: set[tuple[int, int]] = set()  # identities that saw each other since the last re-merge
        self._since_remerge = 0
        self._retried_at = 0
        self._consolidated_at = 32  # tracks at the last consolidation; below this many there is nothing to repair

    def _set_bars(self) -> None:
        """All bars from the options `link` and `merge`."""
        link = self.options["link"]
        self.unit = self.space.dissimilarity(link)
        if not self.unit > 0:
            raise ConfigError(f"clusterer.link is {link}: it leaves no distance between two faces of one person.")
        merge_bar = self.space.dissimilarity(self.options["merge"])
        self.join_bars = Bars(self.unit, JOIN_MANY * self.unit, FULL)
        large = merge_bar + MERGE_MANY * self.unit
        self.merge_few = Bars(merge_bar + SINGLE_FEW * self.unit, large, FULL)
        self.merge_many = Bars(merge_bar + SINGLE_MANY * self.unit, large, FULL)
        self.retry_bar = RETRY * self.unit
        # Nothing farther is looked at: neither joined nor remembered as a neighbour. Where `link` is stricter than
        # `merge`, as far as two single tracks may be merged, or the re-merges would have no pairs to look at.
        self.reach = max(self.join_bars.many, self.merge_few.one)
        counts = np.arange(FULL + 1)
        counts[0] = 1
        self._join = self.join_bars.at(counts, np.ones(FULL + 1, np.int64)).tolist()  # by min(tracks, FULL)

    def retune(self, link: float, merge: float) -> None:
        """From now on these thresholds hold (in the pack's metric); the next `finish` draws the consequences.

        The newest exemplars look for neighbours again when they may be farther away than before.
        """
        before = self.reach
        self.options |= {"link": link, "merge": merge}
        self._set_bars()
        if self.reach > before:
            self._look_again()

    def _look_again(self) -> None:
        ex, last = self.exemplars, len(self.exemplars)
        for s in range(max(0, last - LOOKED_AGAIN), last, CHUNK):
            at = np.arange(s, min(s + CHUNK, last))
            queries = self.space.query(self.space.means(ex.sums(at), ex.weight[at]))
            offsets, found = ex.index.within(queries, self.space.radius(self.reach))
            for i, row in enumerate(at.tolist()):
                rows = found[offsets[i] : offsets[i + 1]]
                product = ex.index.products(rows, queries[i])
                ex.remember(row, rows[np.lexsort((rows, -product))])

    # ------------------------------------------------------------------ insertion
    def add(self, tracklets: Sequence[Tracklet]) -> list[Event]:
        """The events of these tracklets, with those of a re-merge or consolidation that fell due between them."""
        at = 0
        while at < len(tracklets):
            room = min(CHUNK, max(1, self.remerge_every - self._since_remerge), len(tracklets) - at)
            # stop where one-by-one would: batches of any size give the same labels
            room = min(room, self.exemplars.index.room)
            if self.consolidate_growth is not None:
                room = min(room, max(1, self._consolidate_from() - self.tracks.count))
            self._insert(tracklets[at : at + room])
            at += room
            if self._since_remerge >= self.remerge_every:
                self._remerge()
            if self.consolidate_growth is not None and self.consolidation_due:
                self._consolidate()
        return self.take()

    def _insert(self, chunk: Sequence[Tracklet]) -> None:
        vectors = np.stack([self.space.vector(t, self.model) for t in chunk])
        energies = self.space.energy(vectors).tolist()
        queries = self.space.query(vectors)
        # 1e-4: more than single precision and the order of summation can move an inner product of unit vectors
        slack = 1e-4 * max(1.0, 2.0 * max(energies, default=0.0))
        found = self.exemplars.index.search(queries, self.space.radius(self.reach) - slack)
        for i, tracklet in enumerate(chunk):
            self._since_remerge += 1
            rows = found.of(i)
            known = self.tracks.position.get(tracklet.id)
            if known is not None and self._grow(known, tracklet, vectors[i], found):
                self._reconsider(known, tracklet, vectors[i], queries[i], energies[i], rows)
                continue
            self._place(tracklet, known, vectors[i], queries[i], energies[i], rows, found)

    def _grow(self, at: int, t: Tracklet, x: F32, found: Found) -> bool:
        """A tracklet sent again because it grew: new conflicts are noted, its vector replaces the old one; it stays
        where it is (but see `_reconsider`).

        False: it belonged to nobody, or was of low quality, and is to be placed anew.
        """
        for other in self.tracks.known(t.cannot_link - t.must_link - {t.id}):
            self.constraints.forbid(at, other)
        row = int(self.tracks.row[at])
        if row < 0 or self.tracks.light[at]:
            corrections.withdraw(self, at)
            return False
        if (self.tracks.keep_vectors or self.vectors is not None) and t.quality >= self.q_seed:
            corrections.revise(self, at, x)
            found.touch(row)
        self.settle_conflicts()
        return True

    def _reconsider(self, at: int, t: Tracklet, x: F32, query: F32, energy: float, rows: I64) -> None:
        """What is known only now of a track that grew: whose piece it is, and whether a person founded on its first
        looks is one that was known before. On four clips as cameras the latter found 0.9 points of B-cubed recall.
        """
        friends: list[int] = []
        for other in self.tracks.known(t.must_link - {t.id}):
            self._befriend(other, at, friends)
        slot = self.slot(at)
        if friends:
            self._join_all(int(self.identities.number[slot]), [int(self.identities.number[f]) for f in friends])
        elif slot >= 0 and self.identities.count[slot] == 1 and t.quality >= self.q_seed:
            _, nearest = self._within(query, rows)
            nearest.pop(slot, None)
            choice = self._choose(x, energy, nearest, self.foes(at, self.constraints.of(at)))[0]
            if choice >= 0:
                self.merge(int(self.identities.number[choice]), int(self.identities.number[slot]), "grown")
                self.settle_conflicts()

    def _within(self, query: F32, rows: I64) -> tuple[I64, dict[int, tuple[int, float]]]:
        """Those of `rows` as near as `reach`, nearest first, and slot -> the nearest of its rows and how far it is."""
        row_d = self.space.from_product(self.exemplars.index.products(rows, query))
        order = np.argsort(row_d, kind="stable")
        order = order[: int(np.searchsorted(row_d[order], self.reach, "right"))]
        rows, row_d = rows[order], row_d[order]
        nearest: dict[int, tuple[int, float]] = {}
        for row, slot, d in zip(rows.tolist(), self.exemplars.owner[rows].tolist(), row_d.tolist()):
            nearest.setdefault(slot, (row, d))
        return rows, nearest

    def _place(
        self, t: Tracklet, known: int | None, x: F32, query: F32, energy: float, rows: I64, found: Found
    ) -> None:
        at = self.tracks.add(t.id, x) if known is None else known
        enemies, friends = self._relations(t, at, known)
        rows, nearest = self._within(query, rows)
        choice, score, runner, runner_score = self._choose(x, energy, nearest, enemies)
        light = t.quality < self.q_seed
        reason = "nearest"
        if friends:
            choice, reason = friends[0], "must-link"
            if choice not in nearest:
                nearest[choice] = self._nearest_row(choice, query)
            score = float(self.identities.mean_dissimilarity(np.array([choice]), x, energy)[0])
        elif light:
            reason = "gate"
            if choice >= 0 and (self.identities.count[choice] < ESTABLISHED or score > GATE * self.unit):
                choice = -1
        number = self._settle(at, x, energy, choice, nearest, rows, light, found)
        distance = float("nan") if choice < 0 else self.space.distance(score)
        runner_number = int(self.identities.number[runner]) if runner >= 0 else None
        runner_distance = self.space.distance(runner_score) if runner >= 0 else float("nan")
        if choice < 0:
            reason = "gate" if light else "new"
        self.emit(Assigned(self.next_seq(), t.id, number, distance, runner_number, runner_distance, reason))
        self._remember_neighbours(number, nearest)
        if friends and number is not None:
            self._join_all(number, [int(self.identities.number[f]) for f in friends[1:]])

    def _relations(self, t: Tracklet, at: int, known: int | None) -> tuple[set[int], list[int]]:
        """Slots this track must keep out of, and slots it must be in; notes both kinds of constraint."""
        waiting = self.constraints.waiting.pop(t.id, []) if self.constraints.waiting else []
        late = [(self.tracks.position[n], weight) for n, weight in waiting if n in self.tracks.position]
        cannot = self.tracks.known(t.cannot_link - t.must_link - {t.id})
        for other in cannot:
            self.constraints.forbid(other, at)
        if len(cannot) < len(t.cannot_link):
            self._wait_for(t)
        if known is not None:
            cannot = self.constraints.of(at)
        for other, weight in late:
            if weight != MUST:
                self.constraints.forbid(other, at, weight)
                cannot.append(other)
        enemies = self.foes(at, cannot)
        friends: list[int] = []
        for other in self.tracks.known(t.must_link - {t.id}) + [o for o, weight in late if weight == MUST]:
            self._befriend(other, at, friends)
        if self.constraints.must:
            units = self.constraints.components()
            friends += [self.slot(o) for o, u in units.items() if u == units.get(at, -1) and o != at]
        return enemies, list(dict.fromkeys(f for f in friends if f >= 0))

    def _wait_for(self, t: Tracklet) -> None:
        """Conflicts told out of order: they hold when the other track comes."""
        for number in sorted(t.cannot_link - t.must_link - {t.id}):
            if number not in self.tracks.position:
                self.constraints.waiting.setdefault(number, []).append((t.id, 1))

    def _befriend(self, other: int, at: int, friends: list[int]) -> None:
        """Notes a must-link, unless the user parted the two; somebody of nobody's gets an identity by it."""
        if self.constraints.weight(other, at) >= USER:
            return
        refused = self.refused(at)
        if self.slot(other) < 0:
            welcome = friends and friends[0] not in self.refused(other)
            corrections.seat(self, other, friends[0] if welcome else -1, "must-link")
        slot, number = self.slot(other), self.identities.number
        if slot not in refused and all(
            f == slot or not self.parted(int(number[f]), int(number[slot])) for f in friends
        ):
            self.constraints.require(other, at)
            friends.append(slot)

    def _join_all(self, number: int, others: list[int]) -> None:
        """Must-linked identities become one."""
        for other in others:
            a, b = self.aliases.resolve(number), self.aliases.resolve(other)
            if a != b:
                self.merge(a, b, "must-link")
        self.settle_conflicts()

    def _choose(
        self, x: F32, energy: float, nearest: dict[int, tuple[int, float]], enemies: set[int]
    ) -> tuple[int, float, int, float]:
        """(slot or -1, score, runner-up or -1, its score): the identity farthest below its bar."""
        slots = [s for s in nearest if s not in enemies][:FIRST_OWNERS]
        if not slots:
            return -1, float("nan"), -1, float("nan")
        means = self.identities.mean_dissimilarity(np.asarray(slots), x, energy).tolist()
        scored = []
        for slot, mean in zip(slots, means):
            score = NEAR * nearest[slot][1] + (1.0 - NEAR) * mean
            scored.append((score - self._join[min(int(self.identities.count[slot]), FULL)], score, slot))
        scored.sort()
        over, score, slot = scored[0]
        _, runner_score, runner = scored[1] if len(scored) > 1 else (0.0, float("nan"), -1)
        return (slot, score, runner, runner_score) if over <= 0 else (-1, score, slot, score)

    def _nearest_row(self, slot: int, query: F32) -> tuple[int, float]:
        rows = np.asarray(self.identities.rows[slot], np.int64)
        d = self.space.from_product(self.exemplars.index.products(rows, query))
        best = int(np.argmin(d))
        return int(rows[best]), float(d[best])

    def _settle(
        self, at: int, x: F32, energy: float, slot: int, nearest: dict[int, tuple[int, float]], rows: I64,
        light: bool, found: Found,
    ) -> int | None:  # fmt: skip
        """Puts the track into slot (-1: a new identity, or nobody when light); the identity's number."""
        ids, ex = self.identities, self.exemplars
        self.tracks.light[at] = light
        if slot < 0 and light:
            self.pending[at] = x.copy()
            return None
        if slot < 0:
            slot = ids.create(self.new_identity())
            row = -1
        else:
            row, d = nearest[slot]
            if not light and d > ABSORB * self.unit and len(ids.rows[slot]) < self.max_exemplars:
                row = -1
        if row < 0:
            row = ex.create(x, energy, 1.0, slot, ex.key[rows])
            ids.rows[slot].append(row)
        elif not light:
            ex.absorb(row, x, energy)
            found.touch(row)
        if not light:
            ids.absorb(slot, x, energy)
        ex.members[row].append(at)
        self.tracks.row[at] = row
        ids.count[slot] += 1
        return int(ids.number[slot])

    def _remember_neighbours(self, number: int | None, nearest: dict[int, tuple[int, float]]) -> None:
        if number is None:
            return
        for slot in list(nearest)[:FIRST_OWNERS]:
            other = int(self.identities.number[slot])
            if other != number:
                self._near.add((other, number) if other < number else (number, other))

    def finish(self) -> list[Event]:
        """The last word at the end of a source: re-merge, consolidation, another chance for low-quality tracks."""
        self._consolidate(whole=self.grown)
        self._remerge()
        return self.take()

    # ------------------------------------------------------------------ the user's word
    def must_link(self, a: int, b: int) -> list[Event]:
        """The user says tracks a and b show one person: their identities become one. A track not seen yet is waited
        for.

        ConfigError when it contradicts an earlier word of the user about their identities.
        """
        corrections.must_link(self, a, b)
        return self.take()

    def cannot_link(self, a: int, b: int) -> list[Event]:
        """The user says tracks a and b show two persons: they are parted at once, or when the missing one comes."""
        corrections.cannot_link(self, a, b)
        return self.take()

    def unlink(self, a: int, b: int) -> list[Event]:
        """The user takes back what was said about tracks a and b; the next consolidation draws the consequences."""
        corrections.unlink(self, a, b)
        return self.take()

    def remove(self, tracks: Iterable[int]) -> list[Event]:
        """Erases tracks: sums, rows and means are made anew from the vectors that stay, nothing is subtracted.

        Unknown tracks are passed over. StoreError where a vector that stays is needed and was not kept.
        """
        corrections.erase(self, tracks)
        return self.take()

    # ------------------------------------------------------------------ state
    def pages(self) -> Pages:
        """`state` for whoever stores it at once: views of what is in use, valid until the next change."""
        return snapshot.pack(self)

    def state(self) -> bytes:
        """Everything, as one block with a header and a checksum and without pickle; `restore` continues bit-equal."""
        return bytes(self.pages())

    @classmethod
    def restore(
        cls,
        state: bytes | Pages,
        *,
        model: str | None = None,
        dimension: int | None = None,
        vectors: Vectors | None = None,
    ) -> OnlineClusterer:
        """The clusterer that wrote `state`; StoreError for damaged bytes, another model or another dimension.

        Pages are taken over: their block is the clusterer's from now on.
        """
        with snapshot.opened(state, snapshot.ONLINE, model, dimension) as (header, arrays):
            out = cls(header["dimension"], model=header["model"], vectors=vectors, **header["options"])
            snapshot.fill(out, header, arrays)
        return out
