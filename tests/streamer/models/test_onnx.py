"""The seam: files, devices, providers, batches."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from streamer.errors import ConfigError, DeviceError, ModelError
from streamer.models import runtime as seam
from streamer.models.onnx import Session, file_sha256, read_model
from streamer.models.runtime import Device, Tensor, engine_folder, provider_list
from tests.streamer.models import tiny


class FakeBackend:
    """A device with room for `most` rows; doubles its input."""

    outputs = (Tensor("out", (None, 3)),)

    def __init__(self, most: int, provider: str = "CUDAExecutionProvider", batch: int | None = None) -> None:
        self.most, self.provider = most, provider
        self.inputs = (Tensor("in", (batch, 3)),)
        self.seen: list[int] = []

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        rows = feeds["in"]
        self.seen.append(len(rows))
        if len(rows) > self.most:
            raise RuntimeError("CUDA failure 2: out of memory")
        return [rows * 2]


def no_gpu_runtime(monkeypatch: pytest.MonkeyPatch, active: str) -> None:
    """A wheel that lists CUDA and TensorRT; the session that comes out runs on `active`."""
    import onnxruntime as real

    class Made:
        def __init__(self, model: Any, options: Any, providers: list[Any], enable_fallback: int) -> None:
            assert enable_fallback == 0
            self._inner = real.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            print("*** EP Error ***")  # as onnxruntime does

        def get_providers(self) -> list[str]:
            return [active]

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    fake = SimpleNamespace(
        __version__="1.30.0",
        InferenceSession=Made,
        SessionOptions=real.SessionOptions,
        set_default_logger_severity=lambda level: None,
        OrtValue=SimpleNamespace(ortvalue_from_numpy=lambda v, kind, index: real.OrtValue.ortvalue_from_numpy(v)),
        get_available_providers=lambda: list(seam.PROVIDERS.values()),
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    monkeypatch.setattr(seam, "card_present", lambda: True)


@pytest.mark.parametrize(
    ("text", "kind", "index"),
    [("auto", "auto", 0), ("CPU", "cpu", 0), ("cuda:1", "cuda", 1), ("tensorrt", "tensorrt", 0)],
)
def test_devices_are_read_as_people_write_them(text: str, kind: str, index: int) -> None:
    assert Device.parse(text) == Device(kind, index)


@pytest.mark.parametrize("text", ["gpu", "cuda:x", "cpu:1", "cuda:", ""])
def test_other_devices_are_refused_with_the_list(text: str) -> None:
    with pytest.raises(ConfigError, match="auto, cpu, cuda, cuda:N, tensorrt or openvino"):
        Device.parse(text)


def test_files_that_are_no_models_are_told_apart(tmp_path: Path) -> None:
    pointer, empty, text = tmp_path / "a.onnx", tmp_path / "b.onnx", tmp_path / "c.onnx"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    empty.touch()
    text.write_text("this is not a model")
    for path, words in (
        (pointer, "Git LFS pointer"),
        (empty, "is empty"),
        (tmp_path / "none.onnx", "No such file"),
        (text, "c.onnx: this is not a model"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(ModelError, match=words):
            Session(path, device="cpu")


def test_without_onnxruntime_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match=r'pip install "whowhen\[cpu\]"'):
        Session(tiny.embedder(), device="cpu")


@pytest.mark.parametrize(
    "load", ["streamer.models.runtime import load_runtime", "pipelines.doctor import _load_runtime"]
)
def test_the_runtime_keeps_no_number_of_this_machine_and_reports_to_nobody(load: str, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ORT_", "XDG_"))} | {"HOME": str(tmp_path)}
    session = "load().InferenceSession(sys.stdin.buffer.read(), providers=['CPUExecutionProvider'])"
    code = f"import sys; from {load} as load; {session}"
    model = tiny.embedder()
    subprocess.run([sys.executable, "-c", code], input=model, env=environment, check=True)
    assert not list(tmp_path.rglob("*onnxruntime*"))


def test_a_runtime_of_which_half_was_uninstalled_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace())
    with pytest.raises(ModelError, match="two distributions"):
        Session(tiny.embedder(), device="auto")


def test_the_processor_says_what_it_is() -> None:
    session = Session(tiny.embedder(), device="cpu")
    assert (session.provider, session.on_cpu, session.on_gpu, session.takes_bytes) == (
        "CPUExecutionProvider",
        True,
        False,
        False,
    )
    assert session.inputs == (Tensor("input", (None, 3, 112, 112)),)
    assert session.preferred_batch == 8


def test_asking_for_cuda_where_the_wheel_has_none_fails_loudly() -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(DeviceError, match=r"no CUDAExecutionProvider. Run: .*whowhen\[gpu\]"):
        Session(tiny.embedder(), device="cuda")


def test_asking_for_cuda_fails_loudly_when_the_processor_would_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_gpu_runtime(monkeypatch, "CPUExecutionProvider")
    with pytest.raises(DeviceError, match="cuda was asked for but CPUExecutionProvider would run"):
        Session(tiny.embedder(), device="cuda")
    assert capsys.readouterr().out == ""


def test_auto_falls_back_with_one_line_of_why(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime as real

    no_gpu_runtime(monkeypatch, "CPUExecutionProvider")
    session = Session(tiny.embedder(), device="auto")
    assert session.why.startswith("cpu: device cuda was asked for but CPUExecutionProvider would run")
    monkeypatch.setattr(seam, "card_present", lambda: False)
    assert Session(tiny.embedder(), device="auto").why == "cpu: no NVIDIA card on this machine"
    monkeypatch.setitem(sys.modules, "onnxruntime", real)
    if "CUDAExecutionProvider" not in real.get_available_providers():
        assert Session(tiny.embedder()).why == "cpu: no CUDA in this onnxruntime"


def test_auto_takes_cuda_where_it_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    no_gpu_runtime(monkeypatch, "CUDAExecutionProvider")
    session = Session(tiny.embedder(), device="auto")
    assert (session.why, session.on_gpu, session.preferred_batch) == ("cuda: active", True, 32)


def test_a_gpu_gets_pictures_as_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from streamer.models.aligned import AlignedEmbedder

    no_gpu_runtime(monkeypatch, "CUDAExecutionProvider")
    bars = {"pair": 0.3, "link": 0.4, "merge": 0.3}
    (tmp_path / "e.onnx").write_bytes(tiny.embedder())
    crops = np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)
    card = AlignedEmbedder(tmp_path / "e.onnx", dimension=16, thresholds=bars, device="cuda")
    processor = AlignedEmbedder(Session(tmp_path / "e.onnx", backend=plain()), dimension=16, thresholds=bars)
    assert card.session.takes_bytes
    assert not processor.session.takes_bytes
    assert np.allclose(card.embed(crops), processor.embed(crops), atol=1e-6)


def plain() -> Any:
    """The tiny embedder on the processor, whatever runtime is faked."""
    import onnxruntime

    inner = onnxruntime.InferenceSession(
        tiny.embedder(), onnxruntime.SessionOptions(), providers=["CPUExecutionProvider"], enable_fallback=0
    )
    return SimpleNamespace(
        provider="CPUExecutionProvider",
        inputs=(Tensor("input", (None, 3, 112, 112)),),
        outputs=(Tensor("embedding", (None, 16)),),
        run=lambda feeds: inner.run(None, dict(feeds)),
    )


def test_cuda_options_neither_tune_for_every_shape_nor_hoard_memory() -> None:
    (name, options), last = provider_list(Device("cuda", 1), None, "", memory_mb=512)
    assert (name, last) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options == {
        "device_id": 1,
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "gpu_mem_limit": 512 << 20,
    }


def test_tensorrt_keeps_its_engines_where_card_version_and_model_are_named(tmp_path: Path) -> None:
    first, *rest = provider_list(Device("tensorrt"), tmp_path, "a" * 64)
    assert first[0] == "TensorrtExecutionProvider"
    assert first[1]["trt_fp16_enable"] is True
    assert first[1]["trt_engine_cache_path"] == first[1]["trt_timing_cache_path"]
    assert [p if isinstance(p, str) else p[0] for p in rest] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    folder = engine_folder(tmp_path, "NVIDIA H200", "10.3.0", "abcdef0123456789ff")
    assert folder == tmp_path / "nvidia-h200-10-3-0-abcdef0123456789"
    others = [
        engine_folder(tmp_path, "NVIDIA T4", "10.3.0", "abcdef0123456789ff"),
        engine_folder(tmp_path, "NVIDIA H200", "10.4.0", "abcdef0123456789ff"),
        engine_folder(tmp_path, "NVIDIA H200", "10.3.0", "bbcdef0123456789ff"),
    ]
    assert len({folder, *others}) == 4


def test_rows_come_back_complete_when_the_device_runs_out_of_memory() -> None:
    rows = np.arange(60, dtype=np.float32).reshape(20, 3)
    backend = FakeBackend(most=4)
    session = Session(b"x", backend=backend)
    assert np.array_equal(session.run_rows(rows)[0], rows * 2)
    assert session.preferred_batch <= 4
    assert set(backend.seen[-4:]) <= {1, 4}


def test_a_network_for_one_batch_size_is_fed_that_size() -> None:
    backend = FakeBackend(most=99, provider="CPUExecutionProvider", batch=4)
    rows = np.arange(30, dtype=np.float32).reshape(10, 3)
    assert np.array_equal(Session(b"x", backend=backend).run_rows(rows)[0], rows * 2)
    assert backend.seen == [4, 4, 4]


def test_iobinding_gives_what_run_gives_and_keeps_a_few_shapes() -> None:
    model, rng = tiny.embedder(), np.random.default_rng(0)
    plain = seam.RuntimeBackend(model, Device("cpu"))
    bound = seam.RuntimeBackend(model, Device("cpu"), place=("cpu", 0))
    for count in (2, 1, 2, 3, 2, *range(4, 12), 2):
        x = rng.normal(size=(count, 3, 112, 112)).astype(np.float32)
        assert np.array_equal(bound.run({"input": x})[0], plain.run({"input": x})[0])
    first = bound.run({"input": np.zeros((2, 3, 112, 112), np.float32)})[0]
    kept = first.copy()
    bound.run({"input": np.ones((2, 3, 112, 112), np.float32)})
    assert np.array_equal(first, kept)  # what was given is not written over by the next call
    assert len(bound._bound) == seam.BOUND
    strided = np.ones((2, 112, 112, 3), np.float32).transpose(0, 3, 1, 2)
    assert np.array_equal(bound.run({"input": strided})[0], plain.run({"input": strided})[0])


def test_the_hash_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
    assert read_model(tmp_path / "x") == b"abc"
