"""One file after another into a library: read, follow, embed, cluster, store."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from streamer.config import Config
from streamer.errors import SourceError, StageError, StoreError, StreamerError
from streamer.flow.inline import StopSignal, run_inline
from streamer.flow.stage import Stage
from streamer.flow.threaded import run_threaded
from streamer.items import Assigned, Dissolved, Event, Merged, Track
from streamer.library import Library
from streamer.library.retention import Retention
from streamer.models.base import certain_score
from streamer.processing.base import Listener, Silent, SourceProgress
from streamer.processing.calibration import self_calibration, stats_of
from streamer.processing.choosing import chosen, maker
from streamer.processing.manifest import manifest, run_stats
from streamer.processing.reading import PATIENCE_S, ReadAhead, Reading
from streamer.sources.redact import shown

FILES_STAY = "; reports written earlier stay (`whowhen people expire --delete-files`)"


@dataclass(slots=True)
class Done:
    """What became of one source. `state`: done, partial, skipped, failed or interrupted; `record`: its store number.

    `partial` also says of a skipped source that its reading was a partial one.
    """

    path: str
    state: str
    record: int | None = None
    error: StreamerError | None = None
    folder: str = ""
    partial: bool = False


class FileWorker:
    """One library, one set of models, source after source.

    `inline` runs the stages in one thread instead of one each; the result is the same. `force` does finished sources
    again: the new run takes the place of the old one, decisions move along. People nobody named are erased
    `keep_unnamed` after they were last seen, at the start, between sources and while one is read. Once `stop` is set
    nothing more is read; the source at hand is taken back, to be begun again by the next run.
    """

    def __init__(
        self,
        library: Library,
        models: Any,
        config: Config,
        listener: Listener | None = None,
        *,
        inline: bool = False,
        force: bool = False,
        keep_unnamed: timedelta | None = None,
        stop: StopSignal | None = None,
    ) -> None:
        import cv2

        # OpenCV's own threads cost 1 % more than they save on pictures this small; for the whole process, as FAISS' are
        cv2.setNumThreads(1)
        self.library, self.models, self.config = library, models, config
        self.listener: Listener = listener or Silent()
        self.inline, self.force, self.stop = inline, force, stop
        self.store = library.store
        library.say = self.listener.say
        self._ahead: ReadAhead | None = None
        self._seen: set[str] = set()  # contents of this run: a copy is not done twice, also by force
        e = models.embedder
        self.store.check_model(e.model, e.dimension, e.metric, e.template)
        for name in self.store.discard_unfinished():
            self.listener.say(f"{name}: an interrupted run is begun again")
        self.retention = Retention(library, keep_unnamed)
        self._expire()
        self._settled = chosen(self.store, config)
        self._fresh = maker(self._settled, e)
        self.clusterer = library.clusterer(self._fresh)
        self.digest = f"{config.digest()}-{e.model}-{models.detector.name}"

    def _expire(self, clusterer: Any = None, *, running: bool = False) -> None:
        gone = self.retention.apply(clusterer, running=running)
        if gone:
            self.listener.say(f"{gone} tracks of people nobody named have expired and were erased{FILES_STAY}")

    def one(self, path: Path) -> Done:
        """Processes a source, or finds that it is done already; a source that fails is an answer, not an exception.

        StoreError when the library itself cannot be written: then no other source would fare better.
        """
        if self._stopped:
            return Done(str(path), "interrupted")
        try:
            content = content_digest(path)
            known = self.store.find_source(content, self.digest) if not self.force or content in self._seen else None
            self._seen.add(content)
            if known is not None and known.status != "running":
                done = Done(str(path), "skipped", known.id, partial=known.status == "partial")
                self.listener.source(str(path)).state = "skipped"
            else:
                done = self._open(path, content)
            self._settle(path, content, done)
            self._expire(self.clusterer)
            return done
        except StreamerError as error:
            cause = error.__cause__ if isinstance(error, StageError) else None
            told = cause if isinstance(cause, StreamerError) else error
            self._take_back()
            if isinstance(told, StoreError):
                raise told from error
            self.listener.say(f"{type(told).__name__}: {told}")
            self.listener.source(str(path)).state = "failed"
            return Done(str(path), "failed", error=told)

    def _settle(self, path: Path, content: str, done: Done) -> None:
        """One content is one source: this one takes the place of earlier runs over it, and has its path."""
        for old in self.store.sources_of(content):
            if done.record is not None and old.id < done.record and old.status != "running":
                self.library.replace(old.id, done.record, self.clusterer)
                self.listener.say(f"{old.name}: done again; names and decisions moved along")
        if done.record is not None and not Path(self.store.source(done.record).path).exists():
            self.store.move_source(done.record, _storable(path.absolute()))

    @property
    def _stopped(self) -> bool:
        return self.stop is not None and self.stop.is_set()

    def _take_back(self) -> None:
        """Forgets what a source that did not end well left behind; on a full disk the next run does it."""
        with contextlib.suppress(StoreError):
            self.store.discard_unfinished()
            self.clusterer = self.library.clusterer(self._fresh)  # without what the source taught it

    def all(self, paths: Sequence[Path], jobs: int = 1) -> Iterator[Done]:
        """`one` for every path, in order; `jobs` of them are read and followed at a time. The result is the same."""
        if jobs <= 1 or self.inline:
            yield from (self.one(path) for path in paths)
            return
        self._ahead = ReadAhead(jobs, self.config, self.models, self.listener, self.stop)
        try:
            for number, path in enumerate(paths):
                if not self._stopped:
                    self._ahead.begin(self._to_do(paths[number:]))
                yield self.one(path)
        finally:
            self._ahead.close()
            self._ahead = None

    def _to_do(self, paths: Sequence[Path]) -> Iterator[Path]:
        """Those that are not done already; an unreadable one is left to its turn."""
        planned = set(self._seen)
        for path in paths:
            with contextlib.suppress(StreamerError):
                content = content_digest(path)
                known = self.store.find_source(content, self.digest) if not self.force else None
                if content not in planned and (known is None or known.status == "running"):
                    planned.add(content)
                    yield path

    def _open(self, path: Path, content: str) -> Done:
        reading = self._ahead.take(path) if self._ahead is not None else None
        if reading is None:
            reading = Reading(path, self.config, self.models, self.listener)
        try:
            return self._process(path, reading, content)
        finally:
            reading.close()

    def _process(self, path: Path, reading: Reading, content: str) -> Done:
        from streamer.processing.assigning import Assigning
        from streamer.stages import Assign, Embed, Outcome

        told, source = reading.shown, reading.source
        began = time.process_time()
        calibration = self_calibration(self._settled, self.models.embedder, self.store)
        known = calibration.result()
        self.clusterer.retune(known.link, known.merge)
        record = self._begin(path, source.info, content)
        models = self.models
        embed = Embed(models.embedder, models.quality, self.store.next_track(), certain_score(models.detector))
        people: set[int] = set()

        def keep(outcome: Outcome) -> None:
            self._record(record, outcome)
            told.tracks += len(outcome.tracks)
            told.people = _count(people, outcome.events)

        chain: list[Stage] = [*reading.stages, embed]
        last = Assigning(Assign(self.clusterer, calibration), keep, lambda: self._expire(self.clusterer, running=True))
        if self.inline:
            flow = run_inline(reading.items, chain, last.take, stop=self.stop)
        else:
            flow = run_threaded(reading.items, chain, last.take, stop=self.stop, patience=PATIENCE_S)
        if self._stopped and not reading.complete:
            self._take_back()
            told.state = "interrupted"
            return Done(str(path), "interrupted")
        last.finish()
        told.faces = reading.follow.faces
        seconds = {s.name: s.cpu_s for s in flow.stages} | (reading.seconds or {}) | {last.assign.name: last.cpu_s}
        seconds["sink"] = max(0.0, seconds["sink"] - last.cpu_s)
        # beside others the process' own clock says nothing of this source
        cpu = time.process_time() - began if reading.seconds is None else sum(seconds.values())
        stats = run_stats(source, reading.follow, embed, cpu)
        stats["calibration"] = stats_of(calibration, self.models.embedder.model)
        stats["stages"] = {name: round(value, 3) for name, value in seconds.items()}
        return self._finish(path, source, record, content, stats, told)

    def _begin(self, path: Path, info: Any, content: str) -> int:
        told = {"width": info.width, "height": info.height, "fps": info.fps, "duration": info.duration}
        told |= {"start": info.start, "codec": info.codec, "frames": info.frames, "timecode": info.start_timecode}
        record = self.store.begin_source(
            shown(path.name), path=_storable(path.absolute()), content_hash=content, config=self.digest,
            period=1 / (info.fps or 25), info=told, at=now(),
        )  # fmt: skip  # the last snapshot still is the state: whatever changes the clusterer between sources stores it
        return int(record.id)

    def _finish(
        self, path: Path, source: Any, record: int, content: str, stats: dict[str, Any], told: SourceProgress
    ) -> Done:
        warnings = source.stats.warnings
        told.state = "partial" if warnings else "done"
        self.store.finish_source(
            record, state=self.clusterer.pages(), status=told.state, stats=stats,
            manifest=manifest(self.config, self.models, source.info, stats, content), at=now(),
        )  # fmt: skip
        for warning in warnings:
            self.listener.say(f"{path}: {warning}")
        self.listener.tick(told.name, force=True)
        return Done(str(path), told.state, record, partial=bool(warnings))

    def _record(self, number: int, outcome: Any) -> None:
        tracks: list[Track] = [e.track for e in outcome.tracks]
        lets = [e.tracklet for e in outcome.tracks if e.tracklet is not None]
        self.store.add_tracks(
            number, tracks, outcome.events, vectors={t.id: t.embedding for t in lets},
            cannot_links=[(t.id, other) for t in lets for other in t.cannot_link],
            position=max((t.end for t in tracks), default=None),
        )  # fmt: skip


def _storable(path: Path) -> str:
    """A path as text that can be written as UTF-8; undecodable bytes of it are escaped, so it cannot be found by it."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _count(people: set[int], events: Iterable[Event]) -> int:
    """How many people were seen so far, `people` brought up to date."""
    for event in events:
        if isinstance(event, Assigned) and event.identity is not None:
            people.add(event.identity)
        elif isinstance(event, Merged) and event.dropped in people:
            people.discard(event.dropped)
            people.add(event.kept)
        elif isinstance(event, Dissolved):
            people.discard(event.identity)
    return len(people)


def content_digest(path: Path) -> str:
    """What stands for the content of a file, or of a folder of pictures (names, sizes and times of change).

    SourceError for what is neither, or cannot be read.
    """
    from streamer.sources.inspect import regular_file
    from streamer.store import content_hash

    if not path.is_dir():
        return content_hash(regular_file(path))
    try:
        listing = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(path.iterdir())]
    except OSError as error:
        raise SourceError(f"{path}: cannot be listed ({error.strerror}). Check its rights.") from error
    return hashlib.sha256(repr(listing).encode("utf-8", "surrogateescape")).hexdigest()


def now() -> str:
    """The time of day in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
