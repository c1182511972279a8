"""Reading and following one source; of several at once, each ahead of its turn.

Tracks do not depend on other sources, identities do. So `jobs` sources are read and followed at a time, and their
tracks are embedded and grouped source by source, in order: the result is that of one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from streamer.config import Config
from streamer.errors import StreamerError
from streamer.flow.batcher import Batcher
from streamer.flow.feed import Feed
from streamer.flow.inline import StopSignal
from streamer.flow.stage import Stage
from streamer.flow.stats import FlowStats
from streamer.flow.threaded import run_threaded
from streamer.items import Faces, Frame, Picture
from streamer.models.base import sure_score
from streamer.processing.base import Listener, SourceProgress

PATIENCE_S = 1.5  # waited twice for a read that hangs: with the reports it leaves 10 s for the end of a run

BATCH = 8  # frames decoded, then searched for cuts, in one go
WAITING_BYTES = 512 << 20  # of all sources together: what they may be ahead of their turn


class Reading:
    """One source: its frames and the stage that follows faces in them.

    `ahead` begins at once, in threads of its own; then `items` are tracks, else frames. `complete` once all was given.
    """

    def __init__(self, path: Path, config: Config, models: Any, listener: Listener, detector: Any = None) -> None:
        """`detector` stands for that of the models where several share it."""
        from streamer.sources import open_source
        from streamer.stages import Follow
        from streamer.tracking.stride import RecallCheck

        make, score = config.make, models.detector.score
        stride = make("stride")
        tracker = make("tracker", high=score, confirm=sure_score(models.detector))
        check = RecallCheck(least=score) if stride.is_sparse else None
        finder = models.detector if detector is None else detector
        self.follow = Follow(finder, models.embedder.template, tracker, make("shots"), stride, check, BATCH)
        self.source = open_source(path, **config.component("source"))
        self.shown = listener.source(str(path))
        self.shown.total, self.shown.state = self.source.info.duration, "running"
        if self.source.info.streams > 1:
            listener.say(f"{path}: has {self.source.info.streams} video streams; the first one is read, no other")
        self._frames = _Told(self.source, self.shown, listener, self.follow)
        self._feed: Feed[FlowStats] | None = None

    def ahead(self, stop: StopSignal | None, capacity_bytes: int) -> None:
        """Begins to read and follow; half of the bytes may wait as frames, half as tracks."""
        half = capacity_bytes // 2

        def run(put: Any) -> FlowStats:
            return run_threaded(self._frames, [self.follow], put, stop=stop, patience=PATIENCE_S, capacity_bytes=half)

        self._feed = Feed(run, name=f"read-{self.source.info.name}", capacity_bytes=half)

    @property
    def items(self) -> Iterable[Any]:
        """What goes into the `stages`."""
        return self._frames if self._feed is None else self._feed

    @property
    def stages(self) -> list[Stage]:
        """The stages that are still to come here."""
        return [self.follow] if self._feed is None else []

    @property
    def complete(self) -> bool:
        return self._frames.complete and (self._feed is None or self._feed.exhausted)

    @property
    def seconds(self) -> dict[str, float] | None:
        """Processor seconds per stage of what ran ahead; None where nothing did."""
        if self._feed is None or self._feed.result is None:
            return None
        return {s.name: s.cpu_s for s in self._feed.result.stages if s.name != "sink"}

    def close(self) -> None:
        """Ends the reading and lets the file go."""
        if self._feed is not None:
            self._feed.close()
        self._frames.close()
        if self._feed is not None:
            self._feed.join(2 * PATIENCE_S)


class ReadAhead:
    """Readings of the sources that come next; at most `jobs` are begun and not taken."""

    def __init__(self, jobs: int, config: Config, models: Any, listener: Listener, stop: StopSignal | None) -> None:
        self.jobs, self.stop = jobs, stop
        self._given = config, models, listener
        self._detector = SharedDetector(models.detector) if needs_sharing(models.detector) else None
        self._begun: dict[Path, Reading | StreamerError] = {}

    def begin(self, paths: Iterable[Path]) -> None:
        """Begins as many of these as may be; a source that cannot be opened says so when it is taken."""
        for path in paths:
            if len(self._begun) >= self.jobs:
                return
            if path in self._begun:
                continue
            try:
                reading = Reading(path, *self._given, self._detector)
                reading.ahead(self.stop, WAITING_BYTES // self.jobs)
                self._begun[path] = reading
            except StreamerError as error:
                self._begun[path] = error

    def take(self, path: Path) -> Reading | None:
        """The reading of a source, or None where it was not begun; raises why it could not be."""
        found = self._begun.pop(path, None)
        if isinstance(found, StreamerError):
            raise found
        return found

    def close(self) -> None:
        """Ends all that nobody took."""
        for reading in self._begun.values():
            if isinstance(reading, Reading):
                reading.close()
        self._begun.clear()
        if self._detector is not None:
            self._detector.close()


def needs_sharing(detector: Any) -> bool:
    """Whether several threads should ask one worker: a card wants batches, and what is no session of the processor
    may not be called by two at a time. Sessions of the processor run side by side."""
    sessions = getattr(detector, "sessions", ())
    return not sessions or not all(s.on_cpu for s in sessions)


class SharedDetector:
    """A detector that several sources call at a time: what waits together goes into one batch."""

    def __init__(self, detector: Any, batch: int = 16) -> None:
        self.name, self.score = detector.name, detector.score
        self.input_size = detector.input_size
        self._batcher: Batcher[tuple[Picture, tuple[int, int]], Faces] = Batcher(
            lambda asked: detector.detect_pictures([p for p, _ in asked], [s for _, s in asked]),
            batch=batch,
            name="detect",
        )

    def detect_pictures(self, pictures: Sequence[Picture], sizes: Sequence[tuple[int, int]]) -> list[Faces]:
        """As the detector itself answers."""
        return self._batcher.submit_many(list(zip(pictures, sizes, strict=True)))

    def close(self) -> None:
        """Ends the worker."""
        self._batcher.close()


class _Told:
    """The frames of a source, with the progress kept up to date. `complete` once all were given."""

    def __init__(self, source: Any, shown: SourceProgress, listener: Listener, follow: Any) -> None:
        self._source, self._shown, self._listener, self._follow = source, shown, listener, follow
        self._closed = self.complete = False

    def __iter__(self) -> Iterator[Frame]:
        shown, start = self._shown, self._source.info.start
        for frame in self._source:
            yield frame
            shown.done, shown.frames, shown.faces = frame.time - start, frame.index + 1, self._follow.faces
            self._listener.tick(shown.name)
        self.complete = not self._closed

    def close(self) -> None:
        """Ends the reading, also from another thread."""
        self._closed = True
        self._source.close()
