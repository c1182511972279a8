"""Packs by name, file or folder: found, checked against their hashes, and built into models.

A registered name is looked up in `registry.yaml`, then among the packs imported into the cache. Anything else is a
path: a pack file, or a folder with a `pack.yaml`.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from streamer.errors import ConfigError, ModelError, suggest
from streamer.models import create, family
from streamer.models.base import Detector, Embedder, Quality
from streamer.models.cache import cache_folder
from streamer.models.pack import File, Pack, Part
from streamer.models.packfile import pack_from, parse_tree, read_tree

REGISTRY = Path(__file__).with_name("registry.yaml")
POINTER = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Models:
    """A pack at work. `devices` has a line per part: what really runs it and why."""

    detector: Detector
    embedder: Embedder
    quality: Quality | None
    pack: Pack
    devices: list[str]


@lru_cache(maxsize=1)
def registry() -> dict[str, dict[str, Any]]:
    """Name -> tree of every registered pack, in the file's order."""
    tree = parse_tree(REGISTRY.read_bytes(), REGISTRY.name)
    return {str(name): {"name": name, **told} for name, told in tree.items()}


def packs_folder() -> Path:
    """Where fetched and imported packs lie, a folder each."""
    return cache_folder() / "packs"


def read_pack(spec: str | Path) -> Pack:
    """The pack a registered name, a pack file or a folder stands for; its models are not looked at.

    ConfigError for an unknown name (with the nearest) and for a file that does not fit the contract.
    """
    name = str(spec)
    if name in registry():
        return pack_from(registry()[name], f"pack {name}", packs_folder() / name, registered=True)
    path = Path(spec).expanduser()
    if not path.exists() and path.name == name and (packs_folder() / name / "pack.yaml").is_file():
        path = packs_folder() / name
    if path.is_dir():
        if not (path / "pack.yaml").is_file():
            raise ConfigError(f"{spec} holds no pack.yaml. Name the pack file, or another folder.")
        path = path / "pack.yaml"
    if not path.is_file():
        raise ConfigError(
            f"{spec} is not a pack{suggest(name, known())}. Packs: {', '.join(known())}; or give a pack.yaml."
        )
    return pack_from(read_tree(path), str(path), path.parent)


def known() -> list[str]:
    """Names that can be given: the registered ones, then those imported."""
    folder = packs_folder()
    imported = sorted(p.parent.name for p in folder.glob("*/pack.yaml")) if folder.is_dir() else []
    return [*registry(), *(n for n in imported if n not in registry())]


def load_pack(spec: str | Path) -> Pack:
    """Like `read_pack`, with every file there and of its hash; embedded models are converted on first use.

    ModelError names the file, the hash expected and found, or the command that fetches the pack.
    """
    pack = with_pins(read_pack(spec))
    for part in pack.parts:
        part_files(pack, part)
    return pack


def part_files(pack: Pack, part: Part) -> dict[str, Path]:
    """Constructor argument -> checked file of a part. ModelError for one that is missing or another."""
    if part.convert:
        from streamer.models.convert.recipes import converted

        return converted(part.convert)
    return {file.role: checked(pack, file) for file in part.files}


def checked(pack: Pack, file: File) -> Path:
    """The path of a file of a pack that has the pinned hash; ModelError otherwise."""
    from streamer.models.onnx import file_sha256

    path = pack.folder / file.name
    fetch = f" Run: whowhen models fetch {pack.name}" if pack.registered else ""
    if not path.is_file():
        if pack.registered:
            raise ModelError(f"the pack {pack.name} is not on this machine ({file.name} is missing).{fetch}")
        raise ModelError(f"{path} is missing. It is named in the pack {pack.name}: put it beside the pack file.")
    refuse_pointer(path)
    if file.sha256 is None:
        raise ModelError(f"{path} has no pinned hash, so it is not taken.{fetch}")
    found = file_sha256(path)
    if found != file.sha256:
        raise ModelError(
            f"{path} is not the file of the pack: expected SHA-256 {file.sha256}, found {found}."
            f"{fetch or ' Copy it again, or correct the pack file.'}"
        )
    return path


