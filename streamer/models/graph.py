"""Small changes to ONNX graphs at load time. All need the package `onnx`; each is exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from streamer.models.pixels import Pixels


def onnx_available() -> bool:
    """Whether the package `onnx` can be imported."""
    import importlib.util

    return importlib.util.find_spec("onnx") is not None


def _changed(model: bytes, change: Callable[[Any], bool]) -> bytes | None:
    import onnx

    proto = onnx.load_model_from_string(model)
    if not change(proto):
        return None
    out: bytes = proto.SerializeToString()
    return out


def without_prelu(model: bytes) -> bytes | None:
    """The model with PRelu(x, s) written as Relu(x) + s * (x - Relu(x)); None where it has none. Bit-equal.

    onnxruntime >= 1.27 runs PRelu slowly on the processor: MobileFaceNet 8.9 CPU-ms, rewritten 5.5.
    """

    def change(proto: Any) -> bool:
        from onnx import helper

        nodes = list(proto.graph.node)
        if not any(n.op_type == "PRelu" for n in nodes):
            return False
        del proto.graph.node[:]
        for i, node in enumerate(nodes):
            if node.op_type != "PRelu":
                proto.graph.node.append(node)
                continue
            x, slope = node.input
            r, d, m = (f"{node.output[0]}__{part}{i}" for part in ("relu", "rest", "scaled"))
            proto.graph.node.extend(
                [
                    helper.make_node("Relu", [x], [r]),
                    helper.make_node("Sub", [x, r], [d]),
                    helper.make_node("Mul", [d, slope], [m]),
                    helper.make_node("Add", [r, m], [node.output[0]]),
                ]
            )
        return True

    return _changed(model, change)


def with_uint8_input(model: bytes, pixels: Pixels) -> bytes:
    """The model with (n, h, w, 3) uint8 BGR input; colour order, mean and std are its first nodes.

    A quarter of the bytes go to the device. On a processor it costs 12 % more, so it is for GPUs. The mean is not
    folded into the first convolution: zero padding would differ at the borders.
    """

    def change(proto: Any) -> bool:
        from onnx import TensorProto, helper, numpy_helper

        graph = proto.graph
        known = {i.name for i in graph.initializer}
        entry = next(i for i in graph.input if i.name not in known)
        name, dims = entry.name, entry.type.tensor_type.shape.dim
        axes = (0, 2, 3) if pixels.layout == "nchw" else (0, 1, 2)
        shape = [_dimension(dims[a], f"size{a}") for a in axes] + [3]
        view = (1, 3, 1, 1) if pixels.layout == "nchw" else (1, 1, 1, 3)
        values = {
            "pixels_order": np.array(pixels.order, np.int64),
            "pixels_scale": (1 / np.array(pixels.std)).astype(np.float32).reshape(view),
            "pixels_shift": (-np.array(pixels.mean) / np.array(pixels.std)).astype(np.float32).reshape(view),
        }
        graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in values.items())
        entry.CopyFrom(helper.make_tensor_value_info("pixels_u8", TensorProto.UINT8, shape))
        first = [helper.make_node("Gather", ["pixels_u8", "pixels_order"], ["pixels_ordered"], axis=3)]
        last = "pixels_ordered"
        if pixels.layout == "nchw":
            first.append(helper.make_node("Transpose", [last], ["pixels_planes"], perm=[0, 3, 1, 2]))
            last = "pixels_planes"
        first += [
            helper.make_node("Cast", [last], ["pixels_f32"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["pixels_f32", "pixels_scale"], ["pixels_scaled"]),
            helper.make_node("Add", ["pixels_scaled", "pixels_shift"], [name]),
        ]
        rest = list(graph.node)
        del graph.node[:]
        graph.node.extend(first + rest)
        return True

    changed = _changed(model, change)
    assert changed is not None
    return changed


def with_output(model: bytes, name: str) -> bytes | None:
    """The model with an inner tensor as its one output; None where it has no such tensor.

    A network trained to tell identities apart by a softmax (DeepFace, VGG-Face) gives its vector one layer earlier.
    """

    def change(proto: Any) -> bool:
        from onnx import TensorProto, helper, shape_inference

        graph = proto.graph
        if not any(name in node.output for node in graph.node):
            return False
        known = {v.name: v for v in shape_inference.infer_shapes(proto).graph.value_info}
        made = known.get(name) or helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        del graph.output[:]
        graph.output.append(made)
        return True

    return _changed(model, change)


def _dimension(dim: Any, name: str) -> Any:
    return dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or name)


def with_free_batch(model: bytes) -> bytes | None:
    """A batch-1 SCRFD with its batch axis freed; None unless every output is Transpose(2, 3, 0, 1) then Reshape(-1, c).

    Rows of the outputs then come in the order (row, column, picture, anchor): see `streamer.models.scrfd.untangle`.
    """

    def change(proto: Any) -> bool:
        graph = proto.graph
        made = {o: n for n in graph.node for o in n.output}
        if not all(_interleaves(made, o.name) for o in graph.output):
            return False
        entry = next(i for i in graph.input if i.name not in {t.name for t in graph.initializer})
        entry.type.tensor_type.shape.dim[0].dim_param = "N"
        for out in graph.output:
            out.type.tensor_type.shape.dim[0].dim_param = f"rows_{out.name}"
        del graph.value_info[:]
        return True

    return _changed(model, change)


def _interleaves(made: dict[str, Any], name: str) -> bool:
    """Whether an output is a Reshape (perhaps through Sigmoid) of a Transpose that puts the batch axis third."""
    node = made.get(name)
    while node is not None and node.op_type == "Sigmoid":
        node = made.get(node.input[0])
    if node is None or node.op_type != "Reshape":
        return False
    before = made.get(node.input[0])
    while before is not None and before.op_type == "Sigmoid":
        before = made.get(before.input[0])
    if before is None or before.op_type != "Transpose":
        return False
    return [list(a.ints) for a in before.attribute if a.name == "perm"] == [[2, 3, 0, 1]]
