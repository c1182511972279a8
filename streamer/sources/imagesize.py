"""Width and height of a picture file from its header, before anything decodes it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_JPEG_SIZE = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start-of-frame markers
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
_TIFF_SIZES = {1: "B", 3: "H", 4: "I"}


def image_size(path: Path) -> tuple[int, int] | None:
    """(width, height) of a PNG, JPEG, WebP, BMP or TIFF file as stored; None where the header is none of these."""
    with path.open("rb") as file:
        head = file.read(32)
        try:
            return _size(head, file)
        except (struct.error, IndexError):
            return None


def _size(head: bytes, file: BinaryIO) -> tuple[int, int] | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _pair(struct.unpack_from(">II", head, 16))
    if head.startswith(b"\xff\xd8"):
        return _jpeg(file)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(head)
    if head.startswith(b"BM"):
        return _bmp(head)
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(file, "<" if head[:1] == b"I" else ">")
    return None


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    return abs(values[0]), abs(values[1])


def _jpeg(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(2)
    while file.read(1) == b"\xff":
        while (kind := file.read(1)) == b"\xff":
            pass
        marker = kind[0]
        if marker in _JPEG_BARE:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if marker in _JPEG_SIZE:
            height, width = struct.unpack_from(">xHH", file.read(5))
            return width, height
        file.seek(length - 2, 1)
    return None


def _webp(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _bmp(head: bytes) -> tuple[int, int]:
    (header,) = struct.unpack_from("<I", head, 14)
    return _pair(struct.unpack_from("<HH" if header == 12 else "<ii", head, 18))


def _tiff(file: BinaryIO, order: str) -> tuple[int, int] | None:
    file.seek(4)
    (offset,) = struct.unpack(order + "I", file.read(4))
    file.seek(offset)
    (count,) = struct.unpack(order + "H", file.read(2))
    found: dict[int, int] = {}
    for _ in range(count):
        entry = file.read(12)
        tag, kind = struct.unpack_from(order + "HH", entry)
        if tag in (256, 257) and kind in _TIFF_SIZES:
            (found[tag],) = struct.unpack_from(order + _TIFF_SIZES[kind], entry, 8)
    return (found[256], found[257]) if len(found) == 2 else None
