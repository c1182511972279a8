"""Cutting the part of a frame a detector is to look at, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamer.items import F32, U8, Faces, Region

EDGE = 0.04  # of the face's size: a box this near to the edge of a part is half of a face


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece of `size` pixels lies: displayed x = x * scale + shift. `open` sides are no edges of the frame."""

    scale: F32  # (2,)
    shift: F32  # (2,)
    size: tuple[int, int]  # width, height
    open: tuple[bool, bool, bool, bool]  # left, top, right, bottom

    def back(self, faces: Faces) -> Faces:
        """The faces in displayed pixels, without those an open side cuts."""
        if not len(faces):
            return faces
        b = faces.boxes
        slack = EDGE * (b[:, 2:] - b[:, :2])
        over = np.concatenate([b[:, :2] < slack, b[:, 2:] > np.array(self.size, np.float32) - slack], 1)
        whole = ~(over & np.array(self.open)).any(1)
        faces = faces.take(whole)
        scale, shift = self.scale, self.shift
        return Faces(faces.boxes * np.tile(scale, 2) + np.tile(shift, 2), faces.scores, faces.landmarks * scale + shift)


def cut_part(image: U8, part: Region, size: tuple[int, int], multiple: int = 1) -> tuple[U8, Place]:
    """The piece of `image` (the frame of displayed `size` at the network's scale) that shows a part, and its place.

    Its sides grow to whole multiples where the frame has the pixels: what would be padding shows something.
    """
    import cv2

    height, width = image.shape[:2]
    across, down = width / size[0], height / size[1]
    x1, y1, x2, y2 = part.box
    left, wide, fine_w = _stretch(x1 * across, x2 * across, width, part.shrink, multiple)
    top, high, fine_h = _stretch(y1 * down, y2 * down, height, part.shrink, multiple)
    piece = image[top : top + high, left : left + wide]
    if (wide, high) != (fine_w, fine_h):
        piece = cv2.resize(piece, (fine_w, fine_h), interpolation=cv2.INTER_AREA)
    scale = np.array([wide / fine_w / across, high / fine_h / down], np.float32)
    shift = np.array([left / across, top / down], np.float32)
    return piece, Place(scale, shift, (fine_w, fine_h), (left > 0, top > 0, left + wide < width, top + high < height))


def _stretch(low: float, high: float, limit: int, shrink: float, multiple: int) -> tuple[int, int, int]:
    """Start and length of low..high in pixels of the frame, and the length it is shrunk to."""
    fine = min(-(-max(1, round((high - low) * shrink)) // multiple) * multiple, max(1, round(limit * shrink)))
    length = min(limit, round(fine / shrink))
    start = min(max(0, round((low + high - length) / 2)), limit - length)
    return start, length, fine
