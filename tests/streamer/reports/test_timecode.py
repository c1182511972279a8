from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.reports.timecode import Clock, Rate, clock, frames_in_a_day, to_frame, to_text

RATES = (23.976, 24, 25, 29.97, 30, 50, 59.94, 60)


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (0, "00:00:00;00"),
        (1799, "00:00:59;29"),
        (1800, "00:01:00;02"),
        (3597, "00:01:59;29"),
        (3598, "00:02:00;02"),
        (17981, "00:09:59;29"),
        (17982, "00:10:00;00"),
        (17983, "00:10:00;01"),
        (19782, "00:11:00;02"),
        (107892, "01:00:00;00"),
    ],
)
def test_drop_frame_counts_as_smpte_does(frame: int, text: str) -> None:
    rate = Rate.near(29.97)
    assert to_text(frame, rate) == text
    assert to_frame(text, rate) == frame


def test_drop_frame_at_sixty_leaves_out_four() -> None:
    rate = Rate.near(59.94)
    assert [to_text(f, rate) for f in (3599, 3600)] == ["00:00:59;59", "00:01:00;04"]


@given(st.sampled_from(RATES), st.booleans(), st.integers(0, 24 * 3600 * 60 - 1))
def test_every_frame_comes_back_from_its_timecode(fps: float, drop: bool, frame: int) -> None:
    rate = Rate.near(fps, drop)
    frame %= frames_in_a_day(rate)
    assert to_frame(to_text(frame, rate), rate) == frame


@given(st.sampled_from((29.97, 59.94)), st.integers(0, 10**6))
def test_timecodes_rise_with_frames(fps: float, frame: int) -> None:
    rate = Rate.near(fps)
    assert to_text(frame, rate) < to_text(frame + 1, rate)


@given(st.integers(0, 2 * 10**6))
def test_drop_frame_stays_beside_the_wall_clock(frame: int) -> None:
    rate = Rate.near(29.97)
    h, m, s, f = (int(part) for part in to_text(frame, rate).replace(";", ":").split(":"))
    shown = h * 3600 + m * 60 + s + Fraction(f, 30)
    # two numbers inside a minute (67 ms), and 86 ms that drop-frame itself loses in a day
    assert abs(shown - rate.seconds(frame) % 86400) < Fraction(154, 1000)


def test_the_day_wraps() -> None:
    rate = Rate.near(29.97)
    assert frames_in_a_day(rate) == 2589408
    assert to_text(2589408, rate) == "00:00:00;00"


@pytest.mark.parametrize("text", ["00:01:00;00", "00:01:00;01", "01:61:00:00", "00:00:00:30", "soon", "1:2:3:4"])
def test_what_is_no_timecode_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        to_frame(text, Rate.near(29.97))


@pytest.mark.parametrize(
    ("fps", "exact", "drop"),
    [
        (29.97, Fraction(30000, 1001), True),
        (29.97002997, Fraction(30000, 1001), True),
        (23.976, Fraction(24000, 1001), False),
        (25.0, Fraction(25), False),
        (30.0, Fraction(30), False),
        (59.94, Fraction(60000, 1001), True),
        (12.5, Fraction(25, 2), False),
        (None, Fraction(25), False),
        (0.0, Fraction(25), False),
    ],
)
def test_a_nominal_rate_is_made_exact(fps: float | None, exact: Fraction, drop: bool) -> None:
    assert Rate.near(fps) == Rate(exact, drop)


def test_a_colon_in_the_start_timecode_means_non_drop() -> None:
    assert not Clock.of(29.97, 0, "01:00:00:00").rate.drop
    assert Clock.of(29.97, 0, "01:00:00;00").text(60.06) == "01:01:00;02"
    assert Clock.of(29.97, 0, "01:00:00:00").text(60.06) == "01:01:00:00"


def test_a_start_timecode_nobody_can_read_counts_as_zero() -> None:
    assert Clock.of(25, 2.0, "yesterday").text(3.0) == "00:00:01:00"


def test_drop_frame_is_for_its_rates_only() -> None:
    with pytest.raises(ValueError, match="drop-frame"):
        Rate(Fraction(25), True)


def test_the_clock_of_captions_rounds_to_milliseconds() -> None:
    assert [clock(t) for t in (-1, 0.0004, 59.9996, 3661.5)] == [
        "00:00:00.000",
        "00:00:00.000",
        "00:01:00.000",
        "01:01:01.500",
    ]
