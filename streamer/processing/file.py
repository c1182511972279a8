"""One file after another into a library: read, follow, embed, cluster, store."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from streamer.config import Config
from streamer.errors import StageError, StreamerError
from streamer.flow.inline import run_inline
from streamer.flow.stage import Stage
from streamer.flow.threaded import run_threaded
from streamer.items import Frame, Track
from streamer.library import Library
from streamer.library.retention import Retention
from streamer.processing.base import Listener, Silent, SourceProgress
from streamer.processing.manifest import manifest, run_stats


@dataclass(slots=True)
class Done:
    """What became of one source. `state`: done, partial, skipped or failed; `record`: its number in the store."""

    path: str
    state: str
    record: int | None = None
    error: StreamerError | None = None
    folder: str = ""


class FileWorker:
    """One library, one set of models, source after source.

    `inline` runs the stages in one thread instead of one each; the result is the same. `force` does finished sources
    again: the new run takes the place of the old one, decisions move along. People nobody named are erased
    `keep_unnamed` after they were last seen, at the start and between sources.
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
    ) -> None:
        self.library, self.models, self.config = library, models, config
        self.listener: Listener = listener or Silent()
        self.inline, self.force = inline, force
        self.store = library.store
        e = models.embedder
        self.store.check_model(e.model, e.dimension, e.metric, e.template)
        for name in self.store.discard_unfinished():
            self.listener.say(f"{name}: an interrupted run is begun again")
        self.retention = Retention(library, keep_unnamed)
        self._expire()
        self.clusterer = library.clusterer(self._fresh)
        self.digest = f"{config.digest()}-{e.model}-{models.detector.name}"

    def _fresh(self) -> Any:
        e = self.models.embedder
        return self.config.make(
            "clusterer", dimension=e.dimension, metric=e.metric, link=e.thresholds.link, merge=e.thresholds.merge,
            model=e.model,
        )  # fmt: skip

    def _expire(self, clusterer: Any = None) -> None:
        gone = self.retention.apply(clusterer)
        if gone:
            self.listener.say(f"{gone} tracks of people nobody named have expired and were erased")

    def one(self, path: Path) -> Done:
        """Processes a source, or finds that it is done already; a failure is an answer, not an exception."""
        from streamer.sources import open_source

        try:
            source = open_source(path, **self.config.component("source"))
            try:
                content = content_digest(path)
                known = None if self.force else self.store.find_source(content, self.digest)
                if known is not None and known.status != "running":
                    done = Done(str(path), "skipped", known.id)
                else:
                    done = self._process(path, source, content)
                self._settle(path, content, done)
                self._expire(self.clusterer)
                return done
            finally:
                source.close()
        except StreamerError as error:
            cause = error.__cause__ if isinstance(error, StageError) else None
            told = cause if isinstance(cause, StreamerError) else error
            self.listener.say(f"{type(told).__name__}: {told}")
            self.store.discard_unfinished()
            self.clusterer = self.library.clusterer(self._fresh)  # without what the failed source taught it
            return Done(str(path), "failed", error=told)

    def _settle(self, path: Path, content: str, done: Done) -> None:
        """One content is one source: this one takes the place of earlier runs over it, and has its path."""
        for old in self.store.sources_of(content):
            if done.record is not None and old.id < done.record and old.status != "running":
                self.library.replace(old.id, done.record, self.clusterer)
                self.listener.say(f"{old.name}: done again; names and decisions moved along")
        if done.record is not None and not Path(self.store.source(done.record).path).exists():
            self.store.move_source(done.record, str(path.absolute()))

    def _process(self, path: Path, source: Any, content: str) -> Done:
        from streamer.stages import Assign, Embed, Follow
        from streamer.tracking.stride import RecallCheck

        shown = self.listener.source(path.name)
        shown.total, shown.state = source.info.duration, "running"
        began = time.process_time()
        make = self.config.make
        record = self._begin(path, source.info, content)
        stride, score = make("stride"), self.models.detector.score
        tracker = make("tracker", high=score, confirm=score + 0.1 * (1 - score))
        check = RecallCheck(least=score) if stride.is_sparse else None
        follow = Follow(self.models.detector, self.models.embedder.template, tracker, make("shots"), stride, check)
        embed = Embed(self.models.embedder, self.models.quality, self.store.next_track())

        def keep(outcome: Any) -> None:
            self._record(record, outcome)
            shown.tracks += len(outcome.tracks)

        chain: list[Stage] = [follow, embed, Assign(self.clusterer)]
        flow = (run_inline if self.inline else run_threaded)(self._timed(source, shown, follow), chain, keep)
        stats = run_stats(source, follow, embed, time.process_time() - began)
        stats["stages"] = {s.name: round(s.cpu_s, 3) for s in flow.stages}
        return self._finish(path, source, record, stats, shown)

    def _begin(self, path: Path, info: Any, content: str) -> int:
        told = {"width": info.width, "height": info.height, "fps": info.fps, "duration": info.duration}
        told |= {"start": info.start, "codec": info.codec, "frames": info.frames}
        record = self.store.begin_source(
            path.name, path=str(path.absolute()), content_hash=content, config=self.digest,
            period=1 / (info.fps or 25), info=told, at=now(), state=self.clusterer.state(),
        )  # fmt: skip
        return int(record.id)

    def _finish(self, path: Path, source: Any, record: int, stats: dict[str, Any], shown: SourceProgress) -> Done:
        warnings = source.stats.warnings
        shown.state = "partial" if warnings else "done"
        self.store.finish_source(
            record, state=self.clusterer.state(), status=shown.state, stats=stats,
            manifest=manifest(self.config, self.models, source.info, stats), at=now(),
        )  # fmt: skip
        for warning in warnings:
            self.listener.say(f"{path}: {warning}")
        self.listener.tick(path.name, force=True)
        return Done(str(path), shown.state, record)

    def _timed(self, source: Any, shown: SourceProgress, follow: Any) -> Iterator[Frame]:
        """The frames of a source, with the progress kept up to date."""
        for frame in source:
            yield frame
            shown.done, shown.frames, shown.faces = frame.time - source.info.start, frame.index + 1, follow.faces
            self.listener.tick(shown.name)

    def _record(self, number: int, outcome: Any) -> None:
        tracks: list[Track] = [e.track for e in outcome.tracks]
        lets = [e.tracklet for e in outcome.tracks if e.tracklet is not None]
        self.store.add_tracks(
            number, tracks, outcome.events, vectors={t.id: t.embedding for t in lets},
            cannot_links=[(t.id, other) for t in lets for other in t.cannot_link],
            position=max((t.end for t in tracks), default=None),
        )  # fmt: skip


def content_digest(path: Path) -> str:
    """What stands for the content of a file, or of a folder of pictures (names, sizes and times of change)."""
    from streamer.store import content_hash

    if path.is_file():
        return content_hash(path)
    listing = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(path.iterdir())]
    return hashlib.sha256(repr(listing).encode()).hexdigest()


def now() -> str:
    """The time of day in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
