"""RisingClock: times strictly rise, and are the stream's own wherever they can be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamer.sources.timestamps import RisingClock


def placed(*times: float | None, interval: float = 0.04) -> list[float | None]:
    clock = RisingClock(interval)
    return [clock.place(t) for t in times]


def test_rising_times_are_kept_as_they_are() -> None:
    assert placed(5.0, 5.04, 9.0, 28_800.0) == [5.0, 5.04, 9.0, 28_800.0]


def test_missing_times_follow_the_interval() -> None:
    assert placed(None, None, 1.0, None, interval=0.5) == [0.0, 0.5, 1.0, 1.5]


def test_a_repeated_time_and_a_small_step_back_give_none() -> None:
    assert placed(1.0, 1.0, 0.5, 1.5) == [1.0, None, None, 1.5]


def test_a_large_step_back_moves_the_rest_behind() -> None:
    clock = RisingClock(0.5)
    assert [clock.place(t) for t in (10.0, 11.0, 0.0, 1.0, 2.0)] == [10.0, 11.0, 11.5, 12.5, 13.5]
    assert clock.restarts == 1


def test_a_start_below_zero_becomes_zero() -> None:
    assert placed(-1.0, -0.5, 0.0) == [0.0, 0.5, 1.0]


def test_a_time_that_is_not_a_number_counts_as_missing() -> None:
    assert placed(1.0, float("nan"), float("inf"), interval=0.25) == [1.0, 1.25, 1.5]


@given(st.lists(st.none() | st.floats(-1e6, 1e6, allow_nan=False)))
def test_what_is_given_always_rises_strictly(times: list[float | None]) -> None:
    clock = RisingClock(0.04)
    found = [t for t in map(clock.place, times) if t is not None]
    assert all(b > a for a, b in zip(found, found[1:], strict=False))
    assert all(t >= 0 for t in found)


def test_a_step_back_of_two_seconds_is_a_new_recording_and_one_of_half_a_second_is_not() -> None:
    clock = RisingClock(0.04)
    assert [clock.place(t) for t in (10.0, 9.5)] == [10.0, None]
    assert clock.restarts == 0
    assert clock.place(8.0) == 10.0 + 0.04
    assert clock.restarts == 1
