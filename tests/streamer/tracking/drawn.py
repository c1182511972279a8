"""Frames and faces without a model or a video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from streamer.items import U8, ArrayPicture, Faces, FaceSample, Frame, Track
from streamer.tracking.base import Tracker

BLACK = np.zeros((90, 160, 3), np.uint8)
CROP = np.zeros((2, 2, 3), np.uint8)


def frame(index: int, fps: float = 25.0, image: U8 = BLACK, time: float | None = None, epoch: int = 0) -> Frame:
    at = index / fps if time is None else time
    return Frame("clip.mp4", index, at, image.shape[1], image.shape[0], ArrayPicture(image), epoch)


def faces(*boxes: Sequence[float], scores: Sequence[float] | None = None) -> Faces:
    n = len(boxes)
    landmarks = np.full((n, 5, 2), np.nan, np.float32)
    chosen = np.full(n, 0.8, np.float32) if scores is None else np.array(scores, np.float32)
    return Faces(np.array(boxes, np.float32).reshape(-1, 4), chosen, landmarks)


def square(x: float, y: float, side: float = 40.0) -> tuple[float, float, float, float]:
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def sample(time: float, quality: float = 0.5, yaw: float = 0.0) -> FaceSample:
    return FaceSample(round(time * 25), time, (0, 0, 40, 40), 0.8, CROP, quality, (yaw, 0.0, 0.0))


def follow(tracker: Tracker, script: Callable[[int], Faces | None], frames: Iterable[int]) -> list[Track]:
    """All tracks of a clip at 25 frames a second whose faces `script` gives, None where the detector does not look."""
    ended = []
    for index in frames:
        ended += tracker.update(frame(index), script(index))
    return ended + tracker.flush()
