"""OpenTimelineIO (.otio, Timeline.1), written as the JSON it is: one clip with markers, or a track per person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamer.errors import ConfigError
from streamer.intervals import join
from streamer.reports.atomic import text
from streamer.reports.base import RunData, SourceEntry, by_person
from streamer.reports.editing import clock_of, frames
from streamer.reports.escape import one_line
from streamer.reports.layout import span
from streamer.reports.markup import address
from streamer.reports.timecode import Clock

COLOURS = ("BLUE", "YELLOW", "GREEN", "PINK", "CYAN", "RED", "PURPLE", "ORANGE", "MAGENTA")


class Otio:
    """people.otio. `layout` "markers" puts a marker per appearance on one clip; "tracks" cuts a track per person."""

    def __init__(self, layout: str = "markers", start_timecode: str | None = None) -> None:
        if layout not in ("markers", "tracks"):
            raise ConfigError(f"otio layout {layout!r} is neither markers nor tracks.")
        self.layout, self.start_timecode = layout, start_timecode

    def write(self, data: RunData, path: Path) -> None:
        source = data.only_source("OTIO")
        clock = clock_of(source, self.start_timecode)
        tracks = [_marked(data, source, clock)] if self.layout == "markers" else _cut(data, source, clock)
        timeline = {
            "OTIO_SCHEMA": "Timeline.1",
            "metadata": {},
            "name": one_line(data.title),
            "global_start_time": _time(clock.first, clock),
            "tracks": {
                "OTIO_SCHEMA": "Stack.1",
                "metadata": {},
                "name": "tracks",
                "source_range": None,
                "effects": [],
                "markers": [],
                "children": tracks,
            },
        }
        with text(path) as out:
            json.dump(timeline, out, indent=1, ensure_ascii=True)
            out.write("\n")


def _time(frame: int, clock: Clock) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(clock.rate.fps), "value": float(frame)}


def _range(first: int, length: int, clock: Clock) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "TimeRange.1", "start_time": _time(first, clock), "duration": _time(length, clock)}


def _clip(name: str, first: int, length: int, media: dict[str, Any], clock: Clock) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "Clip.2",
        "metadata": {},
        "name": one_line(name),
        "source_range": _range(clock.first + first, length, clock),
        "effects": [],
        "markers": [],
        "media_references": {"DEFAULT_MEDIA": media},
        "active_media_reference_key": "DEFAULT_MEDIA",
    }


def _media(source: SourceEntry, length: int, clock: Clock) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "ExternalReference.1",
        "metadata": {},
        "name": one_line(source.name),
        "available_range": _range(clock.first, length, clock),
        "available_image_bounds": None,
        "target_url": address(source.path or source.name),
    }


def _track(name: str, children: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "Track.1",
        "metadata": {},
        "name": one_line(name),
        "kind": "Video",
        "source_range": None,
        "effects": [],
        "markers": [],
        "children": children,
    }


def _whole(data: RunData, source: SourceEntry, clock: Clock) -> int:
    return max(1, source.frames or 0, clock.frame(span(source, data.appearances)[1]))


def _marked(data: RunData, source: SourceEntry, clock: Clock) -> dict[str, Any]:
    length, labels = _whole(data, source, clock), data.labels()
    clip = _clip(source.name, 0, length, _media(source, length, clock), clock)
    people = sorted(labels)
    for a in data.shown_appearances():
        first, last = frames(clock, a)
        clip["markers"].append(
            {
                "OTIO_SCHEMA": "Marker.2",
                "metadata": {"whowhen": {"person": a.identity, "score": round(float(a.score), 3)}},
                "name": one_line(labels[a.identity]),
                "color": COLOURS[people.index(a.identity) % len(COLOURS)],
                "comment": "",
                "marked_range": _range(clock.first + first, last - first, clock),
            }
        )
    return _track("video", [clip])


def _cut(data: RunData, source: SourceEntry, clock: Clock) -> list[dict[str, Any]]:
    """A track per person: gaps where away, clips of the source where seen."""
    length, labels, out = _whole(data, source, clock), data.labels(), []
    for person, mine in sorted(by_person(data.shown_appearances()).items()):
        at, children = 0, []
        for low, high in join((float(f), float(t)) for f, t in (frames(clock, a) for a in mine)):
            if low > at:
                children.append(_gap(int(low) - at, clock))
            children.append(_clip(labels[person], int(low), int(high - low), _media(source, length, clock), clock))
            at = int(high)
        out.append(_track(labels[person], children))
    return out


def _gap(length: int, clock: Clock) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "Gap.1",
        "metadata": {},
        "name": "",
        "source_range": _range(0, length, clock),
        "effects": [],
        "markers": [],
    }
