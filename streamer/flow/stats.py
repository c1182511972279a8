"""What a run cost, stage by stage: counts, seconds busy (processor and wall), deepest queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Clock: TypeAlias = Callable[[], float]


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
