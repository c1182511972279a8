"""onnxruntime: devices, providers and their options, and a network on one of them."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError, DeviceError, ModelError

Array = NDArray[Any]
Arrange = Callable[[list[Array], int], list[Array]]
KINDS = ("auto", "cpu", "cuda", "tensorrt", "openvino")
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
BOUND = 8  # input shapes a network keeps memory on the card for: the five batch sizes, and a few frame shapes
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


def keep_offline() -> None:
    """Keeps onnxruntime off the network. Its wheels (1.32) report use to mobile.events.data.microsoft.com and keep a
    device number in ~/.cache/Microsoft unless this is in the environment when the module is imported."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def load_runtime() -> Any:
    """The module onnxruntime, kept off the network; ModelError with the line that installs it."""
    keep_offline()
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


def card_present() -> bool:
    """Whether this machine shows an NVIDIA card (Linux: device files of the driver or of WSL; elsewhere: perhaps)."""
    return sys.platform != "linux" or any(Path(p).exists() for p in ("/dev/nvidiactl", "/dev/dxg"))


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
        self,
        model: bytes,
        device: Device,
        *,
        threads: int = 1,
        cache: Path | None = None,
        memory_mb: int | None = None,
        file: Path | None = None,
        place: tuple[str, int] | None = None,
    ) -> None:
        """`file` holds the same bytes: read from there, they are not kept twice and may refer to files beside it.
        `place` (kind, index) is where inputs are kept through an IOBinding: the card by default, and on a processor
        nowhere, where it gains nothing."""
        ort = load_runtime()
        wanted = PROVIDERS[device.kind]
        if wanted not in ort.get_available_providers():
            raise DeviceError(
                f"device {device.kind}: this onnxruntime {ort.__version__} has no {wanted}. Run: {INSTALL_GPU}"
            )
        key = hashlib.sha256(model).hexdigest() if device.kind == "tensorrt" else ""
        providers = provider_list(device, cache, key, memory_mb)
        self._session = _make(ort, model if file is None else str(file), providers, threads, device)
        self.provider = str(self._session.get_providers()[0])
        if self.provider != wanted:
            raise DeviceError(
                f"device {device.kind} was asked for but {self.provider} would run{_because(ort, device)}. Check that "
                'the NVIDIA driver, CUDA and cuDNN fit onnxruntime (pip install "whowhen[gpu]" brings them), or use '
                "--device cpu."
            )
        self._place = ("cuda", device.index) if place is None and device.kind != "cpu" else place
        self._bound: dict[tuple[Any, ...], tuple[Any, dict[str, Any]]] = {}
        self.inputs = tuple(Tensor(i.name, _shape(i.shape), i.type) for i in self._session.get_inputs())
        self.outputs = tuple(Tensor(o.name, _shape(o.shape), o.type) for o in self._session.get_outputs())

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """The outputs for one call, in the order of `outputs`. Safe for several threads."""
        if self._place is not None:
            return self._run_bound(feeds, *self._place)
        out: list[Array] = self._session.run(None, dict(feeds))
        return out

    def _run_bound(self, feeds: Mapping[str, Array], device: str, index: int) -> list[Array]:
        """Through an IOBinding whose inputs stay on the device: a batch size that came before allocates nothing."""
        key = tuple((name, value.shape, value.dtype.str) for name, value in feeds.items())
        try:  # popped while in use: another thread makes its own
            binding, placed = self._bound.pop(key)
        except KeyError:
            binding, placed = self._bind(feeds, device, index)
        else:
            for name, value in feeds.items():
                placed[name].update_inplace(np.ascontiguousarray(value))
        self._session.run_with_iobinding(binding)
        fetched: list[Array] = binding.copy_outputs_to_cpu()
        if len(self._bound) < BOUND:
            self._bound[key] = binding, placed
        return fetched

    def _bind(self, feeds: Mapping[str, Array], device: str, index: int) -> tuple[Any, dict[str, Any]]:
        """A binding with these inputs on the device; outputs are made anew in every call."""
        value_of = load_runtime().OrtValue.ortvalue_from_numpy
        placed = {n: value_of(np.ascontiguousarray(v), device, index) for n, v in feeds.items()}
        binding = self._session.io_binding()
        for name, value in placed.items():
            binding.bind_ortvalue_input(name, value)
        for out in self.outputs:
            binding.bind_output(out.name)
        return binding, placed


def _shape(dims: Sequence[Any]) -> tuple[int | None, ...]:
    return tuple(d if isinstance(d, int) and d > 0 else None for d in dims)


def session_options(threads: int = 1) -> Any:
    """onnxruntime's SessionOptions as every session here has them: `threads` inside a node, no spinning, quiet."""
    options = load_runtime().SessionOptions()
    options.log_severity_level = 3  # errors only: shape warnings of shipped packs are nine lines a frame
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning doubles the CPU time
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def _because(ort: Any, device: Device) -> str:
    """Why a provider does not come up, in brackets: what the loader says of its library, or that there is no card."""
    named = {"cuda": "libonnxruntime_providers_cuda.so", "tensorrt": "libonnxruntime_providers_tensorrt.so"}
    library = Path(getattr(ort, "__file__", None) or "none").parent / "capi" / named.get(device.kind, "")
    if library.is_file():
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            if "undefined symbol" not in str(error):  # those of its host, which is not loaded this way
                return f" ({error})"
    return "" if card_present() else " (no NVIDIA card on this machine)"


def _make(ort: Any, model: bytes | str, providers: list[Any], threads: int, device: Device) -> Any:
    options = session_options(threads)
    heard = io.StringIO()  # onnxruntime prints provider trouble on stdout
    try:
        with contextlib.redirect_stdout(heard):
            if device.kind != "cpu":
                ort.set_default_logger_severity(4)  # four lines of C++ on stderr, which we tell in one
                if hasattr(ort, "preload_dlls"):
                    ort.preload_dlls()
            return ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except Exception as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        if device.kind != "cpu":
            told = _because(ort, device) or f": {line}"
            raise DeviceError(f"device {device.kind} cannot run this model{told}. Use --device cpu.") from error
        raise ModelError(
            f"this is not a model onnxruntime can run: {line}. Check the file named in the pack."
        ) from error
    finally:
        if device.kind != "cpu":
            ort.set_default_logger_severity(3)
