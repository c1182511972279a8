"""What was found, for Python: people, tracks, appearances and frames of sources, with the names of now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from html import escape
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from streamer import reports
from streamer.errors import ConfigError, StreamerError
from streamer.items import DETECTED, Appearance, Frame
from streamer.library import Library
from streamer.processing.exporting import Selection, export, frames_of
from streamer.processing.rundata import library_data
from streamer.reports.base import FaceRow, PersonEntry, RunData, SourceEntry, by_person
from streamer.reports.layout import span, spoken
from streamer.store import SourceRecord

TABLES = ("appearances", "people", "tracks", "faces")
SHOWN = 12  # people in a notebook's picture


@dataclass(frozen=True, slots=True)
class FoundTrack:
    """One person through one shot, [start, end) seconds. `person` is None where it belongs to nobody."""

    id: int
    source: str
    person: int | None
    start: float
    end: float
    faces: int  # frames it was alive in
    score: float  # mean detector confidence
    quality: float  # of its best face, 0..1


class Result:
    """What is known of some sources of a library; of all that are finished where none are named.

    A view, not a copy: after a name or a merge in `library`, `refresh()` shows the new state. Close it (or use `with`)
    where it was made by `process`; a library it opened is closed with it.

        with streamer.process("ep01.mp4") as found:
            for person in found.people:
                print(person.label, person.screen_time)
            found.save("ep01.eaf")
    """

    def __init__(
        self,
        library: Library,
        sources: Sequence[SourceRecord] | None = None,
        problems: Mapping[str, StreamerError] | None = None,
        owned: ExitStack | None = None,
    ) -> None:
        self.library, self.problems = library, dict(problems or {})  # problems: path -> why it could not be read
        known = [s for s in library.store.sources() if s.status != "running"] if sources is None else sources
        self._records, self._owned = list(known), owned or ExitStack()
        self._data: RunData | None = None

    def close(self) -> None:
        """Closes what `process` opened for it. May be called twice."""
        self._owned.close()

    def __enter__(self) -> Result:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def refresh(self) -> None:
        """Forgets what was worked out: the library has changed."""
        self.library.refresh()
        self._data = None

    # ------------------------------------------------------------------ what was found
    @property
    def data(self) -> RunData:
        """All of it as reports are written from."""
        if self._data is None:
            name = self._records[0].name if len(self._records) == 1 else ""
            self._data = library_data(self.library, Path(), self._records, name)
        return self._data

    @property
    def sources(self) -> Sequence[SourceEntry]:
        """The videos, with cuts and what was not seen of them."""
        return self.data.sources

    @property
    def people(self) -> Sequence[PersonEntry]:
        """Everybody who appears, longest screen time first."""
        return self.data.people

    @property
    def appearances(self) -> Sequence[Appearance]:
        """Who is there from when to when, by source, start and person."""
        return self.data.appearances

    @property
    def tracks(self) -> list[FoundTrack]:
        """The pieces appearances are made of, ordered by number."""
        labels = self.library.view.labels
        return [
            FoundTrack(t.id, t.source, labels.get(t.id), t.start, t.end, t.count, t.score, t.quality)
            for s in self._records
            for t in self.library.store.tracks(s.id)
        ]

    @property
    def copresence(self) -> Mapping[tuple[int, int], float]:
        """(a, b), a < b -> seconds both are in the picture."""
        return dict(self.data.copresence or {})

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What ran, as in run.json."""
        return self.data.manifest

    def faces(self) -> Iterator[FaceRow]:
        """Every face of every frame, read as it is asked for."""
        return self.data.rows()

    def frames(self) -> Iterator[tuple[Frame, tuple[FaceRow, ...]]]:
        """Every frame, decoded once more as it is asked for, with the faces in it.

        SourceError where a video is gone or has changed since; all are looked at before the first is decoded.
        """
        readers = [(record, frames_of(record)) for record in self._records]
        for record, read in readers:
            yield from _with_faces(read, iter(self.data.for_source(record.name).rows()))

    # ------------------------------------------------------------------ for others
    def columns(self, table: str = "appearances") -> dict[str, list[Any]]:
        """A table as lists by column name: appearances, people, tracks or faces. ConfigError for another."""
        makers: dict[str, Callable[[RunData], dict[str, list[Any]]]] = {
            "appearances": _appearances, "people": _people, "faces": _faces, "tracks": lambda _: _tracks(self.tracks),
        }  # fmt: skip
        if table not in makers:
            raise ConfigError(f"{table!r} is no table of a result. Tables: {', '.join(TABLES)}.")
        return makers[table](self.data)

    def to_pandas(self, table: str = "appearances") -> Any:
        """The table as a pandas DataFrame. ConfigError where pandas is not installed."""
        return _needed("pandas", "frames").DataFrame(self.columns(table))

    def to_polars(self, table: str = "appearances") -> Any:
        """The table as a polars DataFrame. ConfigError where polars is not installed."""
        return _needed("polars", "frames").DataFrame(self.columns(table), infer_schema_length=None)

    def to_pyannote(self, source: str | None = None) -> Any:
        """A pyannote.core Annotation of one source, labelled by name. ConfigError where there are several."""
        core = _needed("pyannote.core", "eval")
        data = self.data if source is None else self.data.for_source(source)
        film, labels = data.only_source("an Annotation"), data.labels()
        out = core.Annotation(uri=film.name, modality="face")
        for i, a in enumerate(data.appearances):
            out[core.Segment(a.start, a.end), i] = labels[a.identity]
        return out

    def report(self, path: str | Path = "report.html") -> Path:
        """The HTML report; the file written."""
        return self.save(path, "html")

    def save(
        self,
        path: str | Path,
        form: str = "",
        *,
        people: Collection[int | str] | None = None,
        anonymous: bool = False,
        keep: Collection[int | str] = (),
        hide_but: Collection[int | str] = (),
        hide_only: Collection[int | str] = (),
        start_timecode: str | None = None,
        **options: Any,
    ) -> Path:
        """Writes one file and answers with its path. The ending names the format where `form` does not.

        `people` leaves everybody else out; `anonymous` takes names away and hides every face but those of `keep`;
        `hide_but` and `hide_only` are for the format "blurred". ConfigError for a format or option that does not exist.
        """
        place, who = Path(path), self.library.find
        form = form or reports.format_of(place)
        if hide_but and hide_only:
            raise ConfigError("hide_but and hide_only exclude each other.")
        wish = Selection(
            None if people is None else frozenset(who(p) for p in people), anonymous, frozenset(who(p) for p in keep),
            "but" if hide_but else "only" if hide_only else "all",
            frozenset(who(p) for p in (*hide_but, *hide_only)), start_timecode, options,
        )  # fmt: skip
        if reports.about(form).single and len(self._records) > 1:
            raise ConfigError(f"{form} describes one source and there are {len(self._records)}. Take one of them.")
        return export(self.library, self._records, [form], lambda group, form: place, wish)[0]

    def __repr__(self) -> str:
        names = ", ".join(s.name for s in self.sources)
        return f"<Result of {names}: {len(self.people)} people, {len(self.appearances)} appearances>"

    def _repr_html_(self) -> str:
        """For notebooks: faces, screen times and a line per person."""
        shown = self.data.shown()[:SHOWN]
        mine = by_person(self.appearances)
        lines = "".join(_line(p, mine.get(p.id, []), self.data) for p in shown)
        return f"<p>{escape(repr(self)[1:-1])}</p><table>{lines}</table>"


