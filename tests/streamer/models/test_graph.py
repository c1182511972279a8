"""Graph changes at load are exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from streamer.errors import ModelError
from streamer.models import graph
from streamer.models.onnx import Session
from streamer.models.pixels import Pixels
from streamer.models.runtime import Device, RuntimeBackend
from tests.streamer.models import tiny

RNG = np.random.default_rng(0)


def raw(model: bytes) -> Session:
    """The session of a model as it is, without any rewriting of ours."""
    return Session(b"x", backend=RuntimeBackend(model, Device("cpu")))


def test_prelu_is_rewritten_bit_for_bit() -> None:
    model = tiny.embedder(prelu=True)
    changed = graph.without_prelu(model)
    assert changed is not None
    assert b"PRelu" not in changed
    x = RNG.normal(size=(2, 3, 112, 112)).astype(np.float32)
    assert np.array_equal(raw(model).run(x)[0], raw(changed).run(x)[0])


def test_a_model_without_prelu_is_left_alone() -> None:
    assert graph.without_prelu(tiny.embedder()) is None


def test_the_session_rewrites_prelu_and_says_so() -> None:
    session = Session(tiny.embedder(prelu=True), device="cpu")
    assert session.notes == ["model: PRelu rewritten, bit-equal and faster on this onnxruntime"]
    assert Session(tiny.embedder(), device="cpu").notes == []


def test_without_the_package_onnx_prelu_stays_and_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "onnx_available", lambda: False)
    session = Session(tiny.embedder(prelu=True), device="cpu")
    assert "left as it is" in session.notes[0]
    assert session.run(np.zeros((1, 3, 112, 112), np.float32))[0].shape == (1, 16)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_pictures_as_bytes_give_what_prepared_floats_give(layout: str) -> None:
    pixels = Pixels((122.8, 117.0, 104.3), (256.0, 128.0, 127.5), "rgb", layout)  # type: ignore[arg-type]
    images = RNG.integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
    model = tiny.embedder(layout=layout)
    inside = Session(graph.with_uint8_input(model, pixels), device="cpu")
    assert inside.takes_bytes
    outside = Session(model, device="cpu").run(pixels.batch(images))
    assert np.array_equal(inside.run(images)[0], outside[0])


def test_freeing_the_batch_of_a_batch_1_scrfd_is_exact() -> None:
    from streamer.models.scrfd import untangle

    model = tiny.scrfd(batched=False)
    freed = graph.with_free_batch(model)
    assert freed is not None
    x = RNG.normal(size=(3, 3, 64, 96)).astype(np.float32)
    together = Session(freed, device="cpu").run(x)
    for i in range(3):
        for one, all_ in zip(Session(model, device="cpu").run(x[i : i + 1]), together):
            assert np.array_equal(untangle(all_, 3, len(one) // 2, 2)[i], one)


def test_a_head_that_is_not_understood_is_left_alone() -> None:
    assert graph.with_free_batch(tiny.scrfd(batched=True)) is None
    assert graph.with_free_batch(tiny.embedder()) is None


def test_the_shipped_detector_is_freed_exactly(shared_models: Path) -> None:
    from streamer.models.scrfd import untangle

    freed = graph.with_free_batch((shared_models / "det_500m.onnx").read_bytes())
    assert freed is not None
    x = RNG.normal(size=(2, 3, 96, 128)).astype(np.float32)
    together = Session(freed, device="cpu").run(x)
    single = Session(shared_models / "det_500m.onnx", device="cpu")
    for i in range(2):
        for one, all_ in zip(single.run(x[i : i + 1]), together):
            assert np.array_equal(untangle(all_, 2, len(one) // 2, 2)[i], one)


def test_prelu_of_a_real_embedder_is_rewritten_bit_for_bit(shared_models: Path) -> None:
    model = (shared_models / "mbf_112_128d.onnx").read_bytes()
    changed = graph.without_prelu(model)
    assert changed is not None
    x = RNG.normal(size=(1, 3, 112, 112)).astype(np.float32)
    assert np.array_equal(raw(model).run(x)[0], raw(changed).run(x)[0])


def classifier() -> bytes:
    """A tiny DeepFace: a vector of four numbers, then a softmax over three people."""
    net = tiny.Net()
    rng = np.random.default_rng(0)
    pooled = net.add("AveragePool", "input", kernel_shape=[16, 16], strides=[16, 16])
    flat = net.add("Flatten", pooled)
    net.add("MatMul", flat, net.constant(rng.normal(size=(12, 4))), out="fc7")
    logits = net.add("MatMul", "fc7", net.constant(rng.normal(size=(4, 3))))
    net.add("Softmax", logits, out="person")
    return tiny.model(net.graph({"input": ["N", 3, 32, 32]}, {"person": ["N", 3]}))


def test_the_vector_before_a_softmax_can_be_had(tmp_path: Path) -> None:
    from streamer.models.aligned import AlignedEmbedder

    (tmp_path / "deepface.onnx").write_bytes(classifier())
    bars = {"pair": 0.5, "link": 0.6, "merge": 0.5}
    made = AlignedEmbedder(
        tmp_path / "deepface.onnx", template="arcface-32", dimension=4, output="fc7", thresholds=bars, device="cpu",
        metric="euclid", mean=0, std=1, colour="bgr",
    )  # fmt: skip
    crops = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    blocks = crops.astype(np.float64).transpose(0, 3, 1, 2).reshape(2, 3, 2, 16, 2, 16).mean((3, 5)).reshape(2, 12)
    wanted = blocks @ np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    np.testing.assert_allclose(made.embed(crops), wanted, rtol=1e-4)
    assert made.model.startswith("deepface-")
    with pytest.raises(ModelError, match="has no output 'fc8'"):
        AlignedEmbedder(tmp_path / "deepface.onnx", output="fc8", thresholds=bars, template="arcface-32", dimension=4)
