"""Boxes, names and mosaics in pictures (h, w, 3) uint8 BGR."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from streamer.items import U8
from streamer.reports.escape import one_line

# Okabe and Ito's colour-blind palette without black, as BGR
PALETTE = (
    (178, 114, 0),
    (0, 159, 230),
    (115, 158, 0),
    (167, 121, 204),
    (233, 180, 86),
    (0, 94, 213),
    (66, 228, 240),
)
GREY = (150, 150, 150)


def ascii_name(name: str, number: int) -> str:
    """What OpenCV's built-in letters can draw: accents dropped; a name in another script is "Person 7".

    >>> ascii_name("Zoë", 1), ascii_name("李雷", 7)
    ('Zoe', 'Person 7')
    """
    wanted = one_line(name)
    plain = unicodedata.normalize("NFKD", wanted).encode("ascii", "ignore").decode().strip()
    letters = sum(c.isalnum() for c in wanted)
    return plain if plain and sum(c.isalnum() for c in plain) >= letters else f"Person {number}"


def named_box(image: U8, box: Sequence[float], name: str, colour: tuple[int, int, int], solid: bool = True) -> None:
    """Draw a frame with a name above it into `image`; thin where not `solid` (followed, not detected)."""
    import cv2

    height, width = image.shape[:2]
    thick = max(1, round(min(height, width) / 300)) if solid else 1
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    cv2.rectangle(image, (x1, y1), (x2, y2), colour, thick, cv2.LINE_AA)
    if not name:
        return
    size = max(0.4, min(height, width) / 900)
    (w, h), low = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    left = min(max(0, x1), max(0, width - w - 6))
    top = y1 - h - low - 4 if y1 - h - low - 4 >= 0 else min(y2, height - h - low - 4)
    cv2.rectangle(image, (left, top), (left + w + 6, top + h + low + 4), colour, -1)
    bright = 0.11 * colour[0] + 0.59 * colour[1] + 0.3 * colour[2] > 140
    ink = (20, 20, 20) if bright else (255, 255, 255)
    cv2.putText(image, name, (left + 3, top + h + 2), cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1, cv2.LINE_AA)


def hide(image: U8, box: Sequence[float], cells: int = 4, grow: float = 0.2) -> None:
    """Make what is inside a box, grown by `grow` of its size on every side, unrecoverable.

    `cells` x `cells` mean colours, cut to 32 levels and smoothed: 48 numbers are left of a face. `cells` 0 paints it
    grey.
    """
    import cv2

    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(v) for v in box)
    dx, dy = (x2 - x1) * grow, (y2 - y1) * grow
    left, top = max(0, int(x1 - dx)), max(0, int(y1 - dy))
    right, low = min(width, int(x2 + dx + 1)), min(height, int(y2 + dy + 1))
    if right <= left or low <= top:
        return
    part = image[top:low, left:right]
    if cells <= 0:
        part[:] = 128
        return
    few = cv2.resize(part, (cells, cells), interpolation=cv2.INTER_AREA) & 0xF8 | 4
    part[:] = cv2.resize(few, (right - left, low - top), interpolation=cv2.INTER_CUBIC)
