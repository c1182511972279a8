"""Embedders of aligned crops: what the pack says is what the network gets, or an error says what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from streamer.errors import ModelError
from streamer.models.aligned import AlignedEmbedder
from streamer.models.base import Thresholds
from streamer.models.onnx import Session
from tests.streamer.models import tiny

BARS = {"pair": 0.3, "link": 0.42, "merge": 0.31}
CROPS = np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)


def embedder(**options: Any) -> AlignedEmbedder:
    network = {k: options.pop(k) for k in ("side", "batch") if k in options}
    model = tiny.embedder(layout=options.get("layout", "nchw"), **network)
    return AlignedEmbedder(Session(model, device="cpu"), **{"dimension": 16, "thresholds": BARS, **options})


def test_cosine_rows_are_unit_and_euclid_rows_are_raw() -> None:
    unit, raw = embedder().embed(CROPS), embedder(metric="euclid").embed(CROPS)
    assert unit.shape == (5, 16)
    assert unit.dtype == np.float32
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    assert np.allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), unit, atol=1e-6)
    assert not np.allclose(np.linalg.norm(raw, axis=1), 1, atol=0.01)


def test_colour_mean_and_std_reach_the_network() -> None:
    made = embedder(colour="bgr", mean=[1.0, 2.0, 3.0], std=256, metric="euclid")
    expected = made.session.run(((CROPS - np.array([1.0, 2.0, 3.0])) / 256).transpose(0, 3, 1, 2).astype(np.float32))[0]
    assert np.allclose(made.embed(CROPS), expected, atol=1e-5)
    assert not np.allclose(embedder(colour="rgb").embed(CROPS), embedder(colour="bgr").embed(CROPS))


def test_channels_last_gives_the_same_vectors() -> None:
    assert np.allclose(embedder(layout="nhwc").embed(CROPS), embedder().embed(CROPS), atol=1e-6)


def test_the_mirror_image_makes_no_difference_with_flip() -> None:
    mirrored = np.ascontiguousarray(CROPS[:, :, ::-1])
    for metric in ("cosine", "euclid"):
        made = embedder(flip=True, metric=metric)
        assert np.allclose(made.embed(CROPS), made.embed(mirrored), atol=1e-5)
    assert not np.allclose(embedder().embed(CROPS), embedder().embed(mirrored), atol=1e-3)
    assert np.allclose(np.linalg.norm(embedder(flip=True).embed(CROPS), axis=1), 1, atol=1e-6)


def test_a_model_for_one_crop_at_a_time_takes_many() -> None:
    assert np.allclose(embedder(batch=1).embed(CROPS), embedder().embed(CROPS), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dimension": 512}, "vectors of 16 numbers, the pack says 512. Write dimension: 16"),
        ({"template": "dlib-150"}, "template dlib-150 makes crops of 150 pixels"),
        ({"template": "nonsense"}, "nonsense is not an alignment template"),
        ({"metric": "hamming"}, "write cosine or euclid"),
        ({"colour": "grey"}, "write rgb or bgr"),
        ({"thresholds": {"pair": 0.3}}, "thresholds need pair, link and merge, got pair"),
        ({"input": "data"}, "has no input 'data'. It has: input"),
        ({"output": "fc1"}, "has no output 'fc1'. It has: embedding"),
    ],
)
def test_a_pack_that_does_not_fit_its_file_is_told_at_once(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words.replace(".", r"\.")):
        embedder(**options)


def test_crops_of_another_size_are_refused() -> None:
    with pytest.raises(ModelError, match="112x112x3 are expected"):
        embedder().embed(np.zeros((1, 96, 96, 3), np.uint8))


def test_the_model_id_names_file_and_hash_unless_the_pack_gives_one(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny.embedder())
    made = AlignedEmbedder(path, dimension=16, thresholds=Thresholds(0.3, 0.4, 0.3), device="cpu")
    assert made.model.startswith("tiny-")
    assert len(made.model) == len("tiny-") + 12
    named = AlignedEmbedder(path, dimension=16, thresholds=BARS, model="mine-1", device="cpu")
    assert (named.model, named.thresholds) == ("mine-1", Thresholds(0.3, 0.42, 0.31))


def test_a_real_embedder_agrees_with_insightface(shared_models: Path) -> None:
    zoo = pytest.importorskip("insightface.model_zoo.arcface_onnx")
    file = shared_models / "edgeface_xs_512d.onnx"
    theirs = zoo.ArcFaceONNX(model_file=str(file), session=raw_session(file)).get_feat(list(CROPS))
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    ours = AlignedEmbedder(file, thresholds=BARS, device="cpu").embed(CROPS)
    assert np.abs(ours - theirs).max() < 1e-5


def raw_session(file: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def test_single_photos_merge_at_a_bar_of_their_own_where_the_pack_has_one() -> None:
    assert Thresholds(0.3, 0.42, 0.31).merge_photos == 0.31
    assert Thresholds(0.3, 0.42, 0.31, 0.28).merge_photos == 0.28
