"""The Haar cascade (Viola and Jones 2001): for comparison. Frontal faces, no landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streamer.errors import ModelError
from streamer.items import F32, U8, Faces
from streamer.models.single import SinglePicture

FRONTAL = "haarcascade_frontalface_default.xml"


def logistic(values: Any, middle: float, width: float) -> F32:
    """A detector's own margin as 0..1: 0.5 at `middle`."""
    return np.asarray(1 / (1 + np.exp(-(np.asarray(values, np.float64).ravel() - middle) / width)), np.float32)


class Haar(SinglePicture):
    """Boxes without landmarks. `file` is a cascade; by default the frontal one inside OpenCV 4.

    `min_face` is in pixels at `long_side`, `step` the growth of the window, `neighbours` how many hits make a face.
    """

    name = "haar"

    def __init__(
        self,
        file: Path | str | None = None,
        *,
        score: float = 0.5,
        low_score: float | None = None,
        min_face: int = 24,
        step: float = 1.1,
        neighbours: int = 5,
        long_side: int = 640,
    ) -> None:
        self.score, self.low_score, self.min_face = score, low_score, min_face
        self.step, self.neighbours, self.long_side = step, neighbours, long_side
        self._cascade = _cascade(file)

    def _find(self, image: U8) -> Faces:
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        found, _, margins = self._cascade.detectMultiScale3(
            grey, self.step, self.neighbours, 0, (self.min_face, self.min_face), (0, 0), True
        )
        if not len(found):
            return Faces.none()
        corner = np.asarray(found, np.float32).reshape(-1, 4)
        scores = logistic(margins, 1.0, 2.0)  # labelled videos: 93 % of hits above 1 are faces, 98 % above 5
        order = np.lexsort((corner[:, 1], corner[:, 0], -scores))  # the search is parallel, its order is not fixed
        order = order[scores[order] >= (self.score if self.low_score is None else self.low_score)]
        boxes = np.concatenate([corner[:, :2], corner[:, :2] + corner[:, 2:]], 1)
        return Faces(boxes[order], scores[order], np.full((len(order), 5, 2), np.nan, np.float32))


def _cascade(file: Path | str | None) -> Any:
    if not hasattr(cv2, "CascadeClassifier"):
        raise ModelError(f'OpenCV {cv2.__version__} has no Haar cascades. Run: pip install "opencv-python-headless<5"')
    inside = Path(cv2.__file__).parent / "data" / FRONTAL
    path = str(file if file is not None else inside)
    if not Path(path).is_file():
        raise ModelError(f"{path}: no such cascade. Check detector.file in the pack.")
    try:
        cascade = cv2.CascadeClassifier(path)
    except cv2.error as error:
        raise ModelError(f"{path} is not a Haar cascade: {error}") from error
    if cascade.empty():
        raise ModelError(f"{path} is not a Haar cascade. Check detector.file in the pack.")
    return cascade
