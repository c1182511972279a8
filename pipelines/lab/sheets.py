"""Sheets of pictures with captions, for looking at things side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamer.items import U8

GAP, CAPTION = 8, 18
PAPER, INK = (250, 250, 248), (41, 37, 31)


def fitted(image: U8, width: int, height: int) -> U8:
    """The picture inside a (height, width, 3) tile, its shape kept, centred on paper."""
    import cv2

    scale = min(width / image.shape[1], height / image.shape[0])
    w, h = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    out = np.full((height, width, 3), PAPER, np.uint8)
    top, left = (height - h) // 2, (width - w) // 2
    out[top : top + h, left : left + w] = small
    return out


def sheet(rows: Sequence[Sequence[tuple[str, U8]]], width: int, height: int) -> U8:
    """Rows of (caption, picture) as one picture; tiles of `width` x `height` pixels with the caption below."""
    import cv2

    columns = max((len(r) for r in rows), default=1)
    out = np.full((GAP + len(rows) * (height + CAPTION + GAP), GAP + columns * (width + GAP), 3), PAPER, np.uint8)
    for i, row in enumerate(rows):
        for j, (caption, picture) in enumerate(row):
            y, x = GAP + i * (height + CAPTION + GAP), GAP + j * (width + GAP)
            out[y : y + height, x : x + width] = fitted(picture, width, height)
            place = (x, y + height + CAPTION - 5)
            cv2.putText(out, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
    return out


def save(path: Path, image: U8) -> Path:
    """Writes a picture as PNG or JPEG, by the ending."""
    import cv2

    from streamer.errors import ConfigError
    from streamer.reports.atomic import write_bytes

    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ConfigError(f"{path}: sheets are written as .png or .jpg.")
    write_bytes(path, bytes(cv2.imencode(path.suffix.lower(), image)[1]))
    return path
