"""Clips of appearances, on request: a little before somebody comes until a little after they have left.

    record/FOLDER/20261125-143002-hall-7.mp4     H.264, at most `fps` frames a second
                                       7.json    who, where, when, `keep`: whether a person marked it

Frames of the last seconds are kept as small JPEGs, so that the time before an enter costs megabytes and not gigabytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.live.sinks import Figures
from streamer.crops import decode_jpeg, encode_jpeg
from streamer.errors import ConfigError
from streamer.items import Frame
from streamer.presence import Notice
from streamer.reports.atomic import replacing
from streamer.sources.write import write_video
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
    """A clip to be: everything of a camera from `start` to `end` (inf while the stay lasts)."""

    stay: str
    camera: str
    person: int | None
    name: str
    start: float
    end: float = float("inf")
    part: int = 1


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
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                item = self._queue.popleft() if self._queue else None
                self._frames -= isinstance(item, tuple)
            try:
                if item is None:
                    if not self._takes:
                        return
                    self._write(self._takes.popitem()[1])
                elif isinstance(item, Notice):
                    self._notice(item)
                else:
                    self._frame(*item)
            except Exception as error:  # of one clip; the next may work
                self._trouble(f"record: {error}")

    def _frame(self, camera: str, time: float, frame: Frame) -> None:
        mine = self._cameras.setdefault(camera, _Camera())
        if time - mine.last < 1 / self.options.fps - 0.005:
            return
        mine.last = time
        width = min(self.options.width, frame.width) // 2 * 2
        height = round(frame.height * width / frame.width) // 2 * 2
        if min(width, height) >= 16:
            mine.shots.append(_Shot(time, encode_jpeg(frame.picture.scaled(width, height), QUALITY)))
        for take in [t for t in self._takes.values() if t.camera == camera]:
            if time > take.end + self.options.after:
                del self._takes[take.stay]  # before it is written: a full disk must not be tried with every frame
                self._write(take)
            elif time - take.start > self.options.longest:
                self._takes[take.stay] = replace(take, start=time, part=take.part + 1)
                self._write(take)
        self._forget(camera, time)

    def _forget(self, camera: str, time: float) -> None:
        """Frames nobody will want any more."""
        oldest = min([t.start for t in self._takes.values() if t.camera == camera], default=time)
        shots = self._cameras[camera].shots
        while shots and shots[0].time < min(oldest, time - self.options.before - LATE):
            shots.popleft()

    def _notice(self, n: Notice) -> None:
        if n.stay is None:
            return
        take = self._takes.get(n.stay.id)
        if n.type == "retract":
            self._takes.pop(n.stay.id, None)
            return
        if take is None:
            if n.stay.end is not None or not self._wanted(n):
                return
            take = _Take(n.stay.id, n.camera, n.stay.person, n.name, n.stay.start - self.options.before)
            self._takes[n.stay.id] = take
        take.person, take.name = n.stay.person, n.name
        take.end = float("inf") if n.stay.end is None else n.stay.end

    def _wanted(self, n: Notice) -> bool:
        named = bool(n.name)
        return self.options.people == "all" or named == (self.options.people == "named")

    def _write(self, take: _Take) -> None:
        end = take.end + self.options.after
        shots = [s for s in self._cameras[take.camera].shots if take.start <= s.time <= end]
        if len(shots) < 2:
            return
        free = shutil.disk_usage(self.folder).free
        if free < self._spare:
            self._trouble(f"record: only {free // 1_000_000} MB are free below {self.folder}; nothing is recorded")
            return
        begin = shots[0].time
        path = self.folder / _file_name(begin, take)
        # what is written replaces a name only when it is whole; a kill leaves a file the next start sweeps away
        with replacing(path) as part:
            write_video(part, ((s.time - begin, decode_jpeg(s.data)) for s in shots), self.options.fps, crf=24)
        told = {
            "camera": take.camera, "person": take.person, "name": take.name, "stay": take.stay, "part": take.part,
            "start": round(begin, 3), "end": round(shots[-1].time, 3), "keep": take.stay in self._marked,
        }  # fmt: skip
        with replacing(path.with_suffix(".json")) as part:
            part.write_text(json.dumps(told, ensure_ascii=False), "utf-8")
        self.written += 1
        self._trouble("")
        self.shelf.add(path)
        self.shelf.tidy(shots[-1].time, self.options.keep_days * 86_400, int(self.options.keep_gb * 1e9))


def _file_name(begin: float, take: _Take) -> str:
    """Never made from a person's name: numbers and what is safe of the camera's."""
    when = datetime.fromtimestamp(begin, UTC).strftime("%Y%m%d-%H%M%S")
    camera = re.sub(r"[^\w-]+", "_", take.camera, flags=re.ASCII).strip("_")[:40] or "camera"
    return f"{when}-{camera}-{re.sub(r'[^0-9-]', '', take.stay)}-{take.part}.mp4"


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip on disk."""

    path: Path
    end: float
    size: int
    keep: bool


class Shelf:
    """The clips of a folder: what is there, how much it is, and what may go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._clips: dict[Path, Clip] = {}
        for path in sorted(folder.glob("*.mp4")):
            if not path.name.startswith("."):
                self.add(path)
        for stray in folder.glob(".*.part.*"):
            stray.unlink(missing_ok=True)
        for lone in folder.glob("*.json"):
            if lone.with_suffix(".mp4") not in self._clips:
                lone.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """Bytes of all clips."""
        return sum(c.size for c in self._clips.values())

    def __iter__(self) -> Iterator[Clip]:
        return iter(sorted(self._clips.values(), key=lambda c: (c.end, c.path.name)))

    def add(self, path: Path) -> None:
        """Takes a file into account."""
        with contextlib.suppress(OSError):
            self._clips[path] = Clip(path, *_about(path))

    def mark(self, path: Path, keep: bool = True) -> None:
        """A clip that a person wants to keep is never removed by `tidy`."""
        beside = path.with_suffix(".json")
        told = json.loads(beside.read_text("utf-8")) | {"keep": keep}
        with replacing(beside) as part:
            part.write_text(json.dumps(told, ensure_ascii=False), "utf-8")
        self.add(path)

    def tidy(self, now: float, seconds: float, size: int) -> list[Path]:
        """Removes clips older than `seconds`, then the oldest until all are at most `size` bytes; what went."""
        gone = []
        for clip in list(self):
            keep = clip.keep or _about(clip.path)[2]  # somebody may have marked it since
            if not keep and (clip.end < now - seconds or self.size > size):
                clip.path.unlink(missing_ok=True)
                clip.path.with_suffix(".json").unlink(missing_ok=True)
                del self._clips[clip.path]
                gone.append(clip.path)
        return gone


def _about(path: Path) -> tuple[float, int, bool]:
    """(end, size, keep) of a clip; one without a readable description counts by its own age and may go."""
    size = path.stat().st_size
    try:
        told = json.loads(path.with_suffix(".json").read_text("utf-8"))
        return float(told["end"]), size, told["keep"] is True
    except (OSError, ValueError, KeyError, TypeError):
        return os.path.getmtime(path), size, False
