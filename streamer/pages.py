"""Large bytes in pages, each with its SHA-256: hashed once and checked once, by whoever makes and keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# 16 KiB: 8 rows of 512 numbers. With 4 KiB the list of pages takes longer to go through than the bytes saved, with
# 64 KiB a file of 100 tracks writes 8 MB instead of 2 (100,000 tracks in the library).
PAGE = 1 << 14
Block = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Pages:
    """Bytes as pieces of PAGE bytes (the last may be shorter), and the SHA-256 of each.

    `parts` may be views of arrays in use: then they hold until the next change of these arrays. `whole` is the same
    bytes in one writable block, with room behind them, where they were read into one.
    """

    parts: Sequence[Any]
    hashes: Sequence[bytes]
    whole: Any = None

    @classmethod
    def of(cls, data: Block) -> Pages:
        """The pages of a block of bytes."""
        parts = cut(data)
        return cls(parts, [digest(p) for p in parts])

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)


def cut(data: Block) -> list[memoryview]:
    """Views of PAGE bytes each, the last of what is left."""
    view = memoryview(data).cast("B")
    return [view[at : at + PAGE] for at in range(0, len(view), PAGE)]


def digest(data: Block) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()
