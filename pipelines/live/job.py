"""`whowhen watch`: cameras in, people as they come and go, until somebody says stop."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.live import attendance
from pipelines.live.cameras import apply_options, read_cameras
from pipelines.live.sinks import Figures
from pipelines.terminal.exits import DONE, SOME_FAILED, UNREADABLE
from pipelines.terminal.interruption import Interruption
from pipelines.terminal.options import Order
from pipelines.terminal.tables import counted
from streamer.errors import StoreError
from streamer.items import Event, Frame, Gap
from streamer.sources.address import holds_password
from streamer.watching import LIVE, Health, Part, Seen

BLOCKS = ("options", *attendance.BLOCKS)  # of the cameras file, beside `cameras`
SAY_EVERY = 10.0  # s between two lines about one camera: a flapping one must not flood a log
STATUS_EVERY = 30.0  # s between two lines about all
# s from the signal to the end of the process, reports written or not: 10 are promised, and at a load of 20 the process
# was given its turn up to a second late
GRACE = 8.5
REPORTS = 2.5  # s of it that are kept for the reports
FORMATS = ("appearances", "people", "run", "html")  # a row per frame of a whole week is nobody's report


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Order):
    """What `whowhen watch` was asked to do."""

    cameras: tuple[str, ...]
    duration: float | None = None
    quiet: bool = False
    serve: Mapping[str, Any] | None = None  # the live page is wanted, with these options before those of the file


@dataclass(slots=True)
class Result:
    """How it ended."""

    code: int = DONE
    folders: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    people: list[Any] = field(default_factory=list)


class Console:
    """An observer that tells a person on stderr how the cameras are, not too often."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self._states: dict[str, tuple[str, str]] = {}
        self._held: dict[str, float] = {}
        self._health: dict[str, Health] = {}
        self._sinks: dict[str, str] = {}  # what was said last of each
        self._status_at = time.monotonic() + STATUS_EVERY

    def frame(self, camera: str, time: float, frame: Frame, seen: Sequence[Seen]) -> None:
        return

    def ended(self, camera: str, track: int, end: float) -> None:
        return

    def kept(self, camera: str, parts: Sequence[Part]) -> None:
        return

    def identities(self, events: Sequence[Event]) -> None:
        return

    def gap(self, camera: str, gap: Gap) -> None:
        return

    def health(self, health: Health) -> None:
        now = time.monotonic()
        self._health[health.camera] = health
        told = (health.state, health.message)
        if told != self._states.get(health.camera) and now >= self._held.get(health.camera, 0.0):
            self._states[health.camera] = told
            self._held[health.camera] = now + (SAY_EVERY if health.reconnects else 0.0)
            self.say(f"{health.camera}: {health.state}" + (f", {health.message}" if health.message else ""))
        if now >= self._status_at:
            self._status_at = now + STATUS_EVERY
            self.say("; ".join(self._line(h) for h in self._health.values()))

    def close(self) -> None:
        return

    def sinks(self, figures: Iterable[Figures]) -> None:
        """Says when a sink cannot deliver, and when it can again; called now and then."""
        now = time.monotonic()
        for f in figures:
            if f.problem != self._sinks.get(f.name, "") and now >= self._held.get(f.name, 0.0):
                self._sinks[f.name], self._held[f.name] = f.problem, now + SAY_EVERY
                problem = f.problem if f.problem.startswith(f.name) else f"{f.name}: {f.problem}"
                self.say(f"{problem}. Trying again; events wait." if f.problem else f"{f.name}: delivers again")

    def lost(self, figures: Iterable[Figures]) -> None:
        """Says what no sink will deliver any more."""
        for f in figures:
            if f.lost:
                self.say(f"{f.name}: {counted(f.lost, 'event was', 'events were')} not delivered. {f.problem}".rstrip())

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def _line(self, h: Health) -> str:
        if h.state != LIVE:
            return f"{h.camera} {h.state}"
        return f"{h.camera} {h.fps:.1f} fps, age {1000 * h.frame_age:.0f} ms, {sum(h.dropped.values())} dropped"


