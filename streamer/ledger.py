"""Human decisions as an append-only log, and what they make of any clustering.

A decision is anchored to tracks, not to what a clusterer thinks today, so it survives re-merges, re-clustering, another
model and a restart. Replaying the log is a pure function: `Ledger.apply(labels)` turns the machine's labels into the
people a user sees. The user has the last word both ways: what was merged stays together, what was split stays apart,
and a named person keeps name and number whatever the machine does to the cluster behind it.

    facts     replay of the log: track -> person it is pinned to, names, hidden, aliases
    view      machine labels, with pinned tracks at their person and each cluster at the person whose home it is

`merge`, `same`, `split` and `not_same` pin every track they were told about; `name` and `hide` only mark: the machine
may still move single tracks of a named person, the name stays with the majority. Entries are undone, never removed: an
undone merge or split pins its tracks to where they were before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from streamer.aliases import Aliases
from streamer.errors import StoreError

KINDS = ("name", "merge", "same", "split", "not_same", "confirm", "hide", "forget", "undo")
DISPLACED = 10_000_000  # added to a cluster's number when that number belongs to a person who lives elsewhere

Labels = Mapping[int, int | None]


@dataclass(frozen=True, slots=True)
class Decision:
    """One entry: who decided what when. `args` holds persons and tracks as they were then, so it can be inverted."""

    id: int
    who: str
    at: str
    kind: str
    args: Mapping[str, Any]

    def tracks(self, key: str) -> tuple[int, ...]:
        return tuple(self.args.get(key, ()))

    @property
    def inverse(self) -> str:
        """What undoing it does, in words."""
        a = self.args
        match self.kind:
            case "merge" | "same":
                return f"person {a['dropped']} leaves person {a['kept']}"
            case "split":
                return f"the tracks of person {a['new']} return to person {a['person']}"
            case "not_same":
                return f"persons {a['a']} and {a['b']} may become one"
            case "confirm":
                return f"the machine may move {len(a['tracks'])} tracks of person {a['person']} again"
            case "name":
                return f"person {a['person']} has the name it had before"
            case "hide":
                return f"person {a['person']} is {'shown' if a['hidden'] else 'hidden'}"
            case "undo":
                return f"decision {a['entry']} holds again"
            case _:
                return "cannot be undone"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the user has said, independent of any clustering."""

    pins: Mapping[int, int]  # track -> person
    names: Mapping[int, str]
    hidden: frozenset[int]
    aliases: Aliases  # persons merged by the user
    anchors: Mapping[int, tuple[int, ...]]  # named or hidden person -> tracks it had when that was said
    forgotten: frozenset[int]
    apart: tuple[tuple[int, int], ...]  # tracks of two persons who are not the same


@dataclass(frozen=True, slots=True)
class View:
    """The people a user sees."""

    labels: dict[int, int | None]  # track -> person
    names: dict[int, str]
    hidden: frozenset[int]
    aliases: dict[int, int]  # number not shown any more -> person who answers for it
    touched: frozenset[int]  # persons the user has said something about

    def resolve(self, number: int) -> int:
        """The person who answers for a number; itself when nothing is known of it."""
        return self.aliases.get(number, number)

    def tracks(self) -> dict[int, list[int]]:
        """person -> its tracks, ascending; named people without any track are there with an empty list."""
        out: dict[int, list[int]] = {p: [] for p in self.names}
        for track, person in self.labels.items():
            if person is not None:
                out.setdefault(person, []).append(track)
        for mine in out.values():
            mine.sort()
        return out

    def label(self, person: int) -> str:
        """The name, or "Person 7"."""
        return self.names.get(person) or f"Person {person}"


