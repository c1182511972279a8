"""Times of live frames: they rise, they are never in the future, and they survive every clock that is set."""

from __future__ import annotations

import pytest

from streamer.sources.wallclock import EpochClock, WallClock


class Hands:
    """Two clocks a test sets."""

    def __init__(self) -> None:
        self.wall, self.mono = 1000.0, 5.0

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


def clock(hands: Hands) -> WallClock:
    return WallClock(lambda: hands.wall, lambda: hands.mono)


def test_a_wall_clock_set_back_is_not_followed() -> None:
    hands = Hands()
    wall = clock(hands)
    hands.run(1)
    hands.wall -= 3600
    assert wall.resync() == -3600
    assert wall.now() == 1001


def test_a_wall_clock_set_forward_is_followed_when_asked() -> None:
    hands = Hands()
    wall = clock(hands)
    hands.wall += 3600
    assert wall.now() == 1000
    wall.resync()
    assert wall.now() == 4600


def test_the_first_frame_lies_at_its_arrival_and_the_camera_clock_carries_on() -> None:
    epoch = EpochClock()
    assert epoch.place(50.0, 1000.0) == 1000.0
    assert epoch.place(50.04, 1000.07) == pytest.approx(1000.04)
    assert epoch.late == pytest.approx(0.03)


def test_no_frame_lies_after_its_arrival() -> None:
    epoch = EpochClock()
    epoch.place(0.0, 1000.0)
    assert epoch.place(28800.0, 1000.04) == pytest.approx(1000.04, abs=1e-6)  # 8 h jump of the camera
    assert epoch.place(28800.04, 1000.08) == pytest.approx(1000.08)


@pytest.mark.parametrize("again", [0.0, 90000.0])
def test_a_clock_that_begins_again_goes_on_in_order(again: float) -> None:
    epoch = EpochClock()
    placed = [epoch.place(95443.0 + i / 25, 1000 + i / 25) for i in range(25)]
    placed += [epoch.place(again + i / 25, 1001 + i / 25) for i in range(25)]
    assert placed == sorted(set(placed))
    assert placed[-1] == pytest.approx(1001.96)


def test_frames_without_a_time_lie_at_their_arrival() -> None:
    epoch = EpochClock()
    assert [epoch.place(None, 10.0), epoch.place(float("nan"), 10.5)] == [10.0, 10.5]


def test_times_rise_over_a_new_connection() -> None:
    before = EpochClock()
    last = before.place(7.0, 1000.0)
    after = EpochClock(last)
    assert after.place(3.0, 999.0) > last


def test_a_burst_at_the_start_leaves_no_lag() -> None:
    epoch = EpochClock()
    for i in range(25):  # a second of pictures, handed out at once
        epoch.place(i / 25, 1000.0)
    epoch.place(1.0, 1000.04)
    assert epoch.late == pytest.approx(0.0, abs=1e-6)


def test_a_slow_camera_clock_is_followed_slowly() -> None:
    epoch = EpochClock()
    for i in range(25 * 3600):  # 100 ppm slow for an hour
        epoch.place(i / 25 * 0.9999, 1000 + i / 25)
    assert epoch.late < 0.02


def test_lateness_that_does_not_go_away_is_taken_for_an_error_of_the_clock() -> None:
    epoch = EpochClock()
    epoch.place(100.0, 1000.0)
    late = []
    for i in range(1, 25 * 30):
        epoch.place(100 - (0.9 if i < 250 else 1.7) + i / 25, 1000 + i / 25)  # set back twice by less than a restart
        late.append(epoch.late)
    assert late[-1] < 0.01


def test_a_paced_reader_is_told_how_far_a_frame_is_ahead() -> None:
    epoch = EpochClock()
    epoch.place(0.0, 1000.0)
    assert epoch.ahead(2.0, 1000.5) == pytest.approx(1.5)
    assert epoch.ahead(None, 1000.5) == 0.0