class Words:
    """A listener that only passes words on."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def source(self, name: str) -> Any:
        from streamer.processing.base import SourceProgress

        return SourceProgress(name)

    def tick(self, name: str, *, force: bool = False) -> None:
        return

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def run(job: Job) -> Result:
    """Watches until the duration is over, a signal comes, or no camera is left; then writes the reports."""
    from streamer.library import Library
    from streamer.library.retention import Retention
    from streamer.models import packs
    from streamer.processing.live import STOP_WITHIN, Live
    from streamer.sources.camera import CameraSource
    from streamer.sources.wallclock import WallClock

    told = read_cameras(job.cameras, BLOCKS)
    if any(holds_password(text) for text in job.cameras):
        print(
            "The command line holds a password, which everybody on this machine can read in the list of processes. "
            "Write '${NAME}' in its place and set that in the environment, or use a cameras file.",
            file=sys.stderr,
        )
    if "options" in told.blocks:
        apply_options(job.config, told.blocks["options"], told.origin)
    job.out.mkdir(parents=True, exist_ok=True)
    names = [c.name for c in told.cameras]
    watching = attendance.attend(told.blocks, job.out, names, origin=told.origin, serve=job.serve)
    models = packs.build(packs.load_pack(job.models), job.device)
    console, clock = Console(job.quiet), WallClock()
    with Interruption(GRACE) as stop, Library(job.library, create=True) as library:
        keep = Retention(library, job.keep_unnamed)
        _erased(keep.apply())
        sources = {c.name: CameraSource(c.address, name=c.name, clock=clock, **c.options) for c in told.cameras}
        live = Live(library, models, job.config, sources, [console, *watching.observers], Words(console))
        watching.begin(live, library)
        with live:
            _wait(live, stop, job.duration, keep, lambda: console.sinks(watching.figures()))
            live.stop(min(STOP_WITHIN, stop.left - REPORTS))
        watching.close()
        console.lost(watching.figures())
        result = Result(stop.code or _code(live), problems=live.problems)
        _report(job, library, live, result)
        result.people = [p for p in library.people() if p.screen_time > 0]
    return result


def tell(result: Result, *, as_json: bool) -> None:
    """The result on stdout: where the reports lie and who was seen."""
    if as_json:
        people = [{"id": p.id, "name": p.name, "screen_time": round(p.screen_time, 3)} for p in result.people]
        told = {"cameras": result.folders, "problems": result.problems, "people": people, "exit_code": result.code}
        print(json.dumps(told, indent=2))
        return
    for name, folder in result.folders.items():
        print(f"{name}: {os.path.join(folder, 'report.html')}")
    for name, why in result.problems.items():
        print(f"{name}: {why}", file=sys.stderr)
    print(counted(len(result.people), "person", "people") + (":" if result.people else ""))
    for p in sorted(result.people, key=lambda p: -p.screen_time):
        print(f"  {p.label:24} {p.screen_time:8.1f} s")


def _wait(live: Any, stop: Interruption, duration: float | None, keep: Any, look: Callable[[], None]) -> None:
    """Until it is over; `look` is called all the time, people whose time is up are erased every hour."""
    end = None if duration is None else time.monotonic() + duration
    while live.running and not stop.wait(0.25):
        look()
        if end is not None and time.monotonic() >= end:
            return
        if keep.due:
            try:
                _erased(live.decide(lambda _: keep.apply(live.clusterer), 60.0))
            except StoreError as error:
                print(f"StoreError: {error}", file=sys.stderr, flush=True)


def _erased(tracks: int) -> None:
    from streamer.processing.file import FILES_STAY

    if tracks:
        told = f"{tracks} tracks of people nobody named have expired and were erased{FILES_STAY}"
        print(told, file=sys.stderr, flush=True)


def _code(live: Any) -> int:
    if not live.problems:
        return DONE
    return UNREADABLE if len(live.problems) == len(live.cameras) else SOME_FAILED


def _report(job: Job, library: Any, live: Any, result: Result) -> None:
    """Every camera's folder."""
    from streamer.processing.results import write_folder
    from streamer.sources import stem

    taken: set[str] = set()
    for camera in live.cameras:
        folder = job.out / stem(camera.name, taken)
        write_folder(library, camera.record, folder, job.formats, usual=FORMATS)
        result.folders[camera.name] = str(folder)
