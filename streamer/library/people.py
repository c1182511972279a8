"""Who a library holds: one record per person, derived from tracks and the view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from streamer.errors import StoreError
from streamer.items import Appearance
from streamer.ledger import View
from streamer.timeline import screen_time


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


def people_of(view: View, appearances: Sequence[Appearance], order: Sequence[str]) -> list[Person]:
    """Everybody in the view, longest screen time first; ties by number. `order` is that of the sources."""
    rank = {name: k for k, name in enumerate(order)}
    mine: dict[int, list[Appearance]] = {p: [] for p in view.names}
    for a in appearances:
        mine.setdefault(a.identity, []).append(a)
    seconds = screen_time(appearances)
    out = [_person(p, view, found, seconds.get(p, 0.0), rank) for p, found in mine.items()]
    return sorted(out, key=lambda p: (-p.screen_time, p.id))


def _person(person: int, view: View, found: list[Appearance], seconds: float, rank: dict[str, int]) -> Person:
    first = min(found, key=lambda a: (rank.get(a.source, 0), a.start), default=None)
    last = max(found, key=lambda a: (rank.get(a.source, 0), a.end), default=None)
    sources = sorted({a.source for a in found}, key=lambda s: rank.get(s, 0))
    return Person(
        person,
        view.names.get(person, ""),
        seconds,
        None if first is None else (first.source, first.start),
        None if last is None else (last.source, last.end),
        len(found),
        sum(len(a.tracks) for a in found),
        sum(a.faces for a in found),
        tuple(sources),
        person in view.hidden,
    )


def find(view: View, who: str | int, aliases: dict[int, int] | None = None) -> int:
    """The person somebody means: 7, "7", "#7", "Person 7" or a name (case does not matter, a unique beginning will do).

    Numbers merged away answer with their survivor. StoreError for nobody, and for a name several people have.
    """
    text = str(who).strip()
    number = text.removeprefix("#").removeprefix("Person ").removeprefix("person ")
    if number.isdecimal():
        return _known(view, int(number), aliases or {})
    for match in (str.__eq__, str.startswith):
        found = sorted(p for p, n in view.names.items() if text and match(n.casefold(), text.casefold()))
        if len(found) == 1:
            return found[0]
        if found:
            raise StoreError(f"{len(found)} people are called {text!r}: {_list(found)}. Say which by its number.")
    raise StoreError(f"there is nobody called {text!r}. `whowhen people list` shows who there is.")


def _known(view: View, number: int, aliases: dict[int, int]) -> int:
    people = {p for p in view.labels.values() if p is not None} | set(view.names)
    seen: set[int] = set()
    at = number
    while at not in people and at not in seen:
        seen.add(at)
        at = view.resolve(at) if view.resolve(at) != at else aliases.get(at, at)
    if at not in people:
        raise StoreError(f"there is no person {number}. `whowhen people list` shows who there is.")
    return at


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(str(n) for n in numbers)
