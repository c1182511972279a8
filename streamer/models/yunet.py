"""YuNet detectors (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector").

One anchor a cell; score = sqrt(class x objectness), centre = (cell + b[0:2]) x stride, size = exp(b[2:4]) x stride,
landmarks = (cell + k) x stride, strides 8, 16, 32. Raw BGR goes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamer.errors import ModelError
from streamer.items import F32
from streamer.models.dense import Array, DenseDetector, open_session
from streamer.models.onnx import Session
from streamer.models.pixels import Pixels

STRIDES = (8, 16, 32)
KINDS = ("cls", "obj", "bbox", "kps")


class YuNet(DenseDetector):
    """Faces with five landmarks, any frame shape; the best on tiny faces for its size (75 kB).

    `score` accepts a face; with `low_score` weaker ones down to it are reported too. `long_side` is the network input.
    """

    name = "yunet"

    def __init__(
        self,
        file: Path | str | Session,
        *,
        score: float = 0.6,
        low_score: float | None = None,
        nms: float = 0.3,
        long_side: int = 640,
        device: str = "auto",
    ) -> None:
        pixels = Pixels(mean=(0.0,) * 3, std=(1.0,) * 3, colour="bgr")
        session = open_session(file, device, pixels)
        super().__init__(session, pixels, score=score, low_score=low_score, nms=nms, long_side=long_side)
        names = [o.name for o in session.outputs]
        try:
            self._at = {(k, s): names.index(f"{k}_{s}") for k in KINDS for s in STRIDES}
        except ValueError as error:
            raise ModelError(f"{session.name} is not a YuNet: it has the outputs {', '.join(names)}.") from error

    def decode(self, outputs: Sequence[Array], row: int, width: int, height: int) -> tuple[F32, F32, F32]:
        parts = [self._level(outputs, row, width // stride, stride) for stride in STRIDES]
        boxes, scores, points = (np.concatenate(p) for p in zip(*parts, strict=True))
        return boxes, scores, points

    def _level(self, outputs: Sequence[Array], row: int, wide: int, stride: int) -> tuple[F32, F32, F32]:
        seen, there, box, kps = (outputs[self._at[k, stride]][row] for k in KINDS)
        power = (seen.clip(0, 1) * there.clip(0, 1)).ravel()
        hit = np.flatnonzero(power >= self.bar**2)
        cell = np.stack([hit % wide, hit // wide], 1).astype(np.float32)
        centre = (cell + box[hit, :2]) * stride
        half = np.exp(box[hit, 2:]) * (stride / 2)
        points = (cell[:, None] + kps[hit].reshape(-1, 5, 2)) * stride
        boxes = np.concatenate([centre - half, centre + half], 1)
        return boxes.astype(np.float32), np.sqrt(power[hit]).astype(np.float32), points.astype(np.float32)
