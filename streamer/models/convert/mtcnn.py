"""The three networks of MTCNN as ONNX, from the weights in the package `mtcnn` (MIT), without TensorFlow.

Inputs (N, 3, h, w) RGB (x - 127.5) / 128: P-Net any size, R-Net 24, O-Net 48. Outputs `bbox`, `score` (row 1 = face)
and, of O-Net, `landmark` (five x, then five y, in units of the box). Keras kernels (h, w, in, out) become
(out, in, h, w); before the dense layers (n, c, h, w) is turned to the order Keras flattened, (w, h, c).
"""

from __future__ import annotations

import importlib.util
import io
from typing import Any

import numpy as np

from streamer.errors import ModelError
from streamer.items import F32
from streamer.models.convert.graph import INSTALL, GraphWriter


def keras_weights(data: bytes) -> list[F32]:
    """The arrays of an lz4 file of the package `mtcnn`, in Keras order.

    joblib's format is pickle, which can run code: the caller must have compared the bytes with a known SHA-256.
    """
    try:
        import joblib
    except ImportError as error:
        raise ModelError(f"joblib is needed to read MTCNN's weights. Run: {INSTALL}") from error
    if importlib.util.find_spec("lz4") is None:  # joblib reads its files only where it is there
        raise ModelError(f"lz4 is needed to read MTCNN's weights. Run: {INSTALL}")
    return [np.asarray(w, np.float32) for w in joblib.load(io.BytesIO(data))]


class _Net:
    """A graph that grows by Keras layers, taking their weights in order."""

    def __init__(self, data: bytes) -> None:
        self._rest = keras_weights(data)[::-1]
        self.graph = GraphWriter()
        self.value = "input"

    def _take(self, *sizes: int) -> F32:
        if not self._rest or self._rest[-1].ndim != len(sizes):
            raise ModelError("these are not the weights of MTCNN: another number of layers.")
        return self._rest.pop()

    def convolution(self, value: str = "", name: str = "") -> str:
        kernel = self._take(0, 0, 0, 0).transpose(3, 2, 0, 1)
        return self.graph.add(
            "Conv", value or self.value, kernel, self._take(0), name=name, kernel_shape=list(kernel.shape[2:])
        )

    def activated(self) -> None:
        """Convolution and PReLU with a slope per channel."""
        made = self.convolution()
        self.value = self.graph.add("PRelu", made, self._take(0, 0, 0).reshape(-1, 1, 1))

    def pooled(self, side: int, same: bool) -> None:
        self.value = self.graph.add(
            "MaxPool",
            self.value,
            kernel_shape=[side, side],
            strides=[2, 2],
            auto_pad="SAME_UPPER" if same else "VALID",
        )

    def flattened(self) -> None:
        """Keras' Permute((2, 1, 3)) on (h, w, c) and Flatten."""
        turned = self.graph.add("Transpose", self.value, perm=[0, 3, 2, 1])
        self.value = self.graph.add("Flatten", turned, axis=1)

    def dense(self, name: str = "") -> str:
        return self.graph.add("Gemm", self.value, self._take(0, 0), self._take(0), name=name)

    def score(self, made: str) -> None:
        self.graph.add("Softmax", made, name="score", axis=1)

    def finish(self, name: str, side: int | None, outputs: dict[str, int]) -> bytes:
        if self._rest:
            raise ModelError(f"these are not the weights of MTCNN: {len(self._rest)} arrays are left over.")
        sizes: list[Any] = ["H", "W"] if side is None else [side, side]
        cells = ["h", "w"] if side is None else []
        return self.graph.finish(
            name, {"input": ["N", 3, *sizes]}, {n: ["N", size, *cells] for n, size in outputs.items()}
        )


def pnet(data: bytes) -> bytes:
    """P-Net as ONNX bytes."""
    net = _Net(data)
    net.activated()
    net.pooled(2, same=True)
    net.activated()
    net.activated()
    net.convolution(name="bbox")
    net.score(net.convolution())
    return net.finish("mtcnn_pnet", None, {"bbox": 4, "score": 2})


def rnet(data: bytes) -> bytes:
    """R-Net as ONNX bytes."""
    net = _Net(data)
    net.activated()
    net.pooled(3, same=True)
    net.activated()
    net.pooled(3, same=False)
    net.activated()
    net.flattened()
    _hidden(net)
    net.dense("bbox")
    net.score(net.dense())
    return net.finish("mtcnn_rnet", 24, {"bbox": 4, "score": 2})


def onet(data: bytes) -> bytes:
    """O-Net as ONNX bytes."""
    net = _Net(data)
    net.activated()
    net.pooled(3, same=True)
    net.activated()
    net.pooled(3, same=False)
    net.activated()
    net.pooled(2, same=True)
    net.activated()
    net.flattened()
    _hidden(net)
    net.dense("bbox")
    net.dense("landmark")
    net.score(net.dense())
    return net.finish("mtcnn_onet", 48, {"bbox": 4, "landmark": 10, "score": 2})


def _hidden(net: _Net) -> None:
    made = net.dense()
    net.value = net.graph.add("PRelu", made, net._take(0))
