"""Turning faces upright and to the front: by the box, by the eyes, by five points, by a mesh of landmarks.

Four ways from a photo to the crop an embedder takes, each doing more than the one before:
`boxed` (the detector's box), `levelled` (the line of the eyes made level), the five-point similarity of
`streamer.crops.align`, and `frontal`, which moves every landmark to where it lies on a face that looks into the camera
and warps what lies between by one affine map per triangle of a Delaunay mesh.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from streamer.crops import Template, box_landmarks, similarity, template
from streamer.errors import ModelError
from streamer.items import F32, U8

# iBUG 300-W order: the landmark that mirrors each of the 68
MIRROR = np.array([
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
])  # fmt: skip


def boxed(image: U8, boxes: ArrayLike, onto: Template | str) -> U8:
    """Crops (n, s, s, 3) of upright faces by their boxes (n, 4) alone: moved and scaled, not turned."""
    return _warped(image, similarity(box_landmarks(boxes), onto), _size(onto))


def levelled(image: U8, landmarks: ArrayLike, onto: Template | str) -> U8:
    """Crops (n, s, s, 3) in which both eyes lie where the template has them: roll and size by two points."""
    chosen = template(onto) if isinstance(onto, str) else onto
    p = np.asarray(landmarks, np.float64).reshape(-1, 5, 2)[:, :2]
    eyes = chosen.array[:2].astype(np.float64)
    return _warped(image, np.stack([_two_points(q, eyes) for q in p]) if len(p) else np.zeros((0, 2, 3)), chosen.size)


def frontal(image: U8, landmarks: ArrayLike, onto: Template | str) -> U8:
    """One crop (s, s, 3): the face turned to the front by its landmarks, (5, 2) or the 68 of iBUG 300-W, (68, 2).

    Target of 68: the face's own shape made symmetric, which takes the yaw out, its eyes and mouth brought to the
    template's height, which takes the pitch out; of five: the template itself. The border of the crop stays where the
    five-point similarity puts it. What the camera did not see is stretched, not invented. ModelError for another
    number of landmarks.
    """
    chosen = template(onto) if isinstance(onto, str) else onto
    p = np.asarray(landmarks, np.float64)
    if p.shape not in ((5, 2), (68, 2)) or not np.isfinite(p).all():
        raise ModelError(f"5 or 68 finite landmarks are expected, not {p.shape}.")
    five = p if len(p) == 5 else five_of(p)
    matrix = similarity(five, chosen)[0].astype(np.float64)
    inside = p @ matrix[:, :2].T + matrix[:, 2]
    target = chosen.array.astype(np.float64) if len(p) == 5 else front_shape(inside, chosen)
    rim = _rim(chosen.size)
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    source = np.concatenate([p, rim @ back[:, :2].T + back[:, 2]])
    return piecewise_affine(image, source, np.concatenate([target, rim]), (chosen.size, chosen.size))


def front_shape(points: ArrayLike, onto: Template | str) -> F32:
    """(68, 2) in a crop -> where they would lie, were the face turned to the front.

    The shape and its mirror image are averaged about the template's middle (yaw), then stretched from top to bottom
    until eyes and mouth have the template's distance (pitch).
    """
    chosen = template(onto) if isinstance(onto, str) else onto
    p = np.asarray(points, np.float64)
    middle = float(chosen.array[[0, 1, 3, 4], 0].mean())
    centred = p - [five_of(p)[[0, 1, 3, 4], 0].mean() - middle, 0]
    mirrored = np.stack([2 * middle - centred[MIRROR, 0], centred[MIRROR, 1]], 1)
    even = (centred + mirrored) / 2
    five, wanted = five_of(even), chosen.array.astype(np.float64)
    eyes, mouth = five[:2, 1].mean(), five[3:, 1].mean()
    want_eyes, want_mouth = wanted[:2, 1].mean(), wanted[3:, 1].mean()
    scale = (want_mouth - want_eyes) / max(mouth - eyes, 1e-6)
    wide = (wanted[1, 0] - wanted[0, 0]) / max(five[1, 0] - five[0, 0], 1e-6)
    out = np.stack([middle + (even[:, 0] - middle) * wide, want_eyes + (even[:, 1] - eyes) * scale], 1)
    return np.asarray(out, np.float32)


def five_of(points: ArrayLike) -> F32:
    """(68, 2) -> (5, 2): middle of each eye, tip of the nose, corners of the mouth."""
    p = np.asarray(points, np.float64)
    return np.stack([p[36:42].mean(0), p[42:48].mean(0), p[30], p[48], p[54]]).astype(np.float32)


def mesh(points: ArrayLike) -> Any:
    """(t, 3) int32: the triangles of the Delaunay mesh over points (n, 2), n >= 3 not on one line."""
    from scipy.spatial import Delaunay, QhullError

    try:
        return Delaunay(np.asarray(points, np.float64)).simplices
    except (QhullError, ValueError) as error:
        raise ModelError("these landmarks lie on one line; no mesh can be laid over them.") from error


def piecewise_affine(image: U8, source: ArrayLike, target: ArrayLike, size: tuple[int, int]) -> U8:
    """(height, width, 3) for size (width, height): the picture with every source point (n, 2) moved to its target.

    Each triangle of the Delaunay mesh over the targets is filled from its source triangle by the affine map of its
    corners (Goshtasby 1986). Outside the mesh, and outside the image, is black.
    """
    import cv2
    from scipy.spatial import Delaunay, QhullError

    s, t = np.asarray(source, np.float64), np.asarray(target, np.float64)
    width, height = size
    try:
        net = Delaunay(t)
    except (QhullError, ValueError) as error:
        raise ModelError("these landmarks lie on one line; no mesh can be laid over them.") from error
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns.ravel(), rows.ravel()], 1).astype(np.float64)
    where = net.find_simplex(pixels)
    shift = net.transform[where]
    two = np.einsum("nij,nj->ni", shift[:, :2], pixels - shift[:, 2])
    weights = np.concatenate([two, 1 - two.sum(1, keepdims=True)], 1)
    place = np.einsum("nk,nkd->nd", weights, s[net.simplices[where]])
    place[where < 0] = -10.0
    maps = place.astype(np.float32).reshape(height, width, 2)
    out: U8 = cv2.remap(image, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return out


def _two_points(p: Any, q: Any) -> Any:
    """(2, 3): the similarity that carries two points onto two; equal points are only moved."""
    a, b = complex(*(p[1] - p[0])), complex(*(q[1] - q[0]))
    turn = b / a if abs(a) > 1e-9 else complex(1)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.concatenate([matrix, (q.mean(0) - matrix @ p.mean(0))[:, None]], 1)


def _rim(size: int) -> Any:
    """(8, 2): corners and middles of the sides of a crop."""
    e, m = size - 1.0, (size - 1.0) / 2
    return np.array([[0, 0], [m, 0], [e, 0], [e, m], [e, e], [m, e], [0, e], [0, m]])


def _size(onto: Template | str) -> int:
    return (template(onto) if isinstance(onto, str) else onto).size


def _warped(image: U8, matrices: Any, size: int) -> U8:
    import cv2

    crops = np.zeros((len(matrices), size, size, 3), np.uint8)
    for crop, matrix in zip(crops, matrices, strict=True):
        cv2.warpAffine(image, np.asarray(matrix, np.float64), (size, size), dst=crop, flags=cv2.INTER_LINEAR)
    return crops
