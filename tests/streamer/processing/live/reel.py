"""A live source for tests: plays a drawn scene frame by frame, as fast as it is taken, and never ends by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from streamer.items import Event, Frame, Gap
from streamer.sources.base import SourceInfo, SourceStats
from streamer.testing import Scene
from streamer.watching import LIVE, STALLED, STOPPED, Health, Part, Seen

EPOCH = 1_700_000_000.0


class Reel:
    """`parts` are scenes, each a connection; between two it is away for `away` seconds. `done` is set when all is taken
    and the consumer came back for more."""

    def __init__(self, *parts: Scene, name: str = "hall", away: float = 10.0, fail: Exception | None = None) -> None:
        self.info = SourceInfo(name, f"rtsp://***@{name}/1", 320, 240, fps=25.0, live=True)
        self.stats = SourceStats()
        self.live, self.fatal, self.frame_age = True, "", 0.0
        self.done = threading.Event()
        self._fail = fail
        self._closed = threading.Event()
        self._frames: list[Frame | Gap] = []
        at, index = EPOCH, 0
        for epoch, scene in enumerate(parts, 1):
            for frame in scene.frames():
                self._frames.append(replace(frame, index=index, time=at + frame.time, epoch=epoch, source=name))
                index += 1
            at += scene.seconds
            if epoch < len(parts):
                self._frames.append(Gap(name, at - 1 / scene.fps, at + away, "no data for 3 s"))
            at += away
        self._gaps: list[Gap] = []
        self._epoch = 0

    def take(self, timeout: float | None = None) -> Frame | None:
        if self._fail is not None:
            raise self._fail
        if not self._frames:
            self.live = False
            if self._epoch:
                self.done.set()
            self._closed.wait(0.02)
            return None
        item = self._frames.pop(0)
        if isinstance(item, Gap):
            self.live = False
            self._gaps.append(item)
            return None
        self.live, self._epoch = True, item.epoch
        self.stats.read += 1
        self.stats.given += 1
        return item

    def close(self) -> None:
        self._closed.set()

    def join(self, timeout: float) -> bool:
        return True

    def health(self) -> Health:
        state = STOPPED if self._closed.is_set() else LIVE if self.live else STALLED
        return Health(self.info.name, state, EPOCH, self._epoch)

    def new_gaps(self) -> list[Gap]:
        found, self._gaps = self._gaps, []
        return found


class Watcher:
    """An observer that writes everything down."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.seen: list[tuple[str, float, tuple[Seen, ...]]] = []
        self.over: list[tuple[str, int, float]] = []
        self.parts: list[Part] = []
        self.events: list[Event] = []
        self.gaps: list[Gap] = []
        self.healths: list[Health] = []
        self.closed = 0
        self.noticed = threading.Condition()

    def frame(self, camera: str, time: float, frame: Frame, seen: Sequence[Seen]) -> None:
        self._note(self.seen, (camera, time, tuple(seen)))

    def ended(self, camera: str, track: int, end: float) -> None:
        self._note(self.over, (camera, track, end))

    def kept(self, camera: str, parts: Sequence[Part]) -> None:
        with self.noticed:
            self.parts.extend(parts)

    def identities(self, events: Sequence[Event]) -> None:
        with self.noticed:
            self.events.extend(events)
            self.noticed.notify_all()

    def gap(self, camera: str, gap: Gap) -> None:
        self._note(self.gaps, gap)

    def health(self, health: Health) -> None:
        self._note(self.healths, health)

    def close(self) -> None:
        self.closed += 1

    def until(self, done: Callable[[], Any], seconds: float = 20.0) -> None:
        """Waits until `done` is true of what was told."""
        with self.noticed:
            assert self.noticed.wait_for(done, seconds)

    def _note(self, where: list[Any], what: Any) -> None:
        with self.noticed:
            self.threads.add(threading.get_ident())
            where.append(what)
            self.noticed.notify_all()
