"""`whowhen run`: video files in, people and their timelines out."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipelines.exits import DONE, SOME_FAILED, WARNING, exit_code
from pipelines.progress import Progress
from streamer.config import Config
from streamer.processing.file import Done


@dataclass(frozen=True, slots=True)
class Job:
    """What `whowhen run` was asked to do."""

    sources: tuple[str, ...]
    out: Path
    library: Path
    models: str = "open"
    device: str = "auto"
    config: Config = field(default_factory=Config)
    formats: tuple[str, ...] = ()
    force: bool = False
    keep_unnamed: timedelta | None = None  # people without a name are erased this long after they were last seen
    inline: bool = False  # one thread instead of one per stage; the result is the same


@dataclass(slots=True)
class Result:
    """What a run produced."""

    sources: list[Done] = field(default_factory=list)
    people: list[Any] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 done, 3 with a warning, 5 when some of several failed, else the code of the one failure."""
        failed = [s.error for s in self.sources if s.error is not None]
        if failed:
            return exit_code(failed[0]) if len(failed) == len(self.sources) else SOME_FAILED
        return WARNING if any(s.state == "partial" for s in self.sources) else DONE


def run(job: Job, progress: Progress) -> Result:
    """Processes every source into the library, then writes the results of all of them with the final identities."""
    from streamer.library import Library
    from streamer.models import packs
    from streamer.processing.file import FileWorker
    from streamer.sources import expand

    paths = expand(job.sources)
    job.out.mkdir(parents=True, exist_ok=True)
    models = packs.build(packs.load_pack(job.models), job.device)
    for why in dict.fromkeys(line.partition(": ")[2] for line in models.devices):
        print(f"device: {why}", file=sys.stderr)
    result = Result()
    with Library(job.library, create=True) as library:
        worker = FileWorker(
            library, models, job.config, progress, inline=job.inline, force=job.force, keep_unnamed=job.keep_unnamed
        )
        for path in paths:
            result.sources.append(worker.one(path))
            library.refresh()
        _write(job, library, result)
        result.people = [p for p in library.people() if p.screen_time > 0]
    return result


def _write(job: Job, library: Any, result: Result) -> None:
    """Every source's folder, with the identities as they are at the end of the run."""
    from streamer.processing.results import write_folder
    from streamer.sources import stem

    taken: set[str] = set()
    for done in result.sources:
        name = stem(Path(done.path), taken)
        if done.record is None:
            continue
        done.folder = str(job.out / name)
        write_folder(library, done.record, job.out / name, job.formats)


def tell(result: Result, *, as_json: bool) -> None:
    """The result on stdout: where the reports lie and who was found."""
    if as_json:
        people = [{"id": p.id, "name": p.name, "screen_time": round(p.screen_time, 3)} for p in result.people]
        sources = [
            {"path": s.path, "state": s.state, "folder": s.folder, "message": str(s.error or "")}
            for s in result.sources
        ]
        print(json.dumps({"sources": sources, "people": people, "exit_code": result.exit_code}, indent=2))
        return
    for s in result.sources:
        print(f"{s.path}: {s.state}" + (f", {os.path.join(s.folder, 'report.html')}" if s.folder else ""))
    print(f"{len(result.people)} people" + (":" if result.people else ""))
    for p in sorted(result.people, key=lambda p: -p.screen_time):
        print(f"  {p.label:24} {p.screen_time:8.1f} s")
