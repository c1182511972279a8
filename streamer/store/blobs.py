"""Columns, vectors and pictures as bytes, and back. Damaged bytes raise StoreError."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from streamer.errors import StoreError
from streamer.items import F32, U8, TrackRows

CROP_QUALITY = 95  # JPEG of the aligned crop: it is embedded again when the model changes
THUMBNAIL_QUALITY = 85  # JPEG to look at
_ROW = 4 + 8 + 16 + 4 + 1  # bytes of one row: frame, time, box, score, kind


def pack_rows(rows: TrackRows) -> bytes:
    """Compressed columns, lossless: frames as int32 steps, then times, boxes, scores, kinds."""
    steps = np.diff(rows.frames, prepend=0).astype("<i4")
    columns: Iterable[Any] = (
        steps,
        rows.times.astype("<f8"),
        rows.boxes.astype("<f4"),
        rows.scores.astype("<f4"),
        rows.kinds.astype("u1"),
    )
    return zlib.compress(b"".join(c.tobytes() for c in columns), 1)


def unpack_rows(data: bytes, track: int) -> TrackRows:
    """What `pack_rows` packed."""
    try:
        raw = zlib.decompress(data)
    except zlib.error as error:
        raise StoreError(f"the rows of track {track} are damaged. Restore the library from a copy.") from error
    n, rest = divmod(len(raw), _ROW)
    if rest:
        raise StoreError(f"the rows of track {track} are damaged. Restore the library from a copy.")
    cut = np.cumsum([0, 4 * n, 8 * n, 16 * n, 4 * n, n])
    part = [raw[a:b] for a, b in pairwise(cut.tolist())]
    return TrackRows(
        np.cumsum(np.frombuffer(part[0], "<i4"), dtype=np.int64),
        np.frombuffer(part[1], "<f8").astype(np.float64),
        np.frombuffer(part[2], "<f4").astype(np.float32).reshape(n, 4),
        np.frombuffer(part[3], "<f4").astype(np.float32),
        np.frombuffer(part[4], "u1").copy(),
    )


def pack_vector(vector: F32) -> bytes:
    """(d,) as little-endian float16: 1 kB for 512 numbers; cosines of unit vectors move by less than 0.001."""
    return np.asarray(vector, "<f2").tobytes()


def unpack_vectors(blobs: Iterable[bytes], dimension: int) -> F32:
    """(n, d) float32 from float16 blobs."""
    data = b"".join(blobs)
    if len(data) % (2 * dimension):
        raise StoreError(f"a stored vector does not hold {dimension} numbers. Restore the library from a copy.")
    return np.frombuffer(data, "<f2").astype(np.float32).reshape(-1, dimension)


def jpeg(image: U8, quality: int) -> bytes:
    """(h, w, 3) BGR as JPEG without metadata."""
    import cv2

    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise StoreError(f"a picture of shape {image.shape} cannot be encoded.")
    return bytes(data.tobytes())


def picture(data: bytes) -> U8:
    """(h, w, 3) BGR from JPEG or PNG bytes."""
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise StoreError("a stored picture is damaged. Restore the library from a copy.")
    out: U8 = image
    return out
