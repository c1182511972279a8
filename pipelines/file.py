"""`whowhen run`: video files in, people and their timelines out."""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipelines.terminal.exits import DONE, SOME_FAILED, WARNING, exit_code
from pipelines.terminal.interruption import Interruption
from pipelines.terminal.options import Order
from pipelines.terminal.progress import Progress
from pipelines.terminal.tables import counted, inert
from streamer.errors import ConfigError, SourceError, StoreError, StreamerError
from streamer.processing.file import Done

if TYPE_CHECKING:
    from streamer.library import Library


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Order):
    """What `whowhen run` was asked to do."""

    sources: tuple[str, ...]
    force: bool = False
    jobs: int = 1  # sources read and followed at a time; the result is the same
    inline: bool = False  # one thread instead of one per stage; the result is the same


class Seen(NamedTuple):
    """Somebody of a run's sources. `label` is the name, or "Person 7"."""

    id: int
    name: str
    label: str


@dataclass(slots=True)
class Result:
    """What a run produced. `people` were seen in its sources: who, and for how many seconds there."""

    sources: list[Done] = field(default_factory=list)
    people: list[tuple[Seen, float]] = field(default_factory=list)
    interrupted: int = 0  # the exit code of the signal, 0 where there was none

    @property
    def exit_code(self) -> int:
        """130 or 143 interrupted, 0 done, 3 with a warning, 5 some of several failed, else that of the one failure."""
        if self.interrupted:
            return self.interrupted
        failed = [s.error for s in self.sources if s.error is not None]
        if failed:
            return exit_code(failed[0]) if len(failed) == len(self.sources) else SOME_FAILED
        return WARNING if any(s.partial for s in self.sources) else DONE


def run(job: Job, progress: Progress, stop: Interruption | None = None) -> Result:
    """Processes every source into the library, then writes the results of all of them with the final identities.

    Once `stop` is set no more is read, and the results of what was finished are written.
    """
    from streamer.library import Library
    from streamer.models import packs
    from streamer.processing.file import FileWorker
    from streamer.sources import expand, left_out

    check(job)
    paths = _without_results(expand(job.sources), job)
    progress.note(*left_out(job.sources, job.out))
    progress.inputs = len(paths)
    result = Result()
    with Library(job.library, create=True) as library:
        models = packs.build(packs.load_pack(job.models), job.device)
        progress.note(*(f"device: {why}" for why in dict.fromkeys(d.partition(": ")[2] for d in models.devices)))
        worker = FileWorker(
            library, models, job.config, progress,
            inline=job.inline, force=job.force, keep_unnamed=job.keep_unnamed, stop=stop,
        )  # fmt: skip
        gc.freeze()  # a large library is no garbage: looking through it costs a file 0.1 s (100,000 tracks)
        for done in worker.all(paths, job.jobs):
            result.sources.append(done)
            library.refresh()
        progress.note(*progress.throughput())
        _write(job, library, result)
        result.people = _people(library, result)
    if stop is not None and stop.is_set():
        result.interrupted = stop.code
        finished = sum(s.record is not None for s in result.sources)
        progress.say(f"{finished} of {len(paths)} inputs are finished and kept: the same command goes on from there.")
    return result


def _without_results(paths: list[Path], job: Job) -> list[Path]:
    """`paths` less what lies in the output folder and was not named itself: results are no input of the next run."""
    out, named = job.out.resolve(), {Path(s) for s in job.sources}
    kept = [p for p in paths if p in named or out not in p.resolve().parents]
    if not kept:
        raise SourceError(f"{', '.join(job.sources)}: holds nothing but results of earlier runs. Give another folder.")
    return kept


def check(job: Job) -> None:
    """ConfigError before any work: no such format or device, an output folder that cannot be written."""
    from streamer import reports
    from streamer.models.runtime import Device

    Device.parse(job.device)

    for name in job.formats:
        if name not in reports.FORMATS or not reports.FORMATS[name].pictures:  # those want the frames
            reports.create(name)
    if any("\ud800" <= c <= "\udfff" for c in str(job.out) + str(job.library)):
        raise ConfigError("the name of the output folder or of the library is not UTF-8. Choose another one.")
    try:
        job.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=job.out):
            pass
    except OSError as error:
        raise ConfigError(
            f"{job.out}: results cannot be written there ({error.strerror}). Choose another folder with --out."
        ) from error


def _write(job: Job, library: Library, result: Result) -> None:
    """Every source's folder, with the identities as they are at the end of the run. A failure to write is told."""
    from streamer.processing.results import source_folder, write_folder

    taken: set[str] = set()
    for done in result.sources:
        if done.record is None:
            continue
        folder = source_folder(job.out, Path(done.path), library.store.source(done.record), taken)
        try:
            write_folder(library, done.record, folder, job.formats)
            done.folder = str(folder)
        except StoreError:
            raise
        except StreamerError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            done.error = error


def _people(library: Library, result: Result) -> list[tuple[Seen, float]]:
    """Who was seen in the sources of a run, longest first."""
    seconds: dict[int, float] = defaultdict(float)
    for number in {s.record for s in result.sources if s.record is not None}:
        for a in library.appearances(library.store.source(number).name):
            seconds[a.identity] += a.end - a.start
    view = library.view
    found = [(Seen(p, view.names.get(p, ""), view.label(p)), s) for p, s in seconds.items()]
    return sorted(found, key=lambda f: (-f[1], f[0].id))


def tell(result: Result, *, as_json: bool) -> None:
    """The result on stdout: where the reports lie and who was found."""
    if as_json:
        people = [{"id": p.id, "name": p.name, "screen_time": round(t, 3)} for p, t in result.people]
        sources = [
            {"path": s.path, "state": s.state, "folder": s.folder, "message": str(s.error or "")}
            for s in result.sources
        ]
        print(json.dumps({"sources": sources, "people": people, "exit_code": result.exit_code}, indent=2))
        return
    for s in result.sources:
        state = "done before" if s.state == "skipped" else s.state
        print(inert(f"{s.path}: {state}" + (f", {os.path.join(s.folder, 'report.html')}" if s.folder else "")))
    print(counted(len(result.people), "person", "people") + (":" if result.people else ""))
    for p, seconds in result.people:
        print(f"  {p.label:24} {seconds:8.1f} s")
