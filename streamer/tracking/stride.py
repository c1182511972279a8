"""When the detector looks: every k-th frame, with k following the content.

Time between looks is kept in seconds, so that 12.5 frames per second, variable frame rates and dropped frames need no
care, and rounded to frames by asking whether this frame is nearer to the wished time than the next one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError
from streamer.geometry import iou
from streamer.items import F32, Faces, Frame, Region, Track
from streamer.tracking.base import Following
from streamer.tracking.view import Views

WINDOWS = 1000  # stretches of time remembered for the report: beyond, neighbours are merged


@dataclass(frozen=True, slots=True)
class Preset:
    """Seconds between two looks: with faces, without faces, at least, and at most (where for a while nobody came or
    went); seconds between two looks at a whole frame; and how much may come and go from look to look (share of the
    tracks followed) before the looks move closer together."""

    usual: float
    idle: float
    least: float
    most: float
    whole: float
    churn: float


# `most` of balanced, on the labelled clips: 0.20 IDF1 0.985 and HOTA 0.925, 0.25 0.988 and 0.926, 0.30 0.988 and 0.921
# for a tenth less of the detector's time, 0.40 0.982.
PRESETS = {
    "fast": Preset(usual=0.32, idle=0.4, least=0.08, most=0.40, whole=0.9, churn=0.20),
    "balanced": Preset(usual=0.20, idle=0.25, least=0.0, most=0.25, whole=0.6, churn=0.12),
    "accurate": Preset(usual=0.0, idle=0.0, least=0.0, most=0.0, whole=0.0, churn=0.0),
}


@dataclass(slots=True)
class Window:
    """A stretch of video from `start` on: frames decoded and frames looked at."""

    start: float
    frames: int = 0
    looks: int = 0

    @property
    def k(self) -> float:
        """Frames per look; infinite where there was none."""
        return self.frames / self.looks if self.looks else float("inf")


class StrideController:
    """Tells for every decoded frame whether the detector should look at it.

    Looks come closer together when faces move (never more than half a face's width between two), when tracks are short
    lived or come and go, and at once after a cut; further apart while nobody is there or nobody comes and goes, when
    most of them are at a part of the frame (`part`). `fps_budget` bounds the looks per second of video; a cut may run
    ahead of it, which is paid back afterwards.
    """

    def __init__(
        self, *, preset: Literal["fast", "balanced", "accurate"] = "balanced", fps_budget: float | None = None
    ) -> None:
        if preset not in PRESETS:
            raise ConfigError(f"stride.preset {preset!r} is not one of {', '.join(PRESETS)}.")
        if fps_budget is not None and fps_budget <= 0:
            raise ConfigError(f"stride.fps_budget {fps_budget}: looks per second, above 0, are expected.")
        self.preset, self.fps_budget = str(preset), fps_budget
        self._rule = PRESETS[preset]
        self.views = Views(self._rule.whole)
        self._interval = self._rule.usual
        self._previous: float | None = None  # time of the frame before
        self._frame_gap = 0.0
        self._last: float | None = None  # time of the last look
        self._skipped = 0
        self._churn = 0.0
        self._judged = True
        self._window = 10.0
        self._wished: float | None = None  # seconds from the last look to the next
        self._paid = -np.inf  # the budget allows the next look at this time
        self.looks = 0
        self.frames = 0
        self.histogram: Counter[int] = Counter()  # k -> looks that came k frames after the one before
        self.windows: list[Window] = []  # k over time

    def due(self, frame: Frame, cut: bool, following: Following) -> bool:
        """True: detect here. `following` is what the tracker says before this frame is told to it."""
        gap = frame.time - self._previous if self._previous is not None else 0.0
        self._previous = frame.time
        self._frame_gap = gap if self._frame_gap == 0 else 0.8 * self._frame_gap + 0.2 * gap
        self.frames += 1
        self._skipped += 1
        self._count(frame.time)
        if self._last is None or cut:
            self._interval, self._churn = self._rule.usual, 0.0
            self._look(frame.time)
            self._judged = True  # everybody is new in the first look at a shot
            return True
        if not self._judged:
            self._judge(following)
        if self._wished is None:  # what is followed changes at looks only
            self._wished = self._wish(following)
        if self._rule.usual > 0 and frame.time + self._frame_gap / 2 < self._last + self._wished:
            return False
        if frame.time + self._frame_gap / 2 < self._paid:
            return False
        self._look(frame.time)
        return True

    @property
    def is_sparse(self) -> bool:
        """Whether any frame may be left out."""
        return self._rule.usual > 0 or self.fps_budget is not None

    def part(self, frame: Frame, cut: bool, following: Following, across: int) -> Region | None:
        """What to look at in a frame that is due; None: all of it. While looks are closer together than usual they
        are at whole frames: somebody comes or goes. `across` is the width a whole frame has in the network."""
        calm = 0 < self._rule.usual <= self._interval
        return self.views.part(frame, cut or not calm, following, across)

    def told(self) -> dict[str, Any]:
        """For the run's manifest and the report: how often each k was used, and stretches of time with their k."""
        ends = [*(w.start for w in self.windows[1:]), self._previous][: len(self.windows)]  # no frame, no window
        return {
            "preset": self.preset,
            "fps_budget": self.fps_budget,
            "looks": self.looks,
            "parts": self.views.parts,
            "frames": self.frames,
            "k": {str(k): n for k, n in sorted(self.histogram.items())},
            "windows": [
                {"start": round(w.start, 3), "end": round(end or 0.0, 3), "frames": w.frames, "looks": w.looks}
                for w, end in zip(self.windows, ends, strict=True)
            ],
        }

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
            self._interval = max(rule.least, min(rule.usual, self._interval) / 1.5, 1e-3)
        else:
            self._interval = min(rule.most, self._interval * (1.25 if self._interval < rule.usual else 1.1))

    def _count(self, time: float) -> None:
        if not self.windows or time >= self.windows[-1].start + self._window:
            self.windows.append(Window(time))
        self.windows[-1].frames += 1
        if len(self.windows) > WINDOWS:
            self._window *= 2
            pairs = zip(self.windows[::2], [*self.windows[1::2], Window(time)])
            self.windows = [Window(a.start, a.frames + b.frames, a.looks + b.looks) for a, b in pairs]

    def _look(self, time: float) -> None:
        self.looks += 1
        self.windows[-1].looks += 1
        if self._last is not None:
            self.histogram[self._skipped] += 1
        self._last, self._skipped, self._judged, self._wished = time, 0, False, None
        if self.fps_budget is not None:
            self._paid = max(self._paid, time) + 1 / self.fps_budget


class RecallCheck:
    """What looking rarely cost: on one frame in `every` the detector also looks where it was not due, and those faces
    are only compared with the finished tracks.

    A face counts as found when a track has a box there that overlaps it by `overlap` (IoU). Bounded: of the last `most`
    checked frames the faces are kept, of those before the sums.
    """

    def __init__(self, every: int = 199, overlap: float = 0.5, least: float = 0.5, most: int = 2000) -> None:
        """`least` is the score from which a face counts. `every` is prime by default: out of step with any k; at 199
        the check is 2 to 3 % of all looks."""
        self.every, self.overlap, self.least, self.most = every, overlap, least, most
        self._next = every // 4  # so that a clip of two seconds has its sample, too
        self._frames = 0
        self._faces: dict[int, F32] = {}
        self._found: dict[int, NDArray[np.bool_]] = {}
        self._settled = [0, 0]

    def wants(self, frame: Frame) -> bool:
        """Whether to look at this frame, where the detector was not due, for the check."""
        if frame.index < self._next:
            return False
        self._next = frame.index + self.every
        self._frames += 1
        return True

    def note(self, frame: Frame, faces: Faces) -> None:
        """What the detector saw in such a frame."""
        boxes = faces.boxes[faces.scores >= self.least]
        self._faces[frame.index], self._found[frame.index] = boxes, np.zeros(len(boxes), bool)
        if len(self._faces) > self.most:
            oldest = next(iter(self._faces))
            done = self._found.pop(oldest)
            self._faces.pop(oldest)
            self._settled = [self._settled[0] + int(done.sum()), self._settled[1] + len(done)]

    def add(self, tracks: Iterable[Track]) -> None:
        """Tracks that ended."""
        for track in tracks:
            first, last = int(track.rows.frames[0]), int(track.rows.frames[-1])
            for index, boxes in self._faces.items():
                if first <= index <= last and len(boxes):
                    at = np.flatnonzero(track.rows.frames == index)
                    if len(at):
                        self._found[index] |= iou(boxes, track.rows.boxes[at])[:, 0] >= self.overlap

    def told(self) -> dict[str, Any]:
        """For the run's manifest and the report."""
        share = self.recall
        return {"frames": self._frames, "faces": self.faces, "recall": None if share != share else round(share, 4)}

    @property
    def faces(self) -> int:
        """Faces compared."""
        return self._settled[1] + sum(len(f) for f in self._faces.values())

    @property
    def recall(self) -> float:
        """Share of them that a track shows; NaN without any."""
        found = self._settled[0] + sum(int(f.sum()) for f in self._found.values())
        return found / self.faces if self.faces else float("nan")
