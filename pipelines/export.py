"""`whowhen export` and `whowhen report`: what a run or a library says, in any format, after the fact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.people.libraries import opened
from pipelines.terminal.options import Json
from pipelines.terminal.tables import as_json as print_json
from pipelines.terminal.tables import show
from streamer.errors import ConfigError

if TYPE_CHECKING:
    from streamer.library import Library
    from streamer.store import SourceRecord

Where = Annotated[
    Path, typer.Argument(help="Output folder of a run, the folder of one source in it, or a people library (.db).")
]
LibraryFile = Annotated[
    Path | None, typer.Option("--library", "-l", envvar="WHOWHEN_LIBRARY", help="The library, where WHERE has none.")
]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Only this source. Repeat for more.")]
Anonymous = Annotated[bool, typer.Option("--anonymous", help="No names, every face but those of --keep hidden.")]
Keep = Annotated[list[str] | None, typer.Option("--keep", help="With --anonymous: a person whose face stays.")]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a user's WHERE leads: the library, the folder reports go to, the source it stands for."""

    library: Path
    folder: Path
    content: str | None = None  # the hash of the one source


def export(
    where: Where = Path(),
    formats: Annotated[
        list[str] | None, typer.Option("--format", "-f", help="A format, several with commas, or all. Repeat for more.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A file (its ending names the format), or a folder.")
    ] = None,
    person: Annotated[
        list[str] | None, typer.Option("--person", "-p", help="Only this person. Repeat for more.")
    ] = None,
    source: Sources = None,
    anonymous: Anonymous = False,
    keep: Keep = None,
    blur_but: Annotated[list[str] | None, typer.Option(help="Format blurred: hide everybody but this person.")] = None,
    blur_only: Annotated[list[str] | None, typer.Option(help="Format blurred: hide only this person.")] = None,
    start_timecode: Annotated[str | None, typer.Option(help="Timecode of the first frame, 01:00:00:00.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the format: key=value. Repeat for more.")
    ] = None,
    library: LibraryFile = None,
    formats_list: Annotated[bool, typer.Option("--formats", help="List the formats and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Write what was found in any format: captions, editors, annotation tools, tables, videos with hidden faces."""
    if formats_list:
        _list_formats(as_json)
        return
    from streamer.processing.exporting import Selection
    from streamer.processing.exporting import export as write

    place = _located(where, library)
    wanted, file = _wanted(formats or [], out)
    with opened(place.library) as found:
        chosen = _sources(found, place, source or [])
        people = frozenset(found.find(p) for p in person) if person else None
        blur, blurred = _blur(found, blur_but or [], blur_only or [])
        kept = frozenset(found.find(p) for p in keep or ())
        if kept and not anonymous:
            raise ConfigError("--keep says whose face stays in an anonymous export: add --anonymous.")
        selection = Selection(people, anonymous, kept, blur, blurred, start_timecode, _options(option or []))
        folder = _folder(place, out, anonymous, people is not None)
        target = _target(chosen, folder, out if file else None, wanted, place)
        written = write(found, chosen, wanted, target, selection)
    _tell(wanted, written, as_json)


def report(
    where: Where = Path(),
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The HTML file, or a folder for report.html.")] = None,
    source: Sources = None,
    anonymous: Anonymous = False,
    keep: Keep = None,
    library: LibraryFile = None,
    as_json: Json = False,
) -> None:
    """Write one HTML report of a run, of one of its sources, or of a whole library, with the names of now."""
    export(where, ["html"], out, source=source, anonymous=anonymous, keep=keep, library=library, as_json=as_json)


def _list_formats(as_json: bool) -> None:
    from streamer.processing.exporting import options_of
    from streamer.reports import FORMATS

    if as_json:
        print_json(
            [{"format": n, "file": f.filename, "about": f.about, "options": options_of(n)} for n, f in FORMATS.items()]
        )
        return
    show(
        ("format", "file", "what it is", "options"),
        [(n, f.filename, f.about, ", ".join(options_of(n))) for n, f in FORMATS.items()],
    )


def _wanted(formats: Sequence[str], out: Path | None) -> tuple[list[str], bool]:
    """The formats meant, and whether `out` is the name of one file."""
    from streamer.reports import format_of, formats_of

    names = formats_of(formats)
    file = out is not None and bool(out.suffix) and not out.is_dir()
    if not names and not file:
        raise ConfigError("nothing says which format. Give -f, or a file name with -o such as people.srt.")
    if not names and out is not None:
        names = [format_of(out)]
    if file and len(names) > 1:
        raise ConfigError(f"{out} is one file for {len(names)} formats. Give a folder with -o.")
    return names, file


def _located(where: Path, library: Path | None) -> _Place:
    """ConfigError where there is no library to be found."""
    if where.is_file():
        return _Place(library or where, where.absolute().parent)
    content = _content(where)
    near = [where / "people.db", *([where.absolute().parent / "people.db"] if content else [])]
    found = library or next((p for p in near if p.is_file()), None)
    if found is None:
        hint = (
            "Name its library with --library."
            if content
            else "Name the folder given to `whowhen run -o`, or a library."
        )
        raise ConfigError(f"{where}: no people.db there. {hint}")
    return _Place(found / "people.db" if found.is_dir() else found, where, content)


def _content(folder: Path) -> str | None:
    """The hash of the source a folder of results is about."""
    try:
        return str(json.loads((folder / "run.json").read_text("utf-8"))["source"]["content"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sources(library: Library, place: _Place, names: Sequence[str]) -> list[SourceRecord]:
    """The sources meant, finished ones only."""
    known = [s for s in library.store.sources() if s.status != "running"]
    if place.content is not None:
        known = [s for s in known if s.hash == place.content][-1:]
    by_name = {s.name: s for s in known}
    missing = [n for n in names if n not in by_name]
    if missing:
        raise ConfigError(f"{place.library} holds no source {missing[0]!r}. It has: {', '.join(by_name) or 'none'}.")
    chosen = [by_name[n] for n in dict.fromkeys(names)] if names else known
    if not chosen:
        raise ConfigError(f"{place.library} holds no finished source yet. Run `whowhen run` first.")
    return chosen


def _blur(library: Library, but: Sequence[str], only: Sequence[str]) -> tuple[str, frozenset[int]]:
    if but and only:
        raise ConfigError("--blur-but and --blur-only exclude each other.")
    return ("but" if but else "only" if only else "all"), frozenset(library.find(p) for p in (*but, *only))


def _options(texts: Sequence[str]) -> dict[str, Any]:
    """key=value as the format's constructor takes it."""
    from streamer.config import parse_value

    out = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--option {text}: write key=value.")
        out[key.strip()] = parse_value(value)
    return out


def _folder(place: _Place, out: Path | None, anonymous: bool, some: bool) -> Path:
    """Where files go. Exports of less than everything never take the place of a run's own."""
    if out is not None:
        return out
    return place.folder / "anonymous" if anonymous else place.folder / "selection" if some else place.folder


def _target(
    chosen: Sequence[SourceRecord], folder: Path, file: Path | None, formats: Sequence[str], place: _Place
) -> Any:
    """The function that says where the file of some sources goes: beside the others of that source."""
    from streamer.processing.results import source_folder
    from streamer.reports import about

    if file is not None and len(chosen) > 1 and about(formats[0]).single:
        raise ConfigError(f"{file.name} describes one source and there are {len(chosen)}. Choose one with --source.")
    whole = place.content is None
    taken: set[str] = set()
    folders = {s.id: source_folder(folder, Path(s.path), s, taken) for s in chosen} if whole else {}

    def target(group: Sequence[SourceRecord], form: str) -> Path:
        if file is not None:
            return file
        single = about(form).single and whole
        return (folders[group[0].id] if single else folder) / about(form).filename

    return target


def _tell(formats: Sequence[str], written: Sequence[Path], as_json: bool) -> None:
    """The files on stdout."""
    if as_json:
        print_json([str(p) for p in written])
        return
    for path in written:
        print(path)
