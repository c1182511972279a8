"""What packs there are on this machine, whether they are whole, and how one gets here without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from streamer.errors import ConfigError, ModelError
from streamer.models import fetch, packs
from streamer.models.cache import write_whole
from streamer.models.pack import Pack, Part
from streamer.models.unpack import unpack

State = Literal["ready", "not fetched", "made on first use", "packages missing"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of `whowhen models list`."""

    name: str
    state: State
    licence: str
    size: str
    detector: str
    dimension: int
    folder: str


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one file. `ok` means it is there and of the pinned hash; `detail` says why not."""

    part: str
    file: str
    ok: bool
    sha256: str
    detail: str


def list_packs() -> list[Listed]:
    """Every pack known by name, registered ones first; no file is hashed."""
    return [_listed(packs.with_pins(packs.read_pack(name))) for name in packs.known()]


def _listed(pack: Pack) -> Listed:
    embedder = pack.embedder.options
    size = fetch.stated_size(pack) if pack.files else "made here"
    folder = "" if pack.detector.convert else str(pack.folder)
    return Listed(
        pack.name,
        state(pack),
        pack.licence,
        size,
        pack.detector.family,
        int(embedder.get("dimension", 512)),
        folder,
    )


def state(pack: Pack) -> State:
    """Whether a pack could be used now, by the look of it; `verify` tells for sure."""
    if any(not (pack.folder / f.name).is_file() or f.sha256 is None for f in pack.files):
        return "not fetched"
    made = [p for p in pack.parts if p.convert]
    if all(_is_made(part) for part in made):
        return "ready"
    return "made on first use" if all(_can_be_made(part) for part in made) else "packages missing"


def _is_made(part: Part) -> bool:
    from streamer.models.convert import recipes

    made = recipes.recipe(part.convert)
    return all(recipes.is_whole(recipes.cached_file(made, role), made, s) for role, s in made.sources.items())


def _can_be_made(part: Part) -> bool:
    from streamer.models.convert import recipes
    from streamer.models.convert.graph import onnx_module

    made = recipes.recipe(part.convert)
    try:
        onnx_module()
        for source in made.sources.values():
            recipes.package_file(made.package, source.path)
    except ModelError:
        return False
    return True


def show(spec: str | Path) -> dict[str, Any]:
    """Everything a pack says of itself, with its folder and state, as plain data."""
    pack = packs.with_pins(packs.read_pack(spec))
    more = {"folder": str(pack.folder), "state": state(pack), "note": pack.note}
    if pack.archive:
        more |= {"address": pack.archive.address, "size": str(pack.archive.size or "not stated")}
    return {**packs.describe(pack), **{k: v for k, v in more.items() if v}}


def verify(spec: str | Path) -> list[Check]:
    """A check per file of a pack, every hash computed. ConfigError for an unknown pack; a bad file is a result."""
    pack = packs.with_pins(packs.read_pack(spec))
    return [check for part in pack.parts for check in _checks(pack, part)]


def _checks(pack: Pack, part: Part) -> Iterator[Check]:
    if part.convert:
        yield from _made_checks(part)
    for file in part.files:
        try:
            packs.checked(pack, file)
            yield Check(part.role, file.name, True, file.sha256 or "", "")
        except ModelError as error:
            yield Check(part.role, file.name, False, file.sha256 or "", str(error))


def _made_checks(part: Part) -> Iterator[Check]:
    """A check per weight file of the installed package: the pinned hash is that of the source."""
    from streamer.models.convert import recipes

    made = recipes.recipe(part.convert)
    for role, source in made.sources.items():
        whole = recipes.is_whole(recipes.cached_file(made, role), made, source)
        name = f"{made.release}: {source.path}"
        if whole:
            yield Check(part.role, name, True, source.sha256, "converted")
            continue
        try:
            recipes.source_bytes(made, source)
            yield Check(part.role, name, True, source.sha256, "will be converted on first use")
        except ModelError as error:
            yield Check(part.role, name, False, source.sha256, str(error))


def import_pack(source: Path, name: str | None = None) -> fetch.Fetched:
    """A pack from a folder, for machines without a network; afterwards it is known by its name.

    The folder (or pack file) is either one's own pack, or holds the files or the archive of a registered one. `name`
    is needed where several registered packs have the same files. Hashes are checked as at a fetch.
    """
    if not source.exists():
        raise ConfigError(f"{source} does not exist. Give a folder that holds a pack.yaml or the files of a pack.")
    own = source if source.is_file() else source / "pack.yaml"
    if name is None and own.is_file() and own.suffix in (".yaml", ".yml"):
        return _import_own(own)
    if not source.is_dir():
        raise ConfigError(f"{source} is not a folder. Give a folder that holds a pack.yaml or the files of a pack.")
    return _import_registered(source, name or _recognised(source))


def _import_own(file: Path) -> fetch.Fetched:
    pack = packs.load_pack(file)
    if pack.name in packs.registry():
        raise ConfigError(f"{pack.name} is the name of a registered pack. Give yours another name in {file}.")
    target = packs.packs_folder() / pack.name
    for part in pack.files:
        _copy(pack.folder / part.name, target / part.name)
    write_whole(target / "pack.yaml", file.read_bytes())
    there = packs.load_pack(target)
    return fetch.Fetched(there, tuple(target / f.name for f in there.files), {}, True)


def _copy(source: Path, target: Path) -> None:
    if target.exists() and target.samefile(source):
        return
    write_whole(target, source.read_bytes())


def _recognised(folder: Path) -> str:
    """The one registered pack whose archive or files lie in a folder; the folder's own name decides between several."""
    there = {p.name for p in folder.rglob("*") if p.is_file()}
    fits = []
    for name in packs.registry():
        names = {f.name for f in packs.read_pack(name).files}
        if names and (names <= there or f"{name}.zip" in there):
            fits.append(name)
    if folder.name in fits:
        return folder.name
    if len(fits) != 1:
        told = f"fits {' and '.join(fits)}: say which with --name" if fits else "holds no pack.yaml and no known pack"
        raise ConfigError(f"{folder} {told}.")
    return fits[0]


def _import_registered(folder: Path, name: str) -> fetch.Fetched:
    pack = packs.with_pins(packs.read_pack(name))
    if not pack.registered or not pack.files:
        raise ConfigError(f"{name} is not a pack whose files can be imported.")
    waiting = pack.folder / ".incoming"
    archive = next(iter(sorted(folder.rglob(f"{name}.zip"))), None)
    names = [f.name for f in pack.files]
    with fetch.alone(pack.folder):
        if archive is not None:
            found = unpack(archive, names, waiting)
        else:
            found = {n: _gathered(folder, n, waiting) for n in names}
        pinned = fetch.accept(pack, found)
        shutil.rmtree(waiting, ignore_errors=True)
    pack = packs.with_pins(packs.read_pack(name))
    return fetch.Fetched(pack, tuple(packs.checked(pack, f) for f in pack.files), pinned, True)


def _gathered(folder: Path, name: str, waiting: Path) -> Path:
    source = next(iter(sorted(folder.rglob(name))), None)
    if source is None:
        raise ModelError(f"{folder} does not hold {name}.")
    packs.refuse_pointer(source)
    _copy(source, waiting / name)
    return waiting / name
