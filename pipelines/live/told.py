"""What everybody has been told, kept beside the reports: what changes between two runs is told when the next begins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from streamer.presence import Notice, Stay
from streamer.reports.atomic import ReportError, text
from streamer.watching import Part

NAME = "told.jsonl"
LARGEST = 20_000_000  # bytes, 40,000 notices, at which the file is written anew from what still counts
KNOWN = {f.name for f in fields(Stay)}


@dataclass(slots=True)
class Past:
    """Stays told by earlier runs, their tracks by camera as they are now, and the clusterer's labels of these."""

    told: list[Stay] = field(default_factory=list)
    parts: dict[str, list[Part]] = field(default_factory=dict)
    labels: Mapping[int, int | None] = field(default_factory=dict)


class ToldLog:
    """A file of stays as they were told last; a line is written before anybody hears of it, the last of an id counts.

    Opened for every line, as erasing a person replaces the file. A disk that is full costs only the corrections between
    two runs: `say` tells of it once.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path, self._say = path, say
        self._failed = False

    def read(self, since: float) -> list[Stay]:
        """The stays that had not ended before `since`, by start. Half a line of a killed run, and lines somebody else
        wrote, are passed over."""
        try:
            lines = self.path.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return []
        found: dict[str, Stay] = {}
        for line in lines:
            told = _parsed(line)
            if told is not None:
                stay, gone = told
                found.pop(stay.id, None) if gone else found.__setitem__(stay.id, stay)
        return sorted((s for s in found.values() if s.end is None or s.end >= since), key=lambda s: (s.start, s.id))

    def keep(self, notices: Sequence[Notice], now: Callable[[], Sequence[Stay]]) -> None:
        """Appends what these notices say; `now` gives all that still counts."""
        lines = [_line(n.stay, gone=n.type == "retract") for n in notices if n.stay is not None]
        try:
            if lines and self._append(lines) > LARGEST:
                self.rewrite(now())
        except (OSError, ReportError) as error:
            if not self._failed:
                why = getattr(error.__cause__ or error, "strerror", error)
                self._say(f"{self.path} cannot be written ({why}): what changes until the next run is not told.")
            self._failed = True

    def rewrite(self, stays: Sequence[Stay]) -> None:
        """The file with these stays alone."""
        with text(self.path) as file:
            file.writelines(_line(s, gone=False) for s in stays)

    def _append(self, lines: Sequence[str]) -> int:
        with open(
            os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "a", encoding="utf-8"
        ) as f:
            f.writelines(lines)
            return f.tell()


def past(told: list[Stay], library: Any) -> Past:
    """What the library holds now of the tracks in these stays, and of the tracks that came after the first of them."""
    if not told:
        return Past()
    members = {number: s for s in told for number in s.tracks}
    cameras, since = {s.camera for s in told}, min(s.start for s in told)
    period = {s.name: s.period for s in library.store.sources()}
    parts: dict[str, list[Part]] = {}
    for t in library.store.tracks():
        stay = members.get(t.id)
        if stay is not None or (t.source in cameras and t.start >= since):
            looks = (1.0, 1.0) if stay is not None else (0.0, 0.0)
            box = (stay.box if stay is not None else None) or (0.0, 0.0, 0.0, 0.0)
            last = t.end - period.get(t.source, 0.0)
            parts.setdefault(t.source, []).append(Part(t.id, t.start, last, t.end, t.count, t.score, box, looks))
    return Past(told, parts, library.store.labels())


def epoch_of(stay: Stay) -> int:
    """Of the run that told it first."""
    number = stay.id.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _line(stay: Stay, *, gone: bool) -> str:
    return json.dumps(asdict(stay) | ({"gone": True} if gone else {}), separators=(",", ":")) + "\n"


def _parsed(line: str) -> tuple[Stay, bool] | None:
    try:
        told = json.loads(line)
        gone = bool(told.pop("gone", False))
        box = told.get("box")
        told |= {"tracks": tuple(told["tracks"]), "box": None if box is None else tuple(box)}
        return (Stay(**told), gone) if set(told) == KNOWN else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
