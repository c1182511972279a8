"""Reports read back: faces.csv, appearances.csv, RTTM and ELAN files as typed rows. Errors name file and line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from xml.etree import ElementTree

from streamer.items import DETECTED, TRACKED, Appearance
from streamer.reports.atomic import ReportError
from streamer.reports.base import FaceRow
from streamer.reports.escape import csv_original
from streamer.reports.tables import APPEARANCES, FACES

T = TypeVar("T")
LARGEST_EAF = 200 << 20  # bytes


class Labelled(NamedTuple):
    """Somebody, by whatever they are called, for [start, end) seconds of a source."""

    source: str
    label: str
    start: float
    end: float


def read_faces(path: Path | str) -> Iterator[FaceRow]:
    """The rows of a faces.csv, one at a time."""
    yield from _table(Path(path), FACES, _face)


def _face(cell: dict[str, str]) -> FaceRow:
    person = int(cell["person"]) if cell["person"] else None
    x1, y1, x2, y2 = (float(cell[k]) for k in ("x1", "y1", "x2", "y2"))
    kind = {"detected": DETECTED, "tracked": TRACKED}[cell["kind"]]
    return FaceRow(
        csv_original(cell["source"]),
        int(cell["frame"]),
        float(cell["time_s"]),
        int(cell["track"]),
        person,
        (x1, y1, x2, y2),
        float(cell["score"]),
        kind,
    )


def read_appearances(path: Path | str) -> list[tuple[Appearance, str]]:
    """(appearance, name) of an appearances.csv; the name is empty where there is none."""
    return list(_table(Path(path), APPEARANCES, _appearance))


def _appearance(cell: dict[str, str]) -> tuple[Appearance, str]:
    tracks = tuple(int(t) for t in cell["tracks"].split())
    start, end = float(cell["start_s"]), float(cell["end_s"])
    one = Appearance(
        csv_original(cell["source"]),
        int(cell["person"]),
        start,
        end,
        tracks,
        int(cell["faces"]),
        float(cell["score"]),
    )
    return one, csv_original(cell["name"])


def _table(path: Path, header: str, make: Callable[[dict[str, str]], T]) -> Iterator[T]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            missing = set(header.split(",")) - set(rows.fieldnames or ())
            if missing:
                raise ReportError(f"{path} has no column {', '.join(sorted(missing))}. Is it the right table?")
            for cells in rows:
                try:
                    yield make(cells)
                except (KeyError, TypeError, ValueError) as error:
                    raise ReportError(f"{path}, line {rows.line_num}: cannot read this row ({error}).") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReportError(f"cannot read {path}: {error}.") from error


def read_rttm(path: Path | str) -> list[Labelled]:
    """The SPEAKER lines of an RTTM file; comments (;;) and other types are passed over."""
    place, out = Path(path), []
    for number, line in enumerate(_text(place).splitlines(), 1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            start, length = float(fields[3]), float(fields[4])
            out.append(Labelled(fields[1], fields[7], start, start + length))
        except (IndexError, ValueError) as error:
            raise ReportError(f"{place}, line {number}: no RTTM line of 10 fields ({error}).") from error
    return out


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"cannot read {path}: {error}.") from error


def read_eaf(path: Path | str) -> list[Labelled]:
    """The time-aligned annotations of an ELAN file, ordered by start; the label is the tier, the source its media file.

    Times count from the start of the media file. A file with a document type is refused: entities in it could reach
    out.
    """
    place = Path(path)
    content = _text(place)
    if "<!DOCTYPE" in content or len(content) > LARGEST_EAF:
        raise ReportError(f"{place} is no plain ELAN file: it has a document type or is larger than 200 MB.")
    try:
        tree: Any = ElementTree.fromstring(content)  # noqa: S314 - no document type, so no entities
        times = {t.get("TIME_SLOT_ID"): float(t.get("TIME_VALUE")) / 1000 for t in tree.iter("TIME_SLOT")}
        media = next((m.get("MEDIA_URL") or "" for m in tree.iter("MEDIA_DESCRIPTOR")), "")
        source = media.rstrip("/").rsplit("/", 1)[-1]
        out = [
            Labelled(source, tier.get("TIER_ID"), times[a.get("TIME_SLOT_REF1")], times[a.get("TIME_SLOT_REF2")])
            for tier in tree.iter("TIER")
            for a in tier.iter("ALIGNABLE_ANNOTATION")
        ]
    except (ElementTree.ParseError, KeyError, TypeError, ValueError) as error:
        raise ReportError(f"{place} is no ELAN file: {error}.") from error
    return sorted(out, key=lambda r: (r.start, r.end, r.label))
