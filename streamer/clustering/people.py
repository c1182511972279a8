"""People: the state of the online clusterer and the few steps that change it, each of which writes its events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from streamer.aliases import Aliases
from streamer.clustering.constraints import Constraints
from streamer.clustering.identities import Exemplars, Identities, Tracks
from streamer.clustering.neighbors import FLAT_ROWS
from streamer.clustering.remerge import USER, Links
from streamer.clustering.space import Space
from streamer.errors import StoreError
from streamer.items import F32, I64, Assigned, Dissolved, Event, Merged, Split

Vectors = Callable[[Sequence[int]], F32]  # track numbers -> (n, d) their embeddings, from wherever they are stored


class People:
    """Exemplars, identities, tracks, constraints and numbers. Sums and events always agree."""

    def __init__(
        self,
        space: Space,
        *,
        exclusive: bool,
        min_tracks: int,
        keep_vectors: bool,
        vectors: Vectors | None,
        flat_rows: int = FLAT_ROWS,
    ) -> None:
        self.space = space
        self.exclusive, self.min_tracks, self.vectors = exclusive, min_tracks, vectors
        self.exemplars = Exemplars(space, flat_rows)
        self.identities = Identities(space)
        self.tracks = Tracks(space, keep_vectors)
        self.constraints = Constraints()
        self.aliases = Aliases()
        self.pending: dict[int, F32] = {}  # positions of low-quality tracks that belong to nobody yet
        self.exiles: dict[int, int] = {}  # position -> identity of its own, because of a conflict inside its true one
        self.seq = 0
        self.next_identity = 1
        self._events: list[Event] = []

    # ------------------------------------------------------------------ answers
    def labels(self) -> dict[int, int | None]:
        """track -> identity with aliases resolved; None: to nobody yet."""
        return {number: self.label(at) for number, at in self.tracks.position.items()}

    def label(self, at: int) -> int | None:
        """The identity of the track at this position."""
        own = self.exiles.get(at)
        if own is not None:
            return own
        slot = self.slot(at)
        return int(self.identities.number[slot]) if slot >= 0 else None

    def sizes(self) -> dict[int, int]:
        """identity -> its number of tracks, those moved out of it for a conflict not counted."""
        out = {n: int(self.identities.count[s]) for n, s in self.identities.slot_of.items()}
        for at, own in self.exiles.items():
            out[int(self.identities.number[self.slot(at)])] -= 1
            out[own] = out.get(own, 0) + 1
        return out

    def published(self) -> set[int]:
        """Identities with `min_tracks` tracks or a pin; the others are provisional."""
        return {n for n, c in self.sizes().items() if c >= self.min_tracks or n in self.identities.pinned}

    @property
    def pinned(self) -> set[int]:
        """Identities with a pin."""
        return set(self.identities.pinned)

    def identity_of(self, track: int) -> int | None:
        """The identity of a track, None: nobody's, or not known."""
        at = self.tracks.position.get(track)
        return None if at is None else self.label(at)

    def pin(self, identity: int, protected: bool = True) -> None:
        """A pinned (named) identity keeps its number in every merge; two pinned ones are merged by the user only."""
        number = self.aliases.resolve(identity)
        (self.identities.pinned.add if protected else self.identities.pinned.discard)(number)

    def slot(self, at: int) -> int:
        """Where the identity of a track is in the tables, -1: nobody's. Conflicts are not looked at (see `label`)."""
        row = int(self.tracks.row[at])
        return int(self.exemplars.owner[row]) if row >= 0 else -1

    def distance_between(self, a: int, b: int) -> float:
        """Average linkage between two identities, as the metric's own distance."""
        ids = self.identities
        i, j = ids.slot_of[a], ids.slot_of[b]
        d = ids.energy[i] / ids.weight[i] + ids.energy[j] / ids.weight[j]
        return self.space.distance(float(d - np.dot(ids.sums[i], ids.sums[j]) / (ids.weight[i] * ids.weight[j])))

    def vectors_of(self, positions: Sequence[int]) -> F32:
        """(n, d) the embeddings of tracks; StoreError where nobody kept them."""
        if self.tracks.keep_vectors:
            return self.tracks.vectors[np.asarray(positions, np.int64)]
        if self.vectors is None:
            raise StoreError(
                f"the vectors of {len(positions)} tracks are needed but were not kept. "
                "Make the clusterer with keep_vectors=True, or give it vectors=, a reader of the store."
            )
        numbers = self.tracks.number[np.asarray(positions, np.int64)].tolist()
        return np.stack([self.space.check(v, n) for v, n in zip(self.vectors(numbers), numbers)])

    # ------------------------------------------------------------------ events
    def emit(self, event: Event) -> None:
        self._events.append(event)

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def take(self) -> list[Event]:
        """What happened since the last call."""
        out, self._events = self._events, []
        return out

    def move(self, at: int, identity: int | None, reason: str) -> None:
        """The event that track `at` belongs to `identity` now."""
        self.emit(Assigned(self.next_seq(), int(self.tracks.number[at]), identity, float("nan"), reason=reason))

    def new_identity(self) -> int:
        """A number that was never used."""
        self.next_identity += 1
        return self.next_identity - 1

    # ------------------------------------------------------------------ merging
    def pins(self, slots: I64) -> I64:
        """Per slot its number when it is pinned, else 0."""
        numbers = self.identities.number[slots]
        if not self.identities.pinned:
            return np.zeros(len(slots), np.int64)
        return np.where(np.isin(numbers, sorted(self.identities.pinned)), numbers, 0)

    def conflicts(self, place: I64) -> Links:
        """Conflicts between slots, renumbered by `place` (-1: left out)."""
        pairs = self.tracks.row[self.constraints.pairs]
        ok = (pairs >= 0).all(1)
        at = place[self.exemplars.owner[pairs[ok]]]
        inside = (at >= 0).all(1) & (at[:, 0] != at[:, 1])
        return Links(at[inside, 0], at[inside, 1], self.constraints.weights[ok][inside])

    def parted(self, a: int, b: int, but: tuple[int, int] | None = None) -> bool:
        """Whether the user said that a track of identity a and one of b (not the pair `but`) are two persons."""
        pairs = self.constraints.pairs[self.constraints.weights >= USER].tolist()
        i, j = self.identities.slot_of[a], self.identities.slot_of[b]
        return any({self.slot(x), self.slot(y)} == {i, j} for x, y in pairs if (x, y) != but)

    def foes(self, at: int, among: Iterable[int]) -> set[int]:
        """Slots a track must keep out of for its conflicts `among`; with an exile only the user's word counts."""
        return {self.slot(o) for o in among if o not in self.exiles} | self.refused(at)

    def refused(self, at: int) -> set[int]:
        """Slots in which the user does not want this track."""
        return {self.slot(o) for o in self.constraints.of(at, USER)} if self.constraints.any_user else set()

    def merge(self, a: int, b: int, reason: str) -> int:
        """The number that is left of two identities: the pinned, then the older one."""
        kept, dropped = sorted((a, b), key=lambda n: (n not in self.identities.pinned, n))
        ids = self.identities
        i, j = ids.slot_of[kept], ids.slot_of[dropped]
        d = self.distance_between(kept, dropped)
        self.exemplars.owner[np.asarray(ids.rows[j], np.int64)] = i
        ids.merge(i, j)
        self.retire(kept, dropped, d, reason)
        return kept

    def retire(self, kept: int, dropped: int, distance: float, reason: str) -> None:
        """`dropped` is an alias of `kept` from now on; a pin goes along."""
        if dropped in self.identities.pinned:
            self.identities.pinned.discard(dropped)
            self.identities.pinned.add(kept)
        self.aliases.merge(kept, dropped)
        self.emit(Merged(self.next_seq(), kept, dropped, distance, reason))

    # ------------------------------------------------------------------ two faces in one frame
    def settle_conflicts(self) -> None:
        """Of two conflicting tracks in one identity the farther gets its own identity, with all it must be with."""
        if not self.exclusive:
            return
        units = self.constraints.components()
        wanted: dict[int, list[int]] = {}  # unit -> positions
        for a, b in self._clashes().tolist():
            ua, ub = units.get(a, a), units.get(b, b)
            if ua != ub and ua not in wanted and ub not in wanted:
                loser = self._farther(a, b, a in units, b in units)
                unit = units.get(loser, loser)
                slot = self.slot(loser)
                wanted[unit] = sorted(m for m, u in units.items() if u == unit and self.slot(m) == slot) or [loser]
        self._exile(list(wanted.values()))

    def _clashes(self) -> I64:
        pairs = self.constraints.pairs
        rows = self.tracks.row[pairs]
        ok = np.flatnonzero((rows >= 0).all(1))
        owner = self.exemplars.owner[rows[ok]]
        clash: I64 = pairs[ok[owner[:, 0] == owner[:, 1]]]
        return clash

    def _farther(self, a: int, b: int, a_fixed: bool, b_fixed: bool) -> int:
        """The track that goes: one that nobody linked, else the one whose exemplar is farther from the mean."""
        if a_fixed != b_fixed:
            return b if a_fixed else a
        return a if self._distance_to_own(a) > self._distance_to_own(b) else b

    def _distance_to_own(self, at: int) -> float:
        row, ex = int(self.tracks.row[at]), self.exemplars
        mean = ex.sums(row) / np.float32(ex.weight[row])
        energy = float(ex.energy[row] / ex.weight[row])
        return float(self.identities.mean_dissimilarity(np.array([ex.owner[row]]), mean, energy)[0])

    def _exile(self, groups: list[list[int]]) -> None:
        """Exactly these groups of tracks live outside their identity, each under one number."""
        before, self.exiles = self.exiles, {}
        taken: set[int] = set()
        for group in groups:
            own = min((before[m] for m in group if m in before and before[m] not in taken), default=0)
            fresh = [m for m in group if before.get(m) != own]
            if own == 0:
                own = self.new_identity()
                old = int(self.identities.number[self.slot(group[0])])
                self.emit(Split(self.next_seq(), old, own, tuple(self.tracks.number[fresh].tolist()), "conflict"))
            else:
                for m in fresh:
                    self.move(m, own, "conflict")
            taken.add(own)
            self.exiles |= dict.fromkeys(group, own)
        back = sorted(set(before) - set(self.exiles))
        for own in sorted(set(before.values()) - taken):
            home = self.label(min(at for at, was in before.items() if was == own))
            if own in self.identities.pinned and home is not None:  # a name given to it is not lost
                self.retire(home, own, float("nan"), "conflict")
        for at in back:
            self.move(at, self.label(at), "conflict")
        for own in sorted(set(before.values()) - taken):
            if self.aliases.resolve(own) == own:
                self.emit(Dissolved(self.next_seq(), own, "conflict"))

    def end_exile(self, positions: Iterable[int], reason: str) -> None:
        """These tracks leave their exile for good; numbers nobody uses any more end."""
        left = {self.exiles.pop(at) for at in positions if at in self.exiles}
        for own in sorted(left - set(self.exiles.values())):
            self.identities.pinned.discard(own)
            self.emit(Dissolved(self.next_seq(), own, reason))
