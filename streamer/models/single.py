"""Detectors that look at one picture at a time, made smaller to a longest side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from streamer.items import U8, ArrayPicture, Faces, Picture


class SinglePicture(ABC):
    """What such a detector has in common. A subclass sets `long_side`, in pixels."""

    long_side: int

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """(w, h) that is searched: a frame is made smaller to `long_side`, never larger."""
        scale = min(1.0, self.long_side / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def detect(self, images: Sequence[U8]) -> list[Faces]:
        """The faces of each image, best score first, in its own pixels."""
        sizes = [(i.shape[1], i.shape[0]) for i in images]
        return self.detect_pictures([ArrayPicture(i) for i in images], sizes)

    def detect_pictures(self, pictures: Sequence[Picture], sizes: Sequence[tuple[int, int]]) -> list[Faces]:
        """The faces of each picture in pixels of its displayed (w, h)."""
        return [self._one(p, *size) for p, size in zip(pictures, sizes, strict=True)]

    def _one(self, picture: Picture, width: int, height: int) -> Faces:
        w, h = self.input_size(width, height)
        found = self._find(picture.scaled(w, h))
        if not len(found):
            return found
        scale = np.array([width / w, height / h], np.float32)
        return Faces(found.boxes * np.tile(scale, 2), found.scores, found.landmarks * scale)

    @abstractmethod
    def _find(self, image: U8) -> Faces:
        """The faces of a BGR picture (h, w, 3) uint8 in its pixels, best score first."""
