"""Presentation times that strictly rise, whatever the file says."""

from __future__ import annotations

import math

RESTART_S = 1.0  # a step back of more is a new recording in the same file, not frames out of order


class RisingClock:
    """Turns a stream's own times into strictly rising ones, keeping them wherever they do rise.

    - no time: the last one plus the nominal interval (`invented` counts them);
    - a step back of more than `RESTART_S`: the rest of the file is moved behind what came before (`restarts`);
    - a smaller step back, or the same time again: no time is given, the frame is to be dropped;
    - a first time below zero (a wrapped clock) becomes zero, and the rest moves with it.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.invented = self.restarts = 0
        self.last: float | None = None
        self._shift = 0.0

    def place(self, time: float | None) -> float | None:
        """The time to give to a frame, None where it does not come after the frame before."""
        if time is None or not math.isfinite(time):
            self.invented += 1
            placed = 0.0 if self.last is None else self.last + self.interval
        elif self.last is None:
            self._shift = max(0.0, -time)
            placed = time + self._shift
        else:
            placed = self._follow(time, self.last)
            if placed <= self.last:
                return None
        self.last = placed
        return placed

    def _follow(self, time: float, last: float) -> float:
        placed = time + self._shift
        if placed < last - RESTART_S:
            self.restarts += 1
            self._shift = last + self.interval - time
            return last + self.interval
        return placed