def _with_faces(
    read: Callable[[], Iterator[Frame]], rows: Iterator[FaceRow]
) -> Iterator[tuple[Frame, tuple[FaceRow, ...]]]:
    ahead = next(rows, None)
    for frame in read():
        here = []
        while ahead is not None and ahead.frame <= frame.index:
            if ahead.frame == frame.index:
                here.append(ahead)
            ahead = next(rows, None)
        yield frame, tuple(here)


def _needed(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(f"this needs {module}: pip install 'whowhen[{extra}]'.") from error


def _appearances(data: RunData) -> dict[str, list[Any]]:
    labels, some = data.labels(), data.appearances
    return {
        "source": [a.source for a in some],
        "person": [a.identity for a in some],
        "name": [labels[a.identity] for a in some],
        "start_s": [a.start for a in some],
        "end_s": [a.end for a in some],
        "duration_s": [a.duration for a in some],
        "tracks": [list(a.tracks) for a in some],
        "faces": [a.faces for a in some],
        "score": [a.score for a in some],
    }


def _people(data: RunData) -> dict[str, list[Any]]:
    return {
        "person": [p.id for p in data.people],
        "name": [p.label for p in data.people],
        "screen_time_s": [p.screen_time for p in data.people],
        "first_s": [p.first for p in data.people],
        "last_s": [p.last for p in data.people],
        "appearances": [p.appearances for p in data.people],
        "tracks": [p.tracks for p in data.people],
        "hidden": [p.hidden for p in data.people],
        "unsure": [p.unsure for p in data.people],
    }


def _tracks(tracks: Sequence[FoundTrack]) -> dict[str, list[Any]]:
    names = ("id", "source", "person", "start", "end", "faces", "score", "quality")
    return {n: [getattr(t, n) for t in tracks] for n in names}


def _faces(data: RunData) -> dict[str, list[Any]]:
    rows = list(data.rows())
    out: dict[str, list[Any]] = {
        "source": [r.source for r in rows],
        "frame": [r.frame for r in rows],
        "time_s": [r.time for r in rows],
        "track": [r.track for r in rows],
        "person": [r.person for r in rows],
    }
    out |= {side: [r.box[i] for r in rows] for i, side in enumerate(("x1", "y1", "x2", "y2"))}
    return out | {
        "score": [r.score for r in rows],
        "kind": ["detected" if r.kind == DETECTED else "tracked" for r in rows],
    }


def _line(p: PersonEntry, mine: Sequence[Appearance], data: RunData) -> str:
    """A table row: face, name, seconds, and a bar per appearance over all sources one after the other."""
    import base64

    from streamer.reports.html import shrink

    starts, length = {}, 0.0
    for s in data.sources:
        first, last = span(s, [a for a in mine if a.source == s.name])
        starts[s.name] = length - first
        length += last - first
    bars = "".join(
        f'<rect x="{(starts[a.source] + a.start) / length * 600:.1f}" width="{max(1.0, a.duration / length * 600):.1f}"'
        ' height="14" fill="#0072b2"/>'
        for a in mine
    )
    jpeg = base64.b64encode(shrink(p.thumbnail or b"", 48, 80)).decode()
    face = f'<img alt="" width="32" height="32" src="data:image/jpeg;base64,{jpeg}">' if jpeg else ""
    return (
        f"<tr><td>{face}</td><td>{escape(p.label)}</td><td>{spoken(p.screen_time)}</td>"
        f'<td><svg width="600" height="14"><rect width="600" height="14" fill="#efece6"/>{bars}</svg></td></tr>'
    )
