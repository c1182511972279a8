"""The cascade on tiny networks that fire on bright windows, and on real ones where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from streamer.errors import ConfigError, ModelError
from streamer.geometry import iou
from streamer.models.mtcnn import LIGHT, MTCNN, _crops, lit, moved, squared, thin, thin_inside
from streamer.models.onnx import Session
from tests.streamer.models import tiny


def mtcnn(**options: Any) -> MTCNN:
    return MTCNN(*(Session(tiny.mtcnn(p), device="cpu") for p in "pro"), **options)


def spot(x: int, y: int, side: int, size: tuple[int, int] = (180, 320)) -> np.ndarray:
    image = np.zeros((*size, 3), np.uint8)
    image[y : y + side, x : x + side] = 255
    return image


def around(x: int, y: int, side: int) -> list[list[float]]:
    """The window the tiny networks like best for a spot: twice its side."""
    return [[x - side / 2, y - side / 2, x + 1.5 * side, y + 1.5 * side]]


@pytest.mark.parametrize(("x", "y", "side"), [(40, 30, 40), (250, 100, 50), (100, 60, 16), (120, 40, 80)])
def test_a_bright_spot_is_found_where_it_is(x: int, y: int, side: int) -> None:
    faces = mtcnn().detect([spot(x, y, side)])[0]
    assert len(faces) >= 1
    assert iou(faces.boxes[:1], around(x, y, side))[0, 0] > 0.5


def test_the_dark_holds_no_face_and_costs_no_second_network() -> None:
    detector = mtcnn()
    detector.rnet.backend.run = lambda feeds: pytest.fail("R-Net was asked")  # type: ignore[method-assign]
    assert len(detector.detect([np.zeros((90, 160, 3), np.uint8)])[0]) == 0


def test_landmarks_are_parts_of_the_window() -> None:
    faces = mtcnn().detect([spot(100, 60, 50)])[0]
    shares = (faces.landmarks[0] - faces.boxes[0, :2]) / (faces.boxes[0, 2:] - faces.boxes[0, :2])
    wanted = np.linspace(0.3, 0.7, 10).reshape(2, 5).T
    assert np.allclose(shares, wanted, atol=0.01)


def test_a_large_frame_is_searched_at_long_side_and_answered_in_its_own_pixels() -> None:
    image = spot(400, 240, 200, (720, 1280))
    detector = mtcnn(long_side=320)
    assert detector.input_size(1280, 720) == (320, 180)
    assert detector.input_size(160, 90) == (160, 90)
    faces = detector.detect([image])[0]
    assert iou(faces.boxes[:1], around(400, 240, 200))[0, 0] > 0.5


def test_the_pyramid_starts_at_min_face_and_ends_at_the_short_side() -> None:
    scales = mtcnn(min_face=24, factor=0.5).scales(640, 360)
    assert scales == [0.5, 0.25, 0.125, 0.0625]
    assert mtcnn().scales(11, 11) == []
    assert len(mtcnn().detect([np.full((11, 11, 3), 255, np.uint8)])[0]) == 0


@pytest.mark.parametrize("options", [{"min_face": 5}, {"factor": 1.0}, {"score": 0.0}, {"long_side": 10}])
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="min_face is at least 12"):
        mtcnn(**options)


def test_a_wrong_network_is_refused_by_name() -> None:
    wrong = Session(tiny.embedder(), device="cpu")
    with pytest.raises(ModelError, match="has no output score: it is not a network of MTCNN"):
        MTCNN(wrong, wrong, wrong)


def test_windows_over_the_border_are_black_there() -> None:
    out = _crops(np.full((20, 20, 3), 255, np.uint8), np.array([[-10, 0, 10, 20]], np.float32), 24)
    assert np.allclose(out[0, :, 2:-2, :11], -127.5 / 128)
    assert np.allclose(out[0, :, 2:-2, 13:-2], 127.5 / 128)


def test_boxes_become_squares_and_move_by_their_own_size() -> None:
    assert squared(np.array([[0, 0, 10, 20]], np.float32)).tolist() == [[-5, 0, 15, 20]]
    shift = np.array([[0.1, 0.2, -0.1, 0]], np.float32)
    assert np.allclose(moved(np.array([[0, 0, 10, 20]], np.float32), shift), [[1, 4, 9, 20]])


def test_a_face_inside_a_face_goes_only_when_overlap_counts_against_the_smaller() -> None:
    boxes, scores = np.array([[0, 0, 40, 40], [10, 10, 20, 20]], np.float32), np.array([0.9, 0.8], np.float32)
    assert thin(boxes, scores, 0.7).tolist() == [0, 1]
    assert thin_inside(boxes, scores, 0.7).tolist() == [0]
    assert thin(boxes[:0], scores[:0], 0.7).tolist() == thin_inside(boxes[:0], scores[:0], 0.7).tolist() == []


def test_a_dark_picture_is_brightened_and_another_left_alone() -> None:
    grey = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    dim = (grey * 0.4).astype(np.uint8)
    assert lit(grey) is grey
    assert np.percentile(lit(dim).max(2), 98) == pytest.approx(LIGHT, abs=5)
    assert not lit(np.zeros_like(grey)).any()


def test_the_real_cascade_finds_six_people_as_scrfd_does(shared_models: Path) -> None:
    insightface = pytest.importorskip("insightface")
    import cv2

    from streamer.models.scrfd import SCRFD

    picture = Path(insightface.__file__).parent / "data" / "images" / "t1.jpg"
    if not picture.is_file():
        pytest.skip("this insightface carries no picture")
    image = cv2.imread(str(picture))
    names = [shared_models / f"mtcnn_{p}net.onnx" for p in "pro"]
    ours = MTCNN(*names, device="cpu").detect([image])[0]
    theirs = SCRFD(shared_models / "det_500m_batch.onnx", device="cpu").detect([image])[0]
    table = iou(theirs.boxes, ours.boxes)
    assert (table.max(1) > 0.5).sum() == 6
    width = theirs.boxes[:, 2] - theirs.boxes[:, 0]
    apart = np.linalg.norm(ours.landmarks[table.argmax(1)] - theirs.landmarks, axis=2).mean(1)
    assert (apart < 0.1 * width).sum() >= 5  # one is in profile
    dim = MTCNN(*names, device="cpu").detect([(image * 0.15).astype(np.uint8)])[0]
    assert (iou(theirs.boxes, dim.boxes).max(1) > 0.5).sum() == 6
