"""Reports: what a run or a library says, in the formats people already use. `write("html", data, path)`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from streamer.errors import ConfigError
from streamer.reports.base import Report, RunData


@dataclass(frozen=True, slots=True)
class Format:
    """Where a format is written ("module:Class"), what its file is called, and what it is for."""

    target: str
    filename: str
    about: str
    pictures: bool = False  # needs the frames of the video: option `frames`


FORMATS: dict[str, Format] = {
    "faces": Format("streamer.reports.tables:FacesTable", "faces.csv", "a row per face and frame"),
    "appearances": Format("streamer.reports.tables:AppearancesTable", "appearances.csv", "who, from when to when"),
    "people": Format("streamer.reports.tables:PeopleTable", "people.csv", "people with screen time"),
    "run": Format("streamer.reports.manifest:Manifest", "run.json", "versions, settings, counts, seconds"),
    "html": Format("streamer.reports.html:HtmlReport", "report.html", "the report to look at, one file"),
}


def create(name: str, **options: Any) -> Report:
    """The report of a registered name, or of "my_package.module:Class". ConfigError for unknown names and options."""
    target = FORMATS[name].target if name in FORMATS else name
    module, _, cls = target.partition(":")
    if not cls:
        raise ConfigError(f"{name} is not a format. Formats: {', '.join(FORMATS)}.")
    try:
        report: Report = getattr(import_module(module), cls)(**options)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"format {name} cannot be loaded: {error}.") from error
    except TypeError as error:
        raise ConfigError(f"format {name}: {error}.") from error
    return report


def write(name: str, data: RunData, path: Path | str, **options: Any) -> Path:
    """The file written: `path`, or the format's own file name inside it where `path` is a folder."""
    place = Path(path)
    if place.is_dir() and name in FORMATS:
        place /= FORMATS[name].filename
    create(name, **options).write(data, place)
    return place


def format_of(path: Path | str) -> str:
    """The format a file name stands for: the exact name first, then the suffix. ConfigError where none does."""
    place = Path(path)
    for name, form in FORMATS.items():
        if place.name == form.filename:
            return name
    for name, form in FORMATS.items():
        if place.suffix.lower() == Path(form.filename).suffix and not form.pictures:
            return name
    raise ConfigError(
        f"{place.name}: no format has the suffix {place.suffix!r}. Name the format: {', '.join(FORMATS)}."
    )
