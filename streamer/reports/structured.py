"""JSON and JSON lines: everything a run says, for programs. The schema travels with the package (`schema()`).

Seconds are floats with three decimals beside frame numbers at the stated rate, boxes are `[x, y, width, height]`,
stretches are half-open. Names are kept exactly, control characters included: JSON escapes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isinf
from pathlib import Path
from typing import Any

from streamer.items import DETECTED, Appearance
from streamer.reports.atomic import text
from streamer.reports.base import FaceRow, PersonEntry, RunData, SourceEntry, copresence
from streamer.reports.manifest import plain
from streamer.reports.tables import KINDS, timecodes
from streamer.reports.timecode import Clock

SCHEMA = "whowhen/1"


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the document."""
    found: dict[str, Any] = json.loads((Path(__file__).parent / "templates" / "whowhen-1.schema.json").read_text())
    return found


def _source(s: SourceEntry) -> dict[str, Any]:
    n, rate = s.not_seen, Clock.of(s.fps, s.start, s.start_timecode).rate.fps
    return {
        "name": s.name,
        "path": s.path,
        "width": s.width,
        "height": s.height,
        "rate": f"{rate.numerator}/{rate.denominator}" if s.fps else None,
        "duration": _seconds(s.duration),
        "frames": s.frames,
        "start": _seconds(s.start),
        "start_timecode": s.start_timecode,
        "live": s.live,
        "codec": s.codec,
        "cuts": [_seconds(c) for c in s.cuts],
        "strides": [{"start": _seconds(x.start), "end": _seconds(x.end), "every": _every(x.every)} for x in s.strides],
        "not_seen": {
            "gaps": [
                {"start": _seconds(g.start), "end": _seconds(g.end), "reason": g.reason, "frames": g.frames}
                for g in n.gaps
            ],
            "rejected": plain(n.rejected),
            "dropped": plain(n.dropped),
            "failed": n.failed,
            "unassigned": n.unassigned,
            "checked": n.checked,
            "found": n.found,
            "warnings": list(n.warnings),
        },
    }


def _every(frames: float) -> float | None:
    """Frames per look; null where the detector never looked."""
    return None if isinf(frames) else round(float(frames), 2)


def _person(p: PersonEntry) -> dict[str, Any]:
    return {
        "id": p.id,
        "name": p.name,
        "screen_time": _seconds(p.screen_time),
        "first": _seconds(p.first),
        "last": _seconds(p.last),
        "appearances": p.appearances,
        "tracks": p.tracks,
        "hidden": p.hidden,
        "unsure": p.unsure,
        "reason": p.reason,
    }


def _appearance(data: RunData, a: Appearance) -> dict[str, Any]:
    source = data.source(a.source)
    clock = Clock.of(source.fps, source.start, source.start_timecode)
    tc_in, tc_out = timecodes(source, clock, a)
    return {
        "source": a.source,
        "person": a.identity,
        "start": _seconds(a.start),
        "end": _seconds(a.end),
        "start_frame": clock.frame(a.start) if source.fps else None,
        "end_frame": clock.frame(a.end) if source.fps else None,
        "tc_in": tc_in,
        "tc_out": tc_out,
        "tracks": list(a.tracks),
        "faces": a.faces,
        "score": round(float(a.score), 3),
    }


def face(row: FaceRow) -> dict[str, Any]:
    """One row of faces.csv with its box as [x, y, width, height]."""
    x1, y1, x2, y2 = (float(v) for v in row.box)
    return {
        "source": row.source,
        "frame": row.frame,
        "time": _seconds(row.time),
        "track": row.track,
        "person": row.person,
        "box": [round(x1, 1), round(y1, 1), round(x2 - x1, 1), round(y2 - y1, 1)],
        "score": round(float(row.score), 3),
        "kind": KINDS[row.kind == DETECTED],
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)


def _pairs(data: RunData) -> list[dict[str, Any]]:
    pairs = data.copresence if data.copresence is not None else copresence(data.appearances)
    return [{"a": a, "b": b, "seconds": _seconds(s)} for (a, b), s in sorted(pairs.items())]


def _unsure(data: RunData) -> list[dict[str, Any]]:
    return [
        {"a": u.a, "b": u.b, "similarity": round(u.similarity, 4), "seconds": _seconds(u.seconds), "reason": u.reason}
        for u in data.unsure
    ]


def _dump(value: Any) -> str:
    return json.dumps(plain(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))


class JsonDocument:
    """One JSON object. With `faces`, the boxes of every frame too: large, written as a stream."""

    def __init__(self, faces: bool = False) -> None:
        self.faces = faces

    def write(self, data: RunData, path: Path) -> None:
        parts: dict[str, Iterator[Any]] = {
            "sources": (_source(s) for s in data.sources),
            "people": (_person(p) for p in data.people),
            "appearances": (_appearance(data, a) for a in data.appearances),
            "copresence": iter(_pairs(data)),
            "unsure": iter(_unsure(data)),
        }
        if self.faces:
            parts["faces"] = (face(r) for r in data.rows())
        with text(path) as out:
            out.write(f'{{"schema":"{SCHEMA}","title":{_dump(data.title)},"anonymous":{_dump(data.anonymous)}')
            for key, items in parts.items():
                out.write(f',\n"{key}":[')
                for i, item in enumerate(items):
                    out.write((",\n" if i else "\n") + _dump(item))
                out.write("]")
            out.write(f',\n"run":{_dump(data.manifest)}}}\n')


class JsonLines:
    """One JSON object a line, `type` says what: run, source, person, appearance, face (with `faces`)."""

    def __init__(self, faces: bool = True) -> None:
        self.faces = faces

    def write(self, data: RunData, path: Path) -> None:
        with text(path) as out:
            for kind, item in self._items(data):
                out.write(_dump({"type": kind, **item}) + "\n")

    def _items(self, data: RunData) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "run", {"schema": SCHEMA, "title": data.title, "anonymous": data.anonymous, "run": plain(data.manifest)}
        yield from (("source", _source(s)) for s in data.sources)
        yield from (("person", _person(p)) for p in data.people)
        yield from (("appearance", _appearance(data, a)) for a in data.appearances)
        if self.faces:
            yield from (("face", face(r)) for r in data.rows())
