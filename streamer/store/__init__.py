"""The people library on disk: one SQLite file with sources, tracks, vectors, pictures, events, decisions and state.

All SQL of the package lives in this folder. The file is private (0600), durable at every commit, has one writing
process at a time, and is never touched when it is not ours, damaged, or newer than we are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType

from streamer.errors import StoreError
from streamer.store.database import Database
from streamer.store.growing import Growing
from streamer.store.keeping import Keeping
from streamer.store.moving import Moving
from streamer.store.reading import Reading
from streamer.store.records import DecisionRecord, RowRecord, SampleRecord, Snapshot, SourceRecord, TrackRecord

__all__ = [
    "DecisionRecord",
    "RowRecord",
    "SampleRecord",
    "Snapshot",
    "SourceRecord",
    "Store",
    "TrackRecord",
    "content_hash",
]
HASHED = 1 << 20  # bytes at either end that stand for a file's content


class Store(Reading, Growing, Keeping, Moving):
    """An open people library.

    `readonly` may look at one that is being written; `keep_pictures=False` keeps vectors only.
    """

    def __init__(
        self, path: str | Path, *, create: bool = True, readonly: bool = False, keep_pictures: bool = True
    ) -> None:
        self._db = Database(Path(path), create=create, readonly=readonly)
        self.keep_pictures = keep_pictures
        if not readonly and self.unshredded():
            self.shred()

    def close(self) -> None:
        """Ends the connection and lets the next process in. May be called twice."""
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def content_hash(path: str | Path) -> str:
    """SHA-256 over size, first and last MiB: tells a moved or renamed video from a new one without reading it all."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            digest = hashlib.sha256(f"{size}:".encode())
            digest.update(file.read(HASHED))
            if size > HASHED:
                file.seek(max(HASHED, size - HASHED))
                digest.update(file.read(HASHED))
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()
