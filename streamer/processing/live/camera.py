"""One camera of a live run: takes its newest frame, follows the faces in it, hands over what is known of them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from streamer.flow.stats import Load
from streamer.items import Frame, Gap, Track
from streamer.processing.live.identity import Inbox
from streamer.processing.live.sharing import Numbers
from streamer.processing.live.teller import Teller
from streamer.stages import Follow
from streamer.watching import STOPPED, Health, Seen

PATIENCE = 0.25  # s one take waits
GOOD = 0.55  # quality of a first look that is sent at once; a worse one is waited on for SOON
SOON = 0.4  # s
AGAIN = (0.6, 1.2)  # s from the first sending of an open track to the second, and between later ones
HEALTH_EVERY = 1.0  # s
RATE_OVER = 5.0  # s over which frames a second are counted
FAULTS, FAULTS_WITHIN = 5, 60.0  # a camera whose following fails so often in so many seconds is given up


class LiveSource(Protocol):
    """What a live run asks of a source, beside `info`, `stats` and `close`; CameraSource is one."""

    @property
    def live(self) -> bool: ...
    @property
    def fatal(self) -> str: ...
    def take(self, timeout: float | None = None) -> Frame | None: ...
    def close(self) -> None: ...
    def join(self, timeout: float) -> bool: ...
    def health(self) -> Health: ...
    def new_gaps(self) -> list[Gap]: ...


@dataclass(slots=True)
class _Open:
    """An open track that is told of: its library number and when it is sent next."""

    number: int
    since: float
    due: float
    sent: int = 0


class Watched:
    """A camera and the thread that follows it. `record` is its number in the store, `first` the next frame's index."""

    def __init__(
        self, name: str, source: Any, record: int, first: int, follow: Follow, inbox: Inbox, teller: Teller,
        numbers: Numbers, position: float | None,
    ) -> None:  # fmt: skip
        self.name, self.source, self.record, self.follow = name, source, record, follow
        self.problem = ""  # why it was given up
        self.load = Load("follow", name)
        self.lags: deque[float] = deque(maxlen=4_000)  # s from arrival to the end of processing, of the last frames
        self._first, self._inbox, self._teller, self._numbers = first, inbox, teller, numbers
        self._position = position  # how far it was seen by an earlier run
        self._open: dict[int, _Open] = {}  # by the tracker's number
        self._epoch = 0
        self._taken: deque[float] = deque()
        self._told: tuple[Any, ...] = ()
        self._health_at = 0.0
        self._faults: deque[float] = deque(maxlen=FAULTS)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"live-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No further frame is taken; open tracks are ended and handed over."""
        self._stopping.set()
        self.source.close()

    def join(self, timeout: float) -> bool:
        """Whether it has ended within `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether frames may still come."""
        return self._thread.is_alive()

    def stats(self) -> dict[str, Any]:
        """Counts that add up: read = processed + dropped by reason + failed (+ one that may wait)."""
        s, f = self.source.stats, self.follow
        return {
            "frames": {"read": s.read, "processed": f.frames, "dropped": dict(s.dropped), "failed": s.failed},
            "detector_calls": f.looks,
            "faces_detected": f.faces,
            "rejected": dict(f.tracker.rejected),
        }

    def health(self) -> Health:
        """The source's, with the figures of the processing."""
        since = time.monotonic() - RATE_OVER
        told: Health = self.source.health()
        rate = sum(at >= since for at in tuple(self._taken)) / RATE_OVER  # asked from other threads, too
        message = self.problem or told.message
        return replace(told, camera=self.name, fps=rate, message=message, state=STOPPED if self.problem else told.state)

    # ------------------------------------------------------------------ the thread
    def _run(self) -> None:
        while not self._stopping.is_set() and not self.problem and not self.source.fatal:
            try:
                self._step(self.source.take(PATIENCE))
            except Exception as error:
                self._fault(error)
        try:
            self._end(self.follow.flush())
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"
        self.source.close()
        self._report(force=True)

    def _step(self, frame: Frame | None) -> None:
        if frame is not None:
            self._look(frame)
        elif self._open and not self.source.live:
            self._end(self.follow.flush())  # what is not seen any more has ended with its last real frame
        self._report()

    def _look(self, frame: Frame) -> None:
        began = time.monotonic() - self.source.frame_age
        if frame.epoch != self._epoch:
            self._connected(frame)
        frame = replace(frame, index=frame.index + self._first, source=self.name)
        started = time.monotonic()
        self._end(self.follow.process([frame]))
        self.load.note(time.monotonic() - started, 1)
        self.follow.cuts.clear()  # of no use here, and for ever
        seen = [
            Seen(self._number(number, frame.time), box, score, None)
            for number, box, score in self.follow.tracker.present(frame.time)
        ]
        self._teller.frame(self.name, frame, seen)
        self._grow(frame.time)
        self._inbox.position(self.record, frame.time)
        now = time.monotonic()
        self._taken.append(now)
        while self._taken[0] < now - RATE_OVER:
            self._taken.popleft()
        self.lags.append(now - began)

    def _connected(self, frame: Frame) -> None:
        """A new connection: what is known of the camera, and the time since an earlier run ended."""
        self._epoch = frame.epoch
        info = self.source.info
        told = {"width": frame.width, "height": frame.height, "fps": info.fps, "codec": info.codec, "live": True}
        self._inbox.describe(self.record, told, 1 / (info.fps or 25))

    def _number(self, track: int, at: float) -> int:
        """The library number of one of the tracker's tracks."""
        known = self._open.get(track)
        if known is None:
            known = self._open[track] = _Open(self._numbers(), at, at)
        return known.number

    def _grow(self, now: float) -> None:
        """Sends the open tracks that are due."""
        if not any(now >= o.due for o in self._open.values()):
            return
        for track in self.follow.tracker.snapshot():
            known = self._open.get(track.number)
            if known is None or now < known.due:
                continue
            best = max((s.quality for s in track.samples), default=0.0)
            if not known.sent and best < GOOD and now - known.since < SOON:
                known.due = now + 0.05
                continue
            known.due = now + AGAIN[min(known.sent, 1)]
            known.sent += 1
            self._inbox.track(self.record, replace(track, number=known.number))

    def _end(self, tracks: Iterable[Track]) -> None:
        for track in tracks:
            number = self._number(track.number, track.start)
            del self._open[track.number]
            self._teller.ended(self.name, number, track.end)  # before anybody hears what was kept of it
            self._inbox.track(self.record, replace(track, number=number))

    def _fault(self, error: Exception) -> None:
        """Following failed: begun anew, and given up when it keeps failing. The other cameras do not notice."""
        now = time.monotonic()
        self._faults.append(now)
        told = f"{type(error).__name__}: {error}"
        try:
            self._end(self.follow.flush())
        except Exception:
            self._open.clear()
        if len(self._faults) == FAULTS and now - self._faults[0] < FAULTS_WITHIN:
            self.problem = f"given up after {FAULTS} faults within {FAULTS_WITHIN:g} s ({told})"
        self._stopping.wait(0.2)

    def _report(self, *, force: bool = False) -> None:
        """Tells gaps that ended, and the health when it changed or a second has passed."""
        for gap in self.source.new_gaps():
            gap = replace(gap, source=self.name)
            if self._position is not None:  # an earlier run's end: what lies between was not watched
                gap = replace(gap, start=min(self._position, gap.start), reason="not watched")
                self._position = None
            self._inbox.gap(self.record, gap)
            self._teller.gap(self.name, gap)
        now = time.monotonic()
        health = self.health()
        changed = (health.state, health.epoch, health.message) != self._told
        if changed or force or now >= self._health_at:
            self._told = (health.state, health.epoch, health.message)
            self._health_at = now + HEALTH_EVERY
            self._teller.health(health)
