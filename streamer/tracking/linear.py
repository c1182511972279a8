"""Following faces by motion and overlap: constant velocity, IoU and centre distance, one optimal assignment a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from streamer.geometry import area, iou
from streamer.items import DETECTED, F32, TRACKED, Faces, FaceSample, Frame, Track, TrackRows


@dataclass(slots=True)
class _Open:
    """A track that still grows: one entry per detection."""

    frames: list[int]
    times: list[float]
    boxes: list[F32]
    scores: list[float]
    samples: list[FaceSample] = field(default_factory=list)

    def predict(self, time: float) -> F32:
        """Where the box should be, by the motion of the last two detections (at most 0.3 s ahead)."""
        if len(self.times) < 2:
            return self.boxes[-1]
        step = max(self.times[-1] - self.times[-2], 1e-3)
        ahead = min(time - self.times[-1], 0.3)
        return np.asarray(self.boxes[-1] + (self.boxes[-1] - self.boxes[-2]) * (ahead / step), np.float32)

    @property
    def width(self) -> float:
        return float(self.boxes[-1][2] - self.boxes[-1][0])

    @property
    def speed(self) -> float:
        """Pixels a second of the centre between the last two detections."""
        if len(self.times) < 2:
            return 0.0
        move = (self.boxes[-1] - self.boxes[-2]).reshape(2, 2).mean(0)
        return float(np.hypot(*move)) / max(self.times[-1] - self.times[-2], 1e-3)


class LinearTracker:
    """Tracks of one source. `gap`: seconds a face may be lost inside a shot; `sure`: score that lets one look count;
    `per_track`: best faces kept, at least `apart` seconds from each other."""

    def __init__(self, *, gap: float = 0.7, sure: float = 0.62, per_track: int = 5, apart: float = 0.5) -> None:
        self.gap, self.sure, self.per_track, self.apart = gap, sure, per_track, apart
        self.open: list[_Open] = []
        self.rejected: dict[str, int] = {}
        self._frames: list[int] = []  # of this shot
        self._times: list[float] = []
        self._looked: list[int] = []
        self._number = 0
        self._shot = 0
        self._source = ""

    def tell(self, frame: Frame) -> None:
        """Every decoded frame, looked at or not, in order."""
        self._source = frame.source
        self._frames.append(frame.index)
        self._times.append(frame.time)

    def associate(self, frame: Frame, faces: Faces) -> tuple[list[_Open], list[Track], bool]:
        """The open track of every face, the tracks that ended, and whether any began or ended."""
        from scipy.optimize import linear_sum_assignment

        self._looked.append(frame.index)
        owner: dict[int, _Open] = {}
        if self.open and len(faces):
            cost = self._cost(frame.time, faces)
            for row, column in zip(*linear_sum_assignment(cost), strict=True):
                if cost[row, column] < 1.0:
                    owner[int(column)] = self.open[int(row)]
        began = False
        for j in range(len(faces)):
            if j in owner:
                t = owner[j]
                t.frames.append(frame.index)
                t.times.append(frame.time)
                t.boxes.append(faces.boxes[j])
                t.scores.append(float(faces.scores[j]))
            else:
                owner[j] = _Open([frame.index], [frame.time], [faces.boxes[j]], [float(faces.scores[j])])
                self.open.append(owner[j])
                began = True
        ended = [t for t in self.open if frame.time - t.times[-1] > self.gap]
        self.open = [t for t in self.open if frame.time - t.times[-1] <= self.gap]
        closed = [c for t in ended if (c := self._close(t)) is not None]
        return [owner[j] for j in range(len(faces))], closed, began or bool(ended)

    def _cost(self, time: float, faces: Faces) -> F32:
        """(tracks, faces): 1 and more is impossible. Overlap first; a near centre of like size where there is none."""
        boxes = np.stack([t.predict(time) for t in self.open])
        over = iou(boxes, faces.boxes)
        a, b = (boxes[:, :2] + boxes[:, 2:]) / 2, (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
        size = np.sqrt(np.maximum(area(boxes), 1))[:, None]
        other = np.sqrt(np.maximum(area(faces.boxes), 1))[None]
        far = np.linalg.norm(a[:, None] - b[None], axis=2) / np.minimum(size, other)
        like = np.minimum(size, other) / np.maximum(size, other)
        possible = (over >= 0.2) | ((far < 0.7) & (like > 0.6))
        return np.asarray(np.where(possible, 1 - over * 0.7 - 0.29 * np.exp(-far), 2.0), np.float32)

    def wants(self, track: _Open, time: float, quality: float) -> bool:
        """Whether a look at this track now would be among its best faces."""
        near = [s for s in track.samples if abs(s.time - time) < self.apart]
        if near:
            return quality > max(s.quality for s in near)
        return len(track.samples) < self.per_track or quality > min(s.quality for s in track.samples)

    def keep(self, track: _Open, sample: FaceSample) -> None:
        """Adds a best face; it replaces those closer than `apart`, and the worst where there are too many."""
        track.samples = [s for s in track.samples if abs(s.time - sample.time) >= self.apart]
        track.samples.append(sample)
        if len(track.samples) > self.per_track:
            track.samples.remove(min(track.samples, key=lambda s: s.quality))

    def cut(self) -> list[Track]:
        """A new shot begins with the next frame told: all tracks end with the last one."""
        out = self.flush()
        self._shot += 1
        self._frames, self._times, self._looked = [], [], []
        return out

    def flush(self) -> list[Track]:
        """Ends all tracks."""
        out = [c for t in self.open if (c := self._close(t)) is not None]
        self.open = []
        return out

    def _close(self, t: _Open) -> Track | None:
        if len(t.frames) < 2 and t.scores[0] < self.sure:
            self.rejected["seen once, unsure"] = self.rejected.get("seen once, unsure", 0) + 1
            return None
        self._number += 1
        samples = tuple(sorted(t.samples, key=lambda s: s.time))
        return Track(self._number, self._source, self._rows(t), samples, shot=self._shot)

    def _rows(self, t: _Open) -> TrackRows:
        """Interpolated between detections; both ends reach half way to the next look without the face."""
        first, last = t.frames[0], t.frames[-1]
        before = [f for f in self._looked if f < first]
        after = [f for f in self._looked if f > last]
        low = first - (first - before[-1]) // 2 if before else first
        high = last + (after[0] - last) // 2 if after else self._frames[-1]
        at = np.arange(np.searchsorted(self._frames, low), np.searchsorted(self._frames, high, side="right"))
        frames, times = np.asarray(self._frames, np.int64)[at], np.asarray(self._times)[at]
        known = np.stack(t.boxes)
        boxes = np.stack([np.interp(times, t.times, known[:, k]) for k in range(4)], axis=1)
        scores = np.interp(times, t.times, t.scores)
        kinds = np.where(np.isin(frames, t.frames), DETECTED, TRACKED)
        return TrackRows(frames, times, boxes.astype(np.float32), scores.astype(np.float32), kinds.astype(np.uint8))


def nested(faces: Faces) -> Sequence[int]:
    """Rows to keep when one face was found twice: of boxes inside each other the surer one, in the given order."""
    keep: list[int] = []
    for i in np.argsort(-faces.scores, kind="stable"):
        b = faces.boxes[i]
        others = faces.boxes[keep] if keep else np.zeros((0, 4), np.float32)
        w = np.minimum(b[2], others[:, 2]) - np.maximum(b[0], others[:, 0])
        h = np.minimum(b[3], others[:, 3]) - np.maximum(b[1], others[:, 1])
        inside = np.maximum(w, 0) * np.maximum(h, 0) / np.maximum(np.minimum(area(others), area(b)), 1)
        if not (inside > 0.7).any():
            keep.append(int(i))
    return sorted(keep)
