"""Many cameras into one library: followed at once, recognised together, written down as it happens.

    camera --newest frame--> follow --+                        +--> store (one transaction)
    camera --newest frame--> follow --+--> identify, cluster --+
    camera --newest frame--> follow --+    (open tracks too)   +--> observers (one thread)

A thread reads each camera and one follows it; they share the detector, one embedder and one clusterer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import TracebackType
from typing import Any, TypeVar, cast

from streamer.config import Config
from streamer.errors import StoreError
from streamer.flow.stats import Load
from streamer.items import Event
from streamer.library import Library
from streamer.models.base import certain_score, sure_score
from streamer.processing.base import Listener, Silent
from streamer.processing.calibration import self_calibration
from streamer.processing.choosing import chosen, maker
from streamer.processing.file import now
from streamer.processing.live.camera import LiveSource, Watched
from streamer.processing.live.identity import Identify
from streamer.processing.live.sharing import Numbers, SharedDetector
from streamer.processing.live.teller import Teller
from streamer.processing.manifest import manifest
from streamer.stages import Follow
from streamer.timeline import Timeline
from streamer.watching import Health, Observer, Part

T = TypeVar("T")
LONGEST = 60.0  # s of a live track: an open one is written again and again, and its rows with it
STOP_WITHIN = 6.0  # s in all; what hangs longer is left behind
LOOKING, SAYING = 2 / 3, 1 / 6  # the parts of it kept for writing and telling, and for telling alone


class Live:
    """Cameras at work, from `start` (or `with`) until `stop`. `sources` maps names to open-ended sources.

    Observers are told what happens (see streamer.watching); the library holds it. `stop` ends open tracks, waits for
    the store, and raises what went wrong: StoreError when it could not be written. A camera that fails is given up
    alone, see `problems`.
    """

    def __init__(
        self,
        library: Library,
        models: Any,
        config: Config,
        sources: Mapping[str, LiveSource],
        observers: Sequence[Observer] = (),
        listener: Listener | None = None,
    ) -> None:
        self.library, self.models, self.config = library, models, config
        self.listener: Listener = listener or Silent()
        _load_libraries()
        store, e = library.store, models.embedder
        library.say = self.listener.say
        store.check_model(e.model, e.dimension, e.metric, e.template)
        store.discard_unfinished()
        settled = chosen(store, config)
        self.clusterer = library.clusterer(maker(settled, e))
        known = self_calibration(settled, e, store).result()
        self.clusterer.retune(known.link, known.merge)
        numbers = Numbers(store.next_track())
        timeline = Timeline()
        for event in store.events():
            timeline.add(event)
        self._detector = SharedDetector(models.detector, _batch(models, len(sources)))
        self._teller = Teller(observers, self.listener.say, timeline)
        self._identify = Identify(
            store, self.clusterer, models, numbers, told=self._committed, kept=self._kept, say=self.listener.say,
            stats=self._stats,
        )  # fmt: skip
        self.cameras = [self._watch(name, source, numbers) for name, source in sources.items()]
        self._stopped = threading.Lock()
        self._begun = self._over = False
        self.events = 0

    def __enter__(self) -> Live:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begins, unless it has; returns at once."""
        if self._begun:
            return
        self._begun = True
        self._identify.start()
        for camera in self.cameras:
            camera.start()

    def health(self) -> list[Health]:
        """Every camera's."""
        return [c.health() for c in self.cameras]

    def loads(self) -> list[Load]:
        """What every stage costs, call by call, and what waits before it."""
        return [*(c.load for c in self.cameras), self._detector.load(), *self._identify.loads()]

    @property
    def certain(self) -> float:
        """The detector's score that makes somebody; see streamer.presence.Presence."""
        return certain_score(self.models.detector)

    @property
    def running(self) -> bool:
        """Whether any camera may still send something, and it can be written."""
        return self._identify.failed is None and any(c.alive for c in self.cameras)

    @property
    def problems(self) -> dict[str, str]:
        """Cameras that were given up, and why."""
        found = {c.name: c.problem or c.source.fatal for c in self.cameras}
        return {name: why for name, why in found.items() if why}

    def decide(self, decide: Callable[[Library], T], within: float = 10.0) -> T:
        """What `decide(library)` returns: a person's word, said in the thread that owns the library while the run goes
        on. The clusterer keeps to it from then on. StoreError when it cannot be kept, or not within some seconds."""

        def told() -> list[Event]:
            events = self.library.tell(self.clusterer)
            self.events += len(events)
            return events

        def errand() -> T:
            self.library.refresh()
            return decide(self.library)

        try:
            return cast("T", self._identify.decided(errand, told).result(within))
        except TimeoutError as error:
            raise StoreError(f"The library was busy for {within:g} s. Try again.") from error

    @property
    def stuck(self) -> str:
        """Why the library cannot be written at the moment, empty when it can."""
        return self._identify.stuck

    @property
    def waiting(self) -> int:
        """Tracks that wait to be recognised."""
        return len(self._identify.inbox.tracks)

    def stop(self, within: float = STOP_WITHIN) -> None:
        """Ends every track and writes everything, `within` so many seconds. May be called twice, from any thread."""
        with self._stopped:
            if not self._over:
                self._over = True
                self._end(max(0.0, within))

    def _end(self, within: float) -> None:
        deadline = time.monotonic() + within
        self.start()  # what never began ends in the same way

        def left(reserve: float) -> float:
            return max(0.05, deadline - reserve * within - time.monotonic())

        for camera in self.cameras:
            camera.stop()
        looking = [c for c in self.cameras if not c.join(left(LOOKING))]
        self._identify.inbox.close()
        ended = self._identify.join(left(SAYING))
        error = self._identify.failed
        if ended and error is None:
            self._finish()
        self._teller.close(left(0.0))
        if not looking:
            self._detector.close()
        if error is not None:
            raise error
        if not ended:
            raise StoreError("The library was still being written when time was up; the last seconds are missing.")

    def _watch(self, name: str, source: Any, numbers: Numbers) -> Watched:
        store = self.library.store
        record = store.open_live(name, path=source.info.uri, config=self.config.digest(), at=now())
        frame, _ = store.last_frame(record.id)
        make, score = self.config.make, self.models.detector.score
        tracker = make("tracker", high=score, confirm=sure_score(self.models.detector), longest=LONGEST)
        follow = Follow(self._detector, self.models.embedder.template, tracker, make("shots"), make("stride"))
        return Watched(
            name, source, record.id, frame + 1, follow, self._identify.inbox, self._teller, numbers, record.position
        )

    def _kept(self, record: int, parts: list[Part]) -> None:
        self._teller.kept(next(c.name for c in self.cameras if c.record == record), parts)

    def _committed(self, events: list[Event]) -> None:
        self.events += len(events)
        self._teller.identities(events)

    def _stats(self) -> dict[int, dict[str, Any]]:
        return {c.record: self._figures(c) for c in self.cameras}

    def _figures(self, camera: Watched) -> dict[str, Any]:
        told = camera.stats()
        told["rejected"] = {**told["rejected"], **self._identify.rejected(camera.record)}
        return told

    def _finish(self) -> None:
        for camera in self.cameras:
            figures, store = self._figures(camera), self.library.store
            content = store.source(camera.record).hash
            told = manifest(self.config, self.models, camera.source.info, figures, content)
            store.finish_live(camera.record, manifest=told, at=now())
        self.library.refresh()


def _load_libraries() -> None:
    """What the first faces would wait for: on a busy machine scipy took eight seconds, in which no camera was seen."""
    for name in ("cv2", "faiss", "scipy.optimize"):
        import_module(name)


def _batch(models: Any, cameras: int) -> int:
    """Pictures looked at together: on a processor one by one is as fast, and nobody waits."""
    on_gpu = any(word in line.lower() for line in models.devices for word in ("cuda", "tensorrt"))
    return min(8, max(1, cameras)) if on_gpu else 1
