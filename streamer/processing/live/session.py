"""`streamer.open`: cameras watched from Python, as an iterator of notices about who comes and goes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from streamer.errors import ConfigError
from streamer.items import Event, Frame, Gap
from streamer.library import Library
from streamer.presence import Notice, Presence, Rules
from streamer.processing.base import Listener
from streamer.processing.calls import built, config_of, opened
from streamer.processing.live import Live
from streamer.processing.live.camera import LiveSource
from streamer.processing.result import Result
from streamer.watching import Health, Part, Seen

MOST = 10_000  # notices waiting: who reads slower loses the oldest, and the stay's next notice tells it whole
LOOK_EVERY = 0.25  # s between two looks at whether the run is over


def open(
    *cameras: str | LiveSource,
    library: Library | str | Path | None = None,
    models: str | Path | Any = "open",
    device: str = "auto",
    preset: str = "balanced",
    settings: Mapping[str, Any] | None = None,
    rules: Rules | None = None,
    listener: Listener | None = None,
) -> Session:
    """A `Session` over cameras: addresses (rtsp, http, a device ...) or open live sources. Use it with `with`.

    `library`, `models`, `device`, `preset` and `settings` as in `streamer.process`; `rules` say when somebody counts as
    come and gone. SourceError for an address that is none; a camera that cannot be reached is waited for.
    """
    if not cameras:
        raise ConfigError("no camera was given. Name addresses such as rtsp://hall/1.")
    with ExitStack() as stack:
        sources = _sources(cameras, stack)
        people = opened(library, stack)
        teller = _Folding(Presence(int(time.time() * 1000), rules or Rules(), dict(people.view.names)))
        live = Live(people, built(models, device), config_of(preset, settings), sources, [teller], listener)
        teller.presence.certain = live.certain
        return Session(live, teller, stack.pop_all())
    raise AssertionError("unreachable")  # pragma: no cover - ExitStack lets every error through


def _sources(cameras: Sequence[str | LiveSource], stack: ExitStack) -> dict[str, Any]:
    """name -> source; two of one name get a number. What is opened here is closed by `stack`."""
    from streamer.sources.camera import CameraSource

    out: dict[str, Any] = {}
    for camera in cameras:
        source: Any = camera
        if isinstance(camera, str):
            source = CameraSource(camera)
            stack.callback(source.close)
        name, number = source.info.name, 1
        while name in out:
            number += 1
            name = f"{source.info.name}-{number}"
        out[name] = source
    return out


class Session:
    """Cameras at work from `with`, or the first look at it, to `close`.

    Iterate for `Notice`s, as they come, until all cameras are given up.

        with streamer.open("rtsp://hall/1", library="people.db") as session:
            for notice in session:
                if notice.type == "enter":
                    print(notice.name or notice.stay.person, "came")

    Every notice carries a whole stay under its id and revision: the newest of an id is the truth.
    """

    def __init__(self, live: Live, teller: _Folding, owned: ExitStack) -> None:
        self.live, self.library = live, live.library
        self._teller, self._owned = teller, owned

    def __enter__(self) -> Session:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Notice]:
        self.live.start()  # outside `with`, too
        while True:
            notice = self._teller.take(LOOK_EVERY)
            if notice is not None:
                yield notice
            elif self._teller.closed or not self.live.running:
                return

    @property
    def missed(self) -> int:
        """Notices that were dropped because nobody read them in time."""
        return self._teller.missed

    def health(self) -> list[Health]:
        """How every camera is doing."""
        return self.live.health()

    def stop(self) -> None:
        """Ends every track and writes everything. What was told until then can still be read; may be called twice."""
        self.live.stop()

    def result(self) -> Result:
        """What the library holds of these cameras, from this run and earlier ones; after `stop`."""
        self.library.refresh()
        return Result(self.library, [self.library.store.source(c.record) for c in self.live.cameras])

    def close(self) -> None:
        """`stop`, and closes what `open` opened. May be called twice."""
        with self._owned:
            self.live.stop()


class _Folding:
    """An observer that turns what it is told into notices, and keeps them until they are taken."""

    def __init__(self, presence: Presence, clock: Callable[[], float] = time.time) -> None:
        self.presence, self.clock = presence, clock
        self.missed, self.closed = 0, False
        self._waiting: deque[Notice] = deque()
        self._changed = threading.Condition()
        self._put(presence.begin(clock()))

    def frame(self, camera: str, time: float, frame: Frame, seen: Sequence[Seen]) -> None:
        self._put(self.presence.frame(camera, time, seen))

    def ended(self, camera: str, track: int, end: float) -> None:
        self._put(self.presence.ended(camera, track, end))

    def kept(self, camera: str, parts: Sequence[Part]) -> None:
        self._put(self.presence.kept(camera, parts, self.clock()))

    def identities(self, events: Sequence[Event]) -> None:
        self._put(self.presence.identities(events, self.clock()))

    def gap(self, camera: str, gap: Gap) -> None:
        self._put(self.presence.gap(camera, gap, self.clock()))

    def health(self, health: Health) -> None:
        self._put(self.presence.tick(self.clock()))

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def take(self, timeout: float) -> Notice | None:
        """The oldest notice that waits; None when none came in time, or none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.closed, timeout)
            return self._waiting.popleft() if self._waiting else None

    def _put(self, notices: Sequence[Notice]) -> None:
        with self._changed:
            self._waiting.extend(notices)
            while len(self._waiting) > MOST:
                self._waiting.popleft()
                self.missed += 1
            self._changed.notify_all()
