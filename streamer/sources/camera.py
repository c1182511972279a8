"""A camera as a source that is never behind: the newest frame wins, and a lost connection is made again for ever."""

from __future__ import annotations

import random
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from streamer.flow.overflow import Latest
from streamer.items import Frame, Gap
from streamer.sources.address import Address, parse_address
from streamer.sources.base import SourceInfo, SourceStats
from streamer.sources.connection import Connection, Lost
from streamer.sources.picture import Orientation, VideoPicture
from streamer.sources.wallclock import EpochClock, WallClock
from streamer.watching import CONNECTING, DOWN, LIVE, STALLED, STOPPED, Health

FIRST_WAIT, LONGEST_WAIT = 0.25, 8.0  # s between two attempts
SETTLED = 1.0  # s a connection must have lived for the waits to begin small again
LATE, IN_TIME = 1.0, 0.3  # s: from here the decoder skips to key frames, until here again
GAPS_KEPT = 1000  # beyond, the oldest two become one
NOT_TAKEN, BEHIND = "a newer frame came", "decoder behind"


class Backoff:
    """Seconds to wait before the next attempt: doubling from 0.25 to 8, a quarter more or less by chance."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._tries = 0

    def reset(self) -> None:
        """The next wait is short again."""
        self._tries = 0

    def next(self, *, slow: bool = False) -> float:
        """`slow`: the longest wait at once (a refused login: cameras lock accounts)."""
        wait = LONGEST_WAIT if slow else min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self._tries, 16))
        self._tries += 1
        return wait * (0.75 + 0.5 * self._chance())


class Freeze:
    """Notices a picture that does not change at all for `limit` seconds (0 = never); looked at twice a second.

    A picture that stays frozen over a new connection is given twice the time, up to an hour.
    """

    def __init__(self, limit: float) -> None:
        self._least = self._limit = limit
        self._print: int | None = None
        self.since = self._looked = 0.0

    def seen(self, luma: memoryview | bytes, at: float) -> bool:
        """Whether the picture, of which `luma` is the brightness, is frozen at time `at`."""
        if not self._least or at - self._looked < 0.5:
            return False
        self._looked = at
        found = zlib.crc32(luma)
        if found != self._print:
            if self._print is not None:
                self._limit = self._least
            self._print, self.since = found, at
        if at - self.since < self._limit:
            return False
        self._limit = min(2 * self._limit, max(3600.0, self._least))
        return True

    def resume(self, at: float) -> None:
        """A new connection: the time of not changing counts from here."""
        self.since = at


class CameraSource:
    """The newest frame of a camera, wherever it is; see `streamer.sources.base` for the contract.

    `url`: rtsp(s), rtmp(s), http(s) (MJPEG, TS, HLS), srt, udp, rtp, tcp or a device. Times are seconds since the
    epoch. A reader thread decodes everything and keeps one frame; those nobody took in time are counted in
    `stats.dropped`. A camera that is silent or sends no pictures for `stall` seconds, or the same one for `frozen`
    seconds (0 = any time), is connected to again; each connection is a new `epoch`. `connect` makes connections.

    SourceError for an address that is none; a camera that cannot be reached is waited for.
    """

    def __init__(
        self,
        url: str | Address,
        *,
        name: str = "",
        transport: Literal["tcp", "udp"] = "tcp",
        open_timeout: float = 5.0,
        stall: float = 3.0,
        frozen: float = 30.0,
        max_pixels: int = 64_000_000,
        clock: WallClock | None = None,
        backoff: Backoff | None = None,
        connect: Callable[..., Any] = Connection,
    ) -> None:
        self.address = url if isinstance(url, Address) else parse_address(url)
        self.stats = SourceStats()
        self.info = SourceInfo(name or self.address.shown, self.address.shown, 0, 0, live=True)
        self.fatal = ""  # why this address can never be read
        self._options: Mapping[str, Any] = {
            "transport": transport, "open_timeout": open_timeout, "stall": stall, "max_pixels": max_pixels,
        }  # fmt: skip
        self._connect, self._backoff, self._wall = connect, backoff or Backoff(), clock or WallClock()
        self._freeze = Freeze(frozen)
        self._clock = EpochClock()
        self._slot: Latest[tuple[Frame, float]] = Latest()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._state, self._since, self._message = CONNECTING, self._wall.now(), ""
        self._epoch = self._index = self._connections = 0
        self._age = 0.0
        self._stored = (0, 0)  # size of the decoded picture
        self._gaps: list[Gap] = []
        self._dark, self._why = self._since, "connecting"  # since when, and why, nothing is seen

    def start(self) -> None:
        """Begins to connect and read; `take` and iterating do it too."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name=f"camera-{self.info.name}", daemon=True)
                self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        while not self._slot.closed:
            if (frame := self.take(0.5)) is not None:
                yield frame

    def take(self, timeout: float | None = None) -> Frame | None:
        """The newest frame nobody has taken; None after `timeout` seconds without one, or when closed."""
        self.start()
        item = self._slot.take(timeout)
        if item is None:
            return None
        frame, arrived = item
        with self._lock:
            self._age = time.monotonic() - arrived
            self.stats.given += 1
        return frame

    def close(self) -> None:
        """Ends the reader at its next packet or time-out; does not wait for it."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
            away = self._state != LIVE
        self._slot.close()
        if away:
            self._end_gap(self._wall.now())
        self._say(STOPPED, self.fatal)

    def join(self, timeout: float) -> bool:
        """Whether the reader has ended within `timeout` seconds; a hung read keeps it longer."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    @property
    def live(self) -> bool:
        """Whether frames are coming."""
        return self._state == LIVE

    @property
    def frame_age(self) -> float:
        """Seconds the frame taken last had waited."""
        return self._age

    def health(self) -> Health:
        """How it is doing; `processed` counts frames taken, `fps` is the consumer's to fill in."""
        with self._lock:
            return Health(
                self.info.name, self._state, self._since, self._epoch, frame_age=self._age, read=self.stats.read,
                processed=self.stats.given, dropped=dict(self.stats.dropped), message=self._message,
                reconnects=max(0, self._connections - 1),
            )  # fmt: skip

    def new_gaps(self) -> list[Gap]:
        """The gaps that ended since the last call."""
        with self._lock:
            found, self._gaps = self._gaps, []
            return found

    # ------------------------------------------------------------------ the reader thread
    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._read()
                return
            except Lost as lost:
                told = lost
            except Exception as error:  # a fault of ours must not end a camera silently
                told = Lost(f"{type(error).__name__} in the reader", slow=True)
            self._lost(told)
            if told.final:
                return
            if told.soon:
                self._backoff.reset()
            self._closing.wait(self._backoff.next(slow=told.slow))

    def _read(self) -> None:
        """One connection, from its opening to its end."""
        self._connections += 1
        connection = self._connect(self.address, **self._options)
        try:
            self._wall.resync()
            self._clock = EpochClock(self._clock.last)
            began, behind, fresh = time.monotonic(), False, True
            lost = (0, 0)
            for decoded, pts in connection.frames():
                if self._closing.is_set():
                    return
                if connection.paced:
                    self._closing.wait(min(60.0, self._clock.ahead(pts, self._wall.now())))
                lost = self._count(connection, lost)
                self._take_in(connection, decoded, pts, fresh)
                fresh = False
                if behind != (self._clock.late > (IN_TIME if behind else LATE)):
                    behind = not behind
                    connection.skip(behind)
                if time.monotonic() - began > SETTLED:
                    self._backoff.reset()
        finally:
            connection.close()

    def _count(self, connection: Any, before: tuple[int, int]) -> tuple[int, int]:
        """Accounts for what the connection failed to decode and skipped since `before`."""
        failed, skipped = connection.failed, connection.skipped
        stats = self.stats
        with self._lock:
            stats.failed += failed - before[0]
            stats.read += failed - before[0] + skipped - before[1]
            if skipped > before[1]:
                stats.dropped[BEHIND] = stats.dropped.get(BEHIND, 0) + skipped - before[1]
        return failed, skipped

    def _take_in(self, connection: Any, decoded: Any, pts: float | None, fresh: bool) -> None:
        """A decoded picture becomes the newest frame."""
        at = self._clock.place(pts, self._wall.now())
        stored = (decoded.width, decoded.height)
        if fresh or stored != self._stored:
            self._begin_epoch(connection, stored, at, fresh)
        if self._freeze.seen(memoryview(decoded.planes[0]), at):
            self._dark = self._freeze.since
            raise Lost(f"the picture has been the same for {at - self._freeze.since:.0f} s", stalled=True)
        width, height = self.info.width, self.info.height
        picture = VideoPicture(decoded, width, height, Orientation(), stored)
        frame = Frame(self.info.name, self._index, at, width, height, picture, self._epoch)
        self._index += 1
        self._dark = at
        with self._lock:
            self.stats.read += 1
        if self._slot.put((frame, time.monotonic())) is not None:
            with self._lock:
                self.stats.dropped[NOT_TAKEN] = self.stats.dropped.get(NOT_TAKEN, 0) + 1

    def _begin_epoch(self, connection: Any, stored: tuple[int, int], at: float, fresh: bool) -> None:
        self._stored = stored
        self._epoch += 1
        self.info = replace(
            self.info, width=max(1, round(stored[0] * connection.aspect)), height=stored[1], fps=connection.fps,
            codec=connection.codec,
        )  # fmt: skip
        if fresh:
            self._end_gap(at)
            self._freeze.resume(at)
        self._say(LIVE, "")

    def _lost(self, lost: Lost) -> None:
        reason = self.address.clean(lost.reason)
        was_live = self._state == LIVE
        if was_live or not self._epoch:
            self._why = reason
        self.fatal = reason if lost.final else ""
        if self._closing.is_set():
            return
        self._say(STOPPED if lost.final else STALLED if was_live and lost.stalled else DOWN, reason)

    def _say(self, state: str, message: str) -> None:
        with self._lock:
            if self._state != state:
                self._state, self._since = state, self._wall.now()
            self._message = message

    def _end_gap(self, until: float) -> None:
        """Reports the stretch nothing was seen in, now that something is seen again, or the camera closed."""
        if until <= self._dark:
            return
        gap = Gap(self.info.name, self._dark, until, self._why)
        kept = self.stats.gaps
        with self._lock:
            self._gaps.append(gap)
            kept.append(gap)
            if len(kept) > GAPS_KEPT:
                kept[:2] = [replace(kept[0], end=kept[1].end)]
