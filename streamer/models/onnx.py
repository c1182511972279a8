"""The one seam to a network: which device really runs it, in what batches.

onnxruntime falls back to the processor silently when a GPU provider cannot be loaded, and lists providers that do
not work. Only `session.get_providers()` after a session was made tells the truth, so that is what `provider` says.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError, DeviceError, ModelError
from streamer.models import graph
from streamer.models.batching import Batcher
from streamer.models.pixels import Pixels

Array = NDArray[Any]
Arrange = Callable[[list[Array], int], list[Array]]
KINDS = ("auto", "cpu", "cuda", "tensorrt", "openvino")
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
INSTALL_CPU = 'pip install "whowhen[cpu]"'
INSTALL_GPU = 'pip uninstall -y onnxruntime && pip install "whowhen[gpu]"'


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a network. A size that is free is None."""

    name: str
    shape: tuple[int | None, ...]
    type: str = "tensor(float)"


class Backend(Protocol):
    """Something that runs a network. `provider` is what really runs it."""

    provider: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def run(self, feeds: Mapping[str, Array]) -> list[Array]: ...


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the user names it: `auto`, `cpu`, `cuda`, `cuda:1`, `tensorrt`, `openvino`."""

    kind: str
    index: int = 0

    @classmethod
    def parse(cls, text: str) -> Device:
        """The device a text names; ConfigError names the possible ones."""
        kind, colon, number = text.strip().lower().partition(":")
        if kind not in KINDS or (colon and (kind not in ("cuda", "tensorrt") or not number.isdigit())):
            raise ConfigError(f"{text} is not a device. Write auto, cpu, cuda, cuda:N, tensorrt or openvino.")
        return cls(kind, int(number or 0))


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_model(model: Path | str | bytes) -> bytes:
    """The bytes of a model; ModelError when there is no such file or it is a Git LFS pointer."""
    if isinstance(model, bytes):
        return model
    try:
        data = Path(model).read_bytes()
    except OSError as error:
        raise ModelError(f"{model}: {error.strerror}. Check the file named in the pack.") from error
    if data.startswith(b"version https://git-lfs"):
        raise ModelError(f"{model} is a Git LFS pointer, not a model. Fetch the real file (git lfs pull).")
    if not data:
        raise ModelError(f"{model} is empty. Fetch it again.")
    return data


def runtime() -> Any:
    """The module onnxruntime; ModelError with the line that installs it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(f"onnxruntime is not installed. Run: {INSTALL_CPU}") from error
    if not hasattr(onnxruntime, "InferenceSession"):  # two distributions own one folder; one was uninstalled
        raise ModelError(
            "onnxruntime is damaged (two distributions of it were installed). "
            f"Run: pip uninstall -y onnxruntime onnxruntime-gpu && {INSTALL_CPU}"
        )
    return onnxruntime


def engine_folder(cache: Path, gpu: str, tensorrt: str, model_sha256: str) -> Path:
    """Where TensorRT keeps the engine of a model: an engine is valid for one GPU type, version and model only."""
    safe = "".join(c if c.isalnum() else "-" for c in f"{gpu}-{tensorrt}").strip("-").lower()
    return cache / f"{safe}-{model_sha256[:16]}"


def gpu_name(index: int = 0) -> str:
    """The model name of an NVIDIA card as its driver tells it, or "unknown"."""
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    for line in cards[index].read_text().splitlines() if index < len(cards) else ():
        key, _, value = line.partition(":")
        if key.strip() == "Model":
            return value.strip()
    return "unknown"


def provider_list(device: Device, cache: Path | None, key: str, memory_mb: int | None = None) -> list[Any]:
    """The providers with their options for `cpu`, `cuda` or `tensorrt`, in the order they are tried."""
    if device.kind == "cpu":
        return [PROVIDERS["cpu"]]
    cuda: dict[str, Any] = {
        "device_id": device.index,
        "cudnn_conv_algo_search": "HEURISTIC",  # EXHAUSTIVE, the default, tunes for seconds at every new shape
        "arena_extend_strategy": "kSameAsRequested",
    }
    if memory_mb is not None:
        cuda["gpu_mem_limit"] = memory_mb << 20
    providers: list[Any] = [(PROVIDERS["cuda"], cuda), PROVIDERS["cpu"]]
    if device.kind == "tensorrt":
        options: dict[str, Any] = {"device_id": device.index, "trt_fp16_enable": True}
        if cache is not None:
            folder = str(engine_folder(cache, gpu_name(device.index), _distribution("tensorrt"), key))
            options |= {"trt_engine_cache_enable": True, "trt_engine_cache_path": folder}
            options |= {"trt_timing_cache_enable": True, "trt_timing_cache_path": folder}
        providers.insert(0, (PROVIDERS["tensorrt"], options))
    return providers


