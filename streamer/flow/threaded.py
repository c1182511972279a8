"""A thread per stage over bounded links; with `wait` links the sink sees exactly what `run_inline` gives it.

Errors travel inside the links, behind the items made before them, so the sink thread alone knows how the run ended.
A stage that fails refuses its input, which ends everything before it, up to the source. The calling thread only
waits, with time-outs, so that signals are handled at once.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from streamer.errors import StreamerError
from streamer.flow.inline import StopSignal, deliver, finish, read, work
from streamer.flow.link import Link
from streamer.flow.stage import Stage
from streamer.flow.stats import Clock, FlowStats, StageStats

TICK_S = 0.05  # how long the calling thread sleeps between looks at `stop`: far below what a person notices


def run_threaded(
    source: Iterable[Any],
    stages: Sequence[Stage],
    sink: Callable[[Any], object],
    *,
    capacity_items: int = 32,
    capacity_bytes: int = 256 << 20,
    overflow: str = "wait",
    on_drop: Callable[[Any], object] | None = None,
    stop: StopSignal | None = None,
    stats: FlowStats | None = None,
    clock: Clock = time.monotonic,
    patience: float = 3.0,
) -> FlowStats:
    """The statistics of the run, after every item of `source` went through `stages` into `sink`.

    Errors as in `run_inline`.
    Only the link behind the source follows `overflow`; every other link waits. Each link holds at most
    `capacity_items` items and `capacity_bytes` bytes.

    `stop` set: the source is closed, what was read is finished and flushed, and the call returns. An exception in the
    calling thread (KeyboardInterrupt): everything waiting is thrown away, the source is closed, the exception passes.
    A thread that is blocked for longer than `patience` seconds after that is left behind and named in `warnings`.
    """
    stats = FlowStats() if stats is None else stats
    links = [Link(capacity_items, capacity_bytes, overflow, on_drop)]
    links += [Link(capacity_items, capacity_bytes) for _ in stages]
    run = _Run(source, links, stats, clock, patience)
    run.spawn("source", run.read, stop)
    for at, stage in enumerate(stages):
        run.spawn(stage.name, run.work, stage, links[at], links[at + 1])
    run.spawn("sink", run.drain, sink)
    run.wait(stop)
    return stats


class _Run:
    """The threads of one run and what they share."""

    def __init__(
        self, source: Iterable[Any], links: list[Link], stats: FlowStats, clock: Clock, patience: float
    ) -> None:
        self.source, self.links, self.stats, self.clock, self.patience = source, links, stats, clock, patience
        self.threads: list[threading.Thread] = []
        self.error: BaseException | None = None
        self.closed = False

    def spawn(self, name: str, target: Callable[..., None], *args: Any) -> None:
        """Starts a worker; threads are daemons so that a blocked read cannot keep the process alive."""
        row = self.stats.add(name)
        thread = threading.Thread(target=target, args=(*args, row), name=f"flow-{name}", daemon=True)
        self.threads.append(thread)
        thread.start()

    def read(self, stop: StopSignal | None, row: StageStats) -> None:
        """The source's thread."""
        link = self.links[0]
        items = read(self.source, stop, row, self.clock)
        error: BaseException | None = None
        try:
            for item in items:
                if not link.put(item):
                    break
        except BaseException as raised:
            # a source that is closed under its reader may complain; the run was over by then
            error = None if self.closed and isinstance(raised, Exception) else raised
        items.close()
        link.finish(error)

    def work(self, stage: Stage, before: Link, after: Link, row: StageStats) -> None:
        """A stage's thread."""
        error: BaseException | None = None
        try:
            self._work(stage, before, after, row)
            error = before.error
        except BaseException as raised:
            error = raised
        before.refuse()
        after.finish(error)
        row.deepest, row.most_bytes = before.deepest, before.most_bytes

    def _work(self, stage: Stage, before: Link, after: Link, row: StageStats) -> None:
        while batch := before.take(max(1, stage.batch)):
            if not _pass_on(work(stage, batch, row, self.clock), after):
                return
        if before.error is None and not before.refused:
            _pass_on(finish(stage, row, self.clock), after)

    def drain(self, sink: Callable[[Any], object], row: StageStats) -> None:
        """The sink's thread: it sees items, error and end in their order."""
        link = self.links[-1]
        try:
            while batch := link.take(1):
                deliver(sink, batch[0], row, self.clock)
            self.error = link.error
        except BaseException as raised:
            self.error = raised
        link.refuse()
        row.deepest, row.most_bytes = link.deepest, link.most_bytes

    def wait(self, stop: StopSignal | None) -> None:
        """Returns when the sink is done, and raises what ended the run."""
        last = self.threads[-1]
        try:
            while last.is_alive():
                last.join(TICK_S)
                if stop is not None and stop.is_set():
                    self._end_intake()
        except BaseException:
            for link in self.links:
                link.refuse()
            raise
        finally:
            self._leave()
        if self.error is not None:
            raise self.error

    def _end_intake(self) -> None:
        """Closes the source once; a reader that stays blocked is cut off, so that the rest can finish."""
        if not self.closed:
            self.close_source()
            self.threads[0].join(self.patience)
            self.links[0].finish()

    def close_source(self) -> None:
        """Closes the source where it can be closed while it is being read."""
        self.closed = True
        close = getattr(self.source, "close", None)
        if close is None or inspect.isgenerator(self.source):
            return
        try:
            close()
        except (StreamerError, OSError) as error:
            self.stats.warnings.append(f"source: did not close cleanly ({error})")

    def _leave(self) -> None:
        """Joins every thread and names those that cannot be joined."""
        if self.threads[0].is_alive():
            self.close_source()
        until = time.monotonic() + self.patience
        for thread in self.threads:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                self.stats.warnings.append(f"{thread.name}: still blocked after {self.patience:g} s, left behind")
        self.stats.dropped += self.links[0].dropped


def _pass_on(results: Iterable[Any], link: Link) -> bool:
    """Whether all results were taken by the next stage."""
    return all(link.put(result) for result in results)
