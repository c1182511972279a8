"""Files that are there whole or not at all."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from streamer.errors import StreamerError

_TURN = itertools.count()


class ReportError(StreamerError):
    """A report that cannot be written or read."""


def alive(process: str) -> bool:
    """Whether a process of that number runs."""
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _sweep(path: Path) -> None:
    """Remove what a killed process left of this very file."""
    for old in path.parent.glob(f".{path.stem}.*.part{path.suffix}"):
        process = old.name[len(path.stem) + 2 :].split("-")[0]
        if process.isdigit() and not alive(process):
            old.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` (same suffix) that takes its place if the block ends well, and vanishes if not.

    Mode 0600, because faces are in it. Synced to disk before the rename. Folders on the way are made. An OSError
    becomes a ReportError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        part = path.with_name(f".{path.stem}.{os.getpid()}-{next(_TURN)}.part{path.suffix}")
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise ReportError(
            f"cannot write {path}: {error.strerror or error}. Choose another folder or free it."
        ) from error
    try:
        yield part
        _sync(part)
        os.replace(part, path)
        _sync(path.parent)
    except OSError as error:
        raise ReportError(f"cannot write {path}: {error.strerror or error}. Is the disk full?") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def text(path: Path) -> Iterator[IO[str]]:
    """A UTF-8 text file, newlines as given, that appears whole."""
    with replacing(path) as part, part.open("w", encoding="utf-8", errors="replace", newline="") as handle:
        yield handle


def write_bytes(path: Path, content: bytes) -> None:
    """The file `path` with exactly this content."""
    with replacing(path) as part:
        part.write_bytes(content)
