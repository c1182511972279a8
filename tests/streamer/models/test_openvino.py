"""The OpenVINO backend and the check that lets bf16 in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamer.errors import ModelError
from streamer.models.openvino import KEPT, OpenVinoBackend, disagreement, noise

RNG = np.random.default_rng(0)


def test_the_probe_looks_like_a_normalised_picture() -> None:
    a, b = noise((2, 3, 40, 60)), noise((2, 3, 40, 60))
    assert np.array_equal(a, b)
    assert a.dtype == np.float32
    assert np.abs(a).max() <= 1
    near = np.corrcoef(a[..., :-1].ravel(), a[..., 1:].ravel())[0, 1]
    assert near > 0.7  # neighbours resemble each other


def test_an_embedding_may_turn_a_little_and_no_more() -> None:
    a, b = RNG.normal(size=(2, 512))
    a, b = a / np.linalg.norm(a), b - (b @ a) / (a @ a) * a
    b /= np.linalg.norm(b)
    for cosine, fine in ((0.999, True), (0.990, False)):
        turned = cosine * a + np.sqrt(1 - cosine**2) * b
        assert (disagreement([a[None]], [turned[None]]) is None) is fine


def test_boxes_may_be_2_percent_off_and_scores_two_hundredths() -> None:
    scores, boxes = RNG.random((100, 1)), RNG.random((100, 4)) * 30
    assert disagreement([scores, boxes], [scores + 0.01, boxes * 1.01]) is None
    assert disagreement([scores, boxes], [scores + 0.03, boxes]) == "scores differ by 0.030 > 0.02"
    assert disagreement([scores, boxes], [scores, boxes * 1.05]) == "boxes differ by 0.050 > 0.02"
    assert disagreement([scores, boxes], [scores, boxes * np.nan]) == "values are not finite"


def test_it_gives_what_onnxruntime_gives() -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    from streamer.models.onnx import Session
    from tests.streamer.models import tiny

    x = RNG.normal(size=(3, 3, 112, 112)).astype(np.float32)
    session = Session(tiny.embedder(), device="openvino")
    ours, theirs = session.run_rows(x)[0], Session(tiny.embedder(), device="cpu").run_rows(x)[0]
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert (session.provider, session.on_cpu, session.on_gpu) == ("OpenVINO", False, False)
    assert (cosine > 0.99).all()
    assert session.why.startswith("openvino: asked for; ")
    with pytest.raises(ModelError, match="OpenVINO can run"):
        Session(b"rubbish", device="openvino")


def test_a_network_of_one_size_is_compiled_once_for_all_batches() -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    from tests.streamer.models import tiny

    backend, rng = OpenVinoBackend(tiny.embedder()), np.random.default_rng(0)
    rows = rng.normal(size=(9, 3, 112, 112)).astype(np.float32)
    together = backend.run({"input": rows})[0]
    for count in (1, 2, 5):
        assert np.allclose(backend.run({"input": rows[:count]})[0], together[:count], atol=1e-4)
    assert len(backend._compiled) == 1


def test_every_frame_shape_is_compiled_once_and_few_are_kept() -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    from tests.streamer.models import tiny

    backend = OpenVinoBackend(tiny.mtcnn("p"))
    for width in range(12, 12 + 2 * (KEPT + 3), 2):
        assert backend.run({"input": np.zeros((1, 3, 12, width), np.float32)})[0].ndim == 4
    assert len(backend._compiled) == KEPT


def test_bf16_is_let_in_by_network(shared_models: Path) -> None:
    openvino = pytest.importorskip("openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bf16")
    coarse = OpenVinoBackend((shared_models / "det_500m_batch.onnx").read_bytes())
    fine = OpenVinoBackend((shared_models / "edgeface_xs_512d.onnx").read_bytes())
    assert (coarse.precision, fine.precision) == ("f32", "bf16")
    assert "since in bf16 boxes differ by" in coarse.why
