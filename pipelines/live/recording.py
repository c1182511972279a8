"""Clips of appearances, on request: a little before somebody comes until a little after they have left.

    record/FOLDER/20261125-143002-hall-7.mp4     H.264, at most `fps` frames a second
                                       7.json    who, where, when, `keep`: whether a person marked it

Frames of the last seconds are kept as small JPEGs, so that the time before an enter costs megabytes and not gigabytes.
A clip is written while the stay lasts and lacks its last second at most, whatever happens to the process: what a killed
run left (`.NAME.PID.open.mp4`) becomes a clip at the next start.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.live.shelf import Shelf, described, remove
from pipelines.live.sinks import Figures
from streamer.crops import decode_jpeg, encode_jpeg
from streamer.errors import ConfigError, SourceError, StreamerError
from streamer.items import U8, Frame
from streamer.presence import Notice
from streamer.reports.atomic import alive, replacing
from streamer.sources.write import GrowingVideo, finish_video
from streamer.watching import Health, Seen

LATE = 3.0  # s an enter may be told after it: as much more of the past is kept
QUEUE = 64  # frames that wait for the recorder; beyond, the oldest are left out and counted
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


@dataclass(slots=True)
class _Shot:
    """A frame that may be recorded."""

    time: float
    data: bytes


@dataclass(slots=True)
class _Camera:
    """The last seconds of a camera, and the stays that are recorded of it."""

    shots: deque[_Shot] = field(default_factory=deque)
    last: float = float("-inf")


@dataclass(slots=True)
class _Take:
    """A clip in the making: everything of a camera from `start` to `end` (inf while the stay lasts)."""

    stay: str
    camera: str
    person: int | None
    name: str
    start: float
    end: float = float("inf")
    part: int = 1
    begin: float = 0.0  # time of the first frame
    last: float = float("-inf")  # of the last
    size: tuple[int, ...] = ()
    film: GrowingVideo | None = None
    path: Path = Path()  # of the clip to be

    @property
    def open(self) -> Path:
        """Where it is while it grows."""
        return self.path.with_name(f".{self.path.stem}.{os.getpid()}.open.mp4")


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
        self._cameras: dict[str, _Camera] = {}
        self._takes: dict[str, _Take] = {}
        self._queue: deque[Any] = deque()
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
    def frame(self, camera: str, time: float, frame: Frame, seen: Sequence[Seen]) -> None:
        with self._changed:
            if self._frames >= QUEUE:
                self.skipped += 1
                return
            self._frames += 1
            self._queue.append((camera, time, frame))
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
                self._frames -= isinstance(item, tuple)
            if item is None:
                if not self._takes:
                    return
                self._tried(partial(self._finish, self._takes.popitem()[1]))
            elif isinstance(item, Notice):
                self._tried(partial(self._notice, item))
            else:
                self._tried(partial(self._frame, *item))

    def _tried(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # of one clip; the next may work
            self._trouble(f"record: {error}")

    def _frame(self, camera: str, time: float, frame: Frame) -> None:
        mine = self._cameras.setdefault(camera, _Camera())
        if time - mine.last < 1 / self.options.fps - 0.005:
            return
        mine.last = time
        width = min(self.options.width, frame.width) // 2 * 2
        height = round(frame.height * width / frame.width) // 2 * 2
        if min(width, height) < 16:
            return
        image = frame.picture.scaled(width, height)
        for take in [t for t in self._takes.values() if t.camera == camera]:
            if time > take.end + self.options.after:
                del self._takes[take.stay]
                self._finish(take)
                continue
            if take.film and (time - take.start > self.options.longest or take.size != image.shape):
                self._takes[take.stay] = following = replace(take, start=time, part=take.part + 1, film=None)
                self._finish(take)
                take = following
            self._feed(take, time, image)
        mine.shots.append(_Shot(time, encode_jpeg(image, QUALITY)))
        self._forget(camera, time)

    def _feed(self, take: _Take, time: float, image: U8) -> None:
        """One more frame of a clip. A clip that cannot go on is left as it is, and begun anew with the next notice."""
        try:
            if shutil.disk_usage(self.folder).free < self._spare:
                raise StreamerError(self._short())
            film = take.film or self._open(take, time, image)
            film.add(time - take.begin, image)
            take.last = time
        except StreamerError as error:
            self._takes.pop(take.stay, None)
            if take.film is not None:
                self._tried(partial(self._finish, take))
            self._trouble(f"record: {error}")

    def _short(self) -> str:
        return (
            f"less than {self._spare // 1_000_000} MB are free below {self.folder}; nothing is recorded until there are"
        )

    def _open(self, take: _Take, time: float, image: U8) -> GrowingVideo:
        """Begins the film of a clip with its first frame."""
        take.begin, take.size = time, image.shape
        take.path = self.folder / _file_name(time, take)
        try:
            os.close(os.open(take.open, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
            described(take.open.with_suffix(".json"), self._told(take))
        except OSError as error:
            raise StreamerError(f"{self.folder} cannot be written ({error.strerror})") from error
        take.film = GrowingVideo(take.open, self.options.fps)
        return take.film

    def _forget(self, camera: str, time: float) -> None:
        """Frames nobody will want any more."""
        shots = self._cameras[camera].shots
        while shots and shots[0].time < time - self.options.before - LATE:
            shots.popleft()

    def _notice(self, n: Notice) -> None:
        if n.stay is None:
            return
        take = self._takes.get(n.stay.id)
        if n.type == "retract":
            self._drop(self._takes.pop(n.stay.id, None))
            return
        if take is None:
            if n.stay.end is not None or not self._wanted(n):
                return
            take = _Take(n.stay.id, n.camera, n.stay.person, n.name, n.stay.start - self.options.before)
            self._takes[n.stay.id] = take
            for shot in list(self._cameras.get(n.camera, _Camera()).shots):
                if shot.time >= take.start and n.stay.id in self._takes:
                    self._feed(take, shot.time, decode_jpeg(shot.data))
        take.person, take.name = n.stay.person, n.name
        take.end = float("inf") if n.stay.end is None else n.stay.end

    def _wanted(self, n: Notice) -> bool:
        named = bool(n.name)
        return self.options.people == "all" or named == (self.options.people == "named")

    def _finish(self, take: _Take) -> None:
        """What was written of a take becomes a clip."""
        if take.film is None:
            return
        take.film.close()
        if take.film.frames < 2:
            self._drop(take)
            return
        self._shelve(take.open, take.path, self._told(take), take.end + self.options.after)
        self._trouble("")

    def _shelve(self, growing: Path, path: Path, told: dict[str, Any], until: float) -> None:
        # what is written replaces a name only when it is whole; a kill leaves the growing file for the next start
        with replacing(path) as part:
            end = told["start"] + finish_video(growing, part, until - told["start"])
        described(path.with_suffix(".json"), told | {"end": round(end, 3)})
        remove(growing)
        self.written += 1
        self.shelf.add(path)
        self.shelf.tidy(end, self.options.keep_days * 86_400, int(self.options.keep_gb * 1e9))

    def _told(self, take: _Take) -> dict[str, Any]:
        return {
            "camera": take.camera, "person": take.person, "name": take.name, "stay": take.stay, "part": take.part,
            "start": round(take.begin, 3), "end": round(take.last, 3), "keep": take.stay in self._marked,
        }  # fmt: skip

    def _drop(self, take: _Take | None) -> None:
        """Nobody wants what was written of it."""
        if take is not None and take.film is not None:
            with contextlib.suppress(StreamerError):
                take.film.close()
            remove(take.open)

    def _adopt(self) -> None:
        """Clips that a run which is no more was writing."""
        for growing in sorted(self.folder.glob(".*.open.mp4")):
            stem, process = growing.name[1:].removesuffix(".open.mp4").rsplit(".", 1)
            if process.isdigit() and alive(process):
                continue
            try:
                told = json.loads(growing.with_suffix(".json").read_text("utf-8"))
                self._shelve(growing, self.folder / f"{stem}.mp4", {**told, "start": float(told["start"])}, math.inf)
            except (SourceError, ValueError, KeyError, TypeError, FileNotFoundError):
                remove(growing)  # killed within its first second


def _file_name(begin: float, take: _Take) -> str:
    """Never made from a person's name: numbers and what is safe of the camera's."""
    when = datetime.fromtimestamp(begin, UTC).strftime("%Y%m%d-%H%M%S")
    camera = re.sub(r"[^\w-]+", "_", take.camera, flags=re.ASCII).strip("_")[:40] or "camera"
    return f"{when}-{camera}-{re.sub(r'[^0-9-]', '', take.stay)}-{take.part}.mp4"
