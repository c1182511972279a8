"""What the parts of a store share."""

from __future__ import annotations

from pathlib import Path

from streamer.errors import StoreError
from streamer.store.database import Database
from streamer.store.eventlog import event_of, relabel
from streamer.store.records import Snapshot, SourceRecord


class StorePart:
    """The open database and the few look-ups every part needs."""

    _db: Database
    keep_pictures: bool = True

    @property
    def path(self) -> Path:
        return self._db.path

    @property
    def readonly(self) -> bool:
        return self._db.readonly

    def model(self) -> tuple[str, int, str] | None:
        """(id, dimension, metric) of the model whose vectors the library holds; None while it is empty."""
        row = self._db.one("SELECT id, dimension, metric FROM models")
        return None if row is None else (str(row[0]), int(row[1]), str(row[2]))

    def source(self, number: int) -> SourceRecord:
        """The source of that number. StoreError if there is none."""
        raise NotImplementedError

    def state(self) -> Snapshot | None:
        """The newest snapshot, None when there is none. StoreError when it is damaged."""
        raise NotImplementedError

    def relabel_all(self) -> None:
        """Derives the cached labels from the events again."""
        with self._db.write() as sql:
            sql.execute("DELETE FROM aliases")
            sql.execute("UPDATE tracks SET identity = NULL WHERE identity IS NOT NULL")
            for row in self._db.rows("SELECT * FROM events ORDER BY seq"):
                relabel(sql, event_of(row))


def missing(kind: str, what: object, path: Path) -> StoreError:
    """The error for something the library does not hold."""
    return StoreError(f"{path} holds no {kind} {what}.")
