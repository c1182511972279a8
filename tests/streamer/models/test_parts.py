"""Looking at a part of a frame: where it is cut, and that faces come back to where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from streamer.geometry import iou
from streamer.items import ArrayPicture, Faces, Region
from streamer.models.base import PartDetector
from streamer.models.mtcnn import MTCNN
from streamer.models.onnx import Session
from streamer.models.parts import cut_part
from streamer.models.scrfd import SCRFD
from streamer.testing import FakeDetector
from tests.streamer.models import tiny


def faces(*boxes: tuple[float, float, float, float]) -> Faces:
    corners = np.array(boxes, np.float32)
    return Faces(corners, np.ones(len(boxes), np.float32), np.repeat(corners[:, None, :2], 5, 1))


@given(
    corner=st.tuples(st.floats(0, 1000), st.floats(0, 600)),
    side=st.tuples(st.floats(1, 900), st.floats(1, 700)),
    shrink=st.sampled_from([0.375, 0.5, 0.75, 1.0]),
    multiple=st.sampled_from([1, 32]),
)
def test_a_piece_shows_the_part_and_its_pixels_are_known(
    corner: tuple[float, float], side: tuple[float, float], shrink: float, multiple: int
) -> None:
    ramp = np.zeros((360, 640, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 255, 640)[None]
    ramp[..., 1] = np.linspace(0, 255, 360)[:, None]
    (x, y), (w, h) = corner, side
    box = (x, y, min(1280.0, x + w), min(720.0, y + h))
    piece, place = cut_part(ramp, Region(box, shrink), (1280, 720), multiple)
    height, width = piece.shape[:2]
    low = place.shift
    high = low + place.scale * (width, height)
    assert (low <= np.array(box[:2]) + 4).all()
    assert (high >= np.minimum(box[2:], (1280, 720)) - 4).all()
    assert (low >= -0.01).all()
    assert (high <= (1280.01, 720.01)).all()
    middle = low + place.scale * (width // 2 + 0.5, height // 2 + 0.5)
    colour = piece[height // 2, width // 2]
    assert abs(float(colour[0]) - 255 * middle[0] / 1280) < 3
    assert abs(float(colour[1]) - 255 * middle[1] / 720) < 3


def test_a_face_that_an_open_side_cuts_is_left_out() -> None:
    image = np.zeros((360, 640, 3), np.uint8)
    _, place = cut_part(image, Region((0.0, 0.0, 200.0, 200.0)), (640, 360))
    back = place.back(faces((0, 20, 40, 60), (160, 20, 199, 60), (100, 100, 140, 140)))
    assert back.boxes.tolist() == [[0, 20, 40, 60], [100, 100, 140, 140]]  # the left side is the frame's own


def test_detectors_without_parts_are_told_from_those_with() -> None:
    assert not isinstance(FakeDetector(), PartDetector)
    detector = SCRFD(Session(tiny.scrfd(batched=True, points=True), device="cpu"), long_side=160)
    assert isinstance(detector, PartDetector)
    assert detector.takes_parts
    detector.session.backend.provider = "CUDAExecutionProvider"
    assert not detector.takes_parts


@pytest.mark.parametrize("shrink", [1.0, 0.75, 0.5])
@pytest.mark.parametrize("family", ["scrfd", "mtcnn"])
def test_real_faces_are_found_where_the_whole_frame_has_them(family: str, shrink: float, shared_models: Path) -> None:
    """Three of the six people of the picture, each about 48 pixels wide at half the scale."""
    insightface = pytest.importorskip("insightface")
    import cv2

    image = cv2.imread(str(Path(insightface.__file__).parent / "data" / "images" / "t1.jpg"))
    if image is None:
        pytest.skip("this insightface carries no picture")
    height, width = image.shape[:2]
    detector = (
        SCRFD(shared_models / "det_500m_batch.onnx", device="cpu")
        if family == "scrfd"
        else MTCNN(*(shared_models / f"mtcnn_{p}net.onnx" for p in "pro"), device="cpu")
    )
    assert isinstance(detector, PartDetector)
    assert detector.takes_parts
    whole = detector.detect([image])[0]
    left = whole.take(whole.boxes[:, 2] < width / 2)
    far = left.boxes[:, 2:].max(0) + 60
    part = Region((0.0, 0.0, min(width, float(far[0])), min(height, float(far[1]))), shrink)
    found = detector.detect_part(ArrayPicture(image), (width, height), part)
    table = iou(left.boxes, found.boxes)
    assert len(left) >= 2
    assert (table.max(1) > 0.7).all()
    apart = np.linalg.norm(found.landmarks[table.argmax(1)] - left.landmarks, axis=2)
    near = apart.mean(1) < 0.06 * (left.boxes[:, 2] - left.boxes[:, 0])
    assert near.sum() >= len(left) - (family == "mtcnn")  # whose points of a profile hang on the pyramid's steps
