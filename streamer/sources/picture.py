"""A decoded frame that stays as the decoder made it until somebody looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from streamer.items import U8

LUMA_WIDTH = 160  # pixels: cut and motion tests lose nothing down to this width (0.014 ms at 160x90)
# 8-bit formats whose first plane is brightness, one byte per pixel
_PLANAR = frozenset(f"yuv{kind}{form}p" for kind in ("", "j", "a") for form in (420, 422, 444)) | {
    *("yuv440p", "yuv411p", "yuv410p", "nv12", "nv21", "nv16", "nv24", "gray"),
}

_EIGHT_BIT_420 = frozenset({"yuv420p", "yuvj420p"})  # what nearly all videos are


@dataclass(frozen=True, slots=True)
class Orientation:
    """How stored pixels become the displayed picture: first `flip` left-right, then `turns` quarter turns clockwise."""

    turns: int = 0
    flip: bool = False

    @property
    def sideways(self) -> bool:
        """Whether width and height change places."""
        return self.turns % 2 == 1

    @property
    def plain(self) -> bool:
        return self.turns == 0 and not self.flip

    def apply(self, array: U8) -> U8:
        """(h, w, ...) turned, as a view."""
        if self.flip:
            array = array[:, ::-1]
        return np.rot90(array, -self.turns) if self.turns else array

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Displayed (width, height) of stored (width, height), or the other way round."""
        return (height, width) if self.sideways else (width, height)


def orientation_of(matrix: bytes) -> Orientation:
    """The orientation a display matrix asks for: 9 native int32 in 16.16, rows (a, b, u), (c, d, v), (x, y, w).

    Stored (x, y) is shown at (a x + c y, b x + d y), y downwards; so a quarter turn clockwise is a=0 b=1 c=-1 d=0.
    The nearest quarter turn is taken; a negative determinant is a mirror image.
    """
    if len(matrix) < 36:
        return Orientation()
    a, b, _, c, d = np.frombuffer(matrix, np.int32, 5).astype(float) / 65536
    flip = a * d - b * c < 0
    if flip:  # the mirror comes first: it turns the sign of the x column
        a, b = -a, -b
    if not (a or b):
        return Orientation()
    return Orientation(round(np.degrees(np.arctan2(b, a)) / 90) % 4, bool(flip))


def converts(frame: Any) -> bool:
    """Whether the pixels of an av.VideoFrame can be had at all."""
    import av

    try:
        frame.reformat(width=16, height=16, format="bgr24", threads=1)
    except (av.FFmpegError, OSError, ValueError):
        return False
    return True


class VideoPicture:
    """The pixels of an av.VideoFrame in the displayed size and orientation, converted on demand.

    `width` and `height` are the displayed size: sample aspect applied, turned, and the size the source
    promised where the stream changes its own in the middle. `stored` is (width, height) of the source's first frame.
    """

    __slots__ = ("_frame", "_orientation", "_stored", "height", "width")

    def __init__(self, frame: Any, width: int, height: int, orientation: Orientation, stored: tuple[int, int]) -> None:
        self._frame, self._orientation, self._stored = frame, orientation, stored
        self.width, self.height = width, height

    @property
    def nbytes(self) -> int:
        """What the planes hold in memory."""
        return sum(p.buffer_size for p in self._frame.planes)

    def luma(self) -> U8:
        """(h, w) uint8 brightness of at most about 2 x 160 pixels across, the same size in all frames of a source.

        A strided view of the Y plane where the format has one of 8 bits, else a conversion.
        """
        frame = self._frame
        width, height = self._stored
        step = max(1, width // LUMA_WIDTH)
        if (frame.width, frame.height) == self._stored and frame.format.name in _PLANAR:
            plane = frame.planes[0]
            if (line := plane.line_size) > 0:  # bottom-up pictures have negative lines
                rows = np.frombuffer(plane, np.uint8, line * height).reshape(height, line)
                return self._orientation.apply(rows[::step, :width:step])
        return self._orientation.apply(self._converted(-(-width // step), -(-height // step), "gray"))

    def bgr(self) -> U8:
        """(height, width, 3) uint8 BGR."""
        return self.scaled(self.width, self.height)

    def scaled(self, width: int, height: int) -> U8:
        """(height, width, 3) uint8 BGR, scaled and converted in one step."""
        w, h = self._orientation.size(width, height)
        return np.ascontiguousarray(self._orientation.apply(self._converted(w, h, "bgr24")))

    def _converted(self, width: int, height: int, form: str) -> U8:
        # FAST_BILINEAR: 0.43 ms from 1080p to 640 wide with colour, BILINEAR 0.96. One sws thread: a second costs more
        # than it saves at these sizes, and several sources share the cores.
        frame = self._frame
        if form == "bgr24" and (width, height) != (frame.width, frame.height):
            frame = _resized(frame, width, height)
        frame = frame.reformat(width=width, height=height, format=form, interpolation="FAST_BILINEAR", threads=1)
        array: U8 = frame.to_ndarray()
        return array


def _resized(frame: Any, width: int, height: int) -> Any:
    """The frame in another size and the same format where its planes can be resized one by one, else the frame itself.

    Then the colours of fewer pixels are converted: 1280x720 to half 0.25 ms instead of 0.71 by FFmpeg in one step,
    448x960 to two thirds 0.61 instead of 1.47, 854x480 to three quarters the same 0.6.
    """
    import av
    import cv2

    if frame.format.name not in _EIGHT_BIT_420 or any(p.line_size <= 0 for p in frame.planes):
        return frame
    out = av.VideoFrame(width, height, frame.format.name)
    for source, target in zip(frame.planes, out.planes, strict=True):
        cv2.resize(_pixels(source), (target.width, target.height), dst=_pixels(target), interpolation=cv2.INTER_LINEAR)
    out.colorspace, out.color_range = frame.colorspace, frame.color_range
    return out


def _pixels(plane: Any) -> U8:
    """(h, w) view of a plane of bytes."""
    lines = np.frombuffer(plane, np.uint8, plane.line_size * plane.height)
    return lines.reshape(plane.height, plane.line_size)[:, : plane.width]
