"""RetinaFace (Deng et al. 2020, "RetinaFace: Single-Shot Multi-Level Face Localisation in the Wild").

Three outputs over all anchors of a frame, told apart by their width: boxes (N, A, 4), background and face (N, A, 2),
landmarks (N, A, 10). Anchors run stride by stride, row by row, sizes innermost. Offsets are those of the usual
exports (biubug6/Pytorch_Retinaface, MIT; MobileNet0.25 and ResNet50): centres move by variance 0.1, sizes grow by 0.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from streamer.errors import ModelError
from streamer.items import F32
from streamer.models.dense import Array, DenseDetector, open_session
from streamer.models.onnx import Session
from streamer.models.pixels import Pixels

STRIDES = (8, 16, 32)
MIN_SIZES = ((16, 32), (64, 128), (256, 512))
VARIANCES = (0.1, 0.2)
WIDTHS = (4, 2, 10)  # of the outputs: boxes, classes, landmarks


@lru_cache(maxsize=8)
def anchors(width: int, height: int, sizes: tuple[tuple[int, ...], ...] = MIN_SIZES) -> F32:
    """(A, 3): centre x, y and side of every anchor of a network input, in its pixels."""
    parts = []
    for stride, sides in zip(STRIDES, sizes, strict=True):
        rows, columns = np.mgrid[: -(-height // stride), : -(-width // stride)]
        centres = (np.stack([columns, rows], -1).reshape(-1, 1, 2) + 0.5) * stride
        grid = np.concatenate(
            [
                np.repeat(centres, len(sides), 1),
                np.broadcast_to(np.array(sides)[:, None], (len(centres), len(sides), 1)),
            ],
            2,
        )
        parts.append(grid.reshape(-1, 3))
    return np.concatenate(parts).astype(np.float32)


class RetinaFace(DenseDetector):
    """Faces with five landmarks, any frame shape the network takes.

    `score` accepts a face; with `low_score` weaker ones down to it are reported too. `logits`: the class output is not
    yet a softmax. `min_sizes` are the anchors' sides in pixels for strides 8, 16 and 32.
    """

    name = "retinaface"

    def __init__(
        self,
        file: Path | str | Session,
        *,
        score: float = 0.6,
        low_score: float | None = None,
        nms: float = 0.4,
        long_side: int = 640,
        logits: bool = False,
        mean: Sequence[float] = (104.0, 117.0, 123.0),
        min_sizes: Sequence[Sequence[int]] = MIN_SIZES,
        device: str = "auto",
    ) -> None:
        if len(mean) != 3 or len(min_sizes) != len(STRIDES) or len({len(s) for s in min_sizes}) != 1:
            raise ModelError("detector.mean wants three numbers (BGR), min_sizes as many sides for each of 3 strides.")
        pixels = Pixels(mean=(float(mean[0]), float(mean[1]), float(mean[2])), std=(1.0,) * 3, colour="bgr")
        session = open_session(file, device, pixels)
        super().__init__(session, pixels, score=score, low_score=low_score, nms=nms, long_side=long_side)
        self._sizes = tuple(tuple(int(v) for v in s) for s in min_sizes)
        self._logits = logits
        self._places = [self._place(w) for w in WIDTHS]

    def _place(self, wide: int) -> int:
        """Which output has rows of that width; where shapes are not stated, the usual order boxes, classes, points."""
        found = [i for i, o in enumerate(self.session.outputs) if o.shape and o.shape[-1] == wide]
        if len(self.session.outputs) != 3 or len(found) > 1:
            told = ", ".join(f"{o.name} {o.shape}" for o in self.session.outputs)
            raise ModelError(
                f"{self.session.name} is no RetinaFace: outputs of width 4, 2 and 10 are expected, it has {told}."
            )
        return found[0] if found else WIDTHS.index(wide)

    def decode(self, outputs: Sequence[Array], row: int, width: int, height: int) -> tuple[F32, F32, F32]:
        moves, classes, points = (outputs[p][row] for p in self._places)
        grid = anchors(width, height, self._sizes)
        if len(moves) != len(grid) or moves.shape[1] != 4 or classes.shape[1] != 2 or points.shape[1] != 10:
            raise ModelError(
                f"{self.session.name} has {len(moves)} rows of {moves.shape[1]} for an input of {width}x{height}, "
                f"{len(grid)} anchors are expected. Check detector.min_sizes in the pack."
            )
        scores = classes[:, 1]
        if self._logits:
            scores = 1.0 / (1.0 + np.exp(np.clip(classes[:, 0] - classes[:, 1], -60, 60)))
        hit = np.flatnonzero(scores >= self.bar)
        centre, side = grid[hit, :2], grid[hit, 2:]
        middle = centre + moves[hit, :2] * VARIANCES[0] * side
        half = side * np.exp(np.clip(moves[hit, 2:] * VARIANCES[1], -20, 20)) / 2
        marks = centre[:, None] + points[hit].reshape(-1, 5, 2) * VARIANCES[0] * side[:, None]
        boxes = np.concatenate([middle - half, middle + half], 1)
        return boxes.astype(np.float32), scores[hit].astype(np.float32), marks.astype(np.float32)
