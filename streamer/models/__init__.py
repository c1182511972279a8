"""Models: detectors, embedders, quality. A family is a line below, or any "my_package.module:Class"."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from streamer.errors import ConfigError

DETECTORS: dict[str, str] = {
    "scrfd": "streamer.models.scrfd:SCRFD",
    "mtcnn": "streamer.models.mtcnn:MTCNN",
    "yunet": "streamer.models.yunet:YuNet",
    "retinaface": "streamer.models.retinaface:RetinaFace",
    "haar": "streamer.models.haar:Haar",
    "hog": "streamer.models.hog:HOG",
}
EMBEDDERS: dict[str, str] = {
    "aligned": "streamer.models.aligned:AlignedEmbedder",
}
QUALITIES: dict[str, str] = {
    "lightqnet": "streamer.models.quality:LightQNet",
    "sharpness": "streamer.models.quality:Sharpness",
}
ROLES: dict[str, dict[str, str]] = {"detector": DETECTORS, "embedder": EMBEDDERS, "quality": QUALITIES}


def family(role: str, name: str) -> Callable[..., Any]:
    """The class of a family of `detector`, `embedder` or `quality`; ConfigError names the known ones."""
    known = ROLES[role]
    module, colon, cls = known.get(name, name).partition(":")
    if not colon:
        raise ConfigError(
            f"{name} is not a {role} family. Families: {', '.join(known)}, or write my_package.module:Class."
        )
    try:
        found: Callable[..., Any] = getattr(import_module(module), cls)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{role} family {name} cannot be loaded: {error}.") from error
    return found


def create(role: str, name: str, options: Mapping[str, Any]) -> Any:
    """A component of a family with these constructor arguments; ConfigError for an option it does not have."""
    made = family(role, name)
    known = list(inspect.signature(made).parameters)
    for option in options:
        if option not in known:
            raise ConfigError(f"{role}.{option} is not an option of {name}. Options: {', '.join(known)}.")
    return made(**options)
