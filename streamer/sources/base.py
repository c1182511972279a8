"""The contract of a frame source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from streamer.items import Frame, Gap


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source once it is open. `name` is what reports show (credentials taken out)."""

    name: str
    uri: str
    width: int
    height: int
    fps: float | None = None  # nominal; never used for time
    duration: float | None = None  # seconds
    frames: int | None = None  # as the container states it
    start: float = 0.0  # first presentation time
    live: bool = False
    codec: str = ""
    start_timecode: str | None = None
    streams: int = 1  # video streams of the file, cover pictures apart; one of them is read
    notes: tuple[str, ...] = ()  # e.g. "rotated by 90 degrees"


@dataclass(slots=True)
class SourceStats:
    """Filled while reading; read = given + dropped + failed."""

    read: int = 0
    given: int = 0
    failed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # partial input, damaged packets: a non-empty list = exit code 3


class Source(Protocol):
    """Iterate to get frames with strictly rising `time` and `index`. `close()` may be called at any time, twice.

    A bad path raises SourceError when opened; damage met on the way is recorded in `stats.warnings`, and what can be
    read is read.
    """

    @property
    def info(self) -> SourceInfo: ...
    @property
    def stats(self) -> SourceStats: ...
    def __iter__(self) -> Iterator[Frame]: ...
    def close(self) -> None: ...
