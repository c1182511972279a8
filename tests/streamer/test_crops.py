"""Alignment, pose, sharpness, rating and cuts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer import crops
from streamer.errors import ModelError

ARCFACE = crops.TEMPLATES["arcface-112"].array


def textured(size: int = 112, seed: int = 0) -> np.ndarray:
    """A drawn face with fine structure: edges and dots, no noise."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size, 3), 140, np.uint8)
    for _ in range(160):
        x, y, r = (int(v) for v in rng.integers((0, 0, 1), (size, size, 7)))
        cv2.circle(image, (x, y), r, tuple(rng.integers(0, 255, 3).tolist()), -1)
    return image


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The five points of the mean head, turned by these degrees and seen from far away."""
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return (crops._face_in_space() @ (about_z @ about_y @ about_x).T)[:, :2] * 1.7 + 200


@given(
    st.floats(0.2, 5),
    st.floats(-3.1, 3.1),
    st.floats(-500, 500),
    st.floats(-500, 500),
    st.sampled_from(sorted(crops.TEMPLATES)),
)
def test_similarity_undoes_any_turn_scale_and_shift(scale: float, angle: float, x: float, y: float, name: str) -> None:
    target = crops.TEMPLATES[name].array
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = target @ turn.T + [x, y]
    matrix = crops.similarity(points[None], name)[0]
    assert np.allclose(points @ matrix[:, :2].T + matrix[:, 2], target, atol=0.02)


def test_similarity_equals_the_umeyama_solution_on_points_that_do_not_fit() -> None:
    points = ARCFACE[None] * 1.3 + np.random.default_rng(0).normal(0, 6, (8, 5, 2))
    for face, matrix in zip(points, crops.similarity(points, "arcface-112")):
        p, q = face - face.mean(0), ARCFACE - ARCFACE.mean(0)
        u, d, vt = np.linalg.svd(q.T @ p)
        sign = np.diag([1, np.sign(np.linalg.det(u @ vt))])
        expected = (d * np.diag(sign)).sum() / (p**2).sum() * u @ sign @ vt
        assert np.allclose(matrix[:, :2], expected, atol=1e-5)


def test_five_equal_points_and_no_faces_at_all_give_finite_matrices() -> None:
    assert np.isfinite(crops.similarity(np.full((1, 5, 2), 7.0), "dlib-150")).all()
    assert crops.similarity(np.zeros((0, 5, 2)), "dlib-150").shape == (0, 2, 3)


def test_aligning_the_template_itself_gives_the_picture_back() -> None:
    image = textured()
    assert np.array_equal(crops.align(image, ARCFACE[None], "arcface-112")[0], image)
    assert crops.align(image, np.zeros((0, 5, 2)), "dlib-150").shape == (0, 150, 150, 3)


def test_outside_the_picture_is_black() -> None:
    crop = crops.align(np.full((112, 112, 3), 255, np.uint8), ARCFACE[None] + [56, 0], "arcface-112")[0]
    assert (crop[:, 60:] == 0).all()
    assert (crop[:, :50] == 255).all()


def test_an_unknown_template_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match="arcface-112, dlib-150, facenet-160"):
        crops.align(textured(), ARCFACE[None], "mirror-113")


def test_missing_landmarks_are_filled_in_from_the_box() -> None:
    points = np.stack([ARCFACE, ARCFACE])
    points[1, 2] = np.nan
    filled = crops.complete_landmarks(points, [[0, 0, 10, 10], [100, 200, 200, 300]])
    assert np.array_equal(filled[0], ARCFACE)
    assert np.allclose(filled[1, 2], [150, 258])
    assert np.isnan(points[1, 2]).all()


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(0, 0, 0), (30, 0, 0), (-50, 0, 0), (0, 20, 0), (0, -20, 0), (0, 0, 40), (0, 0, -15)]
)
def test_head_pose_finds_one_turn_again(yaw: float, pitch: float, roll: float) -> None:
    found = crops.head_pose(turned(yaw, pitch, roll)[None])[0]
    assert np.allclose(found, [yaw, pitch, roll], atol=0.1)


def test_head_pose_has_the_signs_it_states() -> None:
    right, up = ARCFACE.copy(), ARCFACE.copy()
    right[2, 0] += 8
    up[2, 1] -= 6
    assert crops.head_pose(right[None])[0, 0] > 15
    assert crops.head_pose(up[None])[0, 1] > 10
    clockwise = (ARCFACE - 56) @ np.array([[0, 1], [-1, 0]]) + 56  # a quarter turn: the left eye comes up
    assert crops.head_pose(clockwise[None])[0, 2] == pytest.approx(90, abs=2)


def test_head_pose_is_nan_where_a_point_is_missing() -> None:
    points = np.stack([ARCFACE, ARCFACE])
    points[0, 0] = np.nan
    pose = crops.head_pose(points)
    assert np.isnan(pose[0]).all()
    assert np.isfinite(pose[1]).all()
    assert crops.head_pose(np.zeros((0, 5, 2))).shape == (0, 3)


@pytest.mark.parametrize("seed", range(4))
def test_sharpness_falls_with_every_step_of_blur(seed: int) -> None:
    image = textured(seed=seed)
    series = np.stack([image] + [cv2.GaussianBlur(image, (0, 0), s) for s in (1.5, 3.0, 6.0)])
    values = crops.sharpness(series)
    assert (np.diff(values) < -0.02).all()


def test_motion_blur_in_one_direction_is_noticed() -> None:
    image = textured()
    for kernel in (np.ones((1, 13)), np.ones((13, 1))):
        assert (
            crops.sharpness(np.stack([image, cv2.filter2D(image, -1, kernel / 13)]))[1]
            < 0.9 * crops.sharpness(image[None])[0]
        )


def test_a_flat_crop_has_sharpness_0_and_no_crops_have_none() -> None:
    assert crops.sharpness(np.full((1, 112, 112, 3), 90, np.uint8)).tolist() == [0.0]
    assert crops.sharpness(np.zeros((0, 112, 112, 3), np.uint8)).shape == (0,)


GOOD = {"width": 120.0, "pose": (0.0, 0.0, 0.0), "sharp": 0.55, "score": 0.95}


def test_a_large_sharp_frontal_face_rates_its_score() -> None:
    assert crops.rate_face(**GOOD) == crops.Rating(pytest.approx(0.95), None)


@pytest.mark.parametrize(
    "worse",
    [
        {"width": 40.0},
        {"pose": (40.0, 0.0, 0.0)},
        {"pose": (0.0, -60.0, 0.0)},
        {"sharp": 0.38},
        {"score": 0.6},
        {"model_quality": 0.4},
    ],
)
def test_each_defect_lowers_the_rating(worse: dict[str, object]) -> None:
    assert crops.rate_face(**{**GOOD, **worse}).value < 0.9 * crops.rate_face(**GOOD).value


@pytest.mark.parametrize(
    ("defect", "reason"),
    [
        ({"score": 0.3}, "low score"),
        ({"width": 12.0}, "small"),
        ({"pose": (-80.0, 0.0, 0.0)}, "profile"),
        ({"sharp": 0.30}, "blurred"),
        ({"model_quality": 0.1}, "blurred"),
        ({"pose": (np.nan, np.nan, np.nan)}, None),
    ],
)
def test_a_face_that_is_no_evidence_says_why(defect: dict[str, object], reason: str | None) -> None:
    assert crops.rate_face(**{**GOOD, **defect}, min_score=0.5, reject_below=0.2).reason == reason


def test_a_cut_is_loose_square_small_and_inside() -> None:
    image = textured(400)
    piece = crops.cut(image, (100, 100, 200, 240), margin=0.5, size=96)
    assert piece.shape == (96, 96, 3)
    assert crops.cut(image, (190, 190, 210, 210), margin=0.0, size=96).shape == (20, 20, 3)
    assert np.array_equal(crops.cut(image, (-30, -30, 10, 10), margin=0.0), image[:40, :40])
    assert np.array_equal(crops.cut(image, (390, 380, 430, 420), margin=0.0), image[360:, 360:])
    assert crops.cut(image[:50], (0, 0, 300, 50), margin=0.5, size=400).shape == (50, 400, 3)
    assert crops.cut(image, (5, 5, 5, 5)).size > 0


def test_a_jpeg_comes_back_close_and_rubbish_is_refused() -> None:
    image = cv2.GaussianBlur(textured(), (0, 0), 2)
    back = crops.decode_jpeg(crops.encode_jpeg(image, 95))
    assert np.abs(back.astype(int) - image).mean() < 4
    for rubbish in (b"", b"not a picture"):
        with pytest.raises(ValueError, match="not a JPEG"):
            crops.decode_jpeg(rubbish)


def test_sharpness_ranks_real_faces_as_lightqnet_does(shared_models: Path, shared_data: Path) -> None:
    from streamer.models.quality import LightQNet

    files = sorted((shared_data / "photos" / "lfw").rglob("*.jpg"))[::60]
    faces = [cv2.resize(cv2.imread(str(f))[65:185, 65:185], (112, 112)) for f in files]
    rng = np.random.default_rng(0)
    blurred = np.stack([cv2.GaussianBlur(f, (0, 0), rng.uniform(0.2, 5)) for f in faces])
    rates = LightQNet(shared_models / "lightqnet_dm100.onnx", device="cpu").rate(blurred)
    ours, theirs = (np.argsort(np.argsort(v)) for v in (crops.sharpness(blurred), rates))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.6


def test_the_arcface_template_comes_in_any_size() -> None:
    np.testing.assert_allclose(crops.template("arcface-224").array, 2 * crops.template("arcface-112").array)
    for name in ("arcface-8", "arcface-", "dlib-151"):
        with pytest.raises(ModelError, match="arcface-N"):
            crops.template(name)
