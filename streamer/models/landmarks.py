"""Dense landmarks: dlib's shape predictor (Kazemi and Sullivan 2014) with a file the user brings.

The usual 68-point file was trained on iBUG 300-W, whose terms exclude commercial use, so none is shipped or fetched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from streamer.errors import ModelError
from streamer.items import F32, U8


class ShapePredictor:
    """68 points of a face in a box. `file` is a dlib shape predictor (.dat)."""

    def __init__(self, file: Path | str) -> None:
        try:
            import dlib
        except ImportError as error:
            raise ModelError("dlib is not installed. Run: pip install dlib-bin") from error
        if not Path(file).is_file():
            raise ModelError(f"{file}: no such landmark file. Give the path of a dlib shape predictor (.dat).")
        try:
            self._predictor: Any = dlib.shape_predictor(str(file))
        except RuntimeError as error:
            raise ModelError(f"{file} is not a dlib shape predictor: {error}") from error
        self._rectangle = dlib.rectangle

    def points(self, image: U8, boxes: ArrayLike) -> F32:
        """(n, 68, 2) for boxes (n, 4) of a BGR picture. ModelError where the file is of another number of points.

        dlib was trained on square boxes of its own detector: a box is made square about its centre, a little lower.
        """
        rgb = np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        found = [self._one(rgb, box) for box in np.asarray(boxes, np.float64).reshape(-1, 4)]
        return np.stack(found) if found else np.zeros((0, 68, 2), np.float32)

    def _one(self, rgb: U8, box: Any) -> F32:
        x1, y1, x2, y2 = box
        half, middle, low = (x2 - x1 + y2 - y1) / 4, (x1 + x2) / 2, (y1 + y2) / 2 + 0.05 * (y2 - y1)
        square = self._rectangle(*(round(v) for v in (middle - half, low - half, middle + half, low + half)))
        shape = self._predictor(rgb, square)
        if shape.num_parts != 68:
            raise ModelError(f"this shape predictor gives {shape.num_parts} points; 68 are needed for a mesh.")
        return np.array([[p.x, p.y] for p in shape.parts()], np.float32)
