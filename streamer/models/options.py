"""Options of a family against its constructor: known names, and values of the kind its annotations say."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from streamer.errors import ConfigError


def check_options(made: Callable[..., Any], options: Mapping[str, Any], where: str) -> None:
    """ConfigError for the first option whose value does not fit the constructor's annotation of it."""
    hints = typing.get_type_hints(made.__init__ if inspect.isclass(made) else made)
    for name, value in options.items():
        if name in hints and not fits(value, hints[name]):
            wanted = getattr(hints[name], "__name__", str(hints[name])).replace("typing.", "")
            raise ConfigError(f"{where}.{name} {value!r}: {wanted} is expected.")


def fits(value: Any, annotation: Any) -> bool:
    """Whether a plain value (as from YAML) can stand for an annotation; whole numbers stand for float."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, a) for a in inner)
    if origin is typing.Literal:
        return any(value is a or (type(value) is type(a) and value == a) for a in inner)
    if origin in (collections.abc.Sequence, list, tuple):
        return isinstance(value, list | tuple) and all(fits(v, inner[0]) for v in value if inner)
    if origin in (collections.abc.Mapping, dict):
        return isinstance(value, dict)
    if annotation in (float, int):
        return isinstance(value, (int, float) if annotation is float else int) and not isinstance(value, bool)
    if annotation is type(None):
        return value is None
    if annotation in (str, bool):
        return isinstance(value, annotation)
    # other annotations (paths, sessions) are no business of a pack file, except Any
    return annotation is Any
