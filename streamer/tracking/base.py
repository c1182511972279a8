"""Contracts of the tracking room.

How a stage uses them, for every decoded frame in this order:

    cut = shots.is_cut(frame)
    ended = tracker.cut() if cut else []
    if stride.due(frame, cut, tracker.following()):
        part = stride.part(frame, cut, tracker.following(), across)  # only for detectors that take parts
        faces = detector.detect_pictures(...)[0] if part is None else detector.detect_part(...)
        ended += tracker.update(frame, faces)
        for row in tracker.wanted(hopes):      # hopes: quality each face may reach at best, from size, pose and score
            tracker.keep(row, sample)          # only now is the face cut out and its sharpness measured
    else:
        ended += tracker.update(frame, None)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from streamer.items import F32, F64, I64, Faces, FaceSample, Frame, Region, Track


@dataclass(frozen=True, slots=True)
class Following:
    """The tracks a tracker follows since the last look of the detector, as columns of equal length m, oldest first."""

    numbers: I64  # (m,)
    boxes: F32  # (m, 4) where each was at the last look: found, or predicted
    speeds: F32  # (m,) face widths per second
    detections: I64  # (m,) how often the detector found each
    seen: F64  # (m,) time of the last detection
    born: int = 0  # tracks begun at the last look
    lost: int = 0  # tracks found at the look before the last and not at the last
    lives: tuple[int, ...] = ()  # detections of the tracks that ended most recently

    def __len__(self) -> int:
        return len(self.numbers)

    @classmethod
    def nothing(cls, born: int = 0, lost: int = 0, lives: tuple[int, ...] = ()) -> Following:
        """No track is open."""
        zero = np.zeros(0, np.int64)
        none = np.zeros(0, np.float32)
        return cls(zero, np.zeros((0, 4), np.float32), none, zero, np.zeros(0), born, lost, lives)


class ShotDetector(Protocol):
    """`is_cut(frame)` is asked for every decoded frame, in order; True means a new shot begins with this frame."""

    def is_cut(self, frame: Frame) -> bool: ...


class Stride(Protocol):
    """`due(frame, cut, following)` is asked for every decoded frame, in order; True means: detect here, in `part`."""

    def due(self, frame: Frame, cut: bool, following: Following) -> bool: ...
    def part(self, frame: Frame, cut: bool, following: Following, across: int) -> Region | None:
        """What to look at in a frame that is due; None: all of it. `across`: its width in the network."""
        ...


class Tracker(Protocol):
    """Follows faces of one source. Every decoded frame is told, with faces where the detector looked and None where
    it did not.

    `update` returns the tracks that ended with it (rows filled in for every frame they were alive in), `cut` closes
    all of them at a shot boundary before the new frame, `flush` at the end of the source. A track keeps its number
    from its first detection on; numbers of tracks that never counted are left out, and `rejected` counts their faces.
    """

    rejected: dict[str, int]

    def update(self, frame: Frame, faces: Faces | None) -> list[Track]: ...
    def cut(self) -> list[Track]: ...
    def flush(self) -> list[Track]: ...

    def following(self) -> Following:
        """What is followed after the last `update`; cheap enough to ask for with every frame."""
        ...

    def wanted(self, hopes: ArrayLike) -> I64:
        """Rows of the last update's faces worth cutting out; `hopes` (n,) is the quality each could have at best."""
        ...

    def keep(self, row: int, sample: FaceSample) -> None:
        """Hands over the look at face `row` of the last update; its track keeps it if it is among its best."""
        ...

    def present(self, time: float) -> list[tuple[int, tuple[float, float, float, float], float]]:
        """(number, box, score) of who is followed right now, predicted to `time`: for live views."""
        ...

    def snapshot(self) -> list[Track]:
        """The open tracks as they stand, `open=True`: for live views."""
        ...
