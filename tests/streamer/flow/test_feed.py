"""Work begun before its turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamer.flow.feed import Feed, FeedClosed

PATIENCE = 10.0


def test_everything_put_comes_out_in_order_and_the_result_after_it() -> None:
    def run(put: Callable[[Any], None]) -> str:
        for i in range(100):
            put(i)
        return "done"

    feed = Feed(run, capacity_items=3)
    assert list(feed) == list(range(100))
    assert feed.join(PATIENCE)
    assert (feed.result, feed.exhausted) == ("done", True)


def test_what_came_before_an_error_comes_out_first() -> None:
    def run(put: Callable[[Any], None]) -> None:
        put(1)
        raise OSError("the disk is gone")

    feed = Feed(run)
    items = iter(feed)
    assert next(items) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)
    assert not feed.exhausted


def test_a_closed_feed_ends_its_run_at_the_next_item() -> None:
    ended: list[bool] = []

    def run(put: Callable[[Any], None]) -> None:
        try:
            while True:
                put(0)
        except FeedClosed:
            ended.append(True)
            raise

    feed = Feed(run, capacity_items=2)
    assert next(iter(feed)) == 0
    feed.close()
    feed.close()
    assert feed.join(PATIENCE)
    assert ended == [True]
    assert list(feed) == []
    assert not feed.exhausted