def _distribution(name: str) -> str:
    """Version of an installed distribution (`tensorrt`, `tensorrt-cu12`, ...), or "unknown"."""
    from importlib.metadata import PackageNotFoundError, version

    for suffix in ("", "-cu13", "-cu12"):
        with contextlib.suppress(PackageNotFoundError):
            return version(name + suffix)
    return "unknown"


class RuntimeBackend:
    """A network in onnxruntime. DeviceError when the first provider is not the one that was asked for."""

    def __init__(
        self, model: bytes, device: Device, *, threads: int, cache: Path | None, memory_mb: int | None
    ) -> None:
        ort = runtime()
        wanted = PROVIDERS[device.kind]
        if wanted not in ort.get_available_providers():
            raise DeviceError(
                f"device {device.kind}: this onnxruntime {ort.__version__} has no {wanted}. Run: {INSTALL_GPU}"
            )
        key = hashlib.sha256(model).hexdigest() if device.kind == "tensorrt" else ""
        providers = provider_list(device, cache, key, memory_mb)
        self._session = _make(ort, model, providers, threads, device)
        self.provider = str(self._session.get_providers()[0])
        if self.provider != wanted:
            raise DeviceError(
                f"device {device.kind} was asked for but {self.provider} would run. Check that the NVIDIA driver, "
                'CUDA and cuDNN fit onnxruntime (pip install "whowhen[gpu]" brings them), or use --device cpu.'
            )
        self.inputs = tuple(Tensor(i.name, _shape(i.shape), i.type) for i in self._session.get_inputs())
        self.outputs = tuple(Tensor(o.name, _shape(o.shape), o.type) for o in self._session.get_outputs())

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        out: list[Array] = self._session.run(None, dict(feeds))
        return out

    def run_bound(self, feeds: Mapping[str, Array], device: str = "cpu", index: int = 0) -> list[Array]:
        """Like `run`, through an IOBinding: inputs are placed on the device once, outputs fetched at the end."""
        ort = runtime()
        binding = self._session.io_binding()
        for name, value in feeds.items():
            placed = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value), device, index)
            binding.bind_ortvalue_input(name, placed)
        for out in self.outputs:
            binding.bind_output(out.name, device, index)
        self._session.run_with_iobinding(binding)
        fetched: list[Array] = binding.copy_outputs_to_cpu()
        return fetched


def _shape(dims: Sequence[Any]) -> tuple[int | None, ...]:
    return tuple(d if isinstance(d, int) and d > 0 else None for d in dims)


def _make(ort: Any, model: bytes, providers: list[Any], threads: int, device: Device) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only: shape warnings of shipped packs are nine lines a frame
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning doubles the CPU time
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    heard = io.StringIO()  # onnxruntime prints provider trouble on stdout
    try:
        with contextlib.redirect_stdout(heard):
            if device.kind != "cpu" and hasattr(ort, "preload_dlls"):
                ort.preload_dlls()
            return ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except Exception as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        if device.kind != "cpu":
            raise DeviceError(f"device {device.kind} cannot run this model: {line}. Use --device cpu.") from error
        raise ModelError(
            f"this is not a model onnxruntime can run: {line}. Check the file named in the pack."
        ) from error


@lru_cache(maxsize=1)
def _prelu_is_slow() -> bool:
    """onnxruntime from 1.27 on (bisected by wheel: 1.26 fast, 1.27 .. 1.32 slow)."""
    numbers = str(runtime().__version__).split(".")[:2]
    return tuple(int("".join(c for c in n if c.isdigit()) or 0) for n in numbers) >= (1, 27)


