"""Cutting faces out of frames: alignment to a template, head pose, sharpness, loose thumbnails, JPEG.

Landmarks are (n, 5, 2) pixels: left eye, right eye, nose, left and right mouth corner as seen in the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, hypot, isfinite, radians

import numpy as np
from numpy.typing import ArrayLike

from streamer.errors import ModelError
from streamer.items import F32, F64, U8


@dataclass(frozen=True, slots=True)
class Template:
    """Where the five points of a face lie in an aligned crop of `size` x `size` pixels."""

    name: str
    size: int
    points: tuple[tuple[float, float], ...]

    @property
    def array(self) -> F32:
        return np.array(self.points, np.float32)


# The ArcFace template (InsightFace, MIT).
_ARCFACE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
# Median position of the five points in 227 chips cut by dlib's own shape predictor (150 x 150, padding 0.25).
_DLIB = ((46.7, 44.6), (101.4, 45.1), (72.8, 77.8), (50.2, 102.6), (98.2, 102.7))

TEMPLATES: dict[str, Template] = {
    "arcface-112": Template("arcface-112", 112, _ARCFACE),
    "dlib-150": Template("dlib-150", 150, _DLIB),
    "facenet-160": Template("facenet-160", 160, tuple((x * 160 / 112, y * 160 / 112) for x, y in _ARCFACE)),
}


def template(name: str) -> Template:
    """The template of that name, or `arcface-N` for crops of N pixels (32 to 512); ModelError names the known ones."""
    kind, _, size = name.partition("-")
    if name not in TEMPLATES and kind == "arcface" and size.isdigit() and 32 <= int(size) <= 512:
        return Template(name, int(size), tuple((x * int(size) / 112, y * int(size) / 112) for x, y in _ARCFACE))
    if name not in TEMPLATES:
        raise ModelError(f"{name} is not an alignment template. Templates: {', '.join(TEMPLATES)}, arcface-N.")
    return TEMPLATES[name]


def _named(which: Template | str) -> Template:
    return template(which) if isinstance(which, str) else which


def similarity(landmarks: ArrayLike, onto: Template | str) -> F32:
    """(n, 5, 2) -> (n, 2, 3): least-squares similarity that carries each face's points onto the template.

    Closed form (Umeyama 1991; in the plane it is one complex division). Five equal points give scale 1.
    """
    p = np.asarray(landmarks, np.float64).reshape(-1, 5, 2)
    q = _named(onto).array.astype(np.float64)
    pm, qm = p.mean(1), q.mean(0)
    pc, qc = p - pm[:, None], q - qm
    spread = (pc**2).sum((1, 2))
    safe = np.where(spread > 1e-9, spread, 1.0)
    a = np.where(spread > 1e-9, (pc * qc).sum((1, 2)) / safe, 1.0)
    b = np.where(spread > 1e-9, (pc[..., 0] * qc[:, 1] - pc[..., 1] * qc[:, 0]).sum(1) / safe, 0.0)
    turn = np.stack([np.stack([a, -b], 1), np.stack([b, a], 1)], 1)
    shift = qm - np.einsum("nij,nj->ni", turn, pm)
    return np.concatenate([turn, shift[..., None]], 2).astype(np.float32)


def align(image: U8, landmarks: ArrayLike, onto: Template | str) -> U8:
    """Aligned crops (n, s, s, 3) uint8 of the faces with these landmarks (n, 5, 2); outside the image is black.

    Landmarks must be finite: see `box_landmarks` for faces whose detector has none.
    """
    import cv2

    chosen = _named(onto)
    matrices = similarity(landmarks, chosen)
    crops = np.zeros((len(matrices), chosen.size, chosen.size, 3), np.uint8)
    for crop, matrix in zip(crops, matrices, strict=True):
        cv2.warpAffine(image, matrix, (chosen.size, chosen.size), dst=crop, flags=cv2.INTER_LINEAR)
    return crops


# Mean position of the five points inside the SCRFD-2.5G boxes of 611 LFW faces, made symmetric, as parts of the box.
_IN_BOX = np.array([[0.28, 0.395], [0.72, 0.395], [0.50, 0.58], [0.31, 0.74], [0.69, 0.74]], np.float32)


def box_landmarks(boxes: ArrayLike) -> F32:
    """(n, 4) -> (n, 5, 2): where the five points of an upright frontal face would be in such a box."""
    b = np.asarray(boxes, np.float32).reshape(-1, 4)
    return np.asarray(b[:, None, :2] + _IN_BOX * (b[:, None, 2:] - b[:, None, :2]), np.float32)


def complete_landmarks(landmarks: ArrayLike, boxes: ArrayLike) -> F32:
    """The landmarks (n, 5, 2), with those of a face replaced by `box_landmarks` where any is not finite."""
    points = np.array(landmarks, np.float32).reshape(-1, 5, 2)
    bad = ~np.isfinite(points).all((1, 2))
    if bad.any():
        points[bad] = box_landmarks(np.asarray(boxes, np.float32).reshape(-1, 4)[bad])
    return points


def _face_in_space() -> F32:
    """Five points of a mean head: x, y of the symmetric ArcFace template, z towards the scene.

    Depth in template pixels with 63 mm between the pupils: nose tip 25 mm before the pupils, mouth corners 4 mm.
    """
    x, y = 17.62, 20.34  # half the distance of the eyes; half from eyes to mouth
    nose = 1.3  # below the middle: makes the median pitch of 611 LFW faces 0 (template: -0.2, pitch -7)
    points = [[-x, -y, 0], [x, -y, 0], [0, nose, -14.0], [-14.59, y, -2.2], [14.59, y, -2.2]]
    centred = np.array(points, np.float64)
    return np.asarray(centred - centred.mean(0), np.float32)


@lru_cache(maxsize=1)
def _fit_of_face() -> F64:
    """(5, 3) what five points are multiplied with to get the camera that shows the mean head there."""
    return np.asarray(np.linalg.pinv(_face_in_space().astype(np.float64)).T, np.float64)


def head_pose(landmarks: ArrayLike) -> F32:
    """(n, 5, 2) -> (n, 3): yaw, pitch, roll in degrees; 0, 0, 0 looks into the camera, NaN where a point is NaN.

    Yaw > 0: the nose points to the right of the image. Pitch > 0: up. Roll > 0: turned clockwise in the image.
    A weak-perspective camera is fitted to a mean head (five points, linear least squares) and its two rows are made
    orthonormal; good to about 10 degrees below 60, and only a rank above.
    """
    p = np.asarray(landmarks, np.float64).reshape(-1, 5, 2)
    out = np.full((len(p), 3), np.nan, np.float32)
    good = np.isfinite(p).all((1, 2))
    if not good.any():
        return out
    pc = p[good] - p[good].mean(1, keepdims=True)
    camera = np.einsum("nki,kj->nij", pc, _fit_of_face())
    right, down = _orthonormal(camera[:, 0], camera[:, 1])
    yaw = np.arctan2(-right[:, 2], right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0])
    pitch = np.arcsin(np.clip(down[:, 2], -1, 1))
    roll = np.arctan2(down[:, 0], right[:, 0])
    out[good] = np.degrees(np.stack([yaw, pitch, roll], 1))
    return out


def _orthonormal(x: F64, y: F64) -> tuple[F64, F64]:
    """The orthonormal rows nearest to x and y (n, 3): the polar factor, in closed form; zeros where they are parallel.

    The inverse root of the table ((a, b), (b, c)) of their products is ((c + s, -b), (-b, a + s)) / (s t) with
    s = sqrt(a c - b b) and t = sqrt(a + c + 2 s). By singular values it took 0.1 ms a look more.
    """
    a, b, c = (x * x).sum(1), (x * y).sum(1), (y * y).sum(1)
    s = np.sqrt(np.maximum(a * c - b * b, 0))
    whole = s * np.sqrt(a + c + 2 * s)
    part = np.where(whole > 1e-12, 1 / np.maximum(whole, 1e-12), 0.0)[:, None]
    a, b, c = (a + s)[:, None], b[:, None], (c + s)[:, None]
    return (c * x - b * y) * part, (a * y - b * x) * part


def sharpness(crops: ArrayLike) -> F32:
    """Aligned crops (n, s, s, 3) uint8 -> (n,) 0..1: which part of the neighbour differences a second blur takes away.

    After Crete et al. 2007 ("The blur effect"): a sharp picture loses much when blurred, a blurred one little. Clean
    faces give about 0.53, one shrunk to 18 px and back 0.35. Rank correlation with LightQNet on 1 222 damaged LFW
    crops 0.45 (0.66 without the noisy ones), variance of the Laplacian 0.33; with the harm done to an EdgeFace vector
    0.58, Laplacian 0.45, LightQNet itself 0.76.
    """
    import cv2

    stack = np.asarray(crops, np.uint8)
    grey = (cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY) for crop in stack)
    return np.array([_kept(g) for g in grey], np.float32)


def _kept(grey: U8) -> float:
    import cv2

    s = grey.shape[0]
    middle = grey[s // 6 : s - s // 6, s // 6 : s - s // 6]  # the face without hair and background
    smooth = cv2.GaussianBlur(middle, (0, 0), 1.2 * s / 112).astype(np.float32)  # against noise, which looks sharp
    reach = 2 * round(6 * s / 112) + 1  # 13 pixels at 112: best of 5, 9, 13
    worst = 1.0  # motion blurs one direction only
    for later, sooner, kernel in (
        ((slice(1, None),), (slice(-1),), (1, reach)),
        ((slice(None), slice(1, None)), (slice(None), slice(-1)), (reach, 1)),
    ):
        soft = cv2.blur(smooth, kernel)
        before = cv2.absdiff(smooth[later], smooth[sooner])
        lost = cv2.max(cv2.subtract(before, cv2.absdiff(soft[later], soft[sooner])), 0.0)
        total = float(cv2.sumElems(before)[0])
        worst = min(worst, float(cv2.sumElems(lost)[0]) / total if total > 1e-6 else 0.0)
    return worst


def crispness(values: ArrayLike) -> F32:
    """Sharpness stretched to 0..1: 0.30 and below is mush, 0.52 and above as clean as photos are."""
    return np.asarray(np.clip((np.asarray(values, np.float32) - 0.30) / 0.22, 0, 1), np.float32)


def _crisp(sharp: float) -> float:
    return min(1.0, max(0.0, (sharp - 0.30) / 0.22))


@dataclass(frozen=True, slots=True)
class Rating:
    """How good one look at a face is, 0..1, and why it should not be used at all (None: it may)."""

    value: float
    reason: str | None = None


def rate_face(
    width: float,
    pose: Sequence[float] | F32,
    sharp: float,
    score: float,
    model_quality: float | None = None,
    *,
    min_width: float = 20.0,
    max_turn: float = 65.0,
    min_score: float = 0.0,
    reject_below: float = 0.0,
) -> Rating:
    """size x frontality x sharpness x score, the model's value standing in for sharpness where there is one.

    `width` is the face's width in pixels of the frame, `pose` yaw, pitch, roll in degrees (NaN: unknown, taken as
    half turned), `sharp` as from `sharpness`. Reasons: "low score", "small", "profile", "blurred", in that order.
    Size saturates at 112 px, where the crop is not enlarged any more. No factor falls below 0.1, so that the worst
    face of a track still has its rank.
    """
    yaw, pitch = (abs(a) if isfinite(a := float(angle)) else 40.0 for angle in (pose[0], pose[1]))
    # pitch from five points is noisy (5..95 % of LFW: -27..29 degrees), so it counts half
    turn = hypot(yaw, pitch / 2)
    clear = _crisp(sharp) if model_quality is None else max(0.0, model_quality) / 0.6
    value = 1.0
    for part in ((max(width, 0.0) / 112) ** 0.5, cos(radians(min(turn, 90.0))), clear, score):
        value *= min(1.0, max(0.1, part))
    reason = None
    if score < min_score:
        reason = "low score"
    elif width < min_width:
        reason = "small"
    elif turn > max_turn:
        reason = "profile"
    elif (_crisp(sharp) if model_quality is None else model_quality) < reject_below:
        reason = "blurred"
    return Rating(value, reason)


def cut(image: U8, box: Sequence[float] | F32, margin: float = 0.4, size: int = 160) -> U8:
    """A loose square around a box for people to look at, (h, w, 3) uint8, at most `size` pixels a side.

    `margin` is added on every side as a part of the longer side of the box; at the border of the image the square is
    moved inwards, and cut where it is larger than the image. Never enlarged.
    """
    import cv2

    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(v) for v in box)
    side = max(x2 - x1, y2 - y1, 2.0) * (1 + 2 * margin)
    left, right = _window((x1 + x2) / 2, side, width)
    top, bottom = _window((y1 + y2) / 2, side, height)
    piece = image[top:bottom, left:right]
    scale = size / max(piece.shape[:2])
    if scale >= 1:
        return piece.copy()
    wide, high = max(1, round(piece.shape[1] * scale)), max(1, round(piece.shape[0] * scale))
    while min(piece.shape[1] - 2 * wide, piece.shape[0] - 2 * high) >= 0:  # from 648 pixels 0.23 ms, at one go 1.7
        half = piece.shape[1] // 2, piece.shape[0] // 2
        piece = cv2.resize(piece[: 2 * half[1], : 2 * half[0]], half, interpolation=cv2.INTER_AREA)
    small: U8 = cv2.resize(piece, (wide, high), interpolation=cv2.INTER_LINEAR)
    return small


def place_in_cut(
    box: Sequence[float] | F32, width: int, height: int, margin: float = 0.4
) -> tuple[float, float, float, float]:
    """Where `cut` puts the box: x1, y1, x2, y2 as parts of the piece, 0 to 1. `width`, `height`: of the image."""
    x1, y1, x2, y2 = (float(v) for v in box)
    side = max(x2 - x1, y2 - y1, 2.0) * (1 + 2 * margin)
    left, right = _window((x1 + x2) / 2, side, width)
    top, bottom = _window((y1 + y2) / 2, side, height)
    across = [min(1.0, max(0.0, (x - left) / (right - left))) for x in (x1, x2)]
    down = [min(1.0, max(0.0, (y - top) / (bottom - top))) for y in (y1, y2)]
    return across[0], down[0], across[1], down[1]


def _window(centre: float, side: float, limit: int) -> tuple[int, int]:
    """Integer start and stop of a stretch of `side` around `centre`, moved into 0..limit; at least one pixel."""
    length = min(max(1, round(side)), limit)
    start = min(max(0, round(centre - length / 2)), limit - length)
    return start, start + length


def encode_jpeg(image: U8, quality: int = 85) -> bytes:
    """The JPEG file of a BGR image."""
    import cv2

    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be written as JPEG")
    return bytes(data.tobytes())


def decode_jpeg(data: bytes) -> U8:
    """(h, w, 3) uint8 BGR; ValueError when the bytes are no picture."""
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise ValueError("these bytes are not a JPEG picture")
    out: U8 = image
    return out
