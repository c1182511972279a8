"""What a run cost, stage by stage: counts, seconds busy (processor and wall), deepest queue; spread of single calls."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeAlias

Clock: TypeAlias = Callable[[], float]
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # a frame of 25 a second has 0.04
ITEMS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Distribution:
    """How often values fell at or below each of `bounds` (rising), and their sum. One thread adds, any may read."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.total = 0.0
        self._counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[int]:
        """How many values were at or below each bound; the last number, one more than bounds, is all of them."""
        return list(accumulate(self._counts))


@dataclass(slots=True)
class Load:
    """What a stage without an end has done so far, call by call, and how many items wait before it just now."""

    stage: str
    source: str = ""  # what it is alone for; empty: it serves all
    waiting: int = 0
    seconds: Distribution = field(default_factory=lambda: Distribution(SECONDS))  # wall time of a call
    items: Distribution = field(default_factory=lambda: Distribution(ITEMS))  # of a call

    def note(self, seconds: float, items: int) -> None:
        """A call that took so long for so many items."""
        self.seconds.add(seconds)
        self.items.add(items)


@dataclass(slots=True)
class StageStats:
    """One stage. `cpu_s` is processor time of its thread, `wall_s` time spent inside it; neither counts waiting."""

    name: str
    taken: int = 0
    given: int = 0
    calls: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    deepest: int = 0  # most items that waited before it
    most_bytes: int = 0  # most bytes that waited before it


@dataclass(slots=True)
class FlowStats:
    """A whole run: the source, every stage in order, the sink; items the source link dropped; what was left behind."""

    stages: list[StageStats] = field(default_factory=list)
    dropped: int = 0
    warnings: list[str] = field(default_factory=list)

    def add(self, name: str) -> StageStats:
        """A new row for a stage."""
        self.stages.append(StageStats(name))
        return self.stages[-1]

    def __getitem__(self, name: str) -> StageStats:
        """The row of that name. KeyError if there is none."""
        for row in self.stages:
            if row.name == name:
                return row
        raise KeyError(name)


def timed(call: Callable[[], Iterable[Any]], row: StageStats, clock: Clock) -> Iterator[Any]:
    """What `call()` gives, with the time spent making it, and nothing else, added to `row`."""
    cpu, wall = time.thread_time(), clock()
    try:
        rest = iter(call())
        while True:
            try:
                item = next(rest)
            except StopIteration:
                return
            row.given += 1
            row.cpu_s += time.thread_time() - cpu
            row.wall_s += clock() - wall
            yield item
            cpu, wall = time.thread_time(), clock()
    finally:
        row.cpu_s += time.thread_time() - cpu
        row.wall_s += clock() - wall
