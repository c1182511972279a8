"""One-pass detectors on tiny networks: shapes, thresholds, batches, suppression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from streamer.errors import ConfigError, ModelError
from streamer.geometry import iou
from streamer.items import ArrayPicture
from streamer.models import graph
from streamer.models.dense import suppress
from streamer.models.onnx import Session
from streamer.models.pixels import Pixels
from streamer.models.scrfd import SCRFD
from streamer.models.yunet import YuNet
from tests.streamer.models import tiny

RNG = np.random.default_rng(0)


def patches(height: int, width: int) -> np.ndarray:
    """A picture of coloured squares, 10 pixels a side."""
    few = RNG.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
    return np.repeat(np.repeat(few, 10, 0), 10, 1)


IMAGES = [patches(90, 160), patches(120, 90), patches(90, 160)]


def scrfd(**options: Any) -> SCRFD:
    model = tiny.scrfd(batched=options.pop("batched", True), points=options.pop("points", True))
    return SCRFD(Session(model, device="cpu"), **{"long_side": 160, **options})


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((1920, 1080), (640, 360)),
        ((640, 360), (640, 360)),
        ((480, 270), (640, 360)),
        ((448, 960), (299, 640)),
        ((3000, 1), (640, 1)),
    ],
)
def test_a_frame_keeps_its_own_shape(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert scrfd(long_side=640).input_size(*size) == wanted


def test_the_network_gets_no_more_than_the_next_multiple_of_32() -> None:
    seen = []
    detector = scrfd()
    run = detector.session.backend.run
    detector.session.backend.run = lambda feeds: seen.append(next(iter(feeds.values())).shape) or run(feeds)  # type: ignore[method-assign]
    detector.detect(IMAGES)
    assert seen == [(1, 3, 96, 160), (1, 3, 96, 160), (1, 3, 160, 128)]


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("points", [True, False])
def test_every_reported_face_is_where_the_outputs_say(batched: bool, points: bool) -> None:
    """The decoding, anchor by anchor, written out once more the slow way."""
    detector = scrfd(batched=batched, points=points, nms=0.9999, score=0.4)
    image = IMAGES[0]
    padded = np.zeros((1, 96, 160, 3), np.uint8)
    padded[0, :90] = image
    outputs = detector.session.run(detector.pixels.batch(padded))
    expected = []
    for level, stride in enumerate((8, 16, 32)):
        score, box = (outputs[level + k].reshape(-1, c) for k, c in ((0, 1), (3, 4)))
        for row in range(96 // stride):
            for column in range(160 // stride):
                for anchor in range(2):
                    i = (row * (160 // stride) + column) * 2 + anchor
                    if score[i, 0] >= 0.4:
                        left, up, right, down = box[i] * stride
                        x, y = column * stride, row * stride
                        expected.append((x - left, y - up, x + right, y + down, score[i, 0]))
    faces = detector.detect([image])[0]
    found = np.column_stack([faces.boxes, faces.scores])
    assert len(found) == len(expected) > 10
    order = np.argsort([-e[4] for e in expected], kind="stable")
    assert np.allclose(found, np.array(expected)[order], atol=1e-3)
    assert np.isnan(faces.landmarks).all() == (not points)


def test_a_batch_1_model_answers_as_the_re_exported_one() -> None:
    for a, b in zip(scrfd(batched=True).detect(IMAGES), scrfd(batched=False).detect(IMAGES)):
        assert np.array_equal(a.boxes, b.boxes)
        assert np.array_equal(a.landmarks, b.landmarks)


def test_a_freed_model_batched_as_on_a_gpu_answers_as_one_by_one() -> None:
    """Byte input, free batch, interleaved outputs, padding to buckets: the whole GPU path on the processor."""
    pixels = Pixels((127.5,) * 3, (128.0,) * 3, "rgb")
    freed = graph.with_free_batch(tiny.scrfd(batched=False))
    assert freed is not None
    session = Session(graph.with_uint8_input(freed, pixels), device="cpu")
    session.backend.provider = "CUDAExecutionProvider"
    session._batcher.padded, session._batcher.limit = True, 32
    gpu = SCRFD(session, long_side=160)
    for a, b in zip(gpu.detect(IMAGES * 3), scrfd().detect(IMAGES * 3)):
        assert np.allclose(a.boxes, b.boxes, atol=1e-3)
        assert np.allclose(a.scores, b.scores, atol=1e-5)
        assert np.allclose(a.landmarks, b.landmarks, atol=1e-3)


def test_boxes_come_back_in_pixels_of_the_frame() -> None:
    image = np.repeat(np.repeat(IMAGES[0], 4, 0), 4, 1)
    small, large = scrfd().detect([IMAGES[0]])[0], scrfd().detect([image])[0]
    assert len(small) > 0
    assert np.allclose(large.boxes, small.boxes * 4, atol=0.01)
    assert np.allclose(large.landmarks, small.landmarks * 4, atol=0.01)


def test_pictures_are_asked_for_no_more_than_the_network_takes() -> None:
    class Watched(ArrayPicture):
        asked: list[tuple[int, int]] = []

        def scaled(self, width: int, height: int) -> np.ndarray:
            self.asked.append((width, height))
            return super().scaled(width, height)

        def bgr(self) -> np.ndarray:
            raise AssertionError("the full picture was converted")

    image = RNG.integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    lazy = scrfd().detect_pictures([Watched(image)], [(1280, 720)])[0]
    assert Watched.asked == [(160, 90)]
    assert np.array_equal(lazy.boxes, scrfd().detect([image])[0].boxes)


def test_low_score_adds_faces_below_score_and_changes_no_other() -> None:
    high, low = scrfd(score=0.6).detect(IMAGES)[0], scrfd(score=0.6, low_score=0.4).detect(IMAGES)[0]
    assert len(low) > len(high)
    assert np.array_equal(low.boxes[low.scores >= 0.6], high.boxes)
    assert (low.scores >= 0.4).all()


@pytest.mark.parametrize("options", [{"score": 0.0}, {"score": 0.5, "low_score": 0.7}, {"long_side": 8}])
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"detector\.(score|long_side)"):
        scrfd(**options)


def test_a_model_of_another_family_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="1 outputs; an SCRFD has 6, 9, 10, 15"):
        SCRFD(Session(tiny.embedder(), device="cpu"))
    with pytest.raises(ModelError, match="is not a YuNet: it has the outputs embedding"):
        YuNet(Session(tiny.embedder(), device="cpu"))


def test_yunet_decodes_as_its_paper_says() -> None:
    detector = YuNet(Session(tiny.yunet(), device="cpu"), long_side=160, nms=0.9999, score=0.3)
    outputs = dict(
        zip([o.name for o in detector.session.outputs], detector.session.run(np.zeros((1, 3, 96, 160), np.float32)))
    )
    faces = detector.detect([np.zeros((90, 160, 3), np.uint8)])[0]
    best = []
    for stride in (8, 16, 32):
        score = np.sqrt(outputs[f"cls_{stride}"] * outputs[f"obj_{stride}"])[0, :, 0]
        for i in np.flatnonzero(score >= 0.3):
            x, y = i % (160 // stride), i // (160 // stride)
            bx, by, bw, bh = outputs[f"bbox_{stride}"][0, i]
            best.append(((x + bx) * stride, (y + by) * stride, np.exp(bw) * stride, np.exp(bh) * stride))
    centres = np.array(best)[:, :2]
    found = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    assert len(faces) == len(best)
    assert np.allclose(np.sort(found, 0), np.sort(centres, 0), atol=1e-2)
    assert np.allclose(np.sort(faces.boxes[:, 2] - faces.boxes[:, 0]), np.sort([b[2] for b in best]), atol=1e-2)


def test_a_model_for_one_input_size_gets_every_frame_fitted_into_it() -> None:
    fixed = YuNet(Session(tiny.yunet(size=(96, 160), batch=1), device="cpu"), score=0.3, long_side=640)
    free = YuNet(Session(tiny.yunet(), device="cpu"), score=0.3, long_side=160)
    assert [fixed.input_size(*s) for s in ((320, 180), (90, 120), (1000, 96))] == [(160, 90), (72, 96), (160, 15)]
    ours, theirs = fixed.detect(IMAGES), free.detect(IMAGES)
    assert len(ours[0]) > 0
    assert np.allclose(ours[0].boxes, theirs[0].boxes, atol=1e-3)
    assert np.allclose(ours[2].landmarks, theirs[2].landmarks, atol=1e-3)


BOXES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40), st.integers(1, 9)),
    max_size=30,
)


@given(BOXES, st.sampled_from([0.2, 0.4, 0.7]))
@settings(max_examples=60, deadline=None)
def test_suppression_keeps_the_best_of_every_heap(rows: list[tuple[int, ...]], overlap: float) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([r[4] / 10 for r in rows], np.float32)
    kept = suppress(boxes, scores, overlap)
    table = iou(boxes, boxes)
    assert (np.diff(scores[kept]) <= 0).all()
    assert all(table[i, j] <= overlap for n, i in enumerate(kept) for j in kept[:n])
    for gone in set(range(len(rows))) - set(kept.tolist()):
        assert any(table[gone, k] > overlap and scores[k] >= scores[gone] for k in kept)


def test_suppression_of_very_many_boxes_gives_the_same() -> None:
    corner = np.random.default_rng(1).integers(0, 300, (700, 2))
    boxes = np.concatenate([corner, corner + 20], 1).astype(np.float32)
    scores = np.random.default_rng(2).random(700).astype(np.float32)
    small = suppress(boxes[:500], scores[:500], 0.3)
    again = np.concatenate([boxes[:500], np.tile(boxes[:1] + 1e5, (300, 1))])
    large = suppress(again, np.concatenate([scores[:500], np.zeros(300, np.float32)]), 0.3)
    assert np.array_equal(large[: len(small)], small)
    assert len(large) == len(small) + 1


def test_the_real_detectors_find_six_people(shared_models: Path) -> None:
    pytest.importorskip("insightface")
    import cv2
    import insightface

    picture = Path(insightface.__file__).parent / "data" / "images" / "t1.jpg"
    if not picture.is_file():
        pytest.skip("this insightface carries no picture")
    image = cv2.imread(str(picture))
    first = SCRFD(shared_models / "det_500m.onnx", device="cpu").detect([image])[0]
    second = SCRFD(shared_models / "det_500m_batch.onnx", device="cpu").detect([image, image])[1]
    third = YuNet(shared_models / "yunet_n.onnx", device="cpu").detect([image])[0]
    assert len(first) == len(third) == 6
    assert np.array_equal(first.boxes, second.boxes)
    assert (iou(first.boxes, third.boxes).max(1) > 0.6).all()
