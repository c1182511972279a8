"""The shared worker: batching, errors, closing; and the newest-wins slot."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from streamer.errors import StageError
from streamer.flow import Batcher, Latest


def test_every_caller_gets_its_own_result() -> None:
    sizes: list[int] = []

    def double(items: list[int]) -> list[int]:
        sizes.append(len(items))
        return [i * 2 for i in items]

    with Batcher(double, batch=4) as batcher, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(batcher.submit, range(100))) == [i * 2 for i in range(100)]
    assert sum(sizes) == 100
    assert max(sizes) <= 4


def test_items_that_wait_while_a_call_runs_go_together() -> None:
    running, gate, calls = threading.Event(), threading.Event(), list[list[int]]()

    def work(items: list[int]) -> list[int]:
        calls.append(items)
        running.set()
        gate.wait(10)
        return items

    with Batcher(work, batch=8, deadline_ms=0) as batcher:
        first = threading.Thread(target=batcher.submit, args=(0,))
        first.start()
        assert running.wait(10)
        second = threading.Thread(target=batcher.submit_many, args=([1, 2, 3],))
        second.start()
        while len(batcher._waiting) < 3:
            pass
        gate.set()
        first.join()
        second.join()
    assert calls == [[0], [1, 2, 3]]


def test_many_items_of_one_caller_keep_their_order_over_several_calls() -> None:
    with Batcher(lambda items: [str(i) for i in items], batch=3) as batcher:
        assert batcher.submit_many(range(8)) == list("01234567")
    assert (batcher.calls, batcher.items) == (3, 8)


def test_a_bad_item_fails_its_own_caller_only() -> None:
    def work(items: list[int]) -> list[float]:
        return [1 / i for i in items]

    with Batcher(work, batch=4, deadline_ms=50) as batcher, ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(batcher.submit, i) for i in (1, 2, 0, 4)]
        assert [f.result() for i, f in enumerate(futures) if i != 2] == [1.0, 0.5, 0.25]
        with pytest.raises(StageError, match="stage batcher: division by zero") as caught:
            futures[2].result()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_wrong_number_of_results_is_an_error() -> None:
    with Batcher(lambda items: [], batch=2) as batcher, pytest.raises(StageError, match="0 results for 1 items"):
        batcher.submit(1)


def test_a_closed_batcher_finishes_what_waits_and_refuses_more() -> None:
    batcher = Batcher(lambda items: items, batch=2)
    assert batcher.submit(5) == 5
    batcher.close()
    batcher.close()
    with pytest.raises(StageError, match="is closed"):
        batcher.submit(6)
    assert not [t for t in threading.enumerate() if t.name == "flow-batcher"]


def test_latest_keeps_the_newest_item_and_counts_the_rest() -> None:
    slot = Latest[int]()
    assert [slot.put(1), slot.put(2), slot.put(3)] == [None, 1, 2]
    assert slot.take(0) == 3
    assert slot.take(0) is None
    assert slot.dropped == 2


def test_a_closed_latest_gives_what_waits_and_then_nothing() -> None:
    slot = Latest[int]()
    slot.put(1)
    slot.close()
    assert slot.put(2) == 2
    assert slot.closed
    assert [slot.take(), slot.take()] == [1, None]


def test_closing_latest_wakes_its_reader() -> None:
    slot = Latest[int]()
    got: list[int | None] = []
    reader = threading.Thread(target=lambda: got.append(slot.take(20)))
    reader.start()
    slot.close()
    reader.join(10)
    assert got == [None]
