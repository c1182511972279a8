"""Clips of appearances, on request: a little before somebody comes until a little after they have left.

    record/FOLDER/20261125-143002-hall-7-1.mp4     H.264, at most `fps` frames a second
                  20261125-143002-hall-7-1.json    who, where, when, `keep`: whether a person marked it

Frames of the last seconds are kept as small JPEGs, so that the time before an enter costs megabytes and not gigabytes.
A clip is written while the stay lasts, see `pipelines.live.clip`.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipelines.live.clip import Take, adopt
from pipelines.live.shelf import Shelf
from pipelines.live.sinks import Figures
from streamer.crops import decode_jpeg, encode_jpeg
from streamer.errors import ConfigError, StreamerError
from streamer.items import U8, Frame
from streamer.presence import Notice
from streamer.watching import Health, Seen

LATE = 3.0  # s an enter may be told after it: as much more of the past is kept
QUEUE = 64  # frames that wait for the recorder; beyond, the oldest are left out and counted
WAITED = 0.5  # s a frame may wait while others come: a kill loses no more, a starved machine leaves frames out
QUALITY = 88
SPARE = 200_000_000  # bytes left free on the disk, below which nothing is recorded


@dataclass(frozen=True, slots=True)
class Record:
    """The block `record:`. `before` and `after`: seconds around a stay; a stay longer than `longest` gets several
    clips. Clips older than `keep_days` go, and the oldest when all together are more than `keep_gb`; those a person
    marked stay. `people`: "all", "named" or "unknown"."""

    folder: str = "record"
    before: float = 3.0
    after: float = 2.0
    longest: float = 60.0
    fps: float = 10.0
    width: int = 1280
    keep_days: float = 14.0
    keep_gb: float = 10.0
    people: str = "all"

    def __post_init__(self) -> None:
        if self.people not in ("all", "named", "unknown"):
            raise ConfigError(f"record.people is {self.people!r}: all, named or unknown.")
        for name in ("longest", "fps", "width", "keep_days", "keep_gb"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"record.{name} is {getattr(self, name)}: more than 0 is expected.")
        if not (0 <= self.before <= 30 and 0 <= self.after <= 30):
            raise ConfigError("record.before and record.after are 0 to 30 seconds.")

    def recorder(self, below: Path, say: Callable[[str], None] = lambda text: None) -> Recorder:
        """The recorder; its folder is `folder`, beneath `below` unless it is absolute. `say` hears of trouble."""
        return Recorder(self, below / self.folder, say=say)


@dataclass(frozen=True, slots=True)
class _Shot:
    """A frame that may be recorded."""

    time: float
    data: bytes


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A frame for the recorder, and since when it waits (monotonic)."""

    camera: str
    time: float
    frame: Frame
    since: float


