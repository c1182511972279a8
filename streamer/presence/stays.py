"""Stays as they should be, and the notices that turn what was told into them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from streamer.presence import notices as n
from streamer.presence.notices import Notice, Stay
from streamer.presence.rules import Rules
from streamer.watching import best_looks

Key: TypeAlias = tuple[str, int]  # camera and person; camera and minus the track for a face not recognised yet
Speak: TypeAlias = Callable[..., Notice]  # (type, at, **fields): the next notice of the epoch


@dataclass(slots=True, eq=False)
class Followed:
    """What was seen of one track, and who it is."""

    number: int
    camera: str
    start: float
    last: float
    until: float = float("-inf")  # half-open end, once it is known
    count: int = 0
    score: float = 0.0
    box: tuple[float, float, float, float] | None = None
    first: tuple[float, float, float, float] | None = None  # the box it was seen in first
    looks: tuple[float, float] = (0.0, 0.0)  # the best scores of two different looks
    fresh: bool = False  # its identity was made for it
    rival: int | None = None  # the identity that was nearest then
    ended: bool = False
    past: bool = False  # of an earlier run
    guess: int | None = None  # the identity it was last seen with
    assigned: bool = False  # the clusterer has said who it is, maybe nobody
    identity: int | None = None  # what it said, aliases not resolved
    key: Key | None = None  # the group it is in
    told: Told | None = None  # the stay it is told in

    def look(self, score: float, box: tuple[float, float, float, float]) -> None:
        """Seen again."""
        self.looks = best_looks(self.looks, score)
        self.score, self.box, self.first = score, box, self.first or box


@dataclass(slots=True, eq=False)
class Told:
    """A stay as everybody's book has it, and what has happened to it since."""

    stay: Stay
    key: Key
    members: list[Followed]
    last: float  # when one of them was last seen
    said: float  # when it was last told
    hushed: bool = False  # a stranger, but told as unknown not long before


@dataclass(slots=True, eq=False)
class Draft:
    """Tracks that make one stay now."""

    key: Key
    members: list[Followed]
    last: float = float("-inf")
    until: float = float("-inf")
    unknown: bool = False
    hushed: bool = False

    @property
    def start(self) -> float:
        return self.members[0].start

    def add(self, t: Followed) -> None:
        self.members.append(t)
        self.last, self.until = max(self.last, t.last), max(self.until, t.last, t.until)

    @property
    def person(self) -> int | None:
        return self.key[1] if self.key[1] >= 0 else None

    @property
    def fresh(self) -> bool:
        """Whether this person was made for these tracks, and nothing is told of them yet."""
        return all(t.fresh and t.told is None for t in self.members)


def drafts(key: Key, group: Iterable[Followed], rules: Rules, stranger: bool, certain: float = 0.0) -> list[Draft]:
    """The stays of one person at one camera by start; those seen in fewer than `confirm` frames are left out, and those
    none of whose tracks reached the score `certain` in two looks.

    `stranger`: the person has no name, so that long stays are unknown ones.
    """
    out: list[Draft] = []
    for t in sorted(group, key=lambda t: (t.start, t.number)):
        if not out or t.start - out[-1].until > rules.join:
            out.append(Draft(key, []))
        out[-1].add(t)
    out = [d for d in out if sum(t.count for t in d.members) >= rules.confirm and _sure(d, rules, certain)]
    told = float("-inf")
    for d in out:
        strange = stranger and d.last - d.start >= rules.unknown_after
        d.hushed = strange and d.start - told <= rules.unknown_cooldown
        d.unknown = strange and not d.hushed
        told = d.last if d.unknown else told
    return out


def _sure(draft: Draft, rules: Rules, certain: float) -> bool:
    return max(t.looks[min(rules.confirm, 2) - 1] for t in draft.members) >= certain


