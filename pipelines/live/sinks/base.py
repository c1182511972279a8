"""What every sink is: a bounded queue and a thread of its own, so that a slow one holds nobody up."""

from __future__ import annotations

import hashlib
import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamer.errors import ConfigError
from streamer.presence import TYPES, Notice
from streamer.sources.redact import redact, shown
from streamer.watching import Health

BATCH = 200  # notices written at a time
BACKOFF = (1.0, 60.0)  # s between two attempts, the first and the longest; doubled in between


def url_digest(url: str) -> str:
    """Eight letters that stand for an address whose path may be a secret."""
    return hashlib.sha256(url.encode()).hexdigest()[:8]


class UndeliveredError(Exception):
    """This attempt failed, a later one may work. `after`: seconds the other side asked to wait."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


@dataclass(frozen=True, slots=True)
class Figures:
    """How a sink is doing."""

    name: str
    sent: int
    lost: int  # fell out of a full queue, or were refused for good
    waiting: int
    problem: str  # empty while all is well; without secrets


class Sink:
    """Takes notices from any thread and delivers them in order from its own.

    A subclass has `deliver(notices)`, which raises UndeliveredError where it is worth trying again; `opened`, `work`
    and `closed` run in the same thread. `types` and `cameras` choose what is sent, empty means all.
    """

    kind = ""
    path: Path | None = None  # the file in which it keeps notices: erasing a person looks through it
    pause: float | None = None

    def __init__(
        self, name: str, *, types: Sequence[str] = (), cameras: Sequence[str] = (), limit: int = 10_000
    ) -> None:
        wrong = [t for t in types if t not in TYPES]
        if wrong:
            raise ConfigError(f"{name}: {wrong[0]!r} is no type of notice. Types: {', '.join(TYPES)}.")
        if limit < 1:
            raise ConfigError(f"{name}: limit is {limit}: at least one notice must fit.")
        self.name = name
        self.types, self.cameras, self.limit = frozenset(types), frozenset(cameras), limit
        self.sent = self.lost = 0
        self.problem = ""
        self._queue: deque[Notice] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)

    # ------------------------------------------------------------------ for the pipeline
    def start(self) -> None:
        """Begins to deliver."""
        self._thread.start()

    def put(self, notices: Sequence[Notice]) -> None:
        """Never waits; what does not fit pushes the oldest out, which is counted."""
        wanted = [n for n in notices if self._wants(n)]
        if not wanted:
            return
        with self._changed:
            self._queue.extend(wanted)
            while len(self._queue) > self.limit:
                self._queue.popleft()
                self.lost += 1
            self._changed.notify_all()

    def health(self, health: Health) -> None:
        """How a camera is; of interest to some sinks."""

    def close(self, timeout: float = 2.0) -> None:
        """Delivers what waits, for at most `timeout` seconds."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def figures(self) -> Figures:
        return Figures(self.name, self.sent, self.lost, len(self._queue), self.problem)

    # ------------------------------------------------------------------ for subclasses
    def opened(self) -> None:
        """Before the first delivery."""

    def deliver(self, notices: Sequence[Notice]) -> None:
        raise NotImplementedError

    def work(self) -> None:
        """After each delivery, and after `pause` seconds without one."""

    def closed(self) -> None:
        """After the last delivery."""

    def secrets(self) -> tuple[str, ...]:
        """Words that must not be shown."""
        return ()

    def _wants(self, notice: Notice) -> bool:
        return (not self.types or notice.type in self.types) and (
            not self.cameras or not notice.camera or notice.camera in self.cameras
        )

    def _run(self) -> None:
        if not self.persist(self.opened):
            return
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing.is_set(), self.pause)
                batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            if batch and not self.persist(lambda: self.deliver(batch)):  # noqa: B023 - called at once
                self.lost += len(batch) + len(self._queue)
                break
            self.sent += len(batch)
            self.work()
            if not batch and self._closing.is_set():
                break
        self.closed()

    def persist(self, attempt: Callable[[], None]) -> bool:
        """Whether an attempt worked in the end; tried again with growing pauses until the sink is closed."""
        failures = 0
        while True:
            try:
                attempt()
            except (UndeliveredError, OSError) as error:
                self.problem = shown(redact(str(error), *self.secrets()))
                failures += 1
                asked = error.after if isinstance(error, UndeliveredError) else None
                if self._closing.wait(self.backoff(failures, asked)):
                    return False
            else:
                if failures:  # what went wrong elsewhere (a webhook's posting) is not over
                    self.problem = ""
                return True

    @staticmethod
    def backoff(failures: int, asked: float | None = None) -> float:
        """Seconds to wait after so many failures in a row; `asked` is what the other side wants at least."""
        # jitter: sinks that failed together do not come back together
        pause = BACKOFF[0] * 2.0 ** min(failures - 1, 10) * random.uniform(0.7, 1.3)  # noqa: S311
        return min(max(asked or 0.0, pause), BACKOFF[1])
