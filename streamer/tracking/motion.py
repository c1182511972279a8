"""Where a face will be: a bank of constant-velocity Kalman filters, one row per track, in numpy.

Centre x, centre y, log width and log height are filtered independently (2 x 2 covariances in closed form), all noise in
units of the face's own width, so that near and far faces need no settings of their own. A coasting track's velocity
decays: heads stop more often than they fly on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.items import F32, F64

# Standard deviations: centres in face widths, sizes in log units. On dense SCRFD boxes of the labelled clips 99 % of
# the jitter of a centre is below 0.09 widths, 90 % of the speeds below 1.3 and 95 % below 2.0 widths a second. The
# optimum is flat: half or twice any of these moves the pooled IDF1 by 0.005 at 5 looks a second, by 0.02 at most at 3.
JITTER = np.array([0.05, 0.05, 0.06, 0.06])
SPEED = np.array([1.5, 1.0, 0.4, 0.4])  # per s, of a face just found
ACCELERATION = np.array([6.0, 4.5, 1.0, 1.0])  # per s^2
COAST = 0.8  # s after which the remembered velocity has fallen to 1/e


@dataclass(slots=True)
class Motion:
    """Filters of m tracks. `time` is when each was last corrected."""

    place: F64  # (m, 4) centre x, y, log width, log height
    speed: F64  # (m, 4) per second
    cov: F64  # (m, 4, 3) variances of place, of both together, of speed
    time: F64  # (m,)
    found: F64  # (m, 4) the last place measured
    _asked: tuple[float, tuple[F64, F64, F64]] | None = None

    @classmethod
    def empty(cls) -> Motion:
        return cls(np.zeros((0, 4)), np.zeros((0, 4)), np.zeros((0, 4, 3)), np.zeros(0), np.zeros((0, 4)))

    def __len__(self) -> int:
        return len(self.time)

    def add(self, boxes: F32, time: float) -> None:
        """Starts filters for new faces (n, 4) seen at `time`."""
        place = to_place(boxes)
        unit = _units(place)
        cov = np.zeros((len(place), 4, 3))
        cov[..., 0], cov[..., 2] = (JITTER * unit) ** 2, (SPEED * unit) ** 2
        self.place = np.concatenate([self.place, place])
        self.speed = np.concatenate([self.speed, np.zeros_like(place)])
        self.cov = np.concatenate([self.cov, cov])
        self.time = np.concatenate([self.time, np.full(len(place), time)])
        self.found = np.concatenate([self.found, place])
        self._asked = None

    def keep(self, rows: NDArray[Any]) -> None:
        """Forgets all filters but these (mask or indices)."""
        self.place, self.speed, self.cov = self.place[rows], self.speed[rows], self.cov[rows]
        self.time, self.found = self.time[rows], self.found[rows]
        self._asked = None

    def predict(self, time: float) -> tuple[F64, F64]:
        """Places (m, 4) at `time` and the variances (m, 4) a measurement would have there."""
        place, _, cov = self._ahead(time)
        return place, cov[..., 0] + (JITTER * _units(self.place)) ** 2

    def boxes(self, time: float) -> F32:
        """Predicted boxes (m, 4) at `time`, which may also lie before the last correction."""
        there = bool((self.time == time).all())
        return to_boxes(self.place if there else self._ahead(time)[0])

    def correct(self, rows: NDArray[np.intp], boxes: F32, time: float) -> None:
        """Tells the filters in `rows` what was measured: boxes (n, 4) in the same order."""
        if not len(rows):
            return
        place, speed, cov = (a[rows] for a in self._ahead(time))
        measured = to_place(boxes)
        total = cov[..., 0] + (JITTER * _units(measured)) ** 2
        gain, gain_speed = cov[..., 0] / total, cov[..., 1] / total
        off = measured - place
        self.place[rows] = place + gain * off
        self.speed[rows] = speed + gain_speed * off
        self.cov[rows, :, 0] = (1 - gain) * cov[..., 0]
        self.cov[rows, :, 1] = (1 - gain) * cov[..., 1]
        self.cov[rows, :, 2] = cov[..., 2] - gain_speed * cov[..., 1]
        self.time[rows] = time
        self.found[rows] = measured
        self._asked = None

    def pace(self) -> F64:
        """How fast each face moves, (m,) face widths per second."""
        return np.asarray(np.hypot(self.speed[:, 0], self.speed[:, 1]) / np.exp(self.place[:, 2]))

    def _ahead(self, time: float) -> tuple[F64, F64, F64]:
        """Place, speed and covariance of all filters at `time`; prediction and correction of one look share it."""
        if self._asked is not None and self._asked[0] == time:
            return self._asked[1]
        dt = (time - self.time)[:, None]
        left = np.exp(-np.maximum(dt, 0) / COAST)
        reach = np.where(dt > 0, COAST * (1 - left), dt)
        push = (ACCELERATION * _units(self.place)) ** 2
        dt = np.abs(dt)
        old = self.cov
        cov = np.empty_like(old)
        cov[..., 0] = old[..., 0] + 2 * reach * old[..., 1] + reach**2 * old[..., 2] + push * dt**4 / 4
        cov[..., 1] = left * (old[..., 1] + reach * old[..., 2]) + push * dt**3 / 2
        cov[..., 2] = left**2 * old[..., 2] + push * dt**2
        ahead = (self.place + reach * self.speed, left * self.speed, cov)
        self._asked = (time, ahead)
        return ahead


def to_place(boxes: F32) -> F64:
    """(n, 4) boxes -> (n, 4) centre x, centre y, log width, log height; nothing is smaller than a pixel."""
    b = np.asarray(boxes, np.float64).reshape(-1, 4)
    size = np.maximum(b[:, 2:] - b[:, :2], 1.0)
    return np.concatenate([(b[:, :2] + b[:, 2:]) / 2, np.log(size)], axis=1)


def to_boxes(place: F64) -> F32:
    """The way back from `to_place`."""
    half = np.exp(place[:, 2:]) / 2
    return np.concatenate([place[:, :2] - half, place[:, :2] + half], axis=1).astype(np.float32)


def _units(place: F64) -> F64:
    """(n, 4) what one unit of noise is: the face's width for the centre, 1 for the logs."""
    units = np.ones_like(place)
    units[:, :2] = np.exp(place[:, 2:3])
    return units
