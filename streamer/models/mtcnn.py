"""MTCNN (Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks").

P-Net runs over a pyramid of the frame (window 12 px, stride 2), R-Net looks at its windows again at 24 px, O-Net at
48 px and adds five landmarks. Both later networks take all windows of a frame in one batch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError, ModelError
from streamer.geometry import area
from streamer.items import F32, U8, Faces, Picture, Region
from streamer.models.onnx import Session
from streamer.models.parts import cut_part
from streamer.models.pixels import Pixels
from streamer.models.single import SinglePicture

CELL, STRIDE = 12, 2
# A picture whose brightest BRIGHTEST percent lie below DARK is multiplied until they reach LIGHT, GAIN times at most.
# Five labelled clips at 0.4 of their light: visible faces found 0.76 -> 0.99; nobody more in the fades of the clip
# without people.
BRIGHTEST, DARK, LIGHT, GAIN = 2, 110, 200, 3.0
PIXELS = Pixels(mean=(127.5,) * 3, std=(128.0,) * 3, colour="rgb")


def thin(boxes: F32, scores: F32, overlap: float) -> NDArray[np.intp]:
    """Rows that survive suppression by IoU, best first; of equal scores the earlier row wins."""
    sized = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    rows: Any = cv2.dnn.NMSBoxes(sized.tolist(), scores.tolist(), 0.0, overlap)
    return np.asarray(rows, np.intp).reshape(-1)


def thin_inside(boxes: F32, scores: F32, overlap: float) -> NDArray[np.intp]:
    """Like `thin`, but the overlap counts against the smaller of two boxes: a face inside a face goes."""
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        kept.append(order[0])
        best, rest = boxes[order[0]], boxes[order[1:]]
        sides = np.minimum(best[2:], rest[:, 2:]) - np.maximum(best[:2], rest[:, :2])
        shared = np.maximum(sides, 0).prod(1)
        order = order[1:][shared <= overlap * np.minimum(area(best), area(rest))]
    return np.array(kept, np.intp)


def lit(image: U8) -> U8:
    """The picture, brightened where it is dark: MTCNN was trained on well-lit photos and misses faces in the dark."""
    top = float(np.percentile(image[::4, ::4].max(2), 100 - BRIGHTEST))
    if top >= DARK:
        return image
    return np.asarray(cv2.convertScaleAbs(image, alpha=min(GAIN, LIGHT / max(top, 1.0))), np.uint8)


def squared(boxes: F32) -> F32:
    """Boxes (n, 4) grown to squares about their centres."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) / 2
    return np.asarray(np.concatenate([centre - half, centre + half], 1), np.float32)


