"""Tiny ONNX networks with the inputs and outputs of the real families. They fire on bright pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def write(path: Path, graph: Any) -> Path:
    path.write_bytes(model(graph))
    return path


def model(graph: Any) -> bytes:
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    return bytes(made.SerializeToString())


class Net:
    """A graph in the making: `add` returns the name of what the node gives."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.values: list[Any] = []

    def add(self, kind: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        name = out or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any, kind: Any = np.float32) -> str:
        name = f"c{len(self.values)}"
        self.values.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def graph(self, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]]) -> Any:
        def told(tensors: dict[str, list[Any]]) -> list[Any]:
            return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in tensors.items()]

        return helper.make_graph(self.nodes, "tiny", told(inputs), told(outputs), self.values)


def _head(
    net: Net, pooled: str, channels: int, columns: int, batched: bool, rng: Any, bias: Any, spread: float = 0.3
) -> str:
    """1x1 convolution, then the Transpose and Reshape of an SCRFD head."""
    weights = net.constant(rng.normal(0, spread, (channels, 3, 1, 1)))
    out = net.add("Conv", pooled, weights, net.constant(np.broadcast_to(bias, channels)))
    if batched:
        out = net.add("Transpose", out, perm=[0, 2, 3, 1])
        return net.add("Reshape", out, net.constant([0, -1, columns], np.int64))
    out = net.add("Transpose", out, perm=[2, 3, 0, 1])
    return net.add("Reshape", out, net.constant([-1, columns], np.int64))


def scrfd(*, batched: bool = True, points: bool = True, seed: int = 0) -> bytes:
    """Random weights: faces of all scores everywhere. Batch 1 with outputs (A, c), or free with (N, A, c)."""
    net, rng = Net(), np.random.default_rng(seed)
    names: dict[str, list[str]] = {"score": [], "bbox": [], "kps": []}
    for stride in (8, 16, 32):
        pooled = net.add("AveragePool", "input.1", kernel_shape=[stride] * 2, strides=[stride] * 2)
        score = _head(net, pooled, 2, 1, batched, rng, [-0.5, -1.0], 1.5)
        names["score"].append(net.add("Sigmoid", score))
        names["bbox"].append(_head(net, pooled, 8, 4, batched, rng, 1.5))
        if points:
            names["kps"].append(_head(net, pooled, 20, 10, batched, rng, 0.0))
    flat = [n for kind in names.values() for n in kind]
    columns = [1] * 3 + [4] * 3 + [10] * 3
    outputs = {n: ["N", "A", c] if batched else ["A", c] for n, c in zip(flat, columns)}
    return model(net.graph({"input.1": ["N" if batched else 1, 3, "H", "W"]}, outputs))


def yunet(seed: int = 0, size: tuple[Any, Any] = ("H", "W"), batch: Any = "N") -> bytes:
    net, rng = Net(), np.random.default_rng(seed)
    outputs: dict[str, list[Any]] = {}
    small = net.add("Mul", "input", net.constant(1 / 127.5))
    for kind, channels in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for stride in (8, 16, 32):
            pooled = net.add("AveragePool", small, kernel_shape=[stride] * 2, strides=[stride] * 2)
            out = _head(net, pooled, channels, channels, True, rng, 0.3)
            net.add("Sigmoid" if channels == 1 else "Identity", out, out=f"{kind}_{stride}")
            outputs[f"{kind}_{stride}"] = ["N", "A", channels]
    return model(net.graph({"input": [batch, 3, *size]}, outputs))


def retinaface(seed: int = 0) -> bytes:
    """Random weights over the real layout: two anchors a cell, boxes, classes by a softmax, landmarks."""
    net, rng = Net(), np.random.default_rng(seed)
    small = net.add("Mul", "input", net.constant(1 / 127.5))
    parts: dict[str, list[str]] = {"loc": [], "conf": [], "landmarks": []}
    for stride in (8, 16, 32):
        pooled = net.add("AveragePool", small, kernel_shape=[stride] * 2, strides=[stride] * 2)
        for name, columns in (("loc", 4), ("conf", 2), ("landmarks", 10)):
            parts[name].append(_head(net, pooled, 2 * columns, columns, True, rng, 0.0, 1.0))
    whole = {name: net.add("Concat", *levels, axis=1) for name, levels in parts.items()}
    net.add("Identity", whole["loc"], out="loc")
    net.add("Softmax", whole["conf"], out="conf", axis=2)
    net.add("Identity", whole["landmarks"], out="landmarks")
    outputs = {"landmarks": ["N", "A", 10], "loc": ["N", "A", 4], "conf": ["N", "A", 2]}  # not the usual order
    return model(net.graph({"input": ["N", 3, "H", "W"]}, outputs))


def mtcnn(part: str) -> bytes:
    """P-Net, R-Net or O-Net ("p", "r", "o"): sure of a window that is bright in the middle half and dark around it."""
    net = Net()
    side = {"p": 12, "r": 24, "o": 48}[part]
    middle = np.zeros((side, side), bool)
    middle[side // 4 : -(side // 4), side // 4 : -(side // 4)] = True
    spot = np.where(middle, 1 / middle.sum(), -1 / (~middle).sum())
    brightness = np.stack([[-spot] * 3, [spot] * 3])
    raw = net.add("Conv", "input", net.constant(brightness), strides=[2, 2] if part == "p" else [1, 1])
    names = {"bbox": 4, "landmark": 10} if part == "o" else {"bbox": 4}
    found: dict[str, list[Any]] = {}
    for name, size in names.items():
        still = np.zeros((size, 2, 1, 1)), np.linspace(0.3, 0.7, size) if name == "landmark" else np.zeros(size)
        out = net.add("Conv", raw, *(net.constant(v) for v in still))
        found[name] = _end(net, out, name, size, part)
    found["score"] = _end(net, net.add("Softmax", raw, axis=1), "score", 2, part)
    return model(net.graph({"input": ["N", 3, "H" if part == "p" else side, "W" if part == "p" else side]}, found))


def _end(net: Net, value: str, name: str, size: int, part: str) -> list[Any]:
    if part == "p":
        net.add("Identity", value, out=name)
        return ["N", size, "h", "w"]
    net.add("Flatten", value, out=name)
    return ["N", size]


def embedder(
    side: int = 112, dimension: int = 16, *, layout: str = "nchw", prelu: bool = False, batch: Any = "N"
) -> bytes:
    """Means of a 4 x 4 grid, times a random matrix."""
    net, rng = Net(), np.random.default_rng(1)
    x = "input" if layout == "nchw" else net.add("Transpose", "input", perm=[0, 3, 1, 2])
    if prelu:
        x = net.add("PRelu", x, net.constant([[[0.25]], [[-0.5]], [[0.0]]]))
    x = net.add("AveragePool", x, kernel_shape=[side // 4] * 2, strides=[side // 4] * 2)
    x = net.add("Flatten", x)
    net.add("MatMul", x, net.constant(rng.normal(size=(48, dimension))), out="embedding")
    shape = [batch, 3, side, side] if layout == "nchw" else [batch, side, side, 3]
    return model(net.graph({"input": shape}, {"embedding": [batch, dimension]}))


def quality() -> bytes:
    """Sigmoid of the mean brightness."""
    net = Net()
    mean = net.add("GlobalAveragePool", "input")
    out = net.add("Conv", mean, net.constant(np.ones((1, 3, 1, 1))))
    net.add("Flatten", net.add("Sigmoid", out), out="quality")
    return model(net.graph({"input": ["N", 3, 96, 96]}, {"quality": ["N", 1]}))
