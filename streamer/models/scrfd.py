"""SCRFD detectors (Guo et al. 2021, "Sample and Computation Redistribution for Efficient Face Detection").

Outputs per stride: scores, then boxes as distances left, up, right, down from the cell's corner in stride units, then
(where the model has them) five landmarks the same way. Rows run over the grid, row by row, anchors innermost.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamer.errors import ModelError
from streamer.items import F32
from streamer.models import graph
from streamer.models.dense import Array, DenseDetector, open_session
from streamer.models.onnx import Session
from streamer.models.pixels import Pixels

# number of outputs -> (strides, anchors of a cell, has landmarks)
LAYOUTS = {
    6: ((8, 16, 32), 2, False),
    9: ((8, 16, 32), 2, True),
    10: ((8, 16, 32, 64, 128), 1, False),
    15: ((8, 16, 32, 64, 128), 1, True),
}


def untangle(output: Array, count: int, cells: int, anchors: int) -> Array:
    """Rows (cells * count * anchors, c) of a batch-1 head run on `count` pictures -> (count, cells * anchors, c)."""
    return output.reshape(cells, count, anchors, -1).transpose(1, 0, 2, 3).reshape(count, cells * anchors, -1)


class SCRFD(DenseDetector):
    """Faces with five landmarks (or none), any frame shape.

    `score` accepts a face; with `low_score` weaker ones down to it are reported too. `long_side` is the network input.
    Takes shipped packs (batch 1, outputs (A, c)) and re-exported ones (N, A, c).
    """

    name = "scrfd"

    def __init__(
        self,
        file: Path | str | Session,
        *,
        score: float = 0.5,
        low_score: float | None = None,
        nms: float = 0.4,
        long_side: int = 640,
        device: str = "auto",
    ) -> None:
        pixels = Pixels(mean=(127.5,) * 3, std=(128.0,) * 3, colour="rgb")
        session = open_session(file, device, pixels, graph.with_free_batch)
        super().__init__(session, pixels, score=score, low_score=low_score, nms=nms, long_side=long_side)
        if len(session.outputs) not in LAYOUTS:
            raise ModelError(
                f"{session.name} has {len(session.outputs)} outputs; an SCRFD has {', '.join(map(str, LAYOUTS))}."
            )
        self._strides, self._anchors, self._points = LAYOUTS[len(session.outputs)]

    def arrange(self, outputs: list[Array], count: int) -> list[Array]:
        size = count * self._anchors
        return [untangle(o, count, len(o) // size, self._anchors) if o.ndim == 2 else o for o in outputs]

    def decode(self, outputs: Sequence[Array], row: int, width: int, height: int) -> tuple[F32, F32, F32]:
        levels = len(self._strides)
        parts: list[tuple[F32, F32, F32]] = []
        for level, stride in enumerate(self._strides):
            wide = width // stride
            take = [outputs[i][row] for i in range(level, len(outputs), levels)]
            scores = take[0].ravel()
            hit = np.flatnonzero(scores >= self.bar)  # 16 800 anchors, a handful of faces: threshold first
            if not len(hit):
                continue
            cell = hit // self._anchors
            corner = np.stack([cell % wide, cell // wide], 1).astype(np.float32) * stride
            reach = take[1][hit].astype(np.float32) * stride
            boxes = np.concatenate([corner - reach[:, :2], corner + reach[:, 2:]], 1)
            points = np.full((len(hit), 5, 2), np.nan, np.float32)
            if self._points:
                points = corner[:, None] + take[2][hit].reshape(-1, 5, 2).astype(np.float32) * stride
            parts.append((boxes, scores[hit].astype(np.float32), points))
        if not parts:
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
        boxes, scores, points = (np.concatenate(p) for p in zip(*parts, strict=True))
        return boxes, scores, points
