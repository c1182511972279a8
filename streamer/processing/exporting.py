"""Reports on demand: any format of one source, some or a whole library; some people only, or nobody recognisable."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import Any

from streamer import reports
from streamer.errors import ConfigError, SourceError
from streamer.items import Frame
from streamer.library import Library
from streamer.processing.file import content_digest, now
from streamer.processing.rundata import appearances_in, library_data
from streamer.reports.anonymous import anonymise
from streamer.reports.base import PersonEntry, RunData, SourceEntry
from streamer.reports.timecode import Clock, to_frame
from streamer.store import SourceRecord


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a library is written, and how.

    `people`: only these. `anonymous`: no names, every face but those of `keep` hidden for good. `blur` says whose
    faces a blurred video hides: "all", "but" or "only" those of `blurred`. `start_timecode` stands for the first frame
    of every source; None: as the file says. `options` go to the format itself.
    """

    people: frozenset[int] | None = None
    anonymous: bool = False
    keep: frozenset[int] = frozenset()
    blur: str = "all"
    blurred: frozenset[int] = frozenset()
    start_timecode: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


EVERYTHING = Selection()


def export(
    library: Library,
    sources: Sequence[SourceRecord],
    formats: Sequence[str],
    place: Callable[[Sequence[SourceRecord], str], Path],
    wish: Selection = EVERYTHING,
) -> list[Path]:
    """The files written. `place` says where the file of some sources and a format goes.

    Formats that describe a single source give one file each. The library remembers the files, so that forgetting a
    person removes them. ConfigError for a format that does not exist or does not fit the wish, SourceError where a
    video is needed that is gone or changed.
    """
    for form in formats:
        _check(form, wish)
    among, salt = _known(library, sources), secrets.token_hex(16)
    written = []
    for group, mine in _groups(sources, formats):
        full = library_data(library, place(group, mine[0]).parent, group, group[0].name if len(group) == 1 else "")
        data = prepared(full, wish, salt, among)
        for form in mine:
            path = place(group, form)
            path.parent.mkdir(parents=True, exist_ok=True)
            reports.create(form, **_options(form, group, wish)).write(full if form == "blurred" else data, path)
            _remember(library, path, [p.id for p in full.people], form, wish)
            written.append(path)
    return written


def _groups(
    sources: Sequence[SourceRecord], formats: Sequence[str]
) -> Iterator[tuple[Sequence[SourceRecord], Sequence[str]]]:
    """Which formats are written of which sources: all together, or one by one where a format describes only one."""
    if len(sources) == 1:
        yield sources, formats
        return
    apart = [f for f in formats if reports.about(f).single]
    together = [f for f in formats if f not in apart]
    if sources and together:
        yield sources, together
    for source in sources if apart else ():
        yield [source], apart


def _remember(library: Library, path: Path, people: Sequence[int], form: str, wish: Selection) -> None:
    """So that forgetting one of them removes the file, the list of names beside it, and pictures beside people.csv."""
    names = path.with_name(f"{path.name}.names.csv")
    for file in (path, *([names] if names.is_file() else [])):
        library.store.add_export(str(file.absolute()), people, now())
    for picture in path.parent.glob("faces/person_*.jpg") if form == "people" else ():
        number = picture.stem.removeprefix("person_")
        whose = people if wish.anonymous or not number.isdecimal() else [int(number)]
        library.store.add_export(str(picture.absolute()), whose, now())


def _known(library: Library, sources: Sequence[SourceRecord]) -> RunData:
    """Who and what is in the sources, by name and number only."""
    names = library.view.names
    people = sorted({a.identity for a in appearances_in(library, sources)})
    films = tuple(SourceEntry(s.name, s.path) for s in sources)
    return RunData("", films, tuple(PersonEntry(p, names.get(p, "")) for p in people))


def prepared(data: RunData, wish: Selection, salt: str | None = None, among: RunData | None = None) -> RunData:
    """The data as the wish wants it to be seen; `salt` and `among` as `anonymise` takes them."""
    if wish.start_timecode:
        data = replace(data, sources=tuple(_at(s, wish.start_timecode) for s in data.sources))
    if wish.people is not None:
        data = data.for_people(wish.people)
    return anonymise(data, wish.keep, salt, among) if wish.anonymous else data


def _at(source: Any, timecode: str) -> Any:
    """The source with that timecode at its first frame; ConfigError where its rate has no such number."""
    rate = Clock.of(source.fps, source.start, timecode).rate
    try:
        to_frame(timecode, rate)
    except ValueError as error:
        raise ConfigError(f"start timecode: {error}.") from error
    return replace(source, start_timecode=timecode)


def _check(form: str, wish: Selection) -> None:
    reports.about(form)
    if wish.anonymous and form == "annotated":
        raise ConfigError("an annotated video shows every face. For an anonymous one take the format blurred.")


def _options(form: str, group: Sequence[SourceRecord], wish: Selection) -> dict[str, Any]:
    """The keyword arguments of a format: the caller's, and for videos the frames and whose faces are hidden."""
    options = dict(wish.options)
    if reports.about(form).pictures:
        options["frames"] = frames_of(group[0])
    if form == "blurred" and wish.blur != "all":
        options |= {"blur": wish.blur, "people": wish.blurred}
    elif form == "blurred" and wish.anonymous and wish.keep:
        options |= {"blur": "but", "people": wish.keep}
    return options


def options_of(form: str) -> list[str]:
    """The options a format takes from a user."""
    made: Any = reports.load(form)
    if made.__init__ is object.__init__:
        return []
    return [p for p in signature(made).parameters if p not in ("frames", "blur", "people", "start_timecode")]


def frames_of(record: SourceRecord) -> Callable[[], Iterator[Frame]]:
    """A call that decodes the source once more, with the options of its run: the same frames under the same numbers.

    SourceError where it is a camera, gone, or has changed since.
    """
    path = Path(record.path)
    if record.kind != "file":
        raise SourceError(f"{record.name}: is a camera; its frames are gone. Name a video file.")
    if not path.exists():
        raise SourceError(f"{record.name}: {path} is not there any more, and this needs its frames. Put it back.")
    if content_digest(path) != record.hash:
        raise SourceError(f"{record.name}: {path} has changed since it was processed. Run it again first.")
    config = record.manifest.get("config", {})
    options = {
        key.partition(".")[2]: tuple(v["value"]) if isinstance(v["value"], list) else v["value"]
        for key, v in config.items()
        if key.startswith("source.") and v.get("origin") != "default"
    }

    def frames() -> Iterator[Frame]:
        from streamer.sources import open_source

        source = open_source(path, **options)
        try:
            yield from source
        finally:
            source.close()

    return frames
