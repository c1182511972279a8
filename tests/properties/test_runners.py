"""The threaded runner with waiting links gives exactly what the inline runner gives, whatever the stages do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.errors import SourceError, StageError
from streamer.flow import FlowStats, run_inline, run_threaded


@dataclass(frozen=True)
class Item:
    value: int
    nbytes: int


@dataclass(frozen=True)
class Plan:
    """What a made-up stage does with item n: `n * factor` copies where n % keep is 0, an error at call `fails`."""

    name: str
    batch: int
    keep: int
    copies: int
    group: int  # items summed into one; the rest comes with the flush
    fails: int | None
    fails_in_flush: bool


@dataclass
class Made:
    """A stage made of a plan: it filters, fans out, regroups, and fails where the plan says so."""

    plan: Plan
    seen: int = 0
    held: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name, self.batch = self.plan.name, self.plan.batch

    def process(self, items: Sequence[Item]) -> Iterator[Item]:
        assert 1 <= len(items) <= self.batch
        for item in items:
            if self.seen == self.plan.fails:
                raise ValueError(f"item {self.seen}")
            self.seen += 1
            if item.value % self.plan.keep == 0:
                yield from self._grouped(item)

    def _grouped(self, item: Item) -> Iterator[Item]:
        self.held.append(item.value)
        if len(self.held) == self.plan.group:
            total, self.held = sum(self.held), []
            for copy in range(self.plan.copies):
                yield Item(total * 3 + copy, item.nbytes)

    def flush(self) -> Iterator[Item]:
        for value in self.held:
            yield Item(value, 1)
        if self.plan.fails_in_flush:
            raise RuntimeError("while flushing")


@st.composite
def plans(draw: Callable[..., Any], name: str) -> Plan:
    return Plan(
        name,
        batch=draw(st.integers(1, 4)),
        keep=draw(st.integers(1, 3)),
        copies=draw(st.integers(0, 3)),
        group=draw(st.integers(1, 3)),
        fails=draw(st.none() | st.none() | st.integers(0, 25)),
        fails_in_flush=draw(st.sampled_from([False, False, False, True])),
    )


def source(values: list[int], fails: int | None, polite: bool) -> Iterator[Item]:
    for at, value in enumerate(values):
        if at == fails:
            raise SourceError("camera: gone") if polite else OSError("no such device")
        yield Item(value, value * 7)


def outcome(run: Callable[[Callable[[Item], None]], FlowStats], sink_fails: int | None) -> tuple[Any, ...]:
    """What the sink saw, how the run ended, and what every stage counted."""
    got: list[Item] = []
    counts: list[tuple[str, int, int]] = []

    def sink(item: Item) -> None:
        if len(got) == sink_fails:
            raise KeyError("full")
        got.append(item)

    try:
        stats = run(sink)
    except (StageError, SourceError) as error:
        cause = error.__cause__
        return got, type(error), str(error), getattr(error, "stage", None), type(cause), str(cause), counts
    counts = [(row.name, row.taken, row.given) for row in stats.stages]
    return got, None, counts


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(st.integers(0, 50), max_size=25),
    stages=st.integers(0, 4).flatmap(lambda n: st.tuples(*(plans(f"stage-{k}") for k in range(n)))),
    source_fails=st.none() | st.none() | st.integers(0, 25),
    polite=st.booleans(),
    sink_fails=st.none() | st.none() | st.integers(0, 25),
    items=st.integers(1, 5),
    size=st.integers(1, 600),
)
def test_threaded_gives_exactly_what_inline_gives(
    values: list[int],
    stages: tuple[Plan, ...],
    source_fails: int | None,
    polite: bool,
    sink_fails: int | None,
    items: int,
    size: int,
) -> None:
    before = threading.active_count()
    wanted = outcome(
        lambda sink: run_inline(source(values, source_fails, polite), [Made(p) for p in stages], sink), sink_fails
    )
    found = outcome(
        lambda sink: run_threaded(
            source(values, source_fails, polite),
            [Made(p) for p in stages],
            sink,
            capacity_items=items,
            capacity_bytes=size,
        ),
        sink_fails,
    )
    assert found == wanted
    assert threading.active_count() == before
