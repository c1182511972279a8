"""Writing an ONNX graph node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ModelError

OPSET, IR = 13, 8  # old enough for every runtime of the last years; nothing newer is needed
INSTALL = 'pip install "whowhen[open]"'


def onnx_module() -> Any:
    """The package `onnx`; ModelError with the line that installs it."""
    try:
        import onnx
    except ImportError as error:
        raise ModelError(f"the package onnx is needed to convert the embedded models. Run: {INSTALL}") from error
    return onnx


class GraphWriter:
    """A growing graph. Every `add` answers the name of the value it made."""

    def __init__(self) -> None:
        self.onnx = onnx_module()
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, values: NDArray[Any]) -> str:
        """The name of a tensor kept in the graph: float32, or int64 for whole numbers."""
        kind = np.int64 if np.issubdtype(values.dtype, np.integer) else np.float32
        name = f"c{len(self._constants)}"
        self._constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(values, kind), name))
        return name

    def add(self, op: str, *inputs: str | NDArray[Any], name: str = "", **attributes: Any) -> str:
        """The name of the node's one output; arrays among the inputs become constants."""
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        out = name or f"t{len(self._nodes)}"
        self._nodes.append(self.onnx.helper.make_node(op, names, [out], **attributes))
        return out

    def finish(self, name: str, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]]) -> bytes:
        """The model as bytes, checked; a size given as text is free."""
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(n, kind, shape) for n, shape in inputs.items()],
            [helper.make_tensor_value_info(n, kind, shape) for n, shape in outputs.items()],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        self.onnx.checker.check_model(model)
        data: bytes = model.SerializeToString(deterministic=True)
        return data
