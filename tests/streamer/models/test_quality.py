"""Quality of aligned crops."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from streamer.crops import TEMPLATES, align
from streamer.models.onnx import Session
from streamer.models.quality import LightQNet, Sharpness
from tests.streamer.models import tiny


def lightqnet(template: str = "arcface-112") -> LightQNet:
    return LightQNet(Session(tiny.quality(), device="cpu"), template=template)


def test_the_network_gets_the_crop_at_96_pixels_normalised() -> None:
    grey = np.stack([np.full((112, 112, 3), v, np.uint8) for v in (0, 128, 255)])
    expected = 1 / (1 + np.exp(-3 * (np.array([0, 128, 255]) - 128) / 128))
    assert np.allclose(lightqnet().rate(grey), expected, atol=1e-5)


def test_crops_of_another_template_are_moved_onto_arcface_first() -> None:
    seen = []
    made = lightqnet("dlib-150")
    run = made.session.backend.run
    made.session.backend.run = lambda feeds: seen.append(feeds["input"]) or run(feeds)  # type: ignore[method-assign]
    crop = np.zeros((150, 150, 3), np.uint8)
    for x, y in TEMPLATES["dlib-150"].points:
        cv2.circle(crop, (round(x), round(y)), 3, (255, 255, 255), -1)
    made.rate(crop[None])
    for x, y in TEMPLATES["arcface-112"].points:
        column, row = round(x * 96 / 112), round(y * 96 / 112)
        assert seen[0][0, 0, row - 3 : row + 4, column - 3 : column + 4].max() > 0.5


def test_the_fallback_ranks_a_clean_crop_over_a_blurred_one() -> None:
    rng = np.random.default_rng(0)
    clean = cv2.resize(rng.integers(0, 256, (28, 28, 3), dtype=np.uint8), (112, 112), interpolation=cv2.INTER_NEAREST)
    pair = np.stack([clean, cv2.GaussianBlur(clean, (0, 0), 5)])
    rates = Sharpness().rate(pair)
    assert rates[0] > rates[1]
    assert rates[0] == 1.0


def test_real_faces_rate_higher_than_the_same_faces_blurred(shared_models: Path, shared_data: Path) -> None:
    rater = LightQNet(shared_models / "lightqnet_dm100.onnx", device="cpu")
    files = sorted((shared_data / "photos" / "lfw").rglob("*.jpg"))[::400]
    crops = np.stack([cv2.resize(cv2.imread(str(f))[65:185, 65:185], (112, 112)) for f in files])
    blurred = np.stack([cv2.GaussianBlur(c, (0, 0), 4) for c in crops])
    assert np.median(rater.rate(crops)) > 0.5
    assert (rater.rate(crops) > rater.rate(blurred)).mean() > 0.9


def test_a_face_through_dlibs_template_rates_nearly_as_through_arcfaces(shared_models: Path, shared_data: Path) -> None:
    from streamer.models.scrfd import SCRFD

    file = shared_models / "lightqnet_dm100.onnx"
    detector = SCRFD(shared_models / "det_500m_batch.onnx", long_side=256, device="cpu")
    direct, moved = LightQNet(file, device="cpu"), LightQNet(file, template="dlib-150", device="cpu")
    for path in sorted((shared_data / "photos" / "lfw").rglob("*.jpg"))[::700]:
        image = cv2.imread(str(path))
        points = detector.detect([image])[0].landmarks[:1]
        a = direct.rate(align(image, points, "arcface-112"))
        b = moved.rate(align(image, points, "dlib-150"))
        assert np.allclose(a, b, atol=0.06)
