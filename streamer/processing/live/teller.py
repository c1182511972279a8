"""The one thread that tells observers of a live run, in order, and never lets a slow one hold up a camera."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from streamer.items import Event, Frame, Gap
from streamer.timeline import Timeline
from streamer.watching import Health, Observer, Part, Seen

FRAMES_WAITING = 4  # of a camera: older ones are not told, a view wants the newest
MOST = 10_000  # things waiting in all; a stuck observer loses the oldest


class Teller:
    """Takes what happens from any thread; observers hear it from one. One that raises is told nothing more.

    `say` is told about it. Identities of seen faces are those of the events told so far, aliases resolved.
    """

    def __init__(self, observers: Sequence[Observer], say: Callable[[str], None], timeline: Timeline) -> None:
        self._observers = list(observers)
        self._say = say
        self._timeline = timeline
        self._queue: deque[Callable[[], None]] = deque()
        self._frames: dict[str, int] = {}  # waiting, by camera
        self._changed = threading.Condition()
        self._closing = False
        self.skipped = 0
        self._thread = threading.Thread(target=self._run, name="live-teller", daemon=True)
        self._thread.start()

    def frame(self, camera: str, frame: Frame, seen: Sequence[Seen]) -> None:
        """A processed frame; left out when the observers are behind."""
        with self._changed:
            if self._frames.get(camera, 0) >= FRAMES_WAITING:
                self.skipped += 1
                return
            self._frames[camera] = self._frames.get(camera, 0) + 1

        def tell() -> None:
            with self._changed:
                self._frames[camera] -= 1
            now = [Seen(s.track, s.box, s.score, self._timeline.identity(s.track)) for s in seen]
            self._each(lambda o: o.frame(camera, frame.time, frame, now))

        self._put(tell)

    def ended(self, camera: str, track: int, end: float) -> None:
        self._put(lambda: self._each(lambda o: o.ended(camera, track, end)))

    def kept(self, camera: str, parts: Sequence[Part]) -> None:
        self._put(lambda: self._each(lambda o: o.kept(camera, parts)))

    def identities(self, events: Sequence[Event]) -> None:
        """Events that are in the store."""

        def tell() -> None:
            for event in events:
                self._timeline.add(event)
            self._each(lambda o: o.identities(events))

        if events:
            self._put(tell)

    def gap(self, camera: str, gap: Gap) -> None:
        self._put(lambda: self._each(lambda o: o.gap(camera, gap)))

    def health(self, health: Health) -> None:
        self._put(lambda: self._each(lambda o: o.health(health)))

    def close(self, timeout: float) -> None:
        """Tells what waits, then closes the observers; gives up after `timeout` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def _put(self, tell: Callable[[], None]) -> None:
        with self._changed:
            if len(self._queue) >= MOST:
                self._queue.popleft()
                self.skipped += 1
            self._queue.append(tell)
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                tell = self._queue.popleft() if self._queue else None
            if tell is None:
                break
            tell()
        self._each(lambda o: o.close())

    def _each(self, tell: Callable[[Observer], Any]) -> None:
        for observer in list(self._observers):
            try:
                tell(observer)
            except Exception as error:
                self._observers.remove(observer)
                self._say(f"{type(observer).__name__} failed and is told nothing more: {type(error).__name__}: {error}")
