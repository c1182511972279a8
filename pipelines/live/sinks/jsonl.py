"""Notices as JSON lines, in a file that survives a crash, or on standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.live.sinks.base import Sink, UndeliveredError
from streamer.errors import ConfigError
from streamer.presence import Notice


class JsonLines(Sink):
    """One notice a line. A batch is on disk (fsync) before it counts as sent; a full disk is waited for.

    At `rotate_mb` the file becomes `PATH.1`, `.1` becomes `.2`, and so on; `keep` old ones stay. `path` "-" is standard
    output. The file is private (0600): it says who was where.
    """

    kind = "jsonl"

    def __init__(
        self,
        path: str,
        *,
        rotate_mb: float = 50.0,
        keep: int = 5,
        types: Sequence[str] = (),
        cameras: Sequence[str] = (),
        limit: int = 10_000,
    ) -> None:
        super().__init__(f"jsonl {path}", types=types, cameras=cameras, limit=limit)
        if rotate_mb <= 0 or keep < 0:
            raise ConfigError(f"{self.name}: rotate_mb is more than 0 and keep is not negative.")
        self.path = None if path == "-" else Path(path)
        self.rotate, self.keep = int(rotate_mb * 1_000_000), keep
        self._file = -1
        if self.path is not None:
            self._check(self.path)

    def _check(self, path: Path) -> None:
        """A path that cannot work is told before anything runs."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise ConfigError(f"{self.name} cannot be written: {error.strerror}. Choose another path.") from error

    def deliver(self, notices: Sequence[Notice]) -> None:
        text = "".join(json.dumps(n.as_dict(), ensure_ascii=False, separators=(",", ":")) + "\n" for n in notices)
        if self.path is None:
            self._say(text)
            return
        if self._file < 0:
            self._file = self._opened(self.path)
        size = os.fstat(self._file).st_size
        if size and size + len(text) > self.rotate:
            self._rotate(self.path)
            size = 0
        try:
            _write_all(self._file, text.encode("utf-8", "replace"))
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)  # no half line stays; the whole batch comes again
            raise

    def closed(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _say(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except (OSError, ValueError) as error:
            raise UndeliveredError(f"standard output is closed ({error})") from error

    @staticmethod
    def _opened(path: Path) -> int:
        """Opens for appending; the half line of a run that was killed is cut off."""
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        size = os.fstat(file).st_size
        tail = os.pread(file, 1 << 20, max(0, size - (1 << 20)))
        if tail and not tail.endswith(b"\n"):
            os.ftruncate(file, size - len(tail) + tail.rfind(b"\n") + 1)
        return file

    def _rotate(self, path: Path) -> None:
        os.close(self._file)
        self._file = -1
        for k in range(self.keep, 0, -1):
            older = path if k == 1 else path.with_name(f"{path.name}.{k - 1}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{k}"))
        if not self.keep:
            path.unlink(missing_ok=True)
        self._file = self._opened(path)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
