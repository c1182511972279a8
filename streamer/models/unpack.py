"""Files out of a zip that may be hostile: by name, checked before a byte is written."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from streamer.errors import ModelError

MOST_MEMBERS = 1000
LARGEST = 2 << 30  # bytes of all members together
RATIO = 100  # network weights hardly shrink (1.1 : 1); a zip bomb does 1000 : 1


def unpack(archive: Path, names: Iterable[str], folder: Path) -> dict[str, Path]:
    """Name -> file in `folder` for each name, found in any folder of the archive; nothing else is written.

    ModelError when a member has an unsafe path, is a link, encrypted or absurdly large, or a name is missing or
    there twice.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            _check(archive, members)
            chosen = {name: _find(archive, members, name) for name in names}
            return {name: _write(opened, member, folder / name) for name, member in chosen.items()}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{archive} is not a sound zip archive: {error}. Fetch it again.") from error


def _check(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MOST_MEMBERS or sum(m.file_size for m in members) > LARGEST:
        raise ModelError(f"{archive} holds more than a model pack can ({MOST_MEMBERS} files, {LARGEST >> 30} GiB).")
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename:
            raise ModelError(f"{archive} holds {member.filename!r}, a path that leads out of it. It is not unpacked.")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ModelError(f"{archive} holds a link ({member.filename}). It is not unpacked.")
        if member.flag_bits & 1:
            raise ModelError(f"{archive} is encrypted. It is not unpacked.")
        if member.file_size > RATIO * max(member.compress_size, 1024):
            raise ModelError(f"{archive}: {member.filename} would grow {RATIO} times. It is not unpacked.")


def _find(archive: Path, members: list[zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    found = [m for m in members if PurePosixPath(m.filename).name == name and not m.is_dir()]
    if len(found) != 1:
        told = "is not in it" if not found else f"is there {len(found)} times"
        raise ModelError(f"{archive} is not the archive of the pack: {name} {told}.")
    return found[0]


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> Path:
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, open(part, "wb") as file:
        left = member.file_size
        while block := source.read(min(1 << 20, left + 1)):
            left -= len(block)
            if left < 0:
                raise ModelError(f"{member.filename} is longer than its archive says. It is not unpacked.")
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, target)
    return target
