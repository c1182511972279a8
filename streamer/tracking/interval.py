"""When the detector looks: every so many seconds, sooner when something moves or changes, at once after a cut."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

INTERVAL = {"fast": 0.32, "balanced": 0.16, "accurate": 0.0}  # s: 5 frames at 30 fps measured 0.98 of dense recall


class Moving(Protocol):
    """What must be known of an open track: how wide it is and how fast it moves (pixels a second)."""

    @property
    def width(self) -> float: ...
    @property
    def speed(self) -> float: ...


class IntervalStride:
    """Decides frame by frame. `looks` counts the distance in frames between detections."""

    def __init__(self, *, preset: Literal["fast", "balanced", "accurate"] = "balanced") -> None:
        self.interval = INTERVAL[preset]
        self.looks: dict[int, int] = {}
        self._last: tuple[int, float] | None = None
        self._wait = 0.0

    def due(self, index: int, time: float, cut: bool) -> bool:
        """Whether this frame is to be looked at; counts it if so."""
        if self._last is not None and not cut and time - self._last[1] < self._wait - 1e-6:
            return False
        if self._last is not None:
            k = index - self._last[0]
            self.looks[k] = self.looks.get(k, 0) + 1
        self._last = (index, time)
        return True

    def plan(self, tracks: Iterable[Moving], changed: bool) -> None:
        """Sets the wait after a look: at most half a box width of motion; half the interval after a change."""
        wait = self.interval / 2 if changed else self.interval
        for t in tracks:
            if t.speed > 0:
                wait = min(wait, max(self.interval / 4, 0.5 * t.width / t.speed))
        self._wait = wait
