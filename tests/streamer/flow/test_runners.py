"""Ends, errors, stops and bounds of the runners."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest

from streamer.errors import SourceError, StageError
from streamer.flow import FlowStats, iterate_inline, run_inline, run_threaded

RUNNERS = [run_inline, run_threaded]
Runner = Callable[..., FlowStats]


class Each:
    """A stage from a function of one item; `end` is what the flush gives."""

    def __init__(self, name: str, fn: Callable[[Any], Iterable[Any]], end: Sequence[Any] = (), batch: int = 1) -> None:
        self.name, self.batch, self._fn, self._end = name, batch, fn, end
        self.flushed = 0

    def process(self, items: Sequence[Any]) -> Iterator[Any]:
        for item in items:
            yield from self._fn(item)

    def flush(self) -> Iterable[Any]:
        self.flushed += 1
        return self._end


class Camera:
    """A source whose next frame never comes until it is closed."""

    def __init__(self, frames: int, deaf: bool = False) -> None:
        self.frames, self.deaf = frames, deaf
        self.waiting, self.released = threading.Event(), threading.Event()
        self.closes = 0

    def __iter__(self) -> Iterator[int]:
        yield from range(self.frames)
        self.waiting.set()
        self.released.wait(20)
        raise OSError("closed under the reader")

    def close(self) -> None:
        self.closes += 1
        if not self.deaf:
            self.released.set()


def fail(item: Any) -> Iterable[Any]:
    raise ValueError(f"cannot take {item}")


def threads() -> set[str]:
    return {t.name for t in threading.enumerate() if t.name.startswith("flow-")}


@pytest.mark.parametrize("run", RUNNERS)
def test_items_pass_all_stages_in_order_and_are_flushed(run: Runner) -> None:
    got: list[int] = []
    run([1, 2, 3], [Each("twice", lambda i: (i, i * 10), end=[99]), Each("add", lambda i: [i + 1])], got.append)
    assert got == [2, 11, 3, 21, 4, 31, 100]


@pytest.mark.parametrize("run", RUNNERS)
def test_an_empty_source_still_flushes(run: Runner) -> None:
    got: list[int] = []
    run([], [Each("a", lambda i: [i], end=[7])], got.append)
    assert got == [7]


@pytest.mark.parametrize("run", RUNNERS)
def test_a_stage_error_carries_the_stage_and_its_cause(run: Runner) -> None:
    got: list[int] = []
    stages = [
        Each("good", lambda i: [i]),
        Each("embed", lambda i: fail(i) if i == 2 else [i]),
        Each("last", lambda i: [i]),
    ]
    with pytest.raises(StageError, match="stage embed: cannot take 2") as caught:
        run(range(5), stages, got.append)
    assert caught.value.stage == "embed"
    assert isinstance(caught.value.__cause__, ValueError)
    assert got == [0, 1]
    assert stages[2].flushed == 0
    assert threads() == set()


@pytest.mark.parametrize("run", RUNNERS)
def test_an_error_of_the_source_passes_unchanged_after_what_was_read(run: Runner) -> None:
    def source() -> Iterator[int]:
        yield 1
        raise SourceError("clip.mp4: broken")

    got: list[int] = []
    with pytest.raises(SourceError, match=r"^clip.mp4: broken$"):
        run(source(), [Each("a", lambda i: [i], batch=4)], got.append)
    assert got == [1]
    assert threads() == set()


@pytest.mark.parametrize("run", RUNNERS)
def test_an_unexpected_error_of_the_source_is_named_source(run: Runner) -> None:
    with pytest.raises(StageError, match="stage source: cannot take 3") as caught:
        run((fail(i) for i in [3]), [], print)
    assert caught.value.stage == "source"


@pytest.mark.parametrize("run", RUNNERS)
def test_an_error_of_the_sink_is_named_sink(run: Runner) -> None:
    with pytest.raises(StageError, match="stage sink: cannot take 0"):
        run(range(1000), [Each("a", lambda i: [i])], fail)
    assert threads() == set()


@pytest.mark.parametrize("run", RUNNERS)
def test_an_error_in_a_flush_names_the_stage(run: Runner) -> None:
    stage = Each("track", lambda i: [i])
    stage.flush = lambda: fail("end")  # type: ignore[method-assign]
    with pytest.raises(StageError, match="stage track: cannot take end"):
        run([1], [stage], lambda item: None)


@pytest.mark.parametrize("run", RUNNERS)
def test_stop_ends_the_intake_and_finishes_what_was_read(run: Runner) -> None:
    stop = threading.Event()
    got: list[Any] = []

    def source() -> Iterator[int]:
        for i in range(10**9):
            if i == 5:
                stop.set()
            yield i

    run(source(), [Each("a", lambda i: [i], end=["flushed"])], got.append, stop=stop)
    assert got[:5] == [0, 1, 2, 3, 4]
    assert got[-1] == "flushed"
    assert threads() == set()


def test_stop_closes_a_source_that_is_blocked_in_a_read() -> None:
    camera, stop, got = Camera(3), threading.Event(), list[Any]()
    helper = threading.Thread(target=lambda: (camera.waiting.wait(10), stop.set()))
    helper.start()
    run_threaded(camera, [Each("a", lambda i: [i], end=["flushed"])], got.append, stop=stop)
    helper.join()
    assert got == [0, 1, 2, "flushed"]
    assert camera.closes == 1
    assert threads() == set()


def test_a_source_that_cannot_be_unblocked_is_left_behind_with_a_warning() -> None:
    camera, stop, got = Camera(2, deaf=True), threading.Event(), list[Any]()
    helper = threading.Thread(target=lambda: (camera.waiting.wait(10), stop.set()))
    helper.start()
    stats = run_threaded(camera, [Each("a", lambda i: [i], end=["flushed"])], got.append, stop=stop, patience=0.02)
    helper.join()
    assert got == [0, 1, "flushed"]
    assert stats.warnings == ["flow-source: still blocked after 0.02 s, left behind"]
    camera.released.set()
    for thread in threading.enumerate():
        if thread.name == "flow-source":
            thread.join(10)
    assert threads() == set()


def test_a_failing_stage_closes_a_source_that_is_blocked_in_a_read() -> None:
    camera = Camera(1)
    with pytest.raises(StageError, match="stage a: cannot take 0"):
        run_threaded(camera, [Each("a", fail)], print)
    assert camera.closes == 1
    assert threads() == set()


def test_an_interrupt_in_the_calling_thread_ends_everything_and_passes() -> None:
    class Interrupting:
        """Raises in the calling thread, as a signal handler does, once the source is blocked."""

        def __init__(self, camera: Camera) -> None:
            self.camera = camera

        def is_set(self) -> bool:
            if threading.current_thread() is threading.main_thread() and self.camera.waiting.is_set():
                raise KeyboardInterrupt
            return False

    camera = Camera(2)
    flushed = Each("a", lambda i: [i])
    with pytest.raises(KeyboardInterrupt):
        run_threaded(camera, [flushed], lambda item: None, stop=Interrupting(camera))
    assert flushed.flushed == 0
    assert threads() == set()


@pytest.mark.parametrize("run", RUNNERS)
def test_a_base_exception_in_a_stage_passes_unchanged(run: Runner) -> None:
    def leave(item: int) -> Iterable[int]:
        raise SystemExit(4)

    with pytest.raises(SystemExit):
        run([1], [Each("a", leave)], print)
    assert threads() == set()


class Sized:
    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


def test_links_are_bounded_in_items_and_in_bytes() -> None:
    by_items = run_threaded(range(200), [Each("a", lambda i: [i])], lambda item: None, capacity_items=3)
    assert by_items["a"].deepest <= 3
    sizes = (Sized(40) for _ in range(200))
    by_bytes = run_threaded(sizes, [Each("a", lambda i: [i])], lambda item: None, capacity_bytes=100)
    assert by_bytes["a"].most_bytes <= 80


def test_an_item_bigger_than_the_link_passes_alone() -> None:
    stats = run_threaded([Sized(10**9)] * 3, [Each("a", lambda i: [i])], lambda item: None, capacity_bytes=100)
    assert (stats["sink"].taken, stats["a"].deepest) == (3, 1)


def test_only_the_source_link_drops_and_every_drop_is_told() -> None:
    gate = threading.Event()
    dropped: list[int] = []
    got: list[int] = []

    def slow(item: int) -> Iterable[int]:
        gate.wait(10)
        return [item]

    def source() -> Iterator[int]:
        yield from range(50)
        gate.set()

    stats = run_threaded(
        source(), [Each("a", slow)], got.append, capacity_items=1, overflow="drop_oldest", on_drop=dropped.append
    )
    assert got[-1] == 49
    assert sorted(got + dropped) == list(range(50))
    assert stats.dropped == len(dropped) >= 47


def test_the_statistics_count_items_calls_and_time_without_waiting() -> None:
    now = [0.0]

    def costs_two_seconds(item: int) -> Iterable[int]:
        now[0] += 2.0
        return [item, item]

    stats = run_inline([1, 2, 3], [Each("a", costs_two_seconds)], lambda item: None, clock=lambda: now[0])
    row = stats["a"]
    assert (row.taken, row.given, row.calls, row.wall_s) == (3, 6, 3, 6.0)
    assert [r.name for r in stats.stages] == ["source", "a", "sink"]
    assert stats["source"].given == 3
    assert stats["sink"].taken == 6
    assert 0 < row.cpu_s < 5


def test_iterating_inline_reads_nothing_before_it_is_wanted() -> None:
    read: list[int] = []

    def source() -> Iterator[int]:
        for i in range(10):
            read.append(i)
            yield i

    items = iterate_inline(source(), [Each("a", lambda i: [i * 2])])
    assert read == []
    assert [next(items), next(items)] == [0, 2]
    assert read == [0, 1]
