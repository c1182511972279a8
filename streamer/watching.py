"""What a live run tells those who watch it: faces as they are followed, tracks that ended, identities, gaps, health.

Times are seconds since the epoch (UTC). Everything is told from one thread, in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from streamer.items import Event, Frame, Gap

CONNECTING, LIVE, STALLED, DOWN, STOPPED = "connecting", "live", "stalled", "down", "stopped"


# false faces of MTCNN, of 11 labelled videos: 0.984 at most, and only one look of each reached its `certain` of 0.95
SATURATED = 0.999


@dataclass(frozen=True, slots=True)
class Seen:
    """One followed face in one processed live frame."""

    track: int  # number of the open track, unique in the run: the one that `ended` and its events will name
    box: tuple[float, float, float, float]  # pixels of the displayed frame
    score: float
    identity: int | None  # provisional identity as of now, aliases resolved; None = not yet known


def best_looks(looks: tuple[float, float], score: float) -> tuple[float, float]:
    """The best scores of two different looks, after one more. Between two looks a score repeats, and counts once; from
    `SATURATED` on it may be two looks' alike."""
    best, second = looks
    if score in looks and score < SATURATED:
        return looks
    return (score, best) if score > best else (best, max(second, score))


@dataclass(frozen=True, slots=True)
class Part:
    """A track that is over, as the library holds it, or a part of it that turned out to be somebody else."""

    track: int
    start: float
    last: float  # of its frames
    end: float  # half-open: one frame after the last
    faces: int
    score: float  # detector confidence and box (pixels) of the last
    box: tuple[float, float, float, float]
    looks: tuple[float, float] = (1.0, 1.0)  # the best confidences of two different looks


@dataclass(frozen=True, slots=True)
class Health:
    """How one camera is doing. `since` is when `state` began; `frame_age` is seconds from arrival to pick-up."""

    camera: str
    state: str  # connecting | live | stalled | down | stopped
    since: float
    epoch: int = 0  # connection number, from 1
    fps: float = 0.0  # processed frames a second, over the last seconds
    frame_age: float = 0.0
    read: int = 0
    processed: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)  # frames by reason; read = processed + dropped + waiting
    reconnects: int = 0
    message: str = ""  # why it is not live; without credentials


class Observer(Protocol):
    """Watches a live run. Told from one thread, in order; must not block (bounded queues of its own)."""

    def frame(self, camera: str, time: float, frame: Frame, seen: Sequence[Seen]) -> None:
        """A frame was processed; `time` is its wall clock."""
        ...

    def ended(self, camera: str, track: int, end: float) -> None:
        """A track is over; `end` is its last real frame."""
        ...

    def kept(self, camera: str, parts: Sequence[Part]) -> None:
        """A track that ended is in the library, in several parts where it was several people's: the first bears its
        number, the others are told here first. Their identities follow."""
        ...

    def identities(self, events: Sequence[Event]) -> None:
        """The clusterer's events (Assigned, Merged, Split, Dissolved) in order of `seq`."""
        ...

    def gap(self, camera: str, gap: Gap) -> None:
        """A stretch of a camera that was not seen."""
        ...

    def health(self, health: Health) -> None:
        """A camera's state changed, or a few seconds have passed."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...
