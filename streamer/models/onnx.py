"""The one seam to a network: which device really runs it, in what batches.

onnxruntime falls back to the processor silently when a GPU provider cannot be loaded, and lists providers that do
not work. Only `session.get_providers()` after a session was made tells the truth, so that is what `provider` says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from streamer.errors import DeviceError, ModelError
from streamer.models import graph, runtime
from streamer.models.batching import Batcher
from streamer.models.cache import cache_folder
from streamer.models.pixels import Pixels
from streamer.models.runtime import PROVIDERS, Arrange, Array, Backend, Device, RuntimeBackend, Tensor


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


@lru_cache(maxsize=1)
def _prelu_is_slow() -> bool:
    """onnxruntime from 1.27 on (bisected by wheel: 1.26 fast, 1.27 .. 1.32 slow)."""
    numbers = str(runtime.load_runtime().__version__).split(".")[:2]
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
        self._file = None if isinstance(model, bytes) else Path(model)
        if backend is None:
            backend = self._open(read_model(model), Device.parse(device), threads, cache, memory_mb)
        self.backend = backend
        # batches gain 0 to 20 % on a processor and lose cache; 8 is where the embedders stop gaining
        self._batcher = Batcher(limit=batch or (32 if self.on_gpu else 8), padded=self.on_gpu)

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
        if PROVIDERS["cuda"] in runtime.load_runtime().get_available_providers():
            why = "no NVIDIA card on this machine"
        if PROVIDERS["cuda"] in runtime.load_runtime().get_available_providers() and runtime.card_present():
            try:
                self.why = "cuda: active"
                return self._runtime(model, Device("cuda"), threads, cache, memory)
            except DeviceError as error:
                why = str(error)
        self.why = f"cpu: {why}"
        return self._runtime(model, Device("cpu"), threads, cache, memory)

    def _runtime(self, model: bytes, device: Device, threads: int, cache: Path | None, memory: int | None) -> Backend:
        wanted = model
        if device.kind == "cpu" and b"PRelu" in model and _prelu_is_slow():
            wanted = self._faster(model)
        if device.kind != "cpu":
            wanted = self._for_gpu(model)
        file = self._file if wanted is model else None
        if device.kind == "tensorrt":  # building an engine takes minutes
            cache = cache or cache_folder() / "engines"
        try:
            return RuntimeBackend(wanted, device, threads=threads, cache=cache, memory_mb=memory, file=file)
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
