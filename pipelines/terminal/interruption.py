"""SIGINT, SIGTERM and SIGHUP: the first asks the run to end, the second ends it, and so does time."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType

GRACE_S = 8.0  # a run that has not ended by then hangs in a read: 10 s are promised
ASKED = ("SIGINT", "SIGTERM", "SIGHUP")


class Interruption:
    """Inside `with`: `is_set()` once a signal has asked for the end, `code` is then the exit code for it.

    A thread of its own watches: the main thread may hang in a read for ever, where Python runs no signal handler.
    The process is ended at once by a second signal, or `grace` seconds after the first. What the library holds is as
    safe then as after kill -9. Signals that were ignored before (nohup, background jobs) stay ignored.
    """

    def __init__(self, grace: float = GRACE_S, end: Callable[[int], object] = os._exit) -> None:
        self.grace, self.end = grace, end
        self.signal = 0
        self._until = math.inf
        self._asked, self._left = threading.Event(), threading.Event()
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def is_set(self) -> bool:
        """Whether the run is to end."""
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        """Whether the run is to end, asked for within `seconds`."""
        return self._asked.wait(seconds)

    @property
    def left(self) -> float:
        """Seconds until the process is ended, whatever it does then; inf while nobody has asked. All steps of an ending
        share them."""
        return max(0.0, self._until - time.monotonic())

    @property
    def code(self) -> int:
        """128 + the signal, as a shell tells it; 0 while there was none."""
        return 128 + self.signal if self.signal else 0

    def __enter__(self) -> Interruption:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self._read, True)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for name in ASKED:
            number = getattr(signal, name)
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, _nothing)
        self._thread = threading.Thread(target=self._watch, name="interruption", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(self._wakeup)
        self._left.set()
        os.write(self._write, b"\0")
        self._thread.join()
        os.close(self._read)
        os.close(self._write)

    def _watch(self) -> None:
        while not self._left.is_set():
            for number in os.read(self._read, 64):
                if number in self._before:
                    self._told(number)

    def _told(self, number: int) -> None:
        if self.signal:
            self._end("Ended at once.")
            return
        self.signal, self._until = number, time.monotonic() + self.grace
        self._asked.set()
        _say("Interrupted: finishing what is at hand. Once more ends at once; nothing is lost either way.")
        threading.Thread(target=self._wait, name="grace", daemon=True).start()

    def _wait(self) -> None:
        if not self._left.wait(self.grace):
            self._end(f"Ended after {self.grace:g} s: not everything came to its end by then.")

    def _end(self, why: str) -> None:
        _say(f"{why} What was finished is kept; the same command goes on from there.")
        self.end(self.code)


def _nothing(number: int, frame: FrameType | None) -> None:
    """A handler that only keeps the signal from ending the process; the thread hears of it by the wake-up pipe."""


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # the terminal is gone: that is what SIGHUP tells
        pass
