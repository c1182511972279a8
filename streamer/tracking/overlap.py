"""Following faces from one look of the detector to the next.

Two-stage association as in ByteTrack (Zhang et al. 2022): sure detections first, weak ones may only continue a track.
Each stage is one optimal assignment (Hungarian method) over overlap, motion and size; where a face should be comes from
a Kalman filter whose uncertainty grows while it is not seen.
"""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamer.errors import ConfigError
from streamer.geometry import iou
from streamer.items import DETECTED, F32, F64, I64, Faces, FaceSample, Frame, Track, TrackRows
from streamer.tracking.assignment import pairs
from streamer.tracking.base import Following
from streamer.tracking.best import BestFaces
from streamer.tracking.motion import Motion, to_boxes, to_place

RECENT = 12  # ended tracks whose lives are told to the stride
# Face widths a face may be off its prediction (or where it was) at once, and more per second unseen: 0.4..0.6 and
# 1.0..2.5 give the same IDF1 on the labelled clips within 0.003.
REACH, PACE = 0.5, 1.5
UNSEEN = 4  # gaps a track outlives when nobody looked: a small budget of looks, or a camera that was away
BRIEF = "seen once, and not clearly"


@dataclass(slots=True)
class _Path:
    """An open track: what the detector saw of it."""

    number: int
    shot: int
    since: float  # frames after this time and before the first detection belong to it
    best: BestFaces
    sure: float = 0.0  # highest score
    sure_at: float = 0.0  # time of the last detection that was not weak
    missed: int = 0  # looks since the last that found it
    missed_at: float = 0.0  # time of the first of them
    times: array[float] = field(default_factory=lambda: array("d"))
    boxes: array[float] = field(default_factory=lambda: array("f"))
    scores: array[float] = field(default_factory=lambda: array("f"))

    def see(self, time: float, box: F32, score: float, high: float) -> None:
        self.times.append(time)
        self.boxes.extend(box.tolist())
        self.scores.append(score)
        self.missed = 0
        self.sure = max(self.sure, score)
        if score >= high:
            self.sure_at = time


