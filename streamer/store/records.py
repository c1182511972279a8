"""What a store gives back: plain frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from streamer.pages import Pages


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One video, camera or enrolment. `period` is the seconds one frame lasts, `position` how far it was read."""

    id: int
    name: str
    path: str
    hash: str
    config: str
    kind: str  # file | live | enrolled
    info: Mapping[str, Any]
    period: float
    status: str  # running | done | partial
    position: float | None
    stats: Mapping[str, Any]
    manifest: Mapping[str, Any]
    began: str
    ended: str | None


class TrackRecord(NamedTuple):
    """A track without its rows. `end` is half-open: the time of its last frame plus one frame period."""

    id: int
    source: str
    start: float
    end: float
    count: int  # type: ignore[assignment]
    score: float
    quality: float
    shot: int
    first_frame: int
    last_frame: int


class SampleRecord(NamedTuple):
    """One of a track's best faces, without vector and pictures."""

    track: int
    number: int
    frame: int
    time: float
    box: tuple[float, float, float, float]
    score: float
    quality: float
    pose: tuple[float, float, float]


def sample_of(row: tuple[Any, ...]) -> SampleRecord:
    """The record of a row of table `samples`."""
    track, number, frame, time, x1, y1, x2, y2, score, quality, yaw, pitch, roll = row
    return SampleRecord(track, number, frame, time, (x1, y1, x2, y2), score, quality, (yaw, pitch, roll))


class RowRecord(NamedTuple):
    """One track in one frame."""

    frame: int
    time: float
    track: int
    box: tuple[float, float, float, float]
    score: float
    kind: int


class DecisionRecord(NamedTuple):
    """One entry of the ledger as stored."""

    id: int
    who: str
    at: str
    kind: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The clusterer's state after event `seq` and track `track`."""

    seq: int
    track: int
    model: str
    state: Pages