@dataclass(slots=True)
class Stays:
    """Everything that was told. `speak` numbers the notices."""

    epoch: int
    rules: Rules
    speak: Speak
    told: dict[str, Told] = field(default_factory=dict)
    open: dict[str, dict[str, Told]] = field(default_factory=dict)  # camera -> those that last, by id
    _by_key: dict[Key, dict[str, Told]] = field(default_factory=dict)
    _next: int = 1

    def settle(
        self, groups: Mapping[Key, list[Draft]], now: Mapping[str, float], names: Mapping[int, str], at: float
    ) -> list[Notice]:
        """Makes the stays of these groups what the drafts say; the notices of the difference."""
        wanted = sorted((d for ds in groups.values() for d in ds), key=lambda d: (d.start, d.members[0].number))
        old = {i: t for key in groups for i, t in self._by_key.get(key, {}).items()}
        old |= {t.told.stay.id: t.told for d in wanted for t in d.members if t.told is not None}
        owners = self._owners(wanted, old)
        gone = [t for i, t in old.items() if i not in {o.stay.id for o in owners if o is not None}]
        for t in gone:
            for m in t.members:
                m.told = None if m.told is t else m.told
        out: list[Notice] = []
        for draft, owner in zip(wanted, owners, strict=True):
            past = all(t.past for t in draft.members)
            over = past or now[draft.key[0]] - draft.last > self.rules.absence
            out += self._tell(draft, owner, draft.until if over else None, names, at)
        for t in sorted(gone, key=lambda t: (t.stay.start, t.stay.id)):
            out.append(self._retract(t, names, at))
        return out

    def recall(self, stay: Stay, members: list[Followed]) -> None:
        """A stay that is over, as everybody's book has it from an earlier run."""
        key = (stay.camera, stay.person if stay.person is not None else -min(stay.tracks, default=0))
        told = self.told[stay.id] = Told(stay, key, members, stay.seen, stay.seen)
        self._by_key.setdefault(key, {})[stay.id] = told
        for m in members:
            m.told = told

    def keys(self) -> set[Key]:
        """Of everything that was told."""
        return set(self._by_key)

    def _owners(self, wanted: list[Draft], old: Mapping[str, Told]) -> list[Told | None]:
        """The told stay each draft goes on with: one of the same person first, then one that had one of its tracks."""
        taken: dict[str, int] = {}
        for same in (True, False):
            for k, draft in enumerate(wanted):
                if k in taken.values():
                    continue
                for m in draft.members:
                    t = m.told
                    if t is not None and t.stay.id not in taken and (t.key == draft.key or not same):
                        taken[t.stay.id] = k
                        break
        by_draft = {k: old[i] for i, k in taken.items()}
        return [by_draft.get(k) for k in range(len(wanted))]

    def _tell(
        self, draft: Draft, owner: Told | None, end: float | None, names: Mapping[int, str], at: float
    ) -> list[Notice]:
        latest = max(draft.members, key=lambda t: (t.last, t.number))
        new = Stay(
            id=owner.stay.id if owner else self._new_id(),
            camera=draft.key[0],
            person=draft.person,
            start=draft.start,
            end=end,
            revision=owner.stay.revision if owner else 0,
            final=all(t.ended and t.assigned for t in draft.members),
            unknown=draft.unknown,
            tracks=tuple(t.number for t in draft.members),
            faces=sum(t.count for t in draft.members),
            seen=draft.last,
            score=latest.score,
            box=latest.box,
        )
        spoken = list(self._steps(owner, new, at))
        told = owner or Told(new, draft.key, draft.members, draft.last, at)
        self._file(told, draft)
        name = "" if new.person is None else names.get(new.person, "")
        out = []
        for kind, stay, was in spoken:
            told.stay, told.said = replace(stay, revision=told.stay.revision + 1), at
            out.append(self.speak(kind, at, camera=stay.camera, stay=told.stay, name=name, was=was))
        opened = self.open.setdefault(new.camera, {})
        if told.stay.end is None:
            opened[new.id] = told
        else:
            opened.pop(new.id, None)
        return out

    def _steps(self, owner: Told | None, new: Stay, at: float) -> Iterable[tuple[str, Stay, int | None]]:
        """(type, stay, person before) of the notices from the stay as told to the new one."""
        old = None if owner is None else owner.stay
        left = new.end is not None and (old is None or old.end is None)
        strange = new.unknown and (old is None or not old.unknown)
        before = replace(new, end=None if left else new.end, unknown=new.unknown and not strange)
        if old is None:
            yield n.ENTER, before, None
        elif old.person != new.person:
            yield n.REPLACE, before, old.person
        elif not left and self._differs(old, before, None if strange else owner, at):
            yield n.UPDATE, before, None
        if strange:
            yield n.UNKNOWN, replace(before, unknown=True), None
        if left:
            yield n.EXIT, new, None

    def _differs(self, old: Stay, new: Stay, owner: Told | None, at: float) -> bool:
        """Whether a stay of the same person must be told again; one that lasts also when it was last told long ago."""
        before, after = ((s.start, s.end, s.final, s.tracks) for s in (old, new))
        if before != after or (old.unknown and not new.unknown):
            return True
        return owner is not None and new.end is None and 0 < self.rules.update_every <= at - owner.said

    def _file(self, told: Told, draft: Draft) -> None:
        """Writes down what a told stay is made of now."""
        if told.key != draft.key:
            self._unfile(told)
        for m in told.members:
            m.told = None if m.told is told else m.told
        for m in draft.members:
            m.told = told
        told.key, told.members, told.last, told.hushed = draft.key, draft.members, draft.last, draft.hushed
        self.told[told.stay.id] = told
        self._by_key.setdefault(told.key, {})[told.stay.id] = told

    def _unfile(self, told: Told) -> None:
        mine = self._by_key.get(told.key, {})
        mine.pop(told.stay.id, None)
        if not mine:
            self._by_key.pop(told.key, None)

    def _retract(self, told: Told, names: Mapping[int, str], at: float) -> Notice:
        into = next((m.told.stay.id for m in told.members if m.told is not None), "")
        self.drop(told)
        stay = replace(told.stay, revision=told.stay.revision + 1)
        name = "" if stay.person is None else names.get(stay.person, "")
        return self.speak(n.RETRACT, at, camera=stay.camera, stay=stay, name=name, into=into)

    def drop(self, told: Told) -> None:
        """Forgets a stay without a word."""
        self._unfile(told)
        self.told.pop(told.stay.id, None)
        self.open.get(told.stay.camera, {}).pop(told.stay.id, None)

    def _new_id(self) -> str:
        number, self._next = self._next, self._next + 1
        return f"{self.epoch}-{number}"
