"""How far a long command of the lab is: one line that counts up on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

EVERY = 10.0  # seconds between lines where nobody watches: enough to see life, little for a log


class Counter:
    """Call it with how much is done; `end` closes the line."""

    def __init__(self, what: str, total: int, out: TextIO | None = None) -> None:
        self.what, self.total = what, total
        self.out = out or sys.stderr
        self._live, self._told = self.out.isatty(), time.monotonic()

    def __call__(self, done: int, doing: str = "") -> None:
        """Shows that `done` of the total are done."""
        line = f"{self.what}: {done}/{self.total} {doing}".rstrip()
        if self._live:
            print(f"\r{line:78}", end="", file=self.out, flush=True)
        elif time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            print(line, file=self.out, flush=True)

    def end(self) -> None:
        """Ends the line that counts up."""
        if self._live:
            print(file=self.out)
