"""The observer that joins a live run with everybody who wants to know: notices to sinks, page and recorder."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipelines.live.sinks import Sink
from pipelines.live.told import Past, ToldLog, epoch_of
from streamer.items import Event, Frame, Gap
from streamer.presence import Notice, Presence, Rules
from streamer.watching import Health, Part, Seen

TICK_EVERY = 0.5  # s between two looks at who has left; absence times are in seconds


@dataclass(frozen=True, slots=True)
class Corrections:
    """What the user has said, for live labels: see Presence.corrected."""

    names: Mapping[int, str] = field(default_factory=dict)
    pins: Mapping[int, int] = field(default_factory=dict)
    aliases: Mapping[int, int] = field(default_factory=dict)


def corrections(library: Any) -> Corrections:
    """The user's word in an open library, read in the thread that owns it."""
    view, machine = library.view, library.store.labels()
    aliases = dict(view.aliases)
    pins = {}
    for track, person in view.labels.items():
        identity = machine.get(track)
        if person is not None and person != aliases.get(identity, identity):
            pins[track] = person
    return Corrections(dict(view.names), pins, aliases)


class Onlooker(Protocol):
    """Who is told beside the sinks: the page and the recorder. Must not block."""

    def frame(self, camera: str, time: float, frame: Frame, seen: Sequence[Seen]) -> None: ...
    def notices(self, notices: Sequence[Notice]) -> None: ...
    def health(self, health: Health) -> None: ...
    def close(self) -> None: ...


class Announcer:
    """Folds what a live run tells into notices and hands them on. An Observer; `corrected` may come from any thread.

    Handing on never waits: sinks and onlookers have bounded queues of their own.
    """

    def __init__(
        self,
        rules: Rules,
        sinks: Sequence[Sink] = (),
        onlookers: Sequence[Onlooker] = (),
        *,
        clock: Callable[[], float] = time.time,
        closing: float = 2.0,
        log: ToldLog | None = None,
    ) -> None:
        self.sinks, self.onlookers = list(sinks), list(onlookers)
        self._clock, self._closing = clock, closing
        self._lock = threading.Lock()
        self._ticked = clock()
        self._log = log
        self.remembered = [] if log is None else log.read(self._ticked - rules.remember)  # of earlier runs
        last = max((epoch_of(s) for s in self.remembered), default=0)
        self._presence = Presence(max(int(self._ticked * 1000), last + 1), rules)  # a clock may have been set back
        for sink in self.sinks:
            sink.start()
        self._tell(self._presence.begin(self._ticked))

    @property
    def epoch(self) -> int:
        return self._presence.epoch

    # ------------------------------------------------------------------ Observer
    def frame(self, camera: str, time: float, frame: Frame, seen: Sequence[Seen]) -> None:
        with self._lock:
            self._tell(self._presence.frame(camera, time, seen))
        for o in self.onlookers:
            o.frame(camera, time, frame, seen)
        self._tick()

    def ended(self, camera: str, track: int, end: float) -> None:
        with self._lock:
            self._tell(self._presence.ended(camera, track, end))

    def kept(self, camera: str, parts: Sequence[Part]) -> None:
        with self._lock:
            self._tell(self._presence.kept(camera, parts, self._clock()))

    def identities(self, events: Sequence[Event]) -> None:
        with self._lock:
            self._tell(self._presence.identities(events, self._clock()))

    def gap(self, camera: str, gap: Gap) -> None:
        with self._lock:
            self._tell(self._presence.gap(camera, gap, self._clock()))

    def health(self, health: Health) -> None:
        for sink in self.sinks:
            sink.health(health)
        for o in self.onlookers:
            o.health(health)
        self._tick()

    def close(self) -> None:
        with self._lock:
            self._tell(self._presence.close(self._clock()))
        end = time.monotonic() + self._closing
        for sink in self.sinks:  # before the recorder: its last clips may take longer than there is time
            sink.close(max(0.1, end - time.monotonic()))
        for o in self.onlookers:
            o.close()

    # ------------------------------------------------------------------ from elsewhere
    def begin(self, certain: float, said: Corrections, past: Past | None = None) -> None:
        """Before anything is seen: the score that makes somebody (see Presence), what the user has said so far, and
        what was told before; what has become of that since is told now."""
        self._presence.certain = certain
        if past is not None:
            self._presence.recall(past.told, past.parts, past.labels)
        self.corrected(said)

    def corrected(self, said: Corrections) -> None:
        """The user has named, merged or split somebody."""
        with self._lock:
            self._tell(self._presence.corrected(said.names, said.pins, said.aliases, self._clock()))

    def _tick(self) -> None:
        now = self._clock()
        with self._lock:
            if abs(now - self._ticked) >= TICK_EVERY:
                self._ticked = now
                self._tell(self._presence.tick(now))

    def _tell(self, notices: Sequence[Notice]) -> None:
        """Called with the lock held, so that everybody hears the notices in order."""
        if not notices:
            return
        if self._log is not None:
            self._log.keep(notices, self._presence.stays)
        for sink in self.sinks:
            sink.put(notices)
        for o in self.onlookers:
            o.notices(notices)