@dataclass(slots=True)
class Ledger:
    """The log. Adding returns the new entry; storing it is the caller's business, `at` is the caller's clock."""

    entries: list[Decision] = field(default_factory=list)

    def __iter__(self) -> Iterator[Decision]:
        return iter(self.entries)

    def add(self, kind: str, args: Mapping[str, Any], *, who: str, at: str) -> Decision:
        """Appends an entry with the next number."""
        if kind not in KINDS:
            raise StoreError(f"{kind!r} is no kind of decision. Known: {', '.join(KINDS)}.")
        last = self.entries[-1].id if self.entries else 0
        decision = Decision(last + 1, who, at, kind, dict(args))
        self.entries.append(decision)
        return decision

    def name(self, view: View, person: int, name: str, *, who: str, at: str) -> Decision:
        """Calls a person by a name; an empty name takes it away."""
        return self.add("name", {"person": person, "name": name, "tracks": _of(view, person)}, who=who, at=at)

    def hide(self, view: View, person: int, hidden: bool = True, *, who: str, at: str) -> Decision:
        """Leaves a person out of lists and reports, or shows it again."""
        return self.add("hide", {"person": person, "hidden": hidden, "tracks": _of(view, person)}, who=who, at=at)

    def merge(self, view: View, kept: int, dropped: int, *, who: str, at: str, kind: str = "merge") -> Decision:
        """Two people are one: all tracks both have now stay together under the number `kept`."""
        if kept == dropped:
            raise StoreError(f"person {kept} cannot be merged with itself.")
        args = {"kept": kept, "dropped": dropped, "kept_tracks": _of(view, kept), "dropped_tracks": _of(view, dropped)}
        return self.add(kind, args, who=who, at=at)

    def split(self, view: View, person: int, tracks: Iterable[int], new: int, *, who: str, at: str) -> Decision:
        """Some tracks of a person are somebody else: `new`, a number never used before."""
        mine = _of(view, person)
        moved = _some(mine, person, tracks)
        rest = [t for t in mine if t not in set(moved)]
        if not rest:
            raise StoreError(f"all tracks of person {person} were named: nothing would be left to split from.")
        return self.add("split", {"person": person, "new": new, "tracks": moved, "rest": rest}, who=who, at=at)

    def confirm(self, view: View, person: int, tracks: Iterable[int], *, who: str, at: str) -> Decision:
        """These tracks of a person are this person, whatever the machine thinks."""
        sure = _some(_of(view, person), person, tracks)
        return self.add("confirm", {"person": person, "tracks": sure}, who=who, at=at)

    def not_same(self, view: View, a: int, b: int, *, who: str, at: str) -> Decision:
        """Two people are two people: the machine never merges them."""
        if a == b:
            raise StoreError(f"person {a} is one person. To take tracks out of it, split them.")
        args = {"a": a, "b": b, "a_tracks": _of(view, a), "b_tracks": _of(view, b)}
        return self.add("not_same", args, who=who, at=at)

    def undo(self, entry: int, *, who: str, at: str) -> Decision:
        """Takes any earlier entry back; undoing an undo makes the first entry hold again."""
        found = self.entry(entry)
        if found.kind == "forget":
            raise StoreError(f"decision {entry} erased a person: what is gone cannot come back.")
        if entry not in self.active():
            raise StoreError(f"decision {entry} is already undone.")
        return self.add("undo", {"entry": entry}, who=who, at=at)

    def entry(self, number: int) -> Decision:
        """The entry of that number. StoreError if there is none."""
        for e in self.entries:
            if e.id == number:
                return e
        raise StoreError(f"there is no decision {number}. `whowhen people log` lists them.")

    def active(self) -> set[int]:
        """Numbers of the entries that hold: not undone, or undone and redone."""
        undone: set[int] = set()
        for e in reversed(self.entries):
            if e.kind == "undo" and e.id not in undone:
                undone.add(int(e.args["entry"]))
        return {e.id for e in self.entries} - undone

    def facts(self) -> Facts:
        """Replays the log."""
        active = self.active()
        pins: dict[int, int] = {}
        for e in self.entries:
            for track, before, person in _writes(e, e.id in active):
                if pins.get(track, before) in (before, person):
                    pins[track] = person
        return self._facts([e for e in self.entries if e.id in active], pins)

    def _facts(self, entries: Sequence[Decision], pins: dict[int, int]) -> Facts:
        aliases = Aliases()
        marks: dict[tuple[str, int], Decision] = {}
        forgotten: set[int] = set()
        for e in entries:
            if e.kind in ("merge", "same"):
                aliases.merge(e.args["kept"], e.args["dropped"])
            elif e.kind in ("name", "hide"):
                marks.pop((e.kind, e.args["person"]), None)
                marks[e.kind, e.args["person"]] = e
            elif e.kind == "forget":
                forgotten.add(e.args["person"])
        names: dict[int, str] = {}
        hidden: set[int] = set()
        # a person's own mark counts before one that came with a merge
        for (kind, number), e in sorted(marks.items(), key=lambda m: aliases.resolve(m[0][1]) != m[0][1]):
            person = aliases.resolve(number)
            if kind == "name" and person not in forgotten:
                names.setdefault(person, e.args["name"])
            elif kind == "hide" and person == number and e.args["hidden"] and person not in forgotten:
                hidden.add(person)
        names = {p: n for p, n in sorted(names.items()) if n}
        anchors = _anchors(marks.values(), aliases, hidden | set(names))
        return Facts(
            pins, names, frozenset(hidden), aliases, anchors, frozenset(forgotten), tuple(_apart(entries, pins))
        )

    def apply(self, labels: Labels) -> View:
        """The people a user sees over these machine labels (track -> cluster or None)."""
        return apply(self.facts(), labels)

    def constraints(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """(must, cannot) pairs of tracks for the clusterer: a chain per pinned person, a pair per separation."""
        facts = self.facts()
        must = [pair for mine in _by_person(facts.pins).values() for pair in pairwise(mine)]
        return must, list(facts.apart)


def _of(view: View, person: int) -> list[int]:
    """Tracks of a person now. StoreError for somebody nobody knows."""
    mine = sorted(t for t, p in view.labels.items() if p == person)
    if not mine and person not in view.names:
        raise StoreError(f"there is no person {person}. `whowhen people list` shows who there is.")
    return mine


def _some(mine: Sequence[int], person: int, tracks: Iterable[int]) -> list[int]:
    """Those tracks, ascending. StoreError when one is not the person's, or none is named."""
    chosen = sorted(set(tracks))
    foreign = sorted(set(chosen) - set(mine))
    if foreign:
        raise StoreError(
            f"person {person} has no track {foreign[0]}. `whowhen people show {person} --tracks` lists its tracks."
        )
    if not chosen:
        raise StoreError(f"no tracks of person {person} were named.")
    return chosen


def _anchors(marks: Iterable[Decision], aliases: Aliases, people: set[int]) -> dict[int, tuple[int, ...]]:
    """person -> tracks it had when it was named or hidden; the last such word about a track counts."""
    owner: dict[int, int] = {}
    for e in sorted(marks, key=lambda e: e.id):
        person = aliases.resolve(e.args["person"])
        if person in people:
            owner.update(dict.fromkeys(e.tracks("tracks"), person))
    return dict.fromkeys(sorted(people), ()) | {p: tuple(mine) for p, mine in _by_person(owner).items()}


def _writes(e: Decision, active: bool) -> Iterator[tuple[int, int, int]]:
    """(track, person before, person after) of what an entry pins; undone merges and splits pin what was before."""
    a = e.args
    if e.kind in ("merge", "same"):
        yield from ((t, a["kept"], a["kept"]) for t in e.tracks("kept_tracks"))
        yield from ((t, a["dropped"], a["kept"] if active else a["dropped"]) for t in e.tracks("dropped_tracks"))
    elif e.kind == "split":
        yield from ((t, a["person"], a["new"] if active else a["person"]) for t in e.tracks("tracks"))
        yield from ((t, a["person"], a["person"]) for t in e.tracks("rest"))
    elif e.kind == "confirm" and active:
        yield from ((t, a["person"], a["person"]) for t in e.tracks("tracks"))
    elif e.kind == "not_same" and active:
        yield from ((t, a["a"], a["a"]) for t in e.tracks("a_tracks"))
        yield from ((t, a["b"], a["b"]) for t in e.tracks("b_tracks"))


def _apart(entries: Iterable[Decision], pins: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """One pair of tracks for each separation that still stands."""
    for e in entries:
        keys = {"split": ("tracks", "rest"), "not_same": ("a_tracks", "b_tracks")}.get(e.kind)
        if keys is None:
            continue
        left, right = (e.tracks(k) for k in keys)
        pair = next(((t, u) for t in left for u in right if t in pins and u in pins and pins[t] != pins[u]), None)
        if pair is not None:
            yield pair


def _by_person(pins: Mapping[int, int]) -> dict[int, list[int]]:
    out: dict[int, list[int]] = {}
    for track in sorted(pins):
        out.setdefault(pins[track], []).append(track)
    return out


def apply(facts: Facts, labels: Labels) -> View:
    """The view of these facts over machine labels; see the module for the rules.

    1. A pinned track is at its person. 2. A person's home is the cluster with most of its tracks. 3. A cluster belongs
    to the person at home there (or with more than half of it pinned) with most tracks in it, else to its own number.
    4. Of several persons at home in one cluster the others keep their own tracks in it: nobody vanishes.
    """
    pins = {t: p for t, p in facts.pins.items() if t in labels}
    claims = _claims(facts, pins, labels)
    votes: dict[int, Counter[int]] = {}
    homes: dict[int, int] = {}
    for person, mine in claims.items():
        tally = Counter(c for t in mine if (c := labels[t]) is not None)
        for cluster, n in tally.items():
            votes.setdefault(cluster, Counter())[person] = n
        if tally:
            homes[person] = min(tally, key=lambda c: (-tally[c], c != person, c))
    owner = _owners(facts, pins, labels, votes, homes)
    shown = dict(labels)
    if renamed := {c: p for c, p in owner.items() if c != p}:
        shown.update((t, renamed[c]) for t, c in labels.items() if c in renamed)
    for person, mine in claims.items():
        home = homes.get(person)
        if home is None or owner[home] != person:
            shown.update((t, person) for t in mine if t not in pins and labels[t] == home)
    shown.update(pins)
    gone = {c: p for c, p in renamed.items() if c not in claims}
    aliases = dict(facts.aliases.items()) | gone
    for number in list(aliases):
        aliases[number] = facts.aliases.resolve(aliases[number])
    return View(shown, dict(facts.names), facts.hidden, aliases, frozenset(claims))


def _claims(facts: Facts, pins: Mapping[int, int], labels: Labels) -> dict[int, list[int]]:
    """person -> tracks that speak for it: the pinned ones, and anchors of its name pinned nowhere."""
    claims = _by_person(pins)
    for person, anchors in facts.anchors.items():
        claims.setdefault(person, []).extend(t for t in anchors if t in labels and t not in pins)
    return claims


def _owners(
    facts: Facts, pins: Mapping[int, int], labels: Labels, votes: Mapping[int, Counter[int]], homes: Mapping[int, int]
) -> dict[int, int]:
    """cluster -> person."""
    sizes = Counter(labels.values())  # counted in C: 100,000 tracks in 5 ms
    pinned: dict[int, Counter[int]] = {}
    for track, person in pins.items():
        cluster = labels[track]
        if cluster is not None:
            pinned.setdefault(cluster, Counter())[person] += 1
    known = set(facts.pins.values()) | set(facts.anchors) | set(facts.names) | facts.forgotten
    nobody: Counter[int] = Counter()
    owner = {c: c for c in sizes if c is not None}
    spoken = known | {dropped for dropped, _ in facts.aliases.items()}
    for cluster in sorted(owner.keys() & (spoken | set(votes))):  # of few people of a large library anything was said
        tally, mine = votes.get(cluster, nobody), pinned.get(cluster, nobody)
        at_home = [p for p in tally if homes[p] == cluster or 2 * mine[p] > sizes[cluster]]
        if at_home:
            owner[cluster] = min(at_home, key=lambda p: (-tally[p], p))
        elif (heir := facts.aliases.resolve(cluster)) != cluster:
            owner[cluster] = heir
        elif cluster in known:
            owner[cluster] = cluster + DISPLACED
    return owner