def moved(boxes: F32, by: F32) -> F32:
    """Boxes shifted by regressions in units of their own width and height."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(boxes + by * np.tile(size, 2), np.float32)


class MTCNN(SinglePicture):
    """Faces with five landmarks from three small networks.

    `min_face` is the smallest face width looked for, in pixels of the frame at `long_side`; the cost grows with its
    inverse square. `factor` is the step of the pyramid. `score` accepts a face (O-Net), with `low_score` weaker ones
    down to it are reported too; `first` and `second` are the bars of P-Net and R-Net. A face seen in a single look
    counts from `sure` on: O-Net's scores crowd near 1 (98 % of the demo's true faces have 0.968, its lamps and hands
    0.75 to 0.94). A track none of whose looks reaches `certain` makes nobody: 13 of the 17 tracks of necklaces, cups
    and shoulders in the labelled videos, none of 104 of visible faces and 1 of 22 of hard ones; in versions of them
    made worse (scripts/eval_robustness) 16 of 20, 3 of 121, 7 of 48. At 0.90: 8 and 12; at 0.97: 16 and 17, but also
    8 of the 121.

    On the labelled videos (640x360 and more) the defaults find 0.996 of the visible faces for 20 CPU-ms a frame;
    min_face 20: 0.996, 28 ms; 32: 0.992, 17 ms; first 0.6: 0.996, 22 ms.
    """

    name = "mtcnn"

    def __init__(
        self,
        pnet: Path | str | Session,
        rnet: Path | str | Session,
        onet: Path | str | Session,
        *,
        score: float = 0.7,
        low_score: float | None = None,
        sure: float = 0.85,
        certain: float = 0.95,
        first: float = 0.7,
        second: float = 0.7,
        min_face: int = 24,
        factor: float = 0.709,
        long_side: int = 640,
        device: str = "auto",
    ) -> None:
        bars = {"score": score, "sure": sure, "certain": certain, "first": first, "second": second, "factor": factor}
        if any(not 0 < v < 1 for v in bars.values()) or min_face < CELL or long_side < 64:
            raise ConfigError(
                "detector: score, sure, certain, first, second and factor lie between 0 and 1, "
                f"min_face is at least {CELL}, long_side at least 64; got {bars}, {min_face}, {long_side}."
            )
        self.pnet, self.rnet, self.onet = (
            f if isinstance(f, Session) else Session(f, device=device) for f in (pnet, rnet, onet)
        )
        self.score, self.low_score, self.sure, self.certain = score, low_score, sure, certain
        self.first, self.second = first, second
        self.min_face, self.factor, self.long_side = min_face, factor, long_side
        self._p = [_named(self.pnet, n) for n in ("score", "bbox")]
        self._r = [_named(self.rnet, n) for n in ("score", "bbox")]
        self._o = [_named(self.onet, n) for n in ("score", "bbox", "landmark")]

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The networks behind it: P-Net, R-Net, O-Net."""
        return (self.pnet, self.rnet, self.onet)

    def scales(self, width: int, height: int) -> list[float]:
        """The pyramid: from `min_face` filling P-Net's window up to the largest square of the frame."""
        scale, found = CELL / self.min_face, []
        while min(width, height) * scale >= CELL:
            found.append(scale)
            scale *= self.factor
        return found

    @property
    def takes_parts(self) -> bool:
        """Whether `detect_part` is worth asking: a card wants few shapes."""
        return all(s.on_cpu for s in self.sessions)

    def detect_part(self, picture: Picture, size: tuple[int, int], part: Region) -> Faces:
        """The faces in a part of a picture, in pixels of its displayed (w, h); those its edge cuts are left out."""
        piece, place = cut_part(picture.scaled(*self.input_size(*size)), part, size)
        return place.back(self._find(piece))

    def _find(self, image: U8) -> Faces:
        image = lit(image)
        windows = self._propose(image)
        if len(windows):
            windows = self._refine(image, windows)
        if not len(windows):
            return Faces.none()
        return self._judge(image, windows)

    def _propose(self, image: U8) -> F32:
        """Windows (n, 4) P-Net takes for faces, over all scales."""
        found: list[tuple[F32, F32, F32]] = []
        small = image  # each level is made from the one before: 1 CPU-ms for all of them, from the full frame 5
        for scale in self.scales(image.shape[1], image.shape[0]):
            size = max(CELL, round(image.shape[1] * scale)), max(CELL, round(image.shape[0] * scale))
            small = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR if found else cv2.INTER_AREA)
            found.append(self._level(small, image.shape[1] / size[0], image.shape[0] / size[1]))
        if not found:
            return np.zeros((0, 4), np.float32)
        boxes, scores, shifts = (np.concatenate([f[i] for f in found]) for i in range(3))
        keep = thin(boxes, scores, 0.7)
        return moved(boxes[keep], shifts[keep])

    def _level(self, small: U8, across: float, down: float) -> tuple[F32, F32, F32]:
        """P-Net on one level of the pyramid: boxes in frame pixels, scores, regressions."""
        blob = np.empty((1, 3, *small.shape[:2]), np.float32)
        PIXELS.write(small, blob[0])
        out = self.pnet.run(blob)
        faces = out[self._p[0]][0, 1]
        rows, columns = np.nonzero(faces >= self.first)
        corner = np.stack([columns, rows], 1).astype(np.float32) * STRIDE
        boxes = np.concatenate([corner, corner + CELL], 1) * np.array([across, down] * 2, np.float32)
        scores, shifts = faces[rows, columns], out[self._p[1]][0][:, rows, columns].T
        keep = thin(boxes, scores, 0.5)
        return boxes[keep], scores[keep], shifts[keep]

    def _refine(self, image: U8, windows: F32) -> F32:
        boxes = squared(windows)
        out = self.rnet.run_rows(_crops(image, boxes, 24))
        scores = out[self._r[0]][:, 1]
        hit = np.flatnonzero(scores >= self.second)
        keep = hit[thin(boxes[hit], scores[hit], 0.7)]
        return moved(boxes[keep], out[self._r[1]][keep])

    def _judge(self, image: U8, windows: F32) -> Faces:
        boxes = squared(windows)
        out = self.onet.run_rows(_crops(image, boxes, 48))
        scores = out[self._o[0]][:, 1]
        bar = self.score if self.low_score is None else self.low_score
        hit = np.flatnonzero(scores >= bar)
        boxes, scores, marks = boxes[hit], scores[hit], out[self._o[2]][hit].reshape(-1, 2, 5).transpose(0, 2, 1)
        points = boxes[:, None, :2] + marks * (boxes[:, None, 2:] - boxes[:, None, :2])
        boxes = moved(boxes, out[self._o[1]][hit])
        keep = thin_inside(boxes, scores, 0.7)
        return Faces(boxes[keep], scores[keep].astype(np.float32), points[keep].astype(np.float32))


def _named(session: Session, name: str) -> int:
    names = [o.name for o in session.outputs]
    if name not in names:
        raise ModelError(
            f"{session.name} has no output {name}: it is not a network of MTCNN. It has {', '.join(names)}."
        )
    return names.index(name)


def _crops(image: U8, boxes: F32, side: int) -> NDArray[Any]:
    """(n, 3, side, side) float32: the boxes cut out, resized and normalised; outside the image is black."""
    out = np.empty((len(boxes), side, side, 3), np.uint8)
    for crop, (x1, y1, x2, _) in zip(out, boxes, strict=True):
        scale = side / max(float(x2 - x1), 1.0)
        move = np.array([[scale, 0, (0.5 - x1) * scale - 0.5], [0, scale, (0.5 - y1) * scale - 0.5]], np.float64)
        cv2.warpAffine(image, move, (side, side), dst=crop, flags=cv2.INTER_LINEAR)
    return PIXELS.batch(out)