class OverlapTracker:
    """Tracks of one source; files and cameras alike. See `streamer.tracking.base` for the order of calls.

    A track starts with a detection of at least `high`, is continued by any, bridges up to `gap` seconds in which it is
    not found, and counts when it was found twice or once with `confirm`. Its rows are every decoded frame from the
    first to the last detection, interpolated in between, and half the way to the looks before and after that did not
    find it, but never over a cut. A track longer than `longest` seconds goes on under a new number: memory is bounded.
    """

    def __init__(
        self,
        *,
        high: float = 0.5,
        confirm: float = 0.55,
        gap: float = 1.0,
        quick: float = 0.25,
        weak: float = 1.5,
        best: int = 5,
        apart: float = 0.5,
        longest: float = 300.0,
        source: str | None = None,
    ) -> None:
        """`quick`: gap bridged (one missed look at least) for a face found once; half of a track's length is added to
        it, up to `gap`. `weak`: seconds a track may live on detections below `high` alone. `best` faces, `apart`
        seconds from each other, are kept of a track. `source` defaults to the frames' own."""
        if not (0 < high <= 1 and 0 < quick <= gap < longest and best >= 1):
            raise ConfigError(
                f"tracker: high {high}, quick {quick}, gap {gap}, longest {longest}, best {best}: "
                "0 < high <= 1, 0 < quick <= gap < longest and best >= 1 are expected."
            )
        self.high, self.confirm, self.gap, self.quick, self.weak = high, confirm, gap, quick, weak
        self.best, self.apart, self.longest, self.source = best, apart, longest, source
        self.rejected: dict[str, int] = {}  # detections of tracks that never counted, by reason
        self._paths: list[_Path] = []
        self._motion = Motion.empty()
        self._log_frames: array[int] = array("q")  # frames told, back to the start of the oldest open track
        self._log_times: array[float] = array("d")
        self._looked = -np.inf  # time of the last look of the detector in this shot
        self._shot = 0
        self._next = 1
        self._rows: list[_Path | None] = []  # the path of each face of the last update
        self._hopes: F32 = np.zeros(0, np.float32)
        self._born = self._lost = 0
        self._lives: deque[int] = deque(maxlen=RECENT)
        self._following: Following | None = None  # made once a look, asked for with every frame

    def update(self, frame: Frame, faces: Faces | None) -> list[Track]:
        """Tracks that ended by this frame because they were not found for too long."""
        if self.source is None:
            self.source = frame.source
        self._log_frames.append(frame.index)
        self._log_times.append(frame.time)
        self._rows = []
        if faces is None:
            return []
        self._following = None
        ended = self._close_old(frame.time)
        self._associate(frame.time, faces)
        self._looked = frame.time
        self._trim()
        return ended

    def cut(self) -> list[Track]:
        """All open tracks, ended with the last frame told."""
        ended = self._close(list(range(len(self._paths))), self._now, at_edge=True)
        self._log_frames, self._log_times = array("q"), array("d")
        self._looked = -np.inf
        self._shot += 1
        self._rows = []
        self._born = self._lost = 0
        self._following = None
        return ended

    def flush(self) -> list[Track]:
        """All open tracks; the source is over."""
        return self.cut()

    @property
    def assignment(self) -> I64:
        """(n,) the track number of each face of the last update, 0 where it has none."""
        return np.array([0 if p is None else p.number for p in self._rows], np.int64)

    def wanted(self, hopes: ArrayLike) -> I64:
        """Rows of the last update's faces whose track would keep them if they are as good as `hopes` (n,) says."""
        self._hopes = np.asarray(hopes, np.float32)
        if len(self._hopes) != len(self._rows):
            raise ValueError(f"{len(self._hopes)} hopes for {len(self._rows)} faces")
        pairs = zip(self._rows, self._hopes.tolist())
        chosen = [i for i, (p, hope) in enumerate(pairs) if p is not None and p.best.wants(hope, p.times[-1])]
        return np.array(chosen, np.int64)

    def keep(self, row: int, sample: FaceSample) -> None:
        """The look at face `row` of the last update goes to its track."""
        path = self._rows[row]
        if path is not None:
            path.best.offer(sample, float(self._hopes[row]) if row < len(self._hopes) else None)

    def following(self) -> Following:
        """What is followed since the last look of the detector."""
        if self._following is None:
            self._following = self._follow()
        return self._following

    def _follow(self) -> Following:
        if not self._paths:
            return Following.nothing(self._born, self._lost, tuple(self._lives))
        return Following(
            np.array([p.number for p in self._paths], np.int64),
            self._motion.boxes(self._looked),
            self._motion.pace().astype(np.float32),
            np.array([len(p.times) for p in self._paths], np.int64),
            np.array([p.times[-1] for p in self._paths]),
            self._born,
            self._lost,
            tuple(self._lives),
        )

    def snapshot(self) -> list[Track]:
        """Open tracks that count already, up to the last frame told: predicted beyond the last look that found them."""
        return [self._track(p, self._now, True) for p in self._paths if self._counts(p)]

    def present(self, time: float) -> list[tuple[int, tuple[float, float, float, float], float]]:
        """(number, box, score) of the tracks that count and were found at the last look, predicted to `time`."""
        there = [(i, p) for i, p in enumerate(self._paths) if not p.missed and self._counts(p)]
        if not there:
            return []
        boxes = self._motion.boxes(time)
        return [(p.number, tuple(boxes[i].tolist()), p.scores[-1]) for i, p in there]

    @property
    def _now(self) -> float:
        return self._log_times[-1] if self._log_times else self._looked

    def _associate(self, time: float, faces: Faces) -> None:
        alive = distinct(faces)
        sure = alive & (faces.scores >= self.high)
        owner = np.full(len(faces), -1, np.int64)
        free = np.ones(len(self._paths), bool)
        if self._paths and len(faces):
            places, spread = self._motion.predict(time)
            reach = np.minimum(1.0, REACH + PACE * (time - self._motion.time))
            for stage, tight in ((sure, 1.0), (alive & ~sure, 0.7)):
                rows, columns = np.flatnonzero(free), np.flatnonzero(stage)
                for i, j in _match(
                    places[rows], spread[rows], self._motion.found[rows], faces.boxes[columns], tight * reach[rows]
                ):
                    owner[columns[j]] = rows[i]
                    free[rows[i]] = False
            hit = np.flatnonzero(owner >= 0)
            self._motion.correct(owner[hit], faces.boxes[hit], time)
        missed = [self._paths[i] for i in np.flatnonzero(free)]
        self._lost = sum(p.missed == 0 for p in missed)
        for lost in missed:
            lost.missed_at = lost.missed_at if lost.missed else time
            lost.missed += 1
        self._rows = [None if o < 0 else self._paths[o] for o in owner]
        self._begin(time, faces, np.flatnonzero(sure & (owner < 0)))
        for path, box, score in zip(self._rows, faces.boxes, faces.scores.tolist()):
            if path is not None:
                path.see(time, box, score, self.high)

    def _begin(self, time: float, faces: Faces, rows: NDArray[np.intp]) -> None:
        self._born = len(rows)
        for row in rows:
            path = _Path(self._next, self._shot, (self._looked + time) / 2, BestFaces(self.best, self.apart))
            self._next += 1
            self._paths.append(path)
            self._rows[row] = path
        if len(rows):
            self._motion.add(faces.boxes[rows], time)

    def _close_old(self, now: float) -> list[Track]:
        return self._close([i for i, p in enumerate(self._paths) if self._is_over(p, now)], now, at_edge=False)

    def _is_over(self, path: _Path, now: float) -> bool:
        """Whether to look for it no longer: the longer a track was there, the longer a gap may be."""
        away = now - path.times[-1]
        patience = min(self.gap, self.quick + 0.5 * (path.times[-1] - path.times[0]))
        if (away > self.gap and path.missed > 0) or (away > patience and path.missed > 1) or away > UNSEEN * self.gap:
            return True
        if now - path.sure_at > self.weak and path.times[-1] > path.sure_at:
            return True
        return now - path.times[0] > self.longest

    def _close(self, rows: list[int], now: float, at_edge: bool) -> list[Track]:
        if not rows:
            return []
        closing = [self._paths[i] for i in rows]
        self._lives.extend(len(p.times) for p in closing)
        going = np.ones(len(self._paths), bool)
        going[rows] = False
        self._paths = [p for p, stays in zip(self._paths, going) if stays]
        self._motion.keep(going)
        if brief := sum(not self._counts(p) for p in closing):
            self.rejected[BRIEF] = self.rejected.get(BRIEF, 0) + brief
        return [self._track(p, self._until(p, now, at_edge), False) for p in closing if self._counts(p)]

    def _counts(self, path: _Path) -> bool:
        return len(path.times) >= 2 or path.sure >= self.confirm

    def _until(self, path: _Path, now: float, at_edge: bool) -> float:
        """The time up to which a closing track was there: to the edge if the last look found it, else half the way from
        the last look that found it to the next."""
        if path.missed:
            return (path.times[-1] + path.missed_at) / 2
        return self._now if at_edge else (path.times[-1] + now) / 2

    def _track(self, path: _Path, until: float, still_open: bool) -> Track:
        return Track(path.number, self.source or "", self._fill(path, until), path.best.pick(), still_open, path.shot)

    def _fill(self, path: _Path, until: float) -> TrackRows:
        """Rows for every frame told after `path.since` and up to `until`."""
        seen = np.array(path.times)
        log = np.array(self._log_times)
        low = min(int(np.searchsorted(log, path.since, "right")), int(np.searchsorted(log, seen[0])))
        high = max(int(np.searchsorted(log, until, "right")), int(np.searchsorted(log, seen[-1], "right")))
        times = log[low:high]
        frames = np.array(self._log_frames[low:high], np.int64)
        boxes = _interpolate(times, seen, np.array(path.boxes, np.float32).reshape(-1, 4))
        scores = np.interp(times, seen, np.array(path.scores)).astype(np.float32)
        kinds = np.isin(times, seen).astype(np.uint8) * np.uint8(DETECTED)
        return TrackRows(frames, times, boxes, scores, kinds)

    def _trim(self) -> None:
        """Forgets the frames before every open track and before the last look but one."""
        oldest = min((min(p.since, p.times[0]) for p in self._paths), default=self._looked)
        first = int(np.searchsorted(np.array(self._log_times), oldest))
        if first > 256:  # in pieces: moving an array costs its length
            self._log_frames, self._log_times = self._log_frames[first:], self._log_times[first:]


