"""dlib's HOG detector (Dalal and Triggs 2005, King 2015), for comparison. Frontal faces, no landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from streamer.errors import ModelError
from streamer.items import U8, ArrayPicture, Faces, Picture


class HOG:
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

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """(w, h) that is searched: a frame is made smaller to `long_side`, never larger."""
        scale = min(1.0, self.long_side / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def detect(self, images: Sequence[U8]) -> list[Faces]:
        """The faces of each image, best score first, in its own pixels."""
        sizes = [(i.shape[1], i.shape[0]) for i in images]
        return self.detect_pictures([ArrayPicture(i) for i in images], sizes)

    def detect_pictures(self, pictures: Sequence[Picture], sizes: Sequence[tuple[int, int]]) -> list[Faces]:
        """The faces of each picture in pixels of its displayed (w, h)."""
        return [self._one(p, *size) for p, size in zip(pictures, sizes, strict=True)]

    def _one(self, picture: Picture, width: int, height: int) -> Faces:
        w, h = self.input_size(width, height)
        rgb = cv2.cvtColor(picture.scaled(w, h), cv2.COLOR_BGR2RGB)
        bar = self.score if self.low_score is None else self.low_score
        margin = float(np.log(bar / (1 - bar)) / 4)
        found, margins, _ = self._detector.run(rgb, self.upsample, margin)
        if not len(found):
            return Faces.none()
        boxes = np.array([[r.left(), r.top(), r.right() + 1, r.bottom() + 1] for r in found], np.float32)
        scores = (1 / (1 + np.exp(-4 * np.asarray(margins, np.float64)))).astype(np.float32)
        order = np.argsort(-scores, kind="stable")
        boxes *= np.array([width / w, height / h] * 2, np.float32)
        return Faces(boxes[order], scores[order], np.full((len(order), 5, 2), np.nan, np.float32))


def _detector() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise ModelError("dlib is not installed. Run: pip install dlib-bin") from error
    return dlib.get_frontal_face_detector()
