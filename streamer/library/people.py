"""Who a library holds: one record per person, derived from tracks and the view."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

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
    order = np.lexsort((number, start, source, person))[int(np.count_nonzero(person <= 0)) :]
    person, source, count = person[order], source[order], count[order]
    start, end = start[order], end[order]
    out = [Person(*row) for row in _rows(view, person, source, start, end, count, names, gap)]
    seen = {p.id for p in out}
    out += [
        Person(p, n, 0.0, None, None, 0, 0, 0, (), p in view.hidden) for p, n in view.names.items() if p not in seen
    ]
    return sorted(out, key=lambda p: (-p.screen_time, p.id))


def _rows(
    view: View, person: I64, source: I64, start: F64, end: F64, count: I64, names: Mapping[int, str], gap: float
) -> Iterator[tuple[Any, ...]]:
    """The fields of every `Person`, of tracks sorted by person, source and start."""
    if not len(person):
        return
    first = _starts(person, source, start, end, gap)
    mine = np.flatnonzero(np.diff(person, prepend=0))  # where each person begins among the tracks,
    stretch = np.searchsorted(first, mine)  # among the appearances
    visits = np.flatnonzero((np.diff(person, prepend=0) != 0) | (np.diff(source, prepend=-1) != 0))
    visit = np.searchsorted(visits, mine)  # and among (person, source)
    number = person[mine].tolist()
    places = [names[s] for s in source[visits].tolist()]
    until = np.maximum.reduceat(end, visits).tolist()
    bounds = [*visit.tolist(), len(visits)]
    yield from zip(
        number,
        [view.names.get(p, "") for p in number],
        np.add.reduceat(np.maximum.reduceat(end, first) - start[first], stretch).tolist(),
        [(places[k], at) for k, at in zip(bounds, start[mine].tolist())],
        [(places[k - 1], until[k - 1]) for k in bounds[1:]],
        np.diff(stretch, append=len(first)).tolist(),
        np.diff(mine, append=len(person)).tolist(),
        np.add.reduceat(count, mine).tolist(),
        [tuple(places[a:b]) for a, b in pairwise(bounds)],
        [p in view.hidden for p in number],
        strict=True,
    )


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
