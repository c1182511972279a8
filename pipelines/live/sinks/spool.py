"""A bounded queue of texts on disk: what was not delivered is still there after a restart, or a kill."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

COMPACT = 1_000_000  # bytes delivered before the file is written anew


class Spool:
    """Lines in a file, and beside it how many bytes of them are done. Not for two threads at once.

    `limit` bounds the bytes that wait; beyond it the oldest lines are given up and counted in `lost`. A line is on disk
    when `add` returns. A kill between a delivery and `done` delivers that line again: consumers know it by its number.
    """

    def __init__(self, path: Path, limit: int = 50_000_000) -> None:
        self.path, self.limit, self.lost = path, limit, 0
        self._mark = path.with_name(path.name + ".done")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = self._whole_lines()
        self._done = min(self._read_mark(), self._size)

    def __len__(self) -> int:
        """Bytes that wait."""
        return self._size - self._done

    def add(self, lines: list[str]) -> None:
        """Appends; OSError when the disk is full, and then nothing was appended."""
        data = "".join(line + "\n" for line in lines).encode("utf-8", "replace")
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)
        while len(self) > self.limit:
            self._forget_first()

    def first(self) -> str | None:
        """The oldest line that waits. Erasing a person overwrites lines with blanks: they are passed over."""
        line = self._line()
        while line is not None and not line.strip():
            self._skip()
            line = self._line()
        return None if line is None else line.decode("utf-8", "replace")

    def done(self) -> None:
        """The oldest line is delivered."""
        self._skip()
        self._write_mark()
        if self._done > COMPACT and self._done == self._size:
            self._restart()
        elif self._done > max(COMPACT, self.limit):
            self._rewrite()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _line(self) -> bytes | None:
        if self._done >= self._size:
            return None
        data, at = b"", self._done
        while b"\n" not in data:
            piece = os.pread(self._file, 65_536, at + len(data))
            if not piece:
                return None
            data += piece
        return data[: data.index(b"\n")]

    def _skip(self) -> None:
        line = self._line()
        if line is not None:
            self._done += len(line) + 1

    def _forget_first(self) -> None:
        self._skip()
        self.lost += 1

    def _whole_lines(self) -> int:
        """The size without the half line a kill left."""
        size = os.fstat(self._file).st_size
        at = size
        while at > 0:
            start = max(0, at - 65_536)
            piece = os.pread(self._file, at - start, start)
            if b"\n" in piece:
                size = start + piece.rfind(b"\n") + 1
                break
            at = start
        else:
            size = 0
        os.ftruncate(self._file, size)
        return size

    def _read_mark(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return max(0, int(self._mark.read_text("ascii")))
        return 0

    def _write_mark(self) -> None:
        part = self._mark.with_name(self._mark.name + ".part")
        part.write_text(str(self._done), "ascii")
        part.replace(self._mark)

    def _restart(self) -> None:
        # the mark first: with an old mark beyond the end of a new file nothing would be sent again, nor lost
        self._done = 0
        self._write_mark()
        os.ftruncate(self._file, 0)
        self._size = 0

    def _rewrite(self) -> None:
        """Drops the delivered head of the file."""
        part = self.path.with_name(self.path.name + ".part")
        with part.open("wb") as new:
            at = self._done
            while piece := os.pread(self._file, 1 << 20, at):
                new.write(piece)
                at += len(piece)
            new.flush()
            os.fsync(new.fileno())
        part.chmod(0o600)
        self._size, self._done = self._size - self._done, 0
        part.replace(self.path)
        self._write_mark()
        os.close(self._file)
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
