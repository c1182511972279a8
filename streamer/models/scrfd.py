"""SCRFD detectors (Guo et al. 2021, "Sample and Computation Redistribution for Efficient Face Detection").

Outputs per stride: scores, then boxes as distances left, up, right, down from the cell's corner in stride units, then
(where the model has them) five landmarks the same way. Rows run over the grid, row by row, anchors innermost.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ModelError
from streamer.items import F32
from streamer.models import graph
from streamer.models.dense import Array, DenseDetector, open_session
from streamer.models.onnx import Session
from streamer.models.pixels import Pixels

SHAPES = 32  # input shapes whose cells are remembered: whole frames, and parts of them
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
        self._grids: dict[tuple[int, int], F32] = {}

    def arrange(self, outputs: list[Array], count: int) -> list[Array]:
        size = count * self._anchors
        return [untangle(o, count, len(o) // size, self._anchors) if o.ndim == 2 else o for o in outputs]

    def decode(self, outputs: Sequence[Array], row: int, width: int, height: int) -> tuple[F32, F32, F32]:
        levels = len(self._strides)
        scores = np.concatenate([o[row].ravel() for o in outputs[:levels]])
        hit = np.flatnonzero(scores >= self.bar)  # 16 800 anchors, a handful of faces: threshold first
        if not len(hit):
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
        grid = self._grid(width, height)[hit]
        corner, stride = grid[:, :2], grid[:, 2:]
        reach = self._at(outputs[levels : 2 * levels], row, hit) * stride
        boxes = np.concatenate([corner - reach[:, :2], corner + reach[:, 2:]], 1)
        if not self._points:
            return boxes, scores[hit].astype(np.float32), np.full((len(hit), 5, 2), np.nan, np.float32)
        points = self._at(outputs[2 * levels :], row, hit) * stride
        return boxes, scores[hit].astype(np.float32), points.reshape(-1, 5, 2) + corner[:, None]

    def _grid(self, width: int, height: int) -> F32:
        """(anchors, 3): x and y of every anchor's cell, and its stride, level by level; kept for the last shapes."""
        known = self._grids.get((width, height))
        if known is None:
            known = np.concatenate([_cells(width // s, height // s, s, self._anchors) for s in self._strides])
            if len(self._grids) >= SHAPES:
                self._grids.clear()
            self._grids[width, height] = known
        return known

    def _at(self, outputs: Sequence[Array], row: int, hit: NDArray[np.intp]) -> F32:
        """The rows `hit` of one kind of output, whose levels follow each other."""
        parts, first, below = [], 0, 0
        for out in outputs:
            above = below + int(np.searchsorted(hit[below:], first + out.shape[1]))
            if above > below:
                parts.append(out[row][hit[below:above] - first])
            first, below = first + out.shape[1], above
        return np.concatenate(parts).astype(np.float32, copy=False)


def _cells(wide: int, high: int, stride: int, anchors: int) -> F32:
    """(wide * high * anchors, 3) corner x, corner y and stride, row by row, anchors innermost."""
    y, x = np.divmod(np.repeat(np.arange(wide * high), anchors), wide)
    return (np.stack([x, y, np.ones_like(x)], 1) * stride).astype(np.float32)
