"""Contracts of the tracking room."""

from __future__ import annotations

from typing import Protocol

from streamer.items import Faces, Frame, Track


class ShotDetector(Protocol):
    """`is_cut(frame)` is asked for every decoded frame, in order; True means a new shot begins with this frame."""

    def is_cut(self, frame: Frame) -> bool: ...


class Tracker(Protocol):
    """Follows faces. Every decoded frame is told, with faces where the detector looked and None where it did not.

    `update` returns the tracks that ended with it (rows filled in for every frame they were alive in), `cut` closes
    all of them at a shot boundary before the new frame, `flush` at the end of the source.
    """

    def update(self, frame: Frame, faces: Faces | None) -> list[Track]: ...
    def cut(self) -> list[Track]: ...
    def flush(self) -> list[Track]: ...
