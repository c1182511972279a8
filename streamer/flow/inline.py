"""One thread: the plain chain of stages. It is the specification of every other runner."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Protocol

from streamer.errors import StreamerError
from streamer.flow.stage import Stage, guarded, stage_error
from streamer.flow.stats import Clock, FlowStats, StageStats, timed


class StopSignal(Protocol):
    """Says that the intake should end (a threading.Event fits): what was taken in is still finished and flushed."""

    def is_set(self) -> bool: ...


def run_inline(
    source: Iterable[Any],
    stages: Sequence[Stage],
    sink: Callable[[Any], object],
    *,
    stop: StopSignal | None = None,
    stats: FlowStats | None = None,
    clock: Clock = time.monotonic,
) -> FlowStats:
    """The statistics of the run, after every item of `source` went through `stages` into `sink`.

    What came before an error reaches the sink, then the error is raised: StageError for a stage or the sink (cause
    chained), a StreamerError of the source as it is. Stages after a failed one are not flushed.
    """
    stats = FlowStats() if stats is None else stats
    items = iterate_inline(source, stages, stop=stop, stats=stats, clock=clock)
    row = stats.add("sink")
    try:
        for item in items:
            deliver(sink, item, row, clock)
    finally:
        items.close()
    return stats


def iterate_inline(
    source: Iterable[Any],
    stages: Sequence[Stage],
    *,
    stop: StopSignal | None = None,
    stats: FlowStats | None = None,
    clock: Clock = time.monotonic,
) -> Generator[Any, None, None]:
    """What the last stage gives, lazily: nothing is read before it is wanted. Errors as in `run_inline`."""
    stats = FlowStats() if stats is None else stats
    items = read(source, stop, stats.add("source"), clock)
    for stage in stages:
        items = _stage(items, stage, stats.add(stage.name), clock)
    return items


def read(source: Iterable[Any], stop: StopSignal | None, row: StageStats, clock: Clock) -> Generator[Any, None, None]:
    """The items of a source until it ends or `stop` is set. Errors that are not StreamerErrors are named `source`."""
    rest = timed(lambda: source, row, clock)
    try:
        while not (stop is not None and stop.is_set()):
            try:
                item = next(rest)
            except StopIteration:
                return
            yield item
    except StreamerError:
        raise
    except Exception as error:
        raise stage_error("source", error) from error


def deliver(sink: Callable[[Any], object], item: Any, row: StageStats, clock: Clock) -> None:
    """Hands an item to the sink, measured. StageError `sink` when it failed."""
    row.taken += 1
    row.calls += 1
    cpu, wall = time.thread_time(), clock()
    try:
        sink(item)
    except Exception as error:
        raise stage_error("sink", error) from error
    finally:
        row.cpu_s += time.thread_time() - cpu
        row.wall_s += clock() - wall


def work(stage: Stage, batch: Sequence[Any], row: StageStats, clock: Clock) -> Iterator[Any]:
    """The results of one call of a stage, measured, its errors named."""
    row.taken += len(batch)
    row.calls += 1
    return timed(lambda: guarded(stage.name, lambda: stage.process(batch)), row, clock)


def finish(stage: Stage, row: StageStats, clock: Clock) -> Iterator[Any]:
    """The results of a stage's flush, measured, its errors named."""
    return timed(lambda: guarded(stage.name, stage.flush), row, clock)


def _stage(items: Iterator[Any], stage: Stage, row: StageStats, clock: Clock) -> Generator[Any, None, None]:
    """What a stage makes of `items`; an error upstream is raised after what came before it was worked on."""
    while True:
        batch, error, ended = _take(items, max(1, stage.batch))
        if batch:
            yield from work(stage, batch, row, clock)
        if error is not None:
            raise error
        if ended:
            break
    yield from finish(stage, row, clock)


def _take(items: Iterator[Any], limit: int) -> tuple[list[Any], Exception | None, bool]:
    """Up to `limit` items, the error that ended them, whether there are no more."""
    batch: list[Any] = []
    while len(batch) < limit:
        try:
            batch.append(next(items))
        except StopIteration:
            return batch, None, True
        except Exception as error:
            return batch, error, True
    return batch, None, False
