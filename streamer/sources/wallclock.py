"""When a live frame was: the camera's own clock for distances, the wall clock for where they lie."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

BACK = 1.0  # s a camera's clock may step back before it counts as begun again: more than any reordering
LATE_WINDOW = 10.0  # s over which the least lateness is taken: longer than a stall that empties itself
SLEW = 0.0005  # s per s a drifting camera clock is followed: quartz is off by 0.0001 at most
LATE_FOR_GOOD = 1.0  # s by which every frame of a window may be late before the clock is anchored anew
STEP = 1e-4  # s between frames that would fall together


class WallClock:
    """Seconds since the epoch (UTC) that never go back: time-outs and frames survive a clock that is set."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._offset = wall() - monotonic()

    def now(self) -> float:
        return self._monotonic() + self._offset

    def resync(self) -> float:
        """Follows a wall clock that was set forward; the seconds it is off (negative: set back, not followed)."""
        off = self._wall() - self.now()
        if off > 0:
            self._offset += off
        return off


class EpochClock:
    """Places the frames of one connection: wall clock of arrival for the first, the camera's own clock after it.

    No frame lies after its arrival, times strictly rise after `last`. A camera clock that jumps, restarts or wraps is
    anchored anew, one that is missing is replaced by arrival. `late` is how long ago the frame placed last was.
    """

    def __init__(self, last: float = -math.inf) -> None:
        self.last = last
        self.late = 0.0
        self.anchors = 0
        self._offset = 0.0
        self._pts: float | None = None
        self._window, self._least = -math.inf, math.inf

    def ahead(self, pts: float | None, arrived: float) -> float:
        """Seconds a frame has come before its time: what a paced reader waits."""
        if pts is None or self._pts is None or pts < self._pts - BACK:
            return 0.0
        return max(0.0, pts + self._offset - arrived)

    def place(self, pts: float | None, arrived: float) -> float:
        """The wall clock time of a frame that arrived now."""
        if pts is None or not math.isfinite(pts):
            placed = arrived
        else:
            if self._pts is None or pts < self._pts - BACK or pts + self._offset > arrived:
                self._anchor(pts, arrived)
            self._pts = pts
            placed = pts + self._offset
            self._follow(arrived - placed, pts, arrived)
        self.late = arrived - placed
        self.last = max(placed, self.last + STEP)
        return self.last

    def _anchor(self, pts: float, arrived: float) -> None:
        self.anchors += self._pts is None or abs(arrived - pts - self._offset) > BACK
        self._offset = arrived - pts
        self._window, self._least = arrived, math.inf

    def _follow(self, late: float, pts: float, arrived: float) -> None:
        """A clock that runs slow is followed slowly; one that stays behind in spite of dropped frames, at once."""
        self._least = min(self._least, late)
        if arrived - self._window < LATE_WINDOW:
            return
        if self._least > LATE_FOR_GOOD:
            self._anchor(pts, arrived)
        else:
            self._offset += min(self._least, SLEW * (arrived - self._window))
        self._window, self._least = arrived, math.inf
