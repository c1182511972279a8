"""What every registered detector, embedder and quality model promises, on tiny networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from streamer import models
from streamer.items import ArrayPicture
from streamer.models.onnx import Session
from streamer.testing import Actor, Scene, Shot
from tests.streamer.models import tiny


def session(model: bytes) -> Session:
    return Session(model, device="cpu")


def hog(**options: Any) -> Any:
    pytest.importorskip("dlib")
    return models.family("detector", "hog")(upsample=0, **options)


BARS = {"pair": 0.3, "link": 0.4, "merge": 0.3}
DETECTORS: dict[str, Callable[..., Any]] = {
    "scrfd": lambda **o: models.family("detector", "scrfd")(session(tiny.scrfd()), long_side=160, **o),
    "yunet": lambda **o: models.family("detector", "yunet")(session(tiny.yunet()), long_side=160, **o),
    "retinaface": lambda **o: models.family("detector", "retinaface")(session(tiny.retinaface()), long_side=160, **o),
    "mtcnn": lambda **o: models.family("detector", "mtcnn")(*(session(tiny.mtcnn(p)) for p in "pro"), **o),
    "haar": lambda **o: models.family("detector", "haar")(**o),
    "hog": hog,
}
EMBEDDERS: dict[str, Callable[[str], Any]] = {
    "aligned": lambda metric: models.family("embedder", "aligned")(
        session(tiny.embedder()), dimension=16, metric=metric, thresholds=BARS
    ),
}
QUALITIES: dict[str, Callable[[], Any]] = {
    "lightqnet": lambda: models.family("quality", "lightqnet")(session(tiny.quality())),
    "sharpness": lambda: models.family("quality", "sharpness")(),
}
RNG = np.random.default_rng(0)


def patches(height: int, width: int) -> np.ndarray:
    few = RNG.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
    return np.repeat(np.repeat(few, 10, 0), 10, 1)


DRAWN = Scene((Shot(1.0, (Actor(1, (160, 90, 60)), Actor(4, (60, 90, 40)))),)).draw(0.0)
BRIGHT = np.zeros((180, 320, 3), np.uint8)
BRIGHT[40:100, 80:140] = 255
IMAGES = [patches(180, 320), DRAWN, patches(320, 180), BRIGHT, np.zeros((64, 64, 3), np.uint8), patches(180, 320)]
CROPS = RNG.integers(0, 256, (11, 112, 112, 3), dtype=np.uint8)


def test_every_registered_family_is_under_contract() -> None:
    assert set(DETECTORS) == set(models.DETECTORS)
    assert set(EMBEDDERS) == set(models.EMBEDDERS)
    assert set(QUALITIES) == set(models.QUALITIES)


@pytest.fixture(params=DETECTORS)
def detector(request: pytest.FixtureRequest) -> Any:
    return DETECTORS[request.param]()


def test_no_images_give_no_answers(detector: Any) -> None:
    assert detector.detect([]) == []
    assert detector.detect_pictures([], []) == []


def test_a_batch_of_mixed_sizes_is_what_one_by_one_gives(detector: Any) -> None:
    together = detector.detect(IMAGES)
    assert len(together) == len(IMAGES)
    for faces, image in zip(together, IMAGES):
        alone = detector.detect([image])[0]
        assert np.allclose(faces.boxes, alone.boxes, atol=1e-3)
        assert np.allclose(faces.scores, alone.scores, atol=1e-5)


def test_the_same_images_twice_give_the_same_bits(detector: Any) -> None:
    for a, b in zip(detector.detect(IMAGES), detector.detect(IMAGES)):
        assert a.boxes.tobytes() == b.boxes.tobytes()
        assert a.landmarks.tobytes() == b.landmarks.tobytes()


def test_faces_have_the_types_they_state_best_first(detector: Any) -> None:
    for faces in detector.detect(IMAGES):
        assert (faces.boxes.dtype, faces.scores.dtype, faces.landmarks.dtype) == (np.float32,) * 3
        assert np.isfinite(faces.boxes).all()
        assert (faces.boxes[:, 2:] > faces.boxes[:, :2]).all()
        assert ((faces.scores >= detector.score) & (faces.scores <= 1)).all()
        assert (np.diff(faces.scores) <= 0).all()
        finite = np.isfinite(faces.landmarks).all((1, 2))
        assert (finite | np.isnan(faces.landmarks).all((1, 2))).all()


def test_pictures_are_answered_in_pixels_of_their_displayed_size(detector: Any) -> None:
    sizes = [(i.shape[1], i.shape[0]) for i in IMAGES]
    for a, b in zip(detector.detect_pictures([ArrayPicture(i) for i in IMAGES], sizes), detector.detect(IMAGES)):
        assert np.array_equal(a.boxes, b.boxes)
    w, h = detector.input_size(3840, 2160)
    assert 0 < w < 3840
    assert abs(w / h - 16 / 9) < 0.02


def test_the_images_are_left_as_they_were(detector: Any) -> None:
    before = [i.copy() for i in IMAGES]
    detector.detect(IMAGES)
    assert all(np.array_equal(a, b) for a, b in zip(before, IMAGES))


@pytest.mark.parametrize("name", DETECTORS)
def test_low_score_only_adds_faces(name: str) -> None:
    high = DETECTORS[name](score=0.7).detect(IMAGES)
    low = DETECTORS[name](score=0.7, low_score=0.3).detect(IMAGES)
    for a, b in zip(high, low):
        assert len(a) <= len(b)
        assert np.array_equal(b.boxes[b.scores >= 0.7], a.boxes)


@pytest.mark.parametrize("metric", ["cosine", "euclid"])
@pytest.mark.parametrize("name", EMBEDDERS)
def test_vectors_do_not_depend_on_the_batch(name: str, metric: str) -> None:
    embedder = EMBEDDERS[name](metric)
    together = embedder.embed(CROPS)
    alone = np.concatenate([embedder.embed(CROPS[i : i + 1]) for i in range(len(CROPS))])
    assert together.shape == (11, embedder.dimension)
    assert together.dtype == np.float32
    assert np.allclose(together, alone, atol=1e-5)
    if metric == "cosine":
        assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", EMBEDDERS)
def test_no_crops_give_no_vectors_and_the_embedder_says_what_it_is(name: str) -> None:
    embedder = EMBEDDERS[name]("cosine")
    assert embedder.embed(np.zeros((0, 112, 112, 3), np.uint8)).shape == (0, embedder.dimension)
    assert embedder.model
    assert embedder.preferred_batch >= 1
    assert embedder.crop_size == 112
    assert embedder.thresholds.pair == 0.3


@pytest.mark.parametrize("name", QUALITIES)
def test_rates_lie_in_0_to_1_and_do_not_depend_on_the_batch(name: str) -> None:
    quality = QUALITIES[name]()
    rates = quality.rate(CROPS)
    assert rates.shape == (11,)
    assert rates.dtype == np.float32
    assert ((rates >= 0) & (rates <= 1)).all()
    assert np.allclose(rates, [quality.rate(c[None])[0] for c in CROPS], atol=1e-5)
    assert quality.rate(np.zeros((0, 112, 112, 3), np.uint8)).shape == (0,)
    assert 0 <= quality.reject_below < 1
