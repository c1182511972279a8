"""dlib's HOG detector (Dalal and Triggs 2005, King 2015), for comparison. Frontal faces, no landmarks."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from streamer.errors import ModelError
from streamer.items import U8, Faces
from streamer.models.single import SinglePicture


class HOG(SinglePicture):
    """Boxes without landmarks. `upsample` doubles the picture that many times: 1 finds faces from 32 px, at four times
    the cost (183 CPU-ms a frame of 960x540).

    dlib's margin becomes a score of 0..1, 0.5 at dlib's own bar.
    """

    name = "hog"

    def __init__(
        self, *, score: float = 0.5, low_score: float | None = None, upsample: int = 1, long_side: int = 640
    ) -> None:
        self.score, self.low_score, self.upsample, self.long_side = score, low_score, upsample, long_side
        self._detector = _detector()

    def _find(self, image: U8) -> Faces:
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        bar = self.score if self.low_score is None else self.low_score
        margin = float(np.log(bar / (1 - bar)) / 4)
        found, margins, _ = self._detector.run(rgb, self.upsample, margin)
        if not len(found):
            return Faces.none()
        boxes = np.array([[r.left(), r.top(), r.right() + 1, r.bottom() + 1] for r in found], np.float32)
        scores = (1 / (1 + np.exp(-4 * np.asarray(margins, np.float64)))).astype(np.float32)
        order = np.argsort(-scores, kind="stable")
        return Faces(boxes[order], scores[order], np.full((len(order), 5, 2), np.nan, np.float32))


def _detector() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise ModelError("dlib is not installed. Run: pip install dlib-bin") from error
    return dlib.get_frontal_face_detector()
