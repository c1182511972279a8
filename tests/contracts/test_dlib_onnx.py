"""The converted ResNet against dlib itself, on real faces out of installed packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamer.models import packs
from streamer.models.convert.recipes import RECIPES, converted, package_file

PACKAGE = "face_recognition_models"
dlib: Any = pytest.importorskip("dlib", reason="dlib-bin is not installed")
if any(importlib.util.find_spec(p) is None for p in (PACKAGE, "onnx", "onnxruntime")):
    pytest.skip(f"{PACKAGE}, onnx or onnxruntime is not installed", allow_module_level=True)


def pictures() -> list[np.ndarray]:
    """RGB pictures with faces, from scikit-image and insightface where they are installed."""
    import cv2

    found = []
    if importlib.util.find_spec("skimage") is not None:
        from skimage import data

        found.append(np.asarray(data.astronaut()))
    spec = importlib.util.find_spec("insightface")
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in sorted(Path(folder).rglob("t1.jpg"))[:1]:
            found.append(cv2.imread(str(path))[:, :, ::-1])
    return [np.ascontiguousarray(p) for p in found]


@pytest.fixture(scope="module")
def chips() -> np.ndarray:
    """(n, 150, 150, 3) RGB faces cut by dlib's own five-point predictor."""
    predict = dlib.shape_predictor(str(package_file(PACKAGE, "models/shape_predictor_5_face_landmarks.dat")))
    detect = dlib.get_frontal_face_detector()
    found = [dlib.get_face_chip(p, predict(p, box), 150, 0.25) for p in pictures() for box in detect(p, 0)]
    if not found:
        pytest.skip("no picture with a face: neither scikit-image nor insightface is installed")
    return np.stack(found)


@pytest.fixture(scope="module")
def native(chips: np.ndarray) -> np.ndarray:
    net = dlib.face_recognition_model_v1(str(package_file(PACKAGE, RECIPES["dlib"].sources["file"].path)))
    return np.array([net.compute_face_descriptor(chip) for chip in chips])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHOWHEN_CACHE", str(tmp_path))


@pytest.mark.usefixtures("cache")
def test_the_converted_resnet_equals_dlib_on_real_faces(chips: np.ndarray, native: np.ndarray) -> None:
    from streamer.models.aligned import AlignedEmbedder

    options = {**packs.read_pack("open").embedder.options, "metric": "euclid", "flip": False}
    embedder = AlignedEmbedder(converted("dlib")["file"], **options, device="cpu")
    vectors = embedder.embed(np.ascontiguousarray(chips[..., ::-1]))
    np.testing.assert_allclose(vectors, native, atol=1e-5)
    assert np.linalg.norm(native, axis=1).min() > 1.1  # raw vectors are not of unit length


@pytest.mark.usefixtures("cache")
def test_the_open_pack_finds_and_tells_apart_the_same_faces(native: np.ndarray) -> None:
    from streamer.crops import align

    models = packs.build(packs.load_pack("open"), "cpu")
    vectors = []
    for picture in pictures():
        image = np.ascontiguousarray(picture[..., ::-1])
        faces = models.detector.detect([image])[0]
        vectors.append(models.embedder.embed(align(image, faces.landmarks, models.embedder.template)))
    found = np.concatenate(vectors)
    assert len(found) >= len(native)
    alike = found @ found.T - 2 * np.eye(len(found))
    assert alike.max() < models.embedder.thresholds.merge  # all of them are different people
