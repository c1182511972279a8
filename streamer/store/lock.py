"""One writing process per store: an flock on a side file that names its holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from streamer.errors import StoreError


class Lock:
    """Held from construction to `release`. The kernel drops it when the holder dies, so a stale lock cannot exist;
    a left-over side file is only a name and is taken over. StoreError names the living holder."""

    def __init__(self, store: Path) -> None:
        self.path = store.with_name(store.name + ".lock")
        try:
            self._fd: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be written: {error.strerror}. Make the folder of the people library writable, "
                "or name another one with --library."
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            self._fd = None
            raise StoreError(
                f"{store} is in use by pid {holder}. Wait for it to end, or name another library with --library."
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Lets the next process in. The side file stays: removing it would race with who is opening it."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None
