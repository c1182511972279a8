"""Where the detector looks: every k-th frame, with k following the content.

Time between looks is kept in seconds, so that 12.5 frames per second, variable frame rates and dropped frames need no
care, and rounded to frames by asking whether this frame is nearer to the wished time than the next one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from streamer.errors import ConfigError
from streamer.items import Frame
from streamer.tracking.base import Following


@dataclass(frozen=True, slots=True)
class Preset:
    """Seconds between two looks: with faces, without faces, at least; and how much may come and go from look to look
    (share of the tracks followed) before the looks move closer together."""

    usual: float
    idle: float
    least: float
    churn: float


PRESETS = {
    "fast": Preset(usual=0.32, idle=0.4, least=0.08, churn=0.20),
    "balanced": Preset(usual=0.20, idle=0.25, least=0.0, churn=0.12),
    "accurate": Preset(usual=0.0, idle=0.0, least=0.0, churn=0.0),
}


class StrideController:
    """Tells for every decoded frame whether the detector should look at it.

    Looks come closer together when faces move (never more than half a face's width between two), when tracks are short
    lived or come and go, and at once after a cut; further apart while nobody is there. `fps_budget` bounds the looks
    per second of video; a cut may run ahead of it, which is paid back afterwards.
    """

    def __init__(self, preset: str = "balanced", fps_budget: float | None = None) -> None:
        if preset not in PRESETS:
            raise ConfigError(f"stride.preset {preset!r} is not one of {', '.join(PRESETS)}.")
        if fps_budget is not None and fps_budget <= 0:
            raise ConfigError(f"stride.fps_budget {fps_budget}: looks per second, above 0, are expected.")
        self.preset, self.fps_budget = preset, fps_budget
        self._rule = PRESETS[preset]
        self._interval = self._rule.usual
        self._previous: float | None = None  # time of the frame before
        self._frame_gap = 0.0
        self._last: float | None = None  # time of the last look
        self._skipped = 0
        self._churn = 0.0
        self._judged = True
        self._paid = -np.inf  # the budget allows the next look at this time
        self.looks = 0
        self.frames = 0
        self.histogram: Counter[int] = Counter()  # k -> looks that came k frames after the one before
        self.spans: list[tuple[float, int]] = []  # (time, k): from there on every k-th frame

    def due(self, frame: Frame, cut: bool, following: Following) -> bool:
        """True: detect here. `following` is what the tracker says before this frame is told to it."""
        gap = frame.time - self._previous if self._previous is not None else 0.0
        self._previous = frame.time
        self._frame_gap = gap if self._frame_gap == 0 else 0.8 * self._frame_gap + 0.2 * gap
        self.frames += 1
        self._skipped += 1
        if self._last is None or cut:
            self._interval, self._churn = self._rule.usual, 0.0
            self._look(frame.time)
            self._judged = True  # everybody is new in the first look at a shot
            return True
        if not self._judged:
            self._judge(following)
        if self._rule.usual > 0 and frame.time + self._frame_gap / 2 < self._last + self._wish(following):
            return False
        if frame.time < self._paid:
            return False
        self._look(frame.time)
        return True

    def _wish(self, following: Following) -> float:
        """Seconds from the last look to the next, as the content has it."""
        if not len(following):
            return self._rule.idle
        fastest = float(np.max(following.speeds))
        return max(self._rule.least, min(self._interval, 0.5 / max(fastest, 1e-6)))

    def _judge(self, following: Following) -> None:
        """After a look: how much came and went."""
        self._judged = True
        rule = self._rule
        self._churn = 0.75 * self._churn + 0.25 * (following.born + following.lost) / max(1, len(following))
        lives = [*following.lives, *following.detections.tolist()]
        short = len(following.lives) >= 4 and float(np.median(lives)) < 3
        if self._churn > rule.churn or short:
            self._interval = max(rule.least, self._interval / 1.5, 1e-3)
        else:
            self._interval = min(rule.usual, self._interval * 1.25)

    def _look(self, time: float) -> None:
        self.looks += 1
        if self._last is not None:
            self.histogram[self._skipped] += 1
            if not self.spans or self.spans[-1][1] != self._skipped:
                self.spans.append((self._last, self._skipped))
        self._last, self._skipped, self._judged = time, 0, False
        if self.fps_budget is not None:
            self._paid = max(self._paid, time) + 1 / self.fps_budget
