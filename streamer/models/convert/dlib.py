"""dlib's face ResNet (King 2017, "High Quality Face Recognition with Deep Metric Learning"; CC0) as ONNX.

The network: conv 7x7/2, relu, max pool 3x3/2, fourteen residual blocks of two 3x3 convolutions, global average, a
256 x 128 matrix. A "down" block halves: its first convolution has stride 2 and no padding, its shortcut is an average
pool 2x2/2; the smaller of the two sums is padded with zeros at the right, at the bottom and in channels. Each
convolution's affine layer is folded into it. Input (N, 3, 150, 150) RGB, (x - (122.782, 117.001, 104.298)) / 256;
output (N, 128), about 1.4 long. Differs from dlib's own numbers by 1e-6.
"""

from __future__ import annotations

import numpy as np

from streamer.errors import ModelError
from streamer.items import F32
from streamer.models.convert.graph import GraphWriter

SIDE, DIMENSION = 150, 128
# (channels out, halves) of the blocks in order; the first takes 32 channels
BLOCKS = (
    *((32, False),) * 3,
    (64, True),
    *((64, False),) * 3,
    (128, True),
    *((128, False),) * 2,
    (256, True),
    *((256, False),) * 2,
    (256, True),
)


def _header(data: bytes, at: int) -> tuple[int, int]:
    """(values, where they start) of a tensor whose sizes start at `at`; 0 values where this is no tensor."""
    size = 1
    for _ in range(4):
        length = data[at] if at < len(data) else 0
        if not 1 <= length <= 4:
            return 0, at
        size *= int.from_bytes(data[at + 1 : at + 1 + length], "little")
        at += 1 + length
    return size, at


class _Weights:
    """Takes the tensors of a dlib file in network order, and folds.

    dlib writes a tensor as version 2, four sizes (one byte of length, then little-endian bytes), then raw float32;
    between them lie settings of layers, which are passed over.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> F32:
        """The next tensor of exactly this many values."""
        at = self._at
        while (at := self._data.find(b"\x01\x02", at)) >= 0:
            found, start = _header(self._data, at + 2)
            if found == size and start + 4 * size <= len(self._data):
                self._at = start + 4 * size
                return np.frombuffer(self._data, "<f4", size, start).astype(np.float32)
            at += 1
        raise ModelError(f"this is not dlib's face ResNet: no tensor of {size} values after byte {self._at}.")

    def convolution(self, out: int, inside: int, side: int) -> tuple[F32, F32]:
        """Filters and biases with the affine layer that follows folded in: gamma (w x + b) + beta."""
        flat, affine = self.take(out * inside * side * side + out), self.take(2 * out)
        gamma, beta = affine[:out], affine[out:]
        filters = flat[:-out].reshape(out, inside, side, side) * gamma[:, None, None, None]
        return filters, flat[-out:] * gamma + beta


def resnet(data: bytes) -> bytes:
    """The ONNX model of a `dlib_face_recognition_resnet_model_v1.dat`; ModelError when the file is another one."""
    weights, graph = _Weights(data), GraphWriter()
    first = graph.add("Conv", "input", *weights.convolution(32, 3, 7), kernel_shape=[7, 7], strides=[2, 2])
    value = graph.add("MaxPool", graph.add("Relu", first), kernel_shape=[3, 3], strides=[2, 2])
    channels, side = 32, ((SIDE - 7) // 2 + 1 - 3) // 2 + 1
    for out, halves in BLOCKS:
        value, side = _block(graph, weights, value, (channels, out), side, halves)
        channels = out
    pooled = graph.add("Flatten", graph.add("GlobalAveragePool", value))
    graph.add("MatMul", pooled, weights.take(256 * DIMENSION).reshape(256, DIMENSION), name="embedding")
    return graph.finish("dlib_face_resnet", {"input": ["N", 3, SIDE, SIDE]}, {"embedding": ["N", DIMENSION]})


def _block(
    graph: GraphWriter, weights: _Weights, value: str, channels: tuple[int, int], side: int, halves: bool
) -> tuple[str, int]:
    """One residual block: (its output, the side of it in cells)."""
    inside, out = channels
    stride, margin = (2, 0) if halves else (1, 1)
    one = graph.add(
        "Conv",
        value,
        *weights.convolution(out, inside, 3),
        kernel_shape=[3, 3],
        strides=[stride] * 2,
        pads=[margin] * 4,
    )
    two = graph.add(
        "Conv", graph.add("Relu", one), *weights.convolution(out, out, 3), kernel_shape=[3, 3], pads=[1] * 4
    )
    if not halves:
        return graph.add("Relu", graph.add("Add", two, value)), side
    short = graph.add("AveragePool", value, kernel_shape=[2, 2], strides=[2, 2])
    main_side, short_side = (side - 3) // 2 + 1, (side - 2) // 2 + 1
    two = _padded(graph, two, 0, short_side - main_side)
    short = _padded(graph, short, out - inside, 0)
    return graph.add("Relu", graph.add("Add", two, short)), short_side


def _padded(graph: GraphWriter, value: str, channels: int, cells: int) -> str:
    if not channels and not cells:
        return value
    return graph.add("Pad", value, np.array([0, 0, 0, 0, 0, channels, cells, cells], np.int64))
