"""The thread that says who it is: embeds open and ended tracks of all cameras, clusters them, keeps it all together.

One transaction holds the tracks, the events about them, how far every camera was seen and the clusterer's state; only
then are observers told. A full disk stops nothing: what waits is kept (newest state of each track) and tried again.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from streamer.errors import StoreError
from streamer.flow.stats import Load
from streamer.items import Event, Gap, Track
from streamer.library.machine import vectors_from
from streamer.models.base import certain_score
from streamer.processing.live import memory
from streamer.processing.live.sharing import (
    GrowingEmbed,
    Numbers,
    RememberingEmbedder,
    RememberingQuality,
    Vectors,
    warm,
)
from streamer.watching import Part, best_looks

BATCH = 16  # tracks embedded at a time
COMMIT_EVERY = 0.4  # s between two commits at most, new or not: how far the cameras were seen is kept too
REMERGE_EVERY = 10.0  # s between two re-merges while there is something new
STATS_EVERY = 5.0  # s
WAITING = 2000  # tracks that may wait for a commit; beyond, the oldest are given up and counted
SNAPSHOT_SHARE = 20  # a snapshot of the clusterer may take a twentieth of the time


@dataclass(slots=True)
class Inbox:
    """What the camera threads hand over: the newest state of each track, gaps, how far each camera was seen."""

    tracks: dict[int, tuple[int, Track]] = field(default_factory=dict)  # number -> source, track
    gaps: dict[int, list[Gap]] = field(default_factory=dict)
    seen: dict[int, float] = field(default_factory=dict)
    infos: dict[int, tuple[dict[str, Any], float]] = field(default_factory=dict)
    urgent: bool = False
    closing: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def track(self, source: int, track: Track) -> None:
        """A track as it stands; it replaces what waited of it, but an open state never an ended one."""
        with self.changed:
            self.tracks[track.number] = (source, track)
            self.changed.notify_all()

    def gap(self, source: int, gap: Gap) -> None:
        with self.changed:
            self.gaps.setdefault(source, []).append(gap)

    def position(self, source: int, at: float) -> None:
        """How far a camera was seen."""
        self.seen[source] = at

    def describe(self, source: int, info: dict[str, Any], period: float) -> None:
        """What became known of a camera when it connected."""
        with self.changed:
            self.infos[source] = (info, period)

    def close(self) -> None:
        """Nothing more will come."""
        with self.changed:
            self.closing = True
            self.changed.notify_all()


class Identify:
    """Runs until the inbox is closed and empty. `failed` holds the error that ended it early.

    `kept(source, parts)` for every track that ended and `told(events)` are called after every commit; `stats()` gives
    the figures of each source.
    """

    def __init__(
        self,
        store: Any,
        clusterer: Any,
        models: Any,
        numbers: Numbers,
        *,
        told: Callable[[list[Event]], None],
        kept: Callable[[int, list[Part]], None],
        say: Callable[[str], None],
        stats: Callable[[], Mapping[int, Mapping[str, Any]]],
    ) -> None:
        self.inbox = Inbox()
        self.failed: Exception | None = None
        self.stuck = ""  # why the store cannot be written at the moment
        self._store, self._clusterer, self._numbers = store, clusterer, numbers
        self._told, self._kept, self._say, self._stats = told, kept, say, stats
        self._known = clusterer.vectors = Vectors(clusterer.vectors or vectors_from(store))
        self.embedder = RememberingEmbedder(models.embedder)
        self._certain = certain_score(models.detector)
        self.quality = None if models.quality is None else RememberingQuality(models.quality)
        self._load, self._writing = Load("identify"), Load("write")
        self._embeds: dict[int, GrowingEmbed] = {}
        self._pending: dict[int, tuple[int, Track]] = {}
        self._over: list[tuple[int, list[Track]]] = []  # tracks of the next commit that ended, in their parts
        self._periods: dict[int, float] = {}  # source -> s a frame lasts
        self._vectors: dict[int, Any] = {}
        self._links: set[tuple[int, int]] = set()
        self._events: list[Event] = []
        self._gaps: dict[int, list[Gap]] = {}
        self._errands: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._given_up = threading.Event()
        self._gone: set[int] = set()  # tracks given up while the store could not be written
        self._fresh = False  # tracks came since the last re-merge
        self._merge_at = self._commit_at = self._snapshot_at = self._stats_at = self._say_at = self._return_at = 0.0
        self._thread = threading.Thread(target=self._run, name="live-identity", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Whether it has ended within `timeout` seconds; later it tries no further to write."""
        self._thread.join(timeout)
        self._given_up.set()
        return not self._thread.is_alive()

    def ask(self, errand: Callable[[], Any]) -> Future[Any]:
        """What `errand` returns, or raises, when this thread, which owns the library, has run it."""
        answer: Future[Any] = Future()
        with self.inbox.changed:
            self._errands.append((errand, answer))
            self.inbox.changed.notify_all()
        return answer

    def decided(self, decide: Callable[[], Any], tell: Callable[[], list[Event]]) -> Future[Any]:
        """What `decide` returns; everything known so far is on disk before, and `tell`s events are told after."""

        def errand() -> Any:
            if not self._commit(time.monotonic()):
                raise StoreError(self.stuck)
            answer = decide()
            self._told(tell())
            return answer

        return self.ask(errand)

    def loads(self) -> tuple[Load, Load]:
        """What recognising and writing down cost so far, and how many tracks wait for each."""
        self._load.waiting, self._writing.waiting = len(self.inbox.tracks), len(self._pending)
        return self._load, self._writing

    @property
    def lost(self) -> int:
        """Tracks given up because the store could not be written for long."""
        return len(self._gone)

    def rejected(self, source: int) -> dict[str, int]:
        """Faces of a source that could not be used, by reason."""
        embed = self._embeds.get(source)
        return dict(embed.rejected) if embed is not None else {}

    def _run(self) -> None:
        try:
            while not self._round():
                pass
            self._finish()
        except Exception as error:
            self.failed = error
        while self._errands:
            self._errands.popleft()[1].set_exception(StoreError("The run has ended; nothing was changed."))

    def _round(self) -> bool:
        """One batch; whether it was the last."""
        inbox = self.inbox
        with inbox.changed:
            inbox.changed.wait_for(lambda: inbox.tracks or inbox.closing or self._errands, COMMIT_EVERY)
            numbers = list(inbox.tracks)[:BATCH]
            batch = [inbox.tracks.pop(n) for n in numbers]
            for source, gaps in inbox.gaps.items():
                self._gaps.setdefault(source, []).extend(gaps)
            inbox.gaps = {}
            infos, inbox.infos = inbox.infos, {}
            ended = inbox.closing and not inbox.tracks
        for source, told in infos.items():
            self._periods[source] = told[1]
            self._guarded(functools.partial(self._store.describe_live, source, *told))
        if batch:
            began = time.monotonic()
            self._identify(batch)
            self._load.note(time.monotonic() - began, len(batch))
        while self._errands:
            self._run_errand(*self._errands.popleft())
        now = time.monotonic()
        if self._fresh and now >= self._merge_at:
            self._events += self._repair()
            self._fresh = False
            self._merge_at = time.monotonic() + max(REMERGE_EVERY, SNAPSHOT_SHARE * (time.monotonic() - now))
        if self._events or now >= self._commit_at:
            self._commit(now)
        if now >= self._return_at:
            memory.give_back()
            self._return_at = now + memory.RETURN_EVERY
        return ended

    @staticmethod
    def _run_errand(errand: Callable[[], Any], answer: Future[Any]) -> None:
        try:
            answer.set_result(errand())
        except Exception as error:
            answer.set_exception(error)

    def _repair(self) -> list[Event]:
        if self._clusterer.consolidation_due:
            events: list[Event] = self._clusterer.remerge()
            return events + list(self._clusterer.apply(self._clusterer.consolidation_job()()))
        return list(self._clusterer.remerge())

    def _identify(self, batch: list[tuple[int, Track]]) -> None:
        warm((s.crop for _, t in batch for s in t.samples), self.embedder, self.quality)
        for source, track in batch:
            embed = self._embeds.get(source)
            if embed is None:
                embed = self._embeds[source] = GrowingEmbed(self.embedder, self.quality, self._numbers, self._certain)
            parts = list(embed.process([track]))
            if not track.open:
                self._over.append((source, [p.track for p in parts]))
            for found in parts:
                self._pending[found.track.number] = (source, found.track)
                let = found.tracklet
                if let is not None:
                    self._fresh = True
                    self._vectors[let.id] = let.embedding
                    self._known.keep(let.id, let.embedding)
                    self._links |= {(min(let.id, o), max(let.id, o)) for o in let.cannot_link - self._gone}
                    self._events += self._clusterer.add([let])

    def _commit(self, now: float, *, last: bool = False) -> bool:
        """Whether everything that waits is on disk."""
        state = self._clusterer.pages() if last or now >= self._snapshot_at else None
        told = self._events
        ok = self._guarded(lambda: self._store.grow(
            list(self._pending.values()), told, positions=dict(self.inbox.seen), gaps=self._gaps,
            stats=self._stats() if last or now >= self._stats_at else None, cannot_links=self._links,
            vectors=self._vectors, state=state,
        ))  # fmt: skip
        end = time.monotonic()
        self._writing.note(end - now, len(self._pending))
        self._commit_at = end + COMMIT_EVERY
        if not ok:
            self._shed()
            return False
        if state is not None:
            self._snapshot_at = end + SNAPSHOT_SHARE * (end - now) if end - now > 0.05 else 0.0
        if now >= self._stats_at:
            self._stats_at = end + STATS_EVERY
        over, self._over = self._over, []
        self._pending, self._vectors, self._links, self._events, self._gaps = {}, {}, set(), [], {}
        for source, tracks in over:
            self._kept(source, [_part(t, self._periods.get(source, 0.04)) for t in tracks])
        self._told(told)
        return True

    def _guarded(self, write: Callable[[], None]) -> bool:
        """Whether a write worked; why it did not is said once in a while."""
        try:
            write()
        except StoreError as error:
            self.stuck = str(error)
            if time.monotonic() >= self._say_at:
                self._say(f"StoreError: {error} Trying again; tracks that wait: {len(self._pending)}.")
                self._say_at = time.monotonic() + 10.0
            return False
        if self.stuck:
            self._say("The library can be written again.")
            self.stuck = ""
        return True

    def _shed(self) -> None:
        """Bounds what waits for a disk that is full."""
        while len(self._pending) > WAITING:
            number = next(iter(self._pending))
            del self._pending[number]
            self._vectors.pop(number, None)
            self._gone.add(number)
        self._over = [o for o in self._over if not self._gone & {t.number for t in o[1]}]
        self._links = {p for p in self._links if not self._gone & {*p}}

    def _finish(self) -> None:
        """The clusterer's last word, and everything on disk, or the reason why not."""
        self._events += self._clusterer.finish()
        for _ in range(3):
            if self._commit(time.monotonic(), last=True):
                return
            if self._given_up.wait(0.5):
                break
        raise StoreError(self.stuck)


def _part(track: Track, period: float) -> Part:
    x1, y1, x2, y2 = (float(v) for v in track.rows.boxes[-1])
    scores = [float(s) for s in track.rows.scores]
    looks = functools.reduce(best_looks, scores, (0.0, 0.0))
    return Part(
        track.number, track.start, track.end, track.end + period, len(scores), scores[-1], (x1, y1, x2, y2), looks
    )
