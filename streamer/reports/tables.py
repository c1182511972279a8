"""CSV: faces, appearances, people. RFC 4180 with Unix line ends, UTF-8, text cells inert in spreadsheets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from streamer.items import DETECTED, Appearance
from streamer.reports.atomic import text, write_bytes
from streamer.reports.base import RunData, SourceEntry
from streamer.reports.escape import csv_text
from streamer.reports.timecode import Clock, clock

FACES = "source,frame,time_s,track,person,x1,y1,x2,y2,score,kind"
APPEARANCES = "source,person,name,start_s,end_s,duration_s,tc_in,tc_out,tracks,faces,score"
PEOPLE = "person,name,screen_time_s,first_s,last_s,appearances,tracks,thumbnail"
KINDS = ("tracked", "detected")


class FacesTable:
    """faces.csv: a row per face per decoded frame on which a track is alive. `person` is empty where unassigned."""

    def write(self, data: RunData, path: Path) -> None:
        cells: dict[str, str] = {}
        with text(path) as out:
            out.write(FACES + "\n")
            for source, frame, time, track, person, (x1, y1, x2, y2), score, kind in data.rows():
                if source not in cells:
                    cells[source] = csv_text(source)
                who = "" if person is None else person
                out.write(
                    f"{cells[source]},{frame},{time:.3f},{track},{who},{x1:.1f},{y1:.1f},{x2:.1f},{y2:.1f},"
                    f"{score:.3f},{KINDS[kind == DETECTED]}\n"
                )


class AppearancesTable:
    """appearances.csv: half-open stretches. `tracks` are numbers with blanks between, timecodes the source's own."""

    def write(self, data: RunData, path: Path) -> None:
        labels = {p.id: p.name for p in data.people}
        with text(path) as out:
            out.write(APPEARANCES + "\n")
            for line in _lines(data, data.appearances, labels):
                out.write(line)


def _lines(data: RunData, appearances: Iterable[Appearance], names: dict[int, str]) -> Iterable[str]:
    clocks: dict[str, tuple[SourceEntry, Clock]] = {}
    for a in appearances:
        if a.source not in clocks:
            source = data.source(a.source)
            clocks[a.source] = source, Clock.of(source.fps, source.start, source.start_timecode)
        tc_in, tc_out = timecodes(*clocks[a.source], a)
        yield (
            f"{csv_text(a.source)},{a.identity},{csv_text(names.get(a.identity, ''))},"
            f"{a.start:.3f},{a.end:.3f},{a.duration:.3f},{tc_in},{tc_out},"
            f"{' '.join(map(str, a.tracks))},{a.faces},{a.score:.3f}\n"
        )


def timecodes(source: SourceEntry, at: Clock, appearance: Appearance) -> tuple[str, str]:
    """In and out timecode, as `timecode` writes it."""
    return timecode(source, at, appearance.start), timecode(source, at, appearance.end)


def timecode(source: SourceEntry, at: Clock, seconds: float) -> str:
    """HH:MM:SS:FF; HH:MM:SS.mmm since the first frame where the rate is unknown or no timecode counts it.

    A camera has the time of day instead, ISO 8601 in UTC.
    """
    if source.live:
        return day(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if not source.fps or not at.rate.counted:
        return clock(seconds - source.start)
    return at.text(seconds)


def day(seconds: float) -> datetime:
    """The date and time in UTC of seconds since the epoch, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)


class PeopleTable:
    """people.csv, longest screen time first.

    With `thumbnails` the best face of everybody is written to `faces/person_<id>.jpg` beside the table, and the column
    `thumbnail` holds that path; without, or for somebody without a picture, it is empty.
    """

    def __init__(self, thumbnails: bool = True) -> None:
        self.thumbnails = thumbnails

    def write(self, data: RunData, path: Path) -> None:
        people = sorted(data.people, key=lambda p: (-p.screen_time, p.id))
        pictures = {p.id: f"faces/person_{p.id}.jpg" for p in people if p.thumbnail and self.thumbnails}
        for p in people:
            if p.id in pictures and p.thumbnail:
                write_bytes(path.parent / pictures[p.id], p.thumbnail)
        # nobody who was merged away or forgotten keeps a picture
        for old in (path.parent / "faces").glob("person_*.jpg"):
            if f"faces/{old.name}" not in pictures.values():
                old.unlink()
        with text(path) as out:
            out.write(PEOPLE + "\n")
            for p in people:
                _person(
                    out,
                    [p.id, csv_text(p.name), f"{p.screen_time:.3f}", f"{p.first:.3f}", f"{p.last:.3f}"],
                    [p.appearances, p.tracks, pictures.get(p.id, "")],
                )


def _person(out: IO[str], left: list[object], right: list[object]) -> None:
    out.write(",".join(map(str, left + right)) + "\n")
