"""SMPTE timecode: frame numbers to HH:MM:SS:FF and back, drop-frame included.

Drop-frame leaves out the numbers 00 and 01 (at 59.94: 00 to 03) of every minute that is not a tenth, so that 29.97
frames a second stay beside the wall clock (SMPTE ST 12-1). No frame is dropped, only numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_SHAPE = re.compile(r"^(\d{1,2})[:;.](\d{2})[:;.](\d{2})([:;.])(\d{2,3})$")
DEFAULT = Fraction(
    25
)  # where a source states no rate, an editor needs one; 25 is what its empty timeline has in most of the world


@dataclass(frozen=True, slots=True)
class Rate:
    """Frames a second as a fraction, and whether numbers are dropped."""

    fps: Fraction
    drop: bool = False

    def __post_init__(self) -> None:
        if self.fps <= 0:
            raise ValueError(f"{self.fps} frames a second")
        if self.drop and (self.fps.denominator != 1001 or self.base % 30):
            raise ValueError(f"drop-frame is for 29.97 and its multiples, not {float(self.fps):.3f}")

    @property
    def base(self) -> int:
        """Frame numbers in a second of timecode: 30 for 29.97."""
        return max(1, round(self.fps))

    @property
    def ntsc(self) -> bool:
        return self.fps.denominator == 1001

    @property
    def counted(self) -> bool:
        """Whether timecode counts at this rate: whole or NTSC; at 12.5 a second of timecode is not a second."""
        return self.fps.denominator in (1, 1001)

    @classmethod
    def near(cls, fps: float | None, drop: bool | None = None) -> Rate:
        """The exact rate meant by a nominal one: 29.97 is 30000/1001, 23.976 is 24000/1001, None is 25.

        `drop` None: 29.97 and its multiples are drop-frame, which keeps the timecode beside the clock.
        """
        exact = DEFAULT if not fps or fps <= 0 else _exact(fps)
        able = exact.denominator == 1001 and round(exact) % 30 == 0
        return cls(exact, able if drop is None else drop and able)

    def frame(self, seconds: float) -> int:
        """The frame on screen at a time, the first is 0. Nearest, because times are written with three decimals."""
        return round(Fraction(seconds).limit_denominator(1_000_000) * self.fps)

    def seconds(self, frame: int) -> Fraction:
        return frame / self.fps


def _exact(fps: float) -> Fraction:
    whole = round(fps)
    # 0.005: 29.97 and 29.976 are NTSC, 29.99 is somebody's average
    if whole and abs(fps - whole * 1000 / 1001) < 0.005 < abs(fps - whole):
        return Fraction(whole * 1000, 1001)
    return Fraction(whole) if whole and abs(fps - whole) < 0.005 else Fraction(fps).limit_denominator(1001)


def _dropped(rate: Rate) -> int:
    return rate.base // 15 if rate.drop else 0


def to_text(frame: int, rate: Rate) -> str:
    """HH:MM:SS:FF, with a semicolon before the frames for drop-frame. Wraps after 24 hours; ValueError below 0.

    >>> to_text(1800, Rate.near(29.97)), to_text(25, Rate.near(25))
    ('00:01:00;02', '00:00:01:00')
    """
    if frame < 0:
        raise ValueError(f"frame {frame} has no timecode")
    base, drop = rate.base, _dropped(rate)
    frame %= frames_in_a_day(rate)
    if drop:
        tens, rest = divmod(frame, base * 600 - 9 * drop)
        frame += 9 * drop * tens + drop * max(0, (rest - drop) // (base * 60 - drop))
    minutes, left = divmod(frame, base * 60)
    seconds, frames = divmod(left, base)
    width = 3 if base > 100 else 2
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{';' if drop else ':'}{frames:0{width}d}"


def to_frame(text: str, rate: Rate) -> int:
    """The frame number of a timecode. ValueError for another shape, or a number that drop-frame leaves out."""
    match = _SHAPE.match(text.strip())
    if not match:
        raise ValueError(f"{text!r} is no timecode (HH:MM:SS:FF)")
    hours, minutes, seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
    base, drop = rate.base, _dropped(rate)
    if minutes > 59 or seconds > 59 or frames >= base:
        raise ValueError(f"{text!r} is no timecode at {base} frames a second")
    if drop and minutes % 10 and not seconds and frames < drop:
        raise ValueError(f"{text!r} does not exist in drop-frame")
    total = hours * 60 + minutes
    return (total * 60 + seconds) * base + frames - drop * (total - total // 10)


def frames_in_a_day(rate: Rate) -> int:
    return 24 * 3600 * rate.base - _dropped(rate) * (24 * 60 - 24 * 6)


def clock(seconds: float) -> str:
    """HH:MM:SS.mmm, as WebVTT writes it; negative times are 0."""
    ms = max(0, round(seconds * 1000))
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


@dataclass(frozen=True, slots=True)
class Clock:
    """The timecode of one source: its rate, the timecode of its first frame, and when that frame is shown."""

    rate: Rate
    first: int = 0  # frame number the first timecode stands for
    start: float = 0.0  # seconds of the first frame

    @classmethod
    def of(cls, fps: float | None, start: float = 0.0, start_timecode: str | None = None) -> Clock:
        """A start timecode decides about drop-frame by its semicolon; one that cannot be read counts as 00:00:00:00."""
        drop = None if not start_timecode else ";" in start_timecode
        rate = Rate.near(fps, drop)
        try:
            return cls(rate, to_frame(start_timecode, rate) if start_timecode else 0, start)
        except ValueError:
            return cls(Rate.near(fps), 0, start)

    def frame(self, seconds: float) -> int:
        """Frames since the first one; times before it are 0."""
        return max(0, self.rate.frame(seconds - self.start))

    def text(self, seconds: float) -> str:
        return to_text(self.first + self.frame(seconds), self.rate)