def distinct(faces: Faces) -> NDArray[np.bool_]:
    """(n,) False for the weaker of two detections of one face: nested, or nearly on top of each other.

    Two faces, one before the other, overlap by their edges; their centres are apart.
    """
    alive = np.ones(len(faces), bool)
    if len(faces) < 2:
        return alive
    b = faces.boxes
    low, high = np.maximum(b[:, None, :2], b[None, :, :2]), np.minimum(b[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    size = np.prod(np.maximum(b[:, 2:] - b[:, :2], 1), axis=1)
    within = shared / np.minimum(size[:, None], size[None, :])
    centre, width = (b[:, :2] + b[:, 2:]) / 2, b[:, 2] - b[:, 0]
    apart = np.hypot(*(centre[:, None] - centre[None]).transpose(2, 0, 1))
    same = (within > 0.65) & (apart < 0.5 * np.maximum(width[:, None], width[None, :]))
    order = np.argsort(-faces.scores, kind="stable")
    for at, i in enumerate(order):
        if alive[i]:
            later = order[at + 1 :]
            alive[later[same[i, later]]] = False
    return alive


def _match(places: F64, spread: F64, last: F64, boxes: F32, reach: F64) -> list[tuple[int, int]]:
    """Pairs (track, detection) of least total cost; pairs outside the gate are never made.

    The gate is `reach` (m,) face widths between the centres and a factor of 1.6 in size.
    """
    if not len(places) or not len(boxes):
        return []
    found = to_place(boxes)
    off = found[None] - places[:, None]
    width = np.exp((found[None, :, 2] + places[:, None, 2]) / 2)
    stood = found[None] - last[:, None]
    apart = np.minimum(np.hypot(off[..., 0], off[..., 1]), np.hypot(stood[..., 0], stood[..., 1])) / width
    near = (apart < reach[:, None]) & (np.abs(off[..., 2]) < 0.47)
    away = np.sqrt((off**2 / spread[:, None]).sum(2))  # Mahalanobis distance
    overlap = np.maximum(iou(to_boxes(places), boxes), iou(to_boxes(last), boxes))
    return pairs(1 - overlap + 0.0625 * np.minimum(away, 8) + 0.25 * apart, near)


def _interpolate(times: F64, seen: F64, boxes: F32) -> F32:
    """Boxes (n, 4) at `times` from boxes (k, 4) at rising times `seen`; outside them the face goes on for a tenth of a
    second at the pace of its last (first) two looks, then it stands."""
    out = np.stack([np.interp(times, seen, boxes[:, i]) for i in range(4)], axis=1)
    if len(seen) > 1:
        for side, a, b in ((times < seen[0], 0, 1), (times > seen[-1], -1, -2)):
            if side.any():
                pace = (boxes[a] - boxes[b]) / (seen[a] - seen[b])
                out[side] = boxes[a] + np.clip(times[side] - seen[a], -0.1, 0.1)[:, None] * pace
    return out.astype(np.float32)
