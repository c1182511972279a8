"""WebVTT and SRT: who is in the picture, as captions; WebVTT metadata with boxes, for web players.

Times count from the first frame, because that is where players start a file whose first time stamp is not 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from streamer.items import Appearance
from streamer.reports.atomic import text
from streamer.reports.base import FaceRow, RunData, SourceEntry
from streamer.reports.escape import one_line
from streamer.reports.timecode import clock

Cue = tuple[float, float, list[int]]


def cues(appearances: list[Appearance], group: bool) -> Iterator[Cue]:
    """(start, end, people): one per appearance, or with `group` one per change of who is there. Ascending."""
    if not group:
        yield from ((a.start, a.end, [a.identity]) for a in sorted(appearances, key=lambda a: (a.start, a.identity)))
        return
    edges = sorted({t for a in appearances for t in (a.start, a.end)})
    for start, end in pairwise(edges):
        there = sorted({a.identity for a in appearances if a.start <= start and a.end >= end})
        if there:
            yield start, end, there


def _escaped(name: str) -> str:
    return one_line(name).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class WebVtt:
    """people.vtt: `<v Name>Name`, a cue per appearance; with `group` a cue per change of who is there."""

    def __init__(self, group: bool = False) -> None:
        self.group = group

    def write(self, data: RunData, path: Path) -> None:
        source, labels = data.only_source("WebVTT"), data.labels()
        with text(path) as out:
            out.write("WEBVTT\n")
            for n, (start, end, there) in enumerate(cues(data.shown_appearances(), self.group), 1):
                lines = "\n".join(f"<v {_escaped(labels[p])}>{_escaped(labels[p])}" for p in there)
                out.write(f"\n{n}\n{clock(start - source.start)} --> {clock(end - source.start)}\n{lines}\n")


class Srt:
    """people.srt, CRLF. SRT has no escapes: marks that players take for tags become look-alikes."""

    LOOKALIKE = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})

    def __init__(self, group: bool = False) -> None:
        self.group = group

    def write(self, data: RunData, path: Path) -> None:
        source, labels = data.only_source("SRT"), data.labels()
        with text(path) as out:
            for n, (start, end, there) in enumerate(cues(data.shown_appearances(), self.group), 1):
                lines = "\r\n".join(one_line(labels[p]).translate(self.LOOKALIKE) for p in there)
                times = f"{clock(start - source.start)} --> {clock(end - source.start)}".replace(".", ",")
                out.write(f"{n}\r\n{times}\r\n{lines}\r\n\r\n")


class WebVttMetadata:
    """faces.vtt: a cue of JSON per look at the picture, `{"faces": [{"person", "name", "track", "box": [x, y, w,
    h]}]}`.

    `every` seconds at most one cue, which stays until the next; 0 means every frame.
    """

    def __init__(self, every: float = 0.2) -> None:
        self.every = every

    def write(self, data: RunData, path: Path) -> None:
        source, labels = data.only_source("WebVTT"), data.labels()
        with text(path) as out:
            out.write("WEBVTT\n")
            for n, (start, end, rows) in enumerate(self._looks(data, source), 1):
                body = json.dumps({"faces": [_box(r, labels) for r in rows]}, separators=(",", ":"))
                body = body.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
                out.write(f"\n{n}\n{clock(start - source.start)} --> {clock(end - source.start)}\n{body}\n")

    def _looks(self, data: RunData, source: SourceEntry) -> Iterator[tuple[float, float, list[FaceRow]]]:
        """(from, to, rows of one frame). A frame after a pause does not stretch the cue before it."""
        longest = max(self.every, 1.5 / (source.fps or 25.0))
        held: list[FaceRow] = []
        for frame in _frames(data):
            at = frame[0].time
            if held and at - held[0].time < self.every - 1e-6:
                continue
            if held:
                yield held[0].time, min(at, held[0].time + longest), held
            held = frame
        if held:
            yield held[0].time, held[0].time + longest, held


def _frames(data: RunData) -> Iterator[list[FaceRow]]:
    held: list[FaceRow] = []
    for row in data.rows():
        if held and held[0].frame != row.frame:
            yield held
            held = []
        held.append(row)
    if held:
        yield held


def _box(row: FaceRow, labels: dict[int, str]) -> dict[str, object]:
    x1, y1, x2, y2 = (float(v) for v in row.box)
    name = one_line(labels.get(row.person, "")) if row.person is not None else ""
    box = [round(v, 1) for v in (x1, y1, x2 - x1, y2 - y1)]
    return {"person": row.person, "name": name, "track": row.track, "box": box}
