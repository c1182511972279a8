"""Video files in, people and their timelines out: the main job."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipelines.progress import Progress, SourceProgress
from streamer.config import Config
from streamer.errors import StageError, StreamerError
from streamer.items import Frame, Track

PACKAGES = ("numpy", "opencv-python-headless", "av", "faiss-cpu", "onnxruntime")


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
    inline: bool = False  # one thread instead of one per stage; the result is the same


@dataclass(slots=True)
class Done:
    """What became of one source. `state`: done, partial, skipped or failed."""

    path: str
    state: str
    folder: str = ""
    message: str = ""
    code: int = 0


@dataclass(slots=True)
class Result:
    """What a run produced."""

    sources: list[Done] = field(default_factory=list)
    people: list[Any] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 done, 3 with a warning, 5 when some of several failed, else the code of the one failure."""
        failed = [s for s in self.sources if s.state == "failed"]
        if failed:
            return failed[0].code if len(failed) == len(self.sources) else 5
        return 3 if any(s.state == "partial" for s in self.sources) else 0


def run(job: Job, progress: Progress) -> Result:
    """Processes every source into the library, then writes the results of all of them with the final identities."""
    from streamer.library import Library
    from streamer.models import packs
    from streamer.sources import expand

    paths = expand(job.sources)
    job.out.mkdir(parents=True, exist_ok=True)
    models = packs.build(packs.load_pack(job.models), job.device)
    for why in dict.fromkeys(line.partition(": ")[2] for line in models.devices):
        print(f"device: {why}", file=sys.stderr)
    result = Result()
    with Library(job.library, create=True) as library:
        worker = _Worker(job, models, library, progress)
        for path in paths:
            result.sources.append(worker.one(path))
            library.refresh()
        _write(job, library, result, worker)
        result.people = [p for p in library.people() if p.screen_time > 0]
    return result


class _Worker:
    """One library, one set of models, source after source."""

    def __init__(self, job: Job, models: Any, library: Any, progress: Progress) -> None:
        self.job, self.models, self.library, self.progress = job, models, library, progress
        self.store = library.store
        e = models.embedder
        self.store.check_model(e.model, e.dimension, e.metric, e.template)
        for name in self.store.discard_unfinished():
            print(f"{name}: an interrupted run is begun again", file=sys.stderr)
        self.clusterer = library.clusterer(self._fresh)
        self.config = f"{job.config.digest()}-{models.embedder.model}-{models.detector.name}"

    def _fresh(self) -> Any:
        e = self.models.embedder
        return self.job.config.make(
            "clusterer", dimension=e.dimension, metric=e.metric, link=e.thresholds.link, merge=e.thresholds.merge,
            model=e.model,
        )  # fmt: skip

    def one(self, path: Path) -> Done:
        """Processes a source, or finds that it is done already; a failure is an answer, not an exception."""
        from pipelines.cli import exit_code
        from streamer.sources import open_source

        try:
            source = open_source(path, **self.job.config.component("source"))
            try:
                digest = _digest(path)
                known = self.store.find_source(digest, self.config)
                if known is not None and known.status in ("done", "partial") and not self.job.force:
                    return Done(str(path), "skipped", message=str(known.id))
                return self._process(path, source, digest)
            finally:
                source.close()
        except StreamerError as error:
            cause = error.__cause__ if isinstance(error, StageError) and error.__cause__ else error
            told = cause if isinstance(cause, StreamerError) else error
            print(f"{type(told).__name__}: {told}", file=sys.stderr)
            self.store.discard_unfinished()
            self.clusterer = self.library.clusterer(self._fresh)  # without what the failed source taught it
            return Done(str(path), "failed", message=str(told), code=exit_code(error))

    def _process(self, path: Path, source: Any, digest: str) -> Done:
        from streamer.flow.inline import run_inline
        from streamer.flow.stage import Stage
        from streamer.flow.threaded import run_threaded
        from streamer.stages import Assign, Embed, Follow

        info = source.info
        shown = self.progress.source(path.name)
        shown.total, shown.state = info.duration, "running"
        began = time.process_time()
        make = self.job.config.make
        record = self.store.begin_source(
            path.name, path=str(path.absolute()), content_hash=digest, config=self.config, period=1 / (info.fps or 25),
            info={"width": info.width, "height": info.height, "fps": info.fps, "duration": info.duration,
                  "start": info.start, "codec": info.codec, "frames": info.frames},
            at=_now(), state=self.clusterer.state(),
        )  # fmt: skip
        follow = Follow(
            self.models.detector, self.models.embedder.template, make("tracker"), make("shots"), make("stride")
        )
        embed = Embed(self.models.embedder, self.models.quality, self.store.next_track())
        frames = _timed(source, shown, self.progress, follow)

        def keep(outcome: Any) -> None:
            self._record(record.id, outcome)
            shown.tracks += len(outcome.tracks)

        chain: list[Stage] = [follow, embed, Assign(self.clusterer)]
        flow = (run_inline if self.job.inline else run_threaded)(frames, chain, keep)
        stats = _stats(source, follow, embed, time.process_time() - began)
        stats["stages"] = {s.name: round(s.cpu_s, 3) for s in flow.stages}
        state = "partial" if source.stats.warnings else "done"
        self.store.finish_source(
            record.id, state=self.clusterer.state(), status=state, stats=stats,
            manifest=_manifest(self.job, self.models, info, stats), at=_now(),
        )  # fmt: skip
        for warning in source.stats.warnings:
            print(f"{path}: {warning}", file=sys.stderr)
        shown.state = state
        self.progress.tick(path.name, force=True)
        return Done(str(path), state, message=str(record.id))

    def _record(self, number: int, outcome: Any) -> None:
        tracks: list[Track] = [e.track for e in outcome.tracks]
        lets = [e.tracklet for e in outcome.tracks if e.tracklet is not None]
        self.store.add_tracks(
            number, tracks, outcome.events, vectors={t.id: t.embedding for t in lets},
            cannot_links=[(t.id, other) for t in lets for other in t.cannot_link],
            position=max((t.end for t in tracks), default=None),
        )  # fmt: skip


