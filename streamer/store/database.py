"""One SQLite connection with the habits of a people library: checked before it is opened, private, durable."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamer.errors import StoreError
from streamer.store import schema
from streamer.store.lock import Lock

_COPY = "Restore it from a copy, or name another one with --library."

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _advice(error: sqlite3.Error) -> str:
    """What to do about an error of SQLite; empty where nothing general can be said."""
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_FULL:
        return "Free some disk, then run the same command again."
    return _COPY if code is None or code & 0xFF in _BROKEN else ""


def preflight(path: Path) -> None:
    """Raises StoreError unless `path` is a whole people library of a known version. Changes nothing."""
    if not path.is_file():
        raise StoreError(f"{path} is not a file. Name a file with --library.")
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    if len(head) < 100 or head[:16] != b"SQLite format 3\0":
        raise StoreError(f"{path} is not a people library. Name another file with --library; this one was not touched.")
    if int.from_bytes(head[68:72], "big") != schema.APPLICATION:
        raise StoreError(
            f"{path} is a database of another program. Name another file with --library; this one was not touched."
        )
    version = int.from_bytes(head[60:64], "big")
    if version > schema.VERSION:
        raise StoreError(
            f"{path} was written by a newer version (schema {version}, this one knows {schema.VERSION}). "
            "Upgrade whowhen; the file was not touched."
        )
    page = int.from_bytes(head[16:18], "big")
    pages = int.from_bytes(head[28:32], "big")
    # a checkpoint that was killed or met a full disk leaves a short file whose other pages are in the write-ahead log
    if path.stat().st_size < pages * (65536 if page == 1 else page) and not _has_log(path):
        raise StoreError(f"{path} is cut off: {path.stat().st_size} of its bytes are left. {_COPY}")


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.is_file() and log.stat().st_size > 0


class Database:
    """An open store. Not for two threads at once; `write()` is one transaction, on disk when it ends."""

    def __init__(self, path: Path, *, create: bool, readonly: bool) -> None:
        self.path = path
        self.readonly = readonly
        self._lock: Lock | None = None
        fresh = not path.exists() or (not readonly and path.is_file() and path.stat().st_size == 0)
        if fresh and (readonly or not create):
            raise StoreError(f"there is no people library at {path}. Run `whowhen run` first, or check --library.")
        if not fresh:
            preflight(path)
        try:
            if not readonly:
                self._claim()
            self.connection = self._connect()
            if not readonly:
                self._migrate()
            elif self.version != schema.VERSION:
                self.connection.close()
                Database(path, create=False, readonly=False).close()  # brings it up to date, with a copy aside
                self.connection = self._connect()
        except sqlite3.Error as error:
            self.close()
            raise StoreError(f"{path}: {error}. {_advice(error)}") from error
        except BaseException:
            self.close()
            raise

    connection: sqlite3.Connection

    def _claim(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = Lock(self.path)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be written: {error.strerror}. Name another one with --library."
            ) from error

    def _connect(self) -> sqlite3.Connection:
        if not self.readonly:
            return self._opened("mode=rw")
        try:
            connection = self._opened("mode=ro")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
        except sqlite3.OperationalError:
            log = self.path.with_name(self.path.name + "-wal")
            if log.exists() and log.stat().st_size:
                raise
            # a copy on a medium that cannot be written: nobody changes it, so it needs no shared memory beside it
            self.connection.close()
            return self._opened("mode=ro&immutable=1")

    def _opened(self, how: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{how}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=10.0,
        )
        self.connection = connection
        for pragma in ("trusted_schema=off", "foreign_keys=on", "secure_delete=on", "cell_size_check=on"):
            connection.execute(f"PRAGMA {pragma}")
        if not self.readonly:
            # FULL: a commit is on disk when it returns; at one commit a second of video it costs nothing that shows
            connection.execute("PRAGMA synchronous=full")
        return connection

    @property
    def version(self) -> int:
        return int(self.connection.execute("PRAGMA user_version").fetchone()[0])

    def _migrate(self) -> None:
        """Brings the tables up to date, one transaction per version; an older store is copied aside first."""
        if self.connection.execute("PRAGMA journal_mode=wal").fetchone()[0] != "wal":
            raise StoreError(
                f"{self.path} lies on a file system that cannot share memory. Put the library on a local disk."
            )
        start = self.version
        if 0 < start < schema.VERSION:
            self.copy_to(self.path.with_name(f"{self.path.name}.v{start}.bak"))
        for version in range(start + 1, schema.VERSION + 1):
            with self.write():
                for statement in schema.MIGRATIONS[version].split(";"):
                    self.connection.execute(statement)
                self.connection.execute(f"PRAGMA application_id={schema.APPLICATION}")
                self.connection.execute(f"PRAGMA user_version={version}")
        if start < schema.VERSION:
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def copy_to(self, target: Path) -> None:
        """A consistent copy, also while somebody reads; 0600; appears whole or not at all."""
        partial = target.with_name(target.name + ".partial")
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        copy = sqlite3.connect(partial)
        try:
            self.connection.backup(copy)
        finally:
            copy.close()
        partial.replace(target)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction; nested calls join the outer one. StoreError (full disk, damage) leaves all as it was."""
        if self.readonly:
            raise StoreError(f"{self.path} was opened for reading only.")
        if self.connection.in_transaction:
            yield self.connection
            return
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise StoreError(
                f"{self.path} could not be written: {error}. Nothing of this step was kept. {_advice(error)}".rstrip()
            ) from error
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def rows(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        try:
            return self.connection.execute(sql, args).fetchall()
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.path}: {error}. {_advice(error)}") from error

    def stream(self, sql: str, args: Any = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, one by one. Do not write before it is used up."""
        try:
            yield from self.connection.execute(sql, args)
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.path}: {error}. {_advice(error)}") from error

    def one(self, sql: str, args: Any = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        return next(iter(self.rows(sql, args)), None)

    def shred(self) -> None:
        """Rewrites the file without free pages and empties the write-ahead log: what was deleted is unreadable."""
        try:
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.connection.execute("VACUUM")
            busy = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.path} could not be rewritten: {error}. Free some disk space and repeat."
            ) from error
        if busy:
            raise StoreError(
                f"{self.path} is being read by another process, which keeps old pages alive. Close it and repeat."
            )

    def close(self) -> None:
        """Ends the connection and lets the next process in. May be called twice."""
        connection = getattr(self, "connection", None)
        if connection is not None:
            connection.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None