class Recorder:
    """An onlooker that writes clips in a thread of its own. `problem` says why it does not, empty while it does.

    A full disk, or one with less than SPARE left, pauses recording and nothing else. What is on disk is counted anew at
    every start, so a killed run leaves nothing unaccounted for.
    """

    def __init__(
        self, options: Record, folder: Path, *, spare: int = SPARE, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self.options, self.folder, self._spare, self._say = options, folder, spare, say
        self.problem = ""
        self._marked: set[str] = set()  # stays whose clips are to be kept
        self.written = self.skipped = 0
        self._shots: dict[str, deque[_Shot]] = {}  # the last seconds of each camera
        self._takes: dict[str, Take] = {}
        self._queue: deque[_Waiting | Notice] = deque()
        self._newest: dict[str, float] = {}  # time of the newest frame that came to wait, by camera
        self._frames = 0
        self._closing = False
        self._changed = threading.Condition()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.shelf = Shelf(folder)
        except OSError as error:
            raise ConfigError(f"record: {folder} cannot be written ({error.strerror}).") from error
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------ Onlooker
    def frame(self, camera: str, at: float, frame: Frame, seen: Sequence[Seen]) -> None:
        with self._changed:
            if 0 <= at - self._newest.get(camera, -1e9) < 1 / self.options.fps - 0.005:
                return
            self._newest[camera] = at
            self._frames += 1
            self._queue.append(_Waiting(camera, at, frame, time.monotonic()))
            if self._frames > QUEUE:
                self._queue.remove(next(item for item in self._queue if isinstance(item, _Waiting)))
                self._left_out()
            self._changed.notify()

    def notices(self, notices: Sequence[Notice]) -> None:
        with self._changed:
            self._queue.extend(notices)
            self._changed.notify()

    def health(self, health: Health) -> None:
        return

    def close(self, timeout: float = 4.0) -> None:
        """Finishes what is being recorded."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)

    def keep(self, stay: str) -> int:
        """A person wants the clips of a stay for good, also those that are still to come; how many there are."""
        with self._changed:
            self._marked.add(stay)
            found = [c.path for c in self.shelf if re.sub(r"-\d+$", "", c.path.stem).endswith(f"-{stay}")]
        for path in found:
            self.shelf.mark(path)
        return len(found)

    def figures(self) -> Figures:
        """As of a sink, for the page and the metrics."""
        return Figures("record", self.written, self.skipped, len(self._takes), self.problem)

    # ------------------------------------------------------------------ the thread
    def _trouble(self, problem: str) -> None:
        if problem != self.problem:
            self._say(problem or "record: going on")
        self.problem = problem

    def _run(self) -> None:
        self._tried(self._adopt)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                item = self._queue.popleft() if self._queue else None
                if isinstance(item, _Waiting) and self._is_late(item):
                    self._left_out()
                    continue
                self._frames -= isinstance(item, _Waiting)
            if item is None:
                if not self._takes:
                    return
                self._tried(partial(self._finish, self._takes.popitem()[1]))
            elif isinstance(item, Notice):
                self._tried(partial(self._notice, item))
            else:
                self._tried(partial(self._frame, item.camera, item.time, item.frame))

    def _is_late(self, item: _Waiting) -> bool:
        """Whether a frame has waited too long, and a newer one will be recorded in its place."""
        return self._frames > 1 and not self._closing and time.monotonic() - item.since > WAITED

    def _left_out(self) -> None:
        self._frames -= 1
        self.skipped += 1

    def _tried(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # of one clip; the next may work
            self._trouble(f"record: {error}")

    def _frame(self, camera: str, at: float, frame: Frame) -> None:
        width = min(self.options.width, frame.width) // 2 * 2
        height = round(frame.height * width / frame.width) // 2 * 2
        if min(width, height) < 16:
            return
        image = frame.picture.scaled(width, height)
        for take in [t for t in self._takes.values() if t.camera == camera]:
            if at > take.end + self.options.after:
                del self._takes[take.stay]
                self._finish(take)
                continue
            if take.film and (at - take.start > self.options.longest or take.size != image.shape):
                self._takes[take.stay] = following = replace(take, start=at, part=take.part + 1, film=None)
                self._finish(take)
                take = following
            self._feed(take, at, image)
        shots = self._shots.setdefault(camera, deque())
        shots.append(_Shot(at, encode_jpeg(image, QUALITY)))
        while shots[0].time < at - self.options.before - LATE:  # nobody will want it any more
            shots.popleft()

    def _feed(self, take: Take, at: float, image: U8) -> None:
        """One more frame of a clip. A clip that cannot go on is left as it is, and begun anew with the next notice."""
        try:
            if shutil.disk_usage(self.folder).free < self._spare:
                raise StreamerError(self._short())
            take.keep = take.stay in self._marked
            take.add(self.folder, self.options.fps, at, image)
        except StreamerError as error:
            self._takes.pop(take.stay, None)
            self._tried(partial(self._finish, take))
            self._trouble(f"record: {error}")

    def _short(self) -> str:
        return (
            f"less than {self._spare // 1_000_000} MB are free below {self.folder}; nothing is recorded until there are"
        )

    def _notice(self, n: Notice) -> None:
        if n.stay is None:
            return
        take = self._takes.get(n.stay.id)
        if n.type == "retract":
            if take is not None:
                del self._takes[n.stay.id]
                take.drop()
            return
        if take is None:
            if n.stay.end is not None or not self._wanted(n):
                return
            take = Take(n.stay.id, n.camera, n.stay.person, n.name, n.stay.start - self.options.before)
            self._takes[n.stay.id] = take
            for shot in list(self._shots.get(n.camera, ())):
                if shot.time >= take.start and n.stay.id in self._takes:
                    self._feed(take, shot.time, decode_jpeg(shot.data))
        take.person, take.name = n.stay.person, n.name
        take.end = float("inf") if n.stay.end is None else n.stay.end

    def _wanted(self, n: Notice) -> bool:
        named = bool(n.name)
        return self.options.people == "all" or named == (self.options.people == "named")

    def _finish(self, take: Take) -> None:
        """What was written of a take becomes a clip."""
        take.keep = take.stay in self._marked
        end = take.shelve(self.shelf, self.options.after)
        if end is not None:
            self._shelved(end)
            self._trouble("")

    def _adopt(self) -> None:
        """Clips that a run which is no more was writing."""
        for end in adopt(self.shelf):
            self._shelved(end)

    def _shelved(self, end: float) -> None:
        self.written += 1
        self.shelf.tidy(end, self.options.keep_days * 86_400, int(self.options.keep_gb * 1e9))