class Session:
    """A network on a device.

    `device` as in `Device`; `auto` takes CUDA where it is really active, else the processor, and `why` says so in
    one line. A named device that does not run is a DeviceError. `preferred_batch` is what one call should hold.
    `pixels` says what the network wants of a picture; a GPU then gets uint8 pictures and does the rest itself, and
    `rewrite` may change the graph for it (None: leave it). `backend` replaces everything below the seam.
    """

    def __init__(
        self,
        model: Path | str | bytes,
        *,
        device: str = "auto",
        threads: int = 1,
        cache: Path | None = None,
        memory_mb: int | None = None,
        batch: int | None = None,
        pixels: Pixels | None = None,
        rewrite: Callable[[bytes], bytes | None] | None = None,
        backend: Backend | None = None,
    ) -> None:
        self.name = "model" if isinstance(model, bytes) else Path(model).name
        self.notes: list[str] = []
        self.why = "backend given"
        self._pixels, self._rewrite = pixels, rewrite
        if backend is None:
            backend = self._open(read_model(model), Device.parse(device), threads, cache, memory_mb)
        self.backend = backend
        # batches gain 0 to 20 % on a processor and lose cache; 8 is where the embedders stop gaining
        self._batcher = Batcher(limit=batch or (32 if self.on_gpu else 8), padded=not self.on_cpu)

    def _open(self, model: bytes, device: Device, threads: int, cache: Path | None, memory: int | None) -> Backend:
        if device.kind == "openvino":
            from streamer.models.openvino import OpenVinoBackend

            compiled = OpenVinoBackend(model, threads=threads, cache=cache)
            self.why = f"openvino: asked for; {compiled.why}"
            return compiled
        if device.kind != "auto":
            self.why = f"{device.kind}: asked for"
            return self._runtime(model, device, threads, cache, memory)
        why = "no CUDA in this onnxruntime"
        if PROVIDERS["cuda"] in runtime().get_available_providers():
            try:
                self.why = "cuda: active"
                return self._runtime(model, Device("cuda"), threads, cache, memory)
            except DeviceError as error:
                why = str(error)
        self.why = f"cpu: {why}"
        return self._runtime(model, Device("cpu"), threads, cache, memory)

    def _runtime(self, model: bytes, device: Device, threads: int, cache: Path | None, memory: int | None) -> Backend:
        if device.kind == "cpu" and b"PRelu" in model and _prelu_is_slow():
            model = self._faster(model)
        if device.kind != "cpu":
            model = self._for_gpu(model)
        try:
            return RuntimeBackend(model, device, threads=threads, cache=cache, memory_mb=memory)
        except DeviceError:
            raise
        except ModelError as error:
            raise ModelError(f"{self.name}: {error}") from error

    def _faster(self, model: bytes) -> bytes:
        if not graph.onnx_available():
            self.notes.append(f"{self.name}: PRelu left as it is (slow here); the package onnx would let us rewrite it")
            return model
        changed = graph.without_prelu(model)
        self.notes.append(f"{self.name}: PRelu rewritten, bit-equal and faster on this onnxruntime")
        return changed or model

    def _for_gpu(self, model: bytes) -> bytes:
        """The graph with its batch axis freed and pictures taken as uint8: a quarter of the bytes to the card."""
        if self._pixels is None:
            return model
        if not graph.onnx_available():
            self.notes.append(f"{self.name}: graph left as it is; the package onnx would let us batch and send bytes")
            return model
        if self._rewrite is not None:
            model = self._rewrite(model) or model
        return graph.with_uint8_input(model, self._pixels)

    @property
    def provider(self) -> str:
        """What really runs the network, as the runtime says."""
        return self.backend.provider

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return self.backend.inputs

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return self.backend.outputs

    @property
    def on_cpu(self) -> bool:
        return self.provider == PROVIDERS["cpu"]

    @property
    def on_gpu(self) -> bool:
        return self.provider in (PROVIDERS["cuda"], PROVIDERS["tensorrt"])

    @property
    def takes_bytes(self) -> bool:
        """Whether the network wants pictures (n, h, w, 3) uint8 BGR as they are."""
        return self.inputs[0].type == "tensor(uint8)"

    @property
    def preferred_batch(self) -> int:
        """Rows one call should hold; falls when the device ran out of memory."""
        return self._batcher.limit

    def run(self, feeds: Mapping[str, Array] | Array) -> list[Array]:
        """The outputs for one call, as they come; a bare array goes to the first input."""
        if isinstance(feeds, np.ndarray):
            feeds = {self.inputs[0].name: feeds}
        return self.backend.run(feeds)

    def run_rows(self, rows: Array, arrange: Arrange | None = None) -> list[Array]:
        """The outputs for n >= 1 rows of the first input, in batches the device likes; all outputs have n rows.

        `arrange(outputs, count)` brings the outputs of one call into that form where the network does not.
        """
        batcher, fixed = self._batcher, self.inputs[0].shape[0] if self.inputs[0].shape else None
        if fixed is not None:  # exported for one batch size
            batcher = Batcher(limit=fixed, padded=True, sizes=(fixed,))
        if arrange is None:
            return batcher(self.run, rows)
        return batcher(lambda part: arrange(self.run(part), len(part)), rows)