def _digest(path: Path) -> str:
    """What stands for the content of a file, or of a folder of pictures (names, sizes and times of change)."""
    from streamer.store import content_hash

    if path.is_file():
        return content_hash(path)
    listing = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(path.iterdir())]
    return hashlib.sha256(repr(listing).encode()).hexdigest()


def _timed(source: Any, shown: SourceProgress, progress: Progress, follow: Any) -> Iterator[Frame]:
    """The frames of a source, with the progress kept up to date."""
    for frame in source:
        yield frame
        shown.done, shown.frames, shown.faces = frame.time - source.info.start, frame.index + 1, follow.faces
        progress.tick(shown.name)


def _stats(source: Any, follow: Any, embed: Any, cpu: float) -> dict[str, Any]:
    """Counts that add up: read = processed + dropped by reason + failed."""
    s = source.stats
    return {
        "frames": {"read": s.read, "processed": follow.frames, "dropped": dict(s.dropped), "failed": s.failed},
        "detector_calls": follow.looks,
        "faces_detected": follow.faces,
        "faces_embedded": embed.embedded,
        "rejected": {**follow.tracker.rejected, **embed.rejected},
        "cuts": follow.cuts,
        "stride": {str(k): n for k, n in sorted(follow.stride.looks.items())},
        "warnings": list(s.warnings),
        "cpu_seconds": round(cpu, 3),
        "cpu_ms_per_frame": round(1000 * cpu / max(1, follow.frames), 3),
    }


def _manifest(job: Job, models: Any, info: Any, stats: dict[str, Any]) -> dict[str, Any]:
    """What it takes to repeat the run, and what really ran."""
    from streamer.models.packs import describe

    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except ImportError:
            continue
    return {
        "whowhen": version("whowhen"),
        "python": platform.python_version(),
        "packages": installed,
        "source": {"path": info.uri, "codec": info.codec, "width": info.width, "height": info.height},
        "config": {p: {"value": v, "origin": o} for p, v, o in job.config.show()},
        "models": describe(models.pack),
        "model_id": models.embedder.model,
        "devices": models.devices,
        **stats,
    }


def _write(job: Job, library: Any, result: Result, worker: _Worker) -> None:
    """Every source's folder, with the identities as they are at the end of the run."""
    from pipelines.report import run_data
    from streamer import reports
    from streamer.sources import stem

    taken: set[str] = set()
    for done in result.sources:
        name = stem(Path(done.path), taken)
        if done.state == "failed":
            continue
        folder = job.out / name
        folder.mkdir(parents=True, exist_ok=True)
        data = run_data(library, worker.store.source(int(done.message)), folder)
        done.folder, done.message = str(folder), ""
        for form in ("faces", "appearances", "people", "run", "html", *job.formats):
            written = reports.write(form, data, folder)
            worker.store.add_export(str(written.absolute()), [p.id for p in data.people], _now())


def tell(result: Result, *, as_json: bool) -> None:
    """The result on stdout: where the reports lie and who was found."""
    if as_json:
        people = [{"id": p.id, "name": p.name, "screen_time": round(p.screen_time, 3)} for p in result.people]
        sources = [{k: getattr(s, k) for k in ("path", "state", "folder", "message")} for s in result.sources]
        print(json.dumps({"sources": sources, "people": people, "exit_code": result.exit_code}, indent=2))
        return
    for s in result.sources:
        print(f"{s.path}: {s.state}" + (f", {os.path.join(s.folder, 'report.html')}" if s.folder else ""))
    print(f"{len(result.people)} people" + (":" if result.people else ""))
    for p in sorted(result.people, key=lambda p: -p.screen_time):
        print(f"  {p.label:24} {p.screen_time:8.1f} s")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