def refuse_pointer(path: Path) -> None:
    """ModelError when a file is only a Git LFS pointer: about 130 bytes of text that stand for the model."""
    with open(path, "rb") as opened:
        if opened.read(len(POINTER)) != POINTER:
            return
    raise ModelError(
        f"{path} is a Git LFS pointer of {path.stat().st_size} bytes, not a model. Fetch the real file (git lfs pull)."
    )


def pins_file(name: str) -> Path:
    """Where the hashes of a registered pack are kept that were taken at its first fetch."""
    return cache_folder() / "pins" / f"{name}.json"


def pins(name: str) -> dict[str, str]:
    """File name -> SHA-256 pinned at the first fetch; empty before. ModelError for a damaged pin file."""
    path = pins_file(name)
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text("utf-8"))
        return {str(k): str(v) for k, v in told["sha256"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{path} is damaged. Delete it and fetch {name} again: whowhen models fetch {name}") from error


def with_pins(pack: Pack) -> Pack:
    """The pack with the hashes its publisher does not state filled in from its first fetch."""
    if not pack.registered or all(f.sha256 for part in pack.parts for f in part.files):
        return pack
    from dataclasses import replace

    told = pins(pack.name)

    def filled(part: Part | None) -> Part | None:
        if part is None:
            return None
        return replace(part, files=tuple(replace(f, sha256=f.sha256 or told.get(f.name)) for f in part.files))

    return replace(
        pack,
        detector=cast(Part, filled(pack.detector)),
        embedder=cast(Part, filled(pack.embedder)),
        quality=filled(pack.quality),
    )


def build(pack: Pack, device: str = "auto") -> Models:
    """The models of a pack (as from `load_pack`) on a device; files are checked again as they are opened.

    DeviceError when a named device would not run; `auto` says in `devices` what it took and why.
    """
    detector = _made(pack, pack.detector, device)
    embedder = _made(pack, pack.embedder, device, model=pack.model)
    template = pack.embedder.options.get("template")
    quality = _made(pack, pack.quality, device, template=template) if pack.quality else None
    built = [("detector", detector), ("embedder", embedder), *([("quality", quality)] if quality else [])]
    lines = [f"{role}: {why}" for role, component in built for why in _why(component)]
    return Models(detector, embedder, quality, pack, lines)


def _made(pack: Pack, part: Part, device: str, **extra: Any) -> Any:
    parameters = inspect.signature(family(part.role, part.family)).parameters
    given = {"device": device, **extra}
    wanted = {k: v for k, v in given.items() if k in parameters and v and k not in part.options}
    return create(part.role, part.family, {**part_files(pack, part), **part.options, **wanted})


def _why(component: Any) -> list[str]:
    """What runs a component, once per different reason; families without a network say processor."""
    told = [v.why for v in vars(component).values() if hasattr(v, "why") and hasattr(v, "provider")]
    return list(dict.fromkeys(told)) or ["cpu: no network"]


def describe(pack: Pack) -> dict[str, Any]:
    """What a run's manifest tells of its models: names, hashes, licences, origins, preprocessing, thresholds."""
    return {
        "pack": pack.name,
        "licence": pack.licence,
        "origin": pack.origin,
        "model": pack.model,
        **{part.role: _told(part) for part in pack.parts},
    }


def _told(part: Part) -> dict[str, Any]:
    from streamer.models.convert.recipes import recipe

    files = {f.name: f.sha256 for f in part.files}
    if part.convert:
        made = recipe(part.convert)
        files = {f"{made.release}: {s.path}": s.sha256 for s in made.sources.values()}
    told = {"family": part.family, "files": files, "licence": part.licence, "origin": part.origin, **part.options}
    return {k: v for k, v in told.items() if v not in ("", None)}
