"""A people library as a user sees it: who is there, when, what was decided - store, clusterer and ledger in one.

with Library("people.db") as library:
    library.name(3, "Ann Lee")
    library.merge(3, 9)
    library.undo()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from streamer.errors import StoreError
from streamer.items import F32, Appearance, Event, FaceSample
from streamer.ledger import Decision, Ledger, View
from streamer.library.people import Person, find, people_of
from streamer.library.query import Found, Query, answer, parse
from streamer.store import Store
from streamer.timeline import JOIN_GAP, appearances, screen_time

__all__ = ["Found", "Library", "Person", "Query"]


def _now() -> datetime:
    return datetime.now(UTC)


class Library:
    """An open people library. People are meant by number, "#7", "Person 7" or name.

    `who` signs decisions, `clock` dates them, `say` is told what was mended. StoreError for nobody, for a busy,
    damaged, newer or foreign file.
    """

    def __init__(
        self,
        path: str | Path | Store,
        *,
        create: bool = False,
        readonly: bool = False,
        who: str = "user",
        clock: Callable[[], datetime] = _now,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.store = path if isinstance(path, Store) else Store(path, create=create, readonly=readonly)
        self.who, self.clock, self.say = who, clock, say
        self.ledger = Ledger([Decision(*d) for d in self.store.decisions()])
        self._view: View | None = None

    def close(self) -> None:
        """Lets the next process in. May be called twice."""
        self.store.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ who and when
    @property
    def view(self) -> View:
        """Tracks and people as the user sees them; derived, kept until something changes here."""
        if self._view is None:
            self._view = self.ledger.apply(self.store.labels())
        return self._view

    def refresh(self) -> None:
        """Looks at the store again: somebody else (a run) has written to it."""
        self.ledger = Ledger([Decision(*d) for d in self.store.decisions()])
        self._view = None

    def people(self, *, hidden: bool = True) -> list[Person]:
        """Everybody, longest screen time first."""
        names = self.store.source_names(enrolled=True)
        found = people_of(self.view, self.store.track_columns(), names)
        return [p for p in found if hidden or not p.hidden]

    def person(self, who: str | int) -> Person:
        """One person."""
        number = self.find(who)
        empty = Person(
            number, self.view.names.get(number, ""), 0.0, None, None, 0, 0, 0, (), number in self.view.hidden
        )
        return next((p for p in self.people() if p.id == number), empty)

    def find(self, who: str | int) -> int:
        """The number of the person meant; merged numbers answer with their survivor."""
        return find(self.view, who, self.store.aliases(), self.store.buried)

    def tracks(self, who: str | int) -> list[int]:
        """The tracks of a person, ascending."""
        number = self.find(who)
        return sorted(t for t, p in self.view.labels.items() if p == number)

    def appearances(self, source: str | None = None, *, gap: float = JOIN_GAP) -> list[Appearance]:
        """All appearances, or those in one source, ordered by source, start and person."""
        numbers = {name: number for number, name in self.store.source_names().items()}
        if source is not None and source not in numbers:
            raise StoreError(f"{self.store.path} holds no source {source!r}. It has: {', '.join(numbers) or 'none'}.")
        spans = self.store.tracks(None if source is None else numbers[source])
        return appearances(spans, self.view.labels, gap=gap)

    def thumbnail(self, who: str | int) -> bytes | None:
        """JPEG of the person's best face, None where pictures are not kept."""
        return next((data for _, _, data in self.faces(who, 1)), None)

    def faces(self, who: str | int, limit: int = 3) -> list[tuple[int, int, bytes]]:
        """(track, number, JPEG) of the person's best faces, one per track, best first."""
        return self.store.best_faces(self.tracks(who), limit)

    def query(self, text: str | Query) -> list[Found]:
        """Stretches that answer "A with B, not C, longer than 5s", by source and time."""
        query = parse(text) if isinstance(text, str) else text
        found = self.appearances()
        ends: dict[str, float] = {}
        for a in found:
            ends[a.source] = max(a.end, ends.get(a.source, 0.0))
        sources = []
        for s in self.store.sources():
            start = float(s.info.get("start") or 0.0)
            length = s.info.get("duration")
            end = start + float(length) if length else max(ends.get(s.name, 0.0), s.position or 0.0)
            sources.append(
                (s.name, min([start, *(a.start for a in found if a.source == s.name)]), max(end, ends.get(s.name, 0.0)))
            )
        return answer(query, found, self.find, sources)

    def cast(self, source: str, *, hidden: bool = False) -> dict[int, float]:
        """person -> seconds in a source: the difference of two casts is a difference of their keys."""
        found = screen_time(self.appearances(source))
        return {p: s for p, s in sorted(found.items()) if hidden or p not in self.view.hidden}

    # ------------------------------------------------------------------ decisions
    def name(self, who: str | int, name: str) -> Decision:
        """Calls a person by a name; an empty name takes it away. Control characters become spaces."""
        clean = " ".join("".join(c if c.isprintable() else " " for c in name).split())
        person = self.find(who)
        return self._keep(self.ledger.name(self.view, person, clean, **self._word()))

    def merge(self, kept: str | int, dropped: str | int, *, kind: str = "merge") -> Decision:
        """Two people are one, under the number of the first."""
        return self._keep(self.ledger.merge(self.view, self.find(kept), self.find(dropped), kind=kind, **self._word()))

    def same(self, a: str | int, b: str | int) -> Decision:
        """Two people are one, under the number of the named, else the older one."""
        x, y = self.find(a), self.find(b)
        kept, dropped = sorted((x, y), key=lambda p: (p not in self.view.names, p))
        return self.merge(kept, dropped, kind="same")

    def split(self, who: str | int, tracks: Iterable[int]) -> Decision:
        """These tracks of a person are somebody else; the new number is in `args["new"]`."""
        new = self.store.last_identity() + 1
        return self._keep(self.ledger.split(self.view, self.find(who), tracks, new, **self._word()))

    def not_same(self, a: str | int, b: str | int) -> Decision:
        """Two people are two people; the machine never merges them."""
        return self._keep(self.ledger.not_same(self.view, self.find(a), self.find(b), **self._word()))

    def confirm(self, who: str | int, tracks: Iterable[int]) -> Decision:
        """These tracks of a person are this person: the machine never takes them away, and nobody asks again."""
        return self._keep(self.ledger.confirm(self.view, self.find(who), tracks, **self._word()))

    def hide(self, who: str | int, hidden: bool = True) -> Decision:
        """Leaves a person out of lists and reports, or shows it again."""
        return self._keep(self.ledger.hide(self.view, self.find(who), hidden, **self._word()))

    def undo(self, entry: int | None = None) -> Decision:
        """Takes an entry back; without a number the last one that can be."""
        if entry is None:
            active = self.ledger.active()
            entry = next(
                (e.id for e in reversed(self.ledger.entries) if e.id in active and e.kind not in ("undo", "forget")),
                None,
            )
            if entry is None:
                raise StoreError("there is nothing to undo.")
        return self._keep(self.ledger.undo(entry, **self._word()))

    def log(self) -> list[Decision]:
        """Every decision, oldest first."""
        return list(self.ledger)

    # ------------------------------------------------------------------ the machine behind it
    def clusterer(self, make: Callable[[], Any]) -> Any:
        """The clusterer a run goes on with: restored (or rebuilt, from `make()`), told every decision.

        Call before `store.begin_source`; what the decisions change is in the store when this returns.
        """
        from streamer.library.machine import open_clusterer

        self.refresh()
        clusterer = open_clusterer(self.store, self.ledger, lambda: self.view, make, self.say)
        self._view = None
        return clusterer

    def tell(self, clusterer: Any) -> list[Event]:
        """Brings a clusterer at work in step with every decision; its events, in the store when this returns."""
        from streamer.library.machine import pin_named, tell, wanted_links

        events = tell(self.store, self.ledger, clusterer)
        pin_named(clusterer, self.view)
        links = wanted_links(self.ledger, self.store)
        if events or links != self.store.told():
            self.store.record(events, clusterer.pages(), links)
        self._view = None
        return events

    def what_if(self, make: Callable[[], Any], options: Mapping[str, Any] | None = None) -> Any:
        """A `WhatIf`: who would merge, split and move if `make()` had clustered everything. Changes nothing."""
        from streamer.library.machine import what_if

        return what_if(self.store, self.ledger, make(), options or {})

    def apply(self, change: Any) -> None:
        """Makes a `WhatIf` real: its options become the library's settings. Ids are kept, decisions hold."""
        from streamer.library.machine import pin_named, renumbered, wanted_links

        if change.seq != self.store.last_seq():
            raise StoreError("the library has changed since this was worked out. Ask what_if again.")
        events = renumbered(change.clusterer, self.store.labels(), self.store.last_seq())
        pin_named(change.clusterer, self.view)
        with self.store.transaction():
            self.store.drop_state()
            self.store.keep_settings(change.options)
            self.store.record(events, change.clusterer.pages(), wanted_links(self.ledger, self.store))
        self._view = None

    def replace(self, old: int, new: int, clusterer: Any) -> dict[int, int]:
        """Puts the finished source `new` in the place of source `old`, the same video before; decisions move along.

        `clusterer` is the one of the run. The answer maps decided-about old tracks to new ones.
        """
        from streamer.library.renewal import replace_source

        mapping = replace_source(self.store, self.ledger, old, new, clusterer)
        self.refresh()
        return mapping

    def migrate(self, embedder: Any, make: Callable[[], Any], told: Callable[[int, int], None] | None = None) -> int:
        """Moves the library to another embedding model from its kept crops; how many faces were embedded.

        Goes on where a killed migration stopped. Ids and decisions stay. StoreError where crops were not kept.
        """
        from streamer.library.renewal import migrate

        report = told or (lambda done, total: None)
        done = migrate(self.store, self.ledger, self.view, embedder, make, report)
        self._view = None
        return done

    # ------------------------------------------------------------------ search and enrolment
    def search(self, vector: F32, *, pair: float, link: float | None = None, limit: int = 10) -> list[Any]:
        """`Match`es of one embedded face, best first, over named and unnamed history; see streamer.library.search.

        `pair` and `link` are the model's thresholds.
        """
        from streamer.library.search import search

        return search(self.store, self.view, vector, pair=pair, link=link, limit=limit)

    def enrol(
        self, name: str, samples: Sequence[FaceSample], make: Callable[[], Any], *, pair: float | None = None
    ) -> int:
        """A known person from embedded photos; the number of the person, whoever the photos turn out to be.

        Past tracks of the same face become this person at once, future ones when they come. `pair` is the model's
        threshold for two photos: those unlike the others are left out, StoreError when no two agree.
        """
        from streamer.library.enrolment import enrol

        person = enrol(self, name, samples, make, pair)
        self._view = None
        return person

    def structure(self) -> list[Any]:
        """`Question`s that HDBSCAN asks over the clusterer's exemplars; few of them have "yes" for an answer."""
        from streamer.library.structure import structure

        seconds = {p.id: p.screen_time for p in self.people()}
        lengths = {t.id: t.end - t.start for t in self.store.tracks()}
        return structure(self.store, self.view, seconds, lengths, self._answered(), self._sure(), self.say)

    def review(self, *, merge: float, limit: int = 50) -> list[Any]:
        """Open `Question`s, those that settle most screen time first."""
        from streamer.library.search import questions

        seconds = {p.id: p.screen_time for p in self.people()}
        lengths = {t.id: t.end - t.start for t in self.store.tracks()}
        return questions(
            self.store, self.view, seconds, lengths, merge=merge, answered=self._answered(), sure=self._sure(),
            limit=limit,
        )  # fmt: skip

    def settled(self) -> tuple[set[tuple[int, int]], set[int]]:
        """What people have answered: pairs said to be two, and tracks said to be where they belong."""
        return self._answered(), self._sure()

    def still_open(self, question: Any) -> Any:
        """The `Question` with the people of now, None when answers given since have settled it."""
        a, b = self.view.resolve(question.a), self.view.resolve(question.b)
        if question.kind == "split":
            done = question.track in self._sure() or self.view.labels.get(question.track) != a
            return None if done else replace(question, a=a, b=b)
        if a == b or (min(a, b), max(a, b)) in self._answered():
            return None
        return replace(question, a=min(a, b), b=max(a, b))

    # ------------------------------------------------------------------ privacy
    def forget(self, who: str | int, *, delete_files: bool = True, clusterer: Any = None) -> Any:
        """Erases a person for good; the `Receipt`. A run in this process hands in its clusterer."""
        from streamer.library.erasure import forget

        person = self.find(who)
        self._discard()
        word = self._word()
        receipt = forget(
            self.store, self.ledger, self.view, person, delete_files=delete_files, clusterer=clusterer, say=self.say,
            **word,
        )  # fmt: skip
        self._view = None
        return receipt

    def expire(
        self, keep_unnamed: timedelta, *, now: datetime | None = None, clusterer: Any = None, running: bool = False
    ) -> int:
        """Erases what is kept of people nobody named and that were last seen longer ago; how many tracks.

        `running`: a file of this process is half read and stays; should the process die, the next run makes the
        clusterer anew instead of going back to a state that knows who was erased.
        """
        from streamer.library.erasure import expire

        if not running:
            self._discard()
        self._view = None
        when = now or self.clock()
        gone = expire(self.store, self.view, now=when, keep_unnamed=keep_unnamed, clusterer=clusterer, say=self.say)
        self._view = None
        return gone

    def files_of_erased(self, *, delete: bool = False) -> Any:
        """What was written earlier and still shows somebody who was erased: an `Outcome`, all `left` unless deleted."""
        from streamer.library.written import Outcome, erase, showing

        gone = set(self.store.buried())
        shown = showing(self.store, gone)
        return erase(self.store, shown, gone) if delete else Outcome(left=shown)

    def export_person(self, who: str | int, folder: str | Path) -> list[Path]:
        """Everything held about a person, written to a folder; the files."""
        from streamer.library.erasure import export_person

        at = self.clock().isoformat()
        return export_person(self.store, self.view, self.find(who), Path(folder), log=self.ledger, at=at)

    def _discard(self) -> None:
        """Half-done files go before an erasure: what they could be rolled back to holds who is erased."""
        if self.store.discard_unfinished():
            self._view = None

    def _keep(self, decision: Decision) -> Decision:
        """Stores the entry just added; takes it out of memory again when that fails."""
        try:
            self.store.add_decision(decision.id, decision.who, decision.at, decision.kind, decision.args)
        except StoreError:
            self.ledger.entries.pop()
            raise
        self._view = None
        return decision

    def _word(self) -> dict[str, str]:
        return {"who": self.who, "at": self.clock().isoformat()}

    def _sure(self) -> set[int]:
        """Tracks somebody confirmed."""
        active = self.ledger.active()
        return {t for e in self.ledger if e.kind == "confirm" and e.id in active for t in e.tracks("tracks")}

    def _answered(self) -> set[tuple[int, int]]:
        active = self.ledger.active()
        pairs = [(e.args["a"], e.args["b"]) for e in self.ledger if e.kind == "not_same" and e.id in active]
        pairs += [(e.args["person"], e.args["new"]) for e in self.ledger if e.kind == "split" and e.id in active]
        resolved = ((self.view.resolve(a), self.view.resolve(b)) for a, b in pairs)
        return {(min(p), max(p)) for p in resolved}
