"""Networks in OpenVINO (extra `openvino`): bf16 on processors that have it, where a numeric check allows it.

onnxruntime's own CPU provider knows no bf16; on AMX it is 2 to 6 times as fast. It is not for every network: at load
each is run in both precisions on the same drawn noise, and stays in f32 when the answers differ too much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ModelError
from streamer.items import F32
from streamer.models.runtime import Array, Tensor

COSINE = 0.995  # of embeddings
APART = 0.02  # scores in their own unit, boxes and landmarks relative: 2 %
KEPT = 16  # compiled shapes: MTCNN's pyramid of a square frame has ten
PROBE = (192, 320)  # height, width where the network takes any


def noise(shape: Sequence[int], seed: int = 0) -> F32:
    """Smooth noise with the spectrum of photos (1 / f), within -1..1: to a network it looks like a picture."""
    height, width = shape[-2:]
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    power = (down**2 + across**2) ** 0.55
    power[0, 0] = 1.0
    white = np.random.default_rng(seed).normal(size=tuple(shape))
    smooth = np.fft.ifft2(np.fft.fft2(white) / power).real
    return np.asarray(np.clip(smooth / smooth.std() * 0.4, -1, 1), np.float32)


def disagreement(reference: Sequence[Array], other: Sequence[Array]) -> str | None:
    """Why `other` is not as good as the reference; None when it is.

    One output of many numbers is an embedding and must point the same way (cosine >= 0.995). Of several outputs those
    within -1..1 are scores and may differ by 0.02, the others by 2 % of their length.
    """
    for ref, out in zip(reference, other, strict=True):
        if not np.isfinite(out).all():
            return "values are not finite"
        a, b = ref.astype(np.float64).ravel(), out.astype(np.float64).ravel()
        if len(reference) == 1 and ref.shape[-1] > 1:
            cosine = float(a @ b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)
            if cosine < COSINE:
                return f"cosine {cosine:.4f} < {COSINE}"
            continue
        scores = bool(np.abs(a).max(initial=0) <= 1)
        size = 1.0 if scores else max(float(np.linalg.norm(a)), 1e-12)
        apart = float(np.abs(a - b).max(initial=0) if scores else np.linalg.norm(a - b)) / size
        if apart > APART:
            return f"{'scores' if scores else 'boxes'} differ by {apart:.3f} > {APART}"
    return None


def _library() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise ModelError('openvino is not installed. Run: pip install "whowhen[openvino]"') from error
    return openvino


class OpenVinoBackend:
    """A network on the processor through OpenVINO. `precision` is bf16 or f32, `why` says how that came.

    It compiles once for every input shape and keeps the last few; once for all batch sizes where only those differ
    (EdgeFace-XS, f32: 0.4 CPU-s to compile, 5 faces 26 ms; for batches of 8 alone 0.5 s, 5 faces filled up 32 ms).
    """

    provider = "OpenVINO"

    def __init__(self, model: bytes, *, threads: int = 1, cache: Path | None = None) -> None:
        openvino = _library()
        self._core = openvino.Core()
        if cache is not None:
            self._core.set_property({"CACHE_DIR": str(cache / "openvino")})
        try:
            self._model = self._core.read_model(model=model, weights=b"")
        except RuntimeError as error:
            line = next((x for x in reversed(str(error).splitlines()) if x.strip()), "unknown error")
            raise ModelError(f"this is not a model OpenVINO can run: {line}. Check the file in the pack.") from error
        self._threads = threads
        self._compiled: dict[tuple[Any, ...], Any] = {}
        self.inputs = tuple(Tensor(i.get_any_name(), _shape(i.partial_shape)) for i in self._model.inputs)
        self.outputs = tuple(Tensor(o.get_any_name(), _shape(o.partial_shape)) for o in self._model.outputs)
        self.precision, self.why = self._choose()

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """The outputs, in the order of `outputs`."""
        return self._infer(feeds, self.precision)

    def _choose(self) -> tuple[str, str]:
        if "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            return "f32", "f32, this processor has no bf16"
        try:
            probe = self._probe()
            reason = disagreement(self._infer(probe, "f32"), self._infer(probe, "bf16"))
        except RuntimeError as error:
            reason = f"the check failed: {str(error).splitlines()[0]}"
        self._compiled.clear()
        return ("bf16", "bf16, checked against f32") if reason is None else ("f32", f"f32, since in bf16 {reason}")

    def _probe(self) -> dict[str, NDArray[Any]]:
        feeds = {}
        for tensor in self.inputs:
            free = (1, 3, *PROBE) if len(tensor.shape) == 4 else (1,) * len(tensor.shape)
            feeds[tensor.name] = noise([s or f for s, f in zip(tensor.shape, free, strict=True)])
        return feeds

    def _infer(self, feeds: Mapping[str, Array], precision: str) -> list[Array]:
        shapes = {n: self._compiled_for(n, v.shape) for n, v in feeds.items()}
        key = (precision, *shapes.items())
        request = self._compiled.pop(key, None) or self._compile(shapes, precision)
        self._compiled[key] = request  # last used last
        while len(self._compiled) > KEPT:
            self._compiled.pop(next(iter(self._compiled)))
        found = request.infer({n: np.ascontiguousarray(v) for n, v in feeds.items()})
        return [np.array(v) for v in found.values()]

    def _compiled_for(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape to compile for: any batch (-1) where the network leaves that free and nothing else."""
        stated = next((t.shape for t in self.inputs if t.name == name), ())
        return (-1, *shape[1:]) if stated[:1] == (None,) and None not in stated[1:] else shape

    def _compile(self, shapes: Mapping[str, tuple[int, ...]], precision: str) -> Any:
        model = self._model.clone()
        model.reshape({n: list(shape) for n, shape in shapes.items()})
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        return self._core.compile_model(model, "CPU", options).create_infer_request()


def _shape(partial: Any) -> tuple[int | None, ...]:
    if partial.rank.is_dynamic:
        return ()
    return tuple(d.get_length() if d.is_static else None for d in partial)
