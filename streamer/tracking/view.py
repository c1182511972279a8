"""Which part of a frame the detector is shown, and how fine: faces that are followed are looked at where they are.

The cost of a look goes with the pixels the network gets. Between two looks at the whole frame, which find who is new,
it gets the stretch around the faces it follows, no finer than the smallest of them needs: as long as the picture around
that stretch stays as it was. Who comes in, and a camera that pans, changes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamer.items import U8, Frame, Region
from streamer.tracking.base import Following
from streamer.tracking.shots import thumbnail

STEPS = (0.375, 0.5, 0.75)  # few scales: halving is exact and cheap
# grey levels a cell of the thumbnail changes by when something moved there; so many cells may: a face at the edge of
# what is found fills ten
CHANGE, CELLS = 16, 8
WORTH = 0.85  # share of the whole frame's pixels above which the whole frame is looked at


@dataclass(slots=True)
class Views:
    """Looks at the whole frame every `whole` seconds, after a cut, and when a face was not found again.

    Elsewhere a part: everything within `margin` face widths of a followed face, shrunk until the smallest is `width`
    network pixels wide.
    """

    whole: float
    width: float = 48.0
    margin: float = 1.0
    parts: int = 0  # looks at a part so far
    _last: float = -np.inf  # time of the last look at a whole frame
    _seen: U8 | None = None  # that frame, small
    _fresh: bool = True  # that look was the first at its shot, or one of many: the next is at the whole, too

    def part(self, frame: Frame, fresh: bool, following: Following, across: int) -> Region | None:
        """What to look at in this frame; None: all of it. `fresh` says that the shot is new or people come and go,
        `across` is the width a whole frame has in the network."""
        part = None
        small = thumbnail(frame)
        if not fresh and not self._is_due(frame, following):
            part = self._around(frame, following, across / frame.width)
            if part is not None and self._moved(small, part, frame):
                part = None
        if part is None:
            self._last, self._fresh, self._seen = frame.time, fresh, small
        else:
            self.parts += 1
        return part

    def _is_due(self, frame: Frame, following: Following) -> bool:
        late = frame.time + 1e-3 >= self._last + self.whole or self._fresh
        return late or not len(following) or following.lost + following.born > 0

    def _around(self, frame: Frame, following: Following, scale: float) -> Region | None:
        boxes = following.boxes
        sizes = boxes[:, 2:] - boxes[:, :2]
        reach = self.margin * sizes.max(1)
        x1, y1 = (max(0.0, float(v)) for v in (boxes[:, :2] - reach[:, None]).min(0))
        far = (boxes[:, 2:] + reach[:, None]).max(0)
        x2, y2 = min(frame.width, float(far[0])), min(frame.height, float(far[1]))
        enough = self.width / max(1.0, float(sizes.min()) * scale)
        shrink = next((s for s in STEPS if s >= enough), 1.0)
        if x2 - x1 < 1 or y2 - y1 < 1 or shrink**2 * (x2 - x1) * (y2 - y1) > WORTH * frame.width * frame.height:
            return None
        return Region((x1, y1, x2, y2), shrink)

    def _moved(self, small: U8, part: Region, frame: Frame) -> bool:
        """Whether the picture outside the part is another than at the last look at all of it."""
        import cv2

        if self._seen is None or self._seen.shape != small.shape:
            return True
        other = cv2.absdiff(small, self._seen) > CHANGE
        x1, y1, x2, y2 = part.box
        wide, high = small.shape[1] / frame.width, small.shape[0] / frame.height
        other[int(y1 * high) : int(np.ceil(y2 * high)), int(x1 * wide) : int(np.ceil(x2 * wide))] = False
        return int(other.sum()) > CELLS
