"""Large states in pieces: what did not change since the last time is not written again.

Each page of a state is stored once under its SHA-256, whichever snapshots it is part of. The clusterer lays its columns
out on the same borders, so a file that touches 20 people of 2000 writes their pages and not the other people's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from streamer.errors import StoreError
from streamer.pages import PAGE, Pages, cut, digest

# bytes behind a state that was read: 500 rows of 512 numbers are added in place; untouched it costs none
ROOM = 1 << 20


def keep(sql: sqlite3.Connection, state: Pages) -> bytes:
    """Stores the pages that are new; the list that `assemble` wants, 32 bytes a page."""
    have = {row[0] for row in sql.execute("SELECT hash FROM chunks")}
    new = {h: p for h, p in zip(state.hashes, state.parts, strict=True) if h not in have}
    sql.executemany("INSERT INTO chunks VALUES (?, ?)", [(h, new[h]) for h in sorted(new)])
    return b"".join(state.hashes)


def assemble(pieces: Iterable[tuple[Any, ...]], listed: bytes) -> Pages:
    """The state a list stands for, in one block, of (hash, page). StoreError when one is missing or damaged."""
    hashes = _hashes(listed)
    places: dict[bytes, list[int]] = {}
    for k, h in enumerate(hashes):
        places.setdefault(h, []).append(k)
    block = np.empty(len(hashes) * PAGE + ROOM, np.uint8)
    view, length, missing = block.data, 0, len(hashes)
    for h, piece in pieces:
        if h not in places or not isinstance(piece, bytes) or len(piece) > PAGE or digest(piece) != h:
            continue  # of another snapshot, or damaged
        for k in places[h]:
            view[k * PAGE : k * PAGE + len(piece)] = piece
            length, missing = max(length, k * PAGE + len(piece)), missing - 1
    if missing:
        raise StoreError("a piece of the clusterer's snapshot is missing or damaged")
    return Pages(cut(view[:length]), hashes, block)


def sweep(sql: sqlite3.Connection) -> None:
    """Deletes pieces that no snapshot needs any more."""
    needed = {h for (listed,) in sql.execute("SELECT data FROM snapshots") for h in _hashes(listed)}
    dead = [(h,) for (h,) in sql.execute("SELECT hash FROM chunks") if h not in needed]
    sql.executemany("DELETE FROM chunks WHERE hash = ?", dead)


def _hashes(listed: bytes) -> Sequence[bytes]:
    return [bytes(listed[at : at + 32]) for at in range(0, len(listed), 32)]
