"""Who a library holds: one record per person, derived from tracks and the view."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from streamer.errors import StoreError
from streamer.items import F64, I64
from streamer.ledger import View
from streamer.timeline import JOIN_GAP


@dataclass(frozen=True, slots=True)
class Person:
    """One person. `first` and `last` are (source, seconds) in the order the sources were begun."""

    id: int
    name: str
    screen_time: float
    first: tuple[str, float] | None
    last: tuple[str, float] | None
    appearances: int
    tracks: int
    faces: int
    sources: tuple[str, ...]
    hidden: bool = False

    @property
    def label(self) -> str:
        """The name, or "Person 7"."""
        return self.name or f"Person {self.id}"


def people_of(
    view: View, tracks: tuple[I64, I64, F64, F64, I64], names: Mapping[int, str], gap: float = JOIN_GAP
) -> list[Person]:
    """Everybody in the view, longest screen time first; ties by number.

    `tracks` are columns: number, source, start, end, frames; `names` tells sources. The same joins as
    `streamer.timeline.appearances`, over arrays: 100,000 tracks in 0.1 s instead of 1 s.
    """
    number, source, start, end, count = tracks
    person = np.array([view.labels.get(t) or 0 for t in number.tolist()], np.int64)
    order = np.lexsort((number, start, source, person))
    order = order[person[order] > 0]
    person, source, count = person[order], source[order], count[order]
    start, end = start[order], end[order]
    first = _starts(person, source, start, end, gap)
    seconds = np.maximum.reduceat(end, first) - start[first] if len(first) else np.zeros(0)
    out = []
    people = np.flatnonzero(np.diff(person, prepend=0))
    for a, b in zip(people.tolist(), np.append(people, len(person))[1:].tolist(), strict=True):
        mine = slice(*np.searchsorted(first, (a, b)).tolist())
        k = int(np.argmax(np.where(source[a:b] == source[b - 1], end[a:b], -np.inf))) + a
        out.append(
            Person(
                int(person[a]), view.names.get(int(person[a]), ""), float(seconds[mine].sum()),
                (names[int(source[a])], float(start[a])), (names[int(source[k])], float(end[k])),
                mine.stop - mine.start, b - a, int(count[a:b].sum()),
                tuple(names[s] for s in np.unique(source[a:b]).tolist()), int(person[a]) in view.hidden,
            )
        )  # fmt: skip
    seen = {p.id for p in out}
    out += [
        Person(p, n, 0.0, None, None, 0, 0, 0, (), p in view.hidden) for p, n in view.names.items() if p not in seen
    ]
    return sorted(out, key=lambda p: (-p.screen_time, p.id))


def _starts(person: I64, source: I64, start: F64, end: F64, gap: float) -> I64:
    """Rows, sorted by person, source and start, at which an appearance begins."""
    if not len(person):
        return np.zeros(0, np.int64)
    group = np.cumsum((np.diff(person, prepend=person[0]) != 0) | (np.diff(source, prepend=source[0]) != 0))
    span = float(end.max() - min(0.0, float(start.min()))) + 1.0
    latest = np.maximum.accumulate(end + group * span) - group * span  # of this person in this source so far
    new = np.ones(len(person), bool)
    new[1:] = (group[1:] != group[:-1]) | (start[1:] - latest[:-1] > gap)
    return np.flatnonzero(new)


def find(
    view: View,
    who: str | int,
    aliases: Mapping[int, int] | None = None,
    buried: Callable[[], Iterable[int]] = tuple,
) -> int:
    """The person somebody means: 7, "7", "#7", "Person 7" or a name (case does not matter; the unique beginning of a
    name, or of a word in it, will do).

    Numbers merged away answer with their survivor. StoreError, with near names, for nobody and for a name several
    people have. `buried` tells the numbers of people who were erased.
    """
    text = str(who).strip()
    number = text.removeprefix("#").removeprefix("Person ").removeprefix("person ")
    if number.isdecimal():
        return _known(view, int(number), aliases or {}, buried)
    for match in (str.__eq__, str.startswith, _word_begins):
        found = sorted(p for p, n in view.names.items() if text and match(n.casefold(), text.casefold()))
        if len(found) == 1:
            return found[0]
        if found:
            called = ", ".join(f"{p} ({view.names[p]})" for p in found)
            raise StoreError(f"{len(found)} people are called {text!r}: {called}. Say which by its number.")
    raise StoreError(f"there is nobody called {text!r}{_near(view, text)}. `whowhen people list` shows who there is.")


def _word_begins(name: str, text: str) -> bool:
    return f" {text}" in name


def _near(view: View, text: str) -> str:
    """ " (did you mean Ann?)", empty when no name is near."""
    names = {n.casefold(): f"{n} ({p})" for p, n in view.names.items()}
    words = {w: n for n in names for w in n.split()}
    near = difflib.get_close_matches(text.casefold(), [*names, *words], 3)
    meant = dict.fromkeys(names[words.get(n, n)] for n in near)
    return f" (did you mean {' or '.join(meant)}?)" if meant else ""


def _known(view: View, number: int, aliases: Mapping[int, int], buried: Callable[[], Iterable[int]]) -> int:
    people = {p for p in view.labels.values() if p is not None} | set(view.names)
    seen: set[int] = set()
    at = number
    while at not in people and at not in seen:
        seen.add(at)
        at = view.resolve(at) if view.resolve(at) != at else aliases.get(at, at)
    if at in people:
        return at
    if number in set(buried()):
        raise StoreError(f"person {number} was erased; the number is never given again.")
    near = ", ".join(map(str, sorted(sorted(people), key=lambda p: abs(p - number))[:3]))
    raise StoreError(
        f"there is no person {number}{f' (near: {near})' if near else ''}. `whowhen people list` shows who there is."
    )
