"""Large states in pieces: what did not change since the last time is not written again.

A state is cut every CHUNK bytes and each piece stored once under its SHA-256, whichever snapshots it is part of. The
clusterer lays its columns out on the same borders, so a file that touches 20 people of 2000 writes their pieces and not
the other people's.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence

from streamer.errors import StoreError

# 16 KiB: 8 rows of 512 numbers. With 4 KiB the list of pieces takes longer to go through than the bytes saved, with
# 64 KiB a file of 100 tracks writes 8 MB instead of 2 (100,000 tracks in the library).
CHUNK = 1 << 14


def keep(sql: sqlite3.Connection, state: bytes) -> bytes:
    """Stores the pieces that are new; the list that `assemble` wants, 32 bytes a piece."""
    view = memoryview(state)
    pieces = [view[at : at + CHUNK] for at in range(0, len(view), CHUNK)]
    hashes = [hashlib.sha256(p).digest() for p in pieces]
    have = {row[0] for row in sql.execute("SELECT hash FROM chunks")}
    new = {h: p for h, p in zip(hashes, pieces, strict=True) if h not in have}
    sql.executemany("INSERT INTO chunks VALUES (?, ?)", sorted(new.items()))
    return b"".join(hashes)


def assemble(sql: sqlite3.Connection, listed: bytes) -> bytes:
    """The state a list stands for. StoreError when a piece is missing or not as it was written."""
    found = dict(sql.execute("SELECT hash, data FROM chunks"))
    out: list[bytes] = []
    for h in _hashes(listed):
        piece = found.get(h)
        if piece is None or hashlib.sha256(piece).digest() != h:
            raise StoreError("a piece of the clusterer's snapshot is missing or damaged")
        out.append(piece)
    return b"".join(out)


def sweep(sql: sqlite3.Connection) -> None:
    """Deletes pieces that no snapshot needs any more."""
    needed = {h for (listed,) in sql.execute("SELECT data FROM snapshots") for h in _hashes(listed)}
    dead = [(h,) for (h,) in sql.execute("SELECT hash FROM chunks") if h not in needed]
    sql.executemany("DELETE FROM chunks WHERE hash = ?", dead)


def _hashes(listed: bytes) -> Sequence[bytes]:
    return [bytes(listed[at : at + 32]) for at in range(0, len(listed), 32)]
