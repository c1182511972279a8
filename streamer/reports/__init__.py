"""Reports: what a run or a library says, in the formats people already use. `write("html", data, path)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

from streamer.errors import ConfigError, suggest
from streamer.reports.base import Report, RunData


@dataclass(frozen=True, slots=True)
class Format:
    """Where a format is written ("module:Class"), what its file is called, and what it is for."""

    target: str
    filename: str
    about: str
    single: bool = False  # describes one source only
    pictures: bool = False  # needs the frames of the video: option `frames`


FORMATS: dict[str, Format] = {
    "faces": Format("streamer.reports.tables:FacesTable", "faces.csv", "a row per face and frame"),
    "appearances": Format("streamer.reports.tables:AppearancesTable", "appearances.csv", "who, from when to when"),
    "people": Format("streamer.reports.tables:PeopleTable", "people.csv", "people with screen time"),
    "run": Format("streamer.reports.manifest:Manifest", "run.json", "versions, settings, counts, seconds"),
    "html": Format("streamer.reports.html:HtmlReport", "report.html", "the report to look at, one file"),
    "json": Format("streamer.reports.structured:JsonDocument", "people.json", "everything, with a JSON Schema"),
    "jsonl": Format("streamer.reports.structured:JsonLines", "people.jsonl", "everything, one object a line"),
    "parquet": Format("streamer.reports.parquet:FacesParquet", "faces.parquet", "faces for pandas, polars, DuckDB"),
    "rttm": Format("streamer.reports.rttm:Rttm", "people.rttm", "for diarisation tools"),
    "vtt": Format("streamer.reports.captions:WebVtt", "people.vtt", "captions: who is there", True),
    "vtt-faces": Format("streamer.reports.captions:WebVttMetadata", "faces.vtt", "boxes for web players", True),
    "srt": Format("streamer.reports.captions:Srt", "people.srt", "captions for any player", True),
    "eaf": Format("streamer.reports.eaf:Eaf", "people.eaf", "ELAN, a tier per person", True),
    "edl": Format("streamer.reports.editing:MarkerEdl", "markers.edl", "markers for DaVinci Resolve", True),
    "xmeml": Format(
        "streamer.reports.editing:Xmeml", "markers.xml", "markers for Premiere (Final Cut Pro 7 XML)", True
    ),
    "fcpxml": Format("streamer.reports.editing:Fcpxml", "people.fcpxml", "keywords for Final Cut Pro", True),
    "otio": Format("streamer.reports.otio:Otio", "people.otio", "OpenTimelineIO", True),
    "mot": Format("streamer.reports.annotation:Mot", "faces.mot.txt", "MOTChallenge tracks", True),
    "coco": Format("streamer.reports.annotation:Coco", "faces.coco.json", "COCO boxes"),
    "cvat": Format("streamer.reports.annotation:Cvat", "faces.cvat.xml", "CVAT for video 1.1", True),
    "labelstudio": Format("streamer.reports.annotation:LabelStudio", "faces.labelstudio.json", "Label Studio"),
    "contact": Format("streamer.reports.contact:ContactSheet", "contact.png", "everybody's faces on one sheet"),
    "annotated": Format(
        "streamer.reports.video:AnnotatedVideo", "annotated.mp4", "video with boxes and names", True, True
    ),
    "blurred": Format("streamer.reports.video:BlurredVideo", "blurred.mp4", "video with hidden faces", True, True),
}


def about(name: str) -> Format:
    """What is known of a format; ConfigError for one that does not exist. Formats of others ("my_package.module:Class")
    are for any number of sources, and named by their `filename`, else by their class."""
    if name in FORMATS:
        return FORMATS[name]
    made = load(name)
    return Format(name, str(getattr(made, "filename", f"{made.__name__.lower()}.txt")), (made.__doc__ or "").strip())


def formats_of(texts: Iterable[str]) -> list[str]:
    """The formats meant by what a user writes: names, several with commas between, or "all", each once.

    "all" leaves out videos, and Parquet where pyarrow is not installed. ConfigError for one that does not exist.
    """
    names = [n.strip() for text in texts for n in text.split(",") if n.strip()]
    out: dict[str, None] = {}
    for name in names:
        out |= dict.fromkeys(_all() if name == "all" else [name])
        if name != "all":
            about(name)
    return list(out)


def _all() -> list[str]:
    here = {"parquet": find_spec("pyarrow") is not None}
    return [n for n, f in FORMATS.items() if not f.pictures and here.get(n, True)]


def load(name: str) -> Callable[..., Any]:
    """The class of a registered name, or of "my_package.module:Class". ConfigError where there is none."""
    target = FORMATS[name].target if name in FORMATS else name
    module, _, cls = target.partition(":")
    if not cls:
        raise ConfigError(f"{name} is not a format{suggest(name, FORMATS)}. Formats: {', '.join(FORMATS)}.")
    try:
        made: Callable[..., Any] = getattr(import_module(module), cls)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"format {name} cannot be loaded: {error}.") from error
    return made


def create(name: str, **options: Any) -> Report:
    """The report of a registered name, or of "my_package.module:Class". ConfigError for unknown names and options."""
    made: Any = load(name)
    known = [p for p in signature(made).parameters if made.__init__ is not object.__init__]
    for option in options:
        if option not in known:
            raise ConfigError(f"{option} is not an option of format {name}. Options: {', '.join(known) or 'none'}.")
    report: Report = made(**options)
    return report


def write(name: str, data: RunData, path: Path | str, **options: Any) -> Path:
    """The file written: `path`, or the format's own file name inside it where `path` is a folder."""
    place = Path(path)
    if place.is_dir():
        place /= about(name).filename
    create(name, **options).write(data, place)
    return place


# file name endings, the longer first where one ends in another
ENDINGS = {
    ".mot.txt": "mot",
    ".coco.json": "coco",
    ".cvat.xml": "cvat",
    ".labelstudio.json": "labelstudio",
    ".csv": "appearances",
    ".html": "html",
    ".json": "json",
    ".xml": "xmeml",
    ".vtt": "vtt",
    ".png": "contact",
}


def format_of(path: Path | str) -> str:
    """The format a file name stands for: the exact name first, then the ending. ConfigError where none does."""
    name = Path(path).name.lower()
    for form, about in FORMATS.items():
        if name == about.filename:
            return form
    for ending, form in ENDINGS.items():
        if name.endswith(ending):
            return form
    for form, about in FORMATS.items():
        if not about.pictures and name.endswith(Path(about.filename).suffix) and Path(name).suffix not in ("", ".txt"):
            return form
    raise ConfigError(f"no format is known by the ending of {Path(path).name}. Name one: {', '.join(FORMATS)}.")
