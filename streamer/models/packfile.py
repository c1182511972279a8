"""Reading a pack file: strict YAML in, a plain `Pack` out. Nothing is opened but the file itself.

Keys and meaning are those of the pack.yaml contract (see `Pack`). Everything a part holds besides its own words
(`PART_KEYS`) is an option of its family: the constructor's signature is the schema.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from streamer.errors import ConfigError, suggest
from streamer.models import family
from streamer.models.options import check_options
from streamer.models.pack import ROLES, Archive, File, Pack, Part

PACK_KEYS = ("name", "licence", "origin", "note", "archive", "detector", "embedder", "quality")
PART_KEYS = (
    "family",
    "file",
    "files",
    "sha256",
    "size",
    "address",
    "convert",
    "licence",
    "origin",
    "thresholds_origin",
)
ARCHIVE_KEYS = ("address", "size", "sha256")
GIVEN = ("device", "model")  # options the pipeline sets, not the pack
LARGEST, DEEPEST = 64 << 10, 6  # bytes and levels of a pack file; ours have 1.2 kB and 3 levels


def read_tree(path: Path) -> dict[str, Any]:
    """The mapping a YAML file holds. ConfigError for what is no mapping, double keys, aliases, NaN, and too much."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Check the path of the pack.") from error
    if len(data) > LARGEST:
        raise ConfigError(f"{path} is larger than {LARGEST >> 10} KiB: it is not a pack file.")
    return parse_tree(data, str(path))


def parse_tree(data: bytes, where: str) -> dict[str, Any]:
    """Like `read_tree`, from bytes; `where` names them in errors."""
    import yaml

    from streamer.models.strictyaml import StrictLoader

    try:
        tree = yaml.load(data.decode("utf-8"), Loader=StrictLoader)  # noqa: S506 - a SafeLoader that accepts less
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{where} is not a pack file: {_line(error)}.") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: a mapping is expected, got {type(tree).__name__}.")
    _check_tree(tree, where, "", 1)
    return tree


def _line(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is not None and problem:
        return f"{problem}, line {mark.line + 1}"
    return str(error).splitlines()[0]


def _check_tree(value: Any, where: str, at: str, depth: int) -> None:
    if depth > DEEPEST:
        raise ConfigError(f"{where}: {at} lies deeper than {DEEPEST} levels.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: {at} is {value}, which is no number to work with.")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ConfigError(f"{where}: {at or 'the file'} has the key {key!r}, which is not text.")
            _check_tree(inner, where, f"{at}.{key}" if at else key, depth + 1)
    if isinstance(value, list):
        for i, inner in enumerate(value):
            _check_tree(inner, where, f"{at}[{i}]", depth + 1)


def pack_from(tree: Mapping[str, Any], where: str, folder: Path, *, registered: bool = False) -> Pack:
    """The pack a tree describes; its files lie in `folder`. ConfigError for any key or value that does not fit.

    A registered pack may leave out the hashes its publisher does not state; any other must give them.
    """
    known_keys(tree, PACK_KEYS, where, "")
    name = text(tree, "name", where)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ConfigError(f"{where}: name {name!r}: letters, digits, '.', '_' and '-' are expected, 64 at most.")
    parts = {
        role: _part(role, _mapping(tree[role], where, role), where) for role in ROLES if tree.get(role) is not None
    }
    for role in ("detector", "embedder"):
        if role not in parts:
            raise ConfigError(f"{where}: {role} is missing. A pack needs name, licence, detector and embedder.")
    pack = Pack(
        name=name,
        licence=text(tree, "licence", where),
        folder=folder,
        detector=parts["detector"],
        embedder=parts["embedder"],
        quality=parts.get("quality"),
        origin=text(tree, "origin", where, ""),
        note=text(tree, "note", where, ""),
        archive=_archive(tree, where),
        registered=registered,
    )
    if not registered:
        _check_hashes(pack, where)
    return pack


def _check_hashes(pack: Pack, where: str) -> None:
    from streamer.models.onnx import file_sha256

    for part in pack.parts:
        for file in part.files:
            if file.sha256:
                continue
            path = pack.folder / file.name
            told = f" If you trust {file.name}, write: sha256: {file_sha256(path)}" if path.is_file() else ""
            raise ConfigError(f"{where}: {part.role}.sha256 is missing: a pack pins its files.{told}")


def _part(role: str, tree: Mapping[str, Any], where: str) -> Part:
    name = text(tree, "family", where, role=role)
    made = family(role, name)
    parameters = inspect.signature(made).parameters
    options = {k: v for k, v in tree.items() if k not in PART_KEYS}
    convert = text(tree, "convert", where, "", role=role)
    files = _files(role, tree, where)
    given = {f.role for f in files} | _converted_roles(convert)
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        allowed = [p for p in parameters if p not in GIVEN and p not in given]
        known_keys(options, allowed, where, f"{role}.", extra=PART_KEYS)
        known_keys(dict.fromkeys(given), parameters, where, f"{role}.files.")
    for parameter, kind in parameters.items():
        needed = kind.default is kind.empty and kind.kind in (kind.POSITIONAL_OR_KEYWORD, kind.KEYWORD_ONLY)
        if needed and parameter not in options and parameter not in given and parameter not in GIVEN:
            raise ConfigError(f"{where}: {role}.{parameter} is missing; the family {name} needs it.")
    check_options(made, options, f"{where}: {role}")
    if "thresholds" in options:
        _check_thresholds(options["thresholds"], where, role)
    return Part(
        role=role,
        family=name,
        files=files,
        convert=convert,
        licence=text(tree, "licence", where, "", role=role),
        origin=text(tree, "origin", where, "", role=role),
        thresholds_origin=text(tree, "thresholds_origin", where, "", role=role),
        options=options,
    )


def _converted_roles(convert: str) -> set[str]:
    from streamer.models.convert.recipes import recipe

    return set(recipe(convert).sources) if convert else set()


def _files(role: str, tree: Mapping[str, Any], where: str) -> tuple[File, ...]:
    """The files of a part: `file: NAME`, or `files: {constructor argument: NAME}`; both with their hashes alike."""
    ways = [k for k in ("file", "files", "convert") if k in tree]
    if len(ways) > 1:
        raise ConfigError(f"{where}: {role} has {' and '.join(ways)}; one of them says where its files come from.")
    single: Mapping[str, Any]
    told: dict[str, Mapping[str, Any]]
    if "files" not in tree:
        single = {"file": tree["file"]} if "file" in tree else {}
        told = {k: {"file": tree[k]} for k in ("sha256", "size", "address") if k in tree}
    else:
        single = _mapping(tree["files"], where, f"{role}.files")
        told = {k: _mapping(tree[k], where, f"{role}.{k}") for k in ("sha256", "size", "address") if k in tree}
    for key, values in told.items():
        known_keys(values, single, where, f"{role}.{key}.")
    return tuple(
        File(
            role=argument,
            name=_file_name(name, where, role),
            sha256=_hash(told.get("sha256", {}).get(argument), where, role),
            size=_size(told.get("size", {}).get(argument), where, role),
            address=_address(told.get("address", {}).get(argument), where, role),
        )
        for argument, name in single.items()
    )


def _file_name(value: Any, where: str, role: str) -> str:
    path = PurePosixPath(value) if isinstance(value, str) and value else None
    if path is None or path.is_absolute() or ".." in path.parts or "\\" in str(value) or "\0" in str(value):
        raise ConfigError(f"{where}: {role}.file {value!r}: a name inside the pack's own folder is expected.")
    return str(path)


def _hash(value: Any, where: str, role: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise ConfigError(f"{where}: {role}.sha256 {value!r}: 64 hexadecimal digits are expected.")
    return value.lower()


def _size(value: Any, where: str, role: str) -> int | str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ConfigError(f"{where}: {role}.size {value!r}: bytes, or a text like 'about 16 MB', are expected.")
    return value


def _address(value: Any, where: str, role: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.match(r"https?://[^/\s]+/\S+$", value):
        raise ConfigError(f"{where}: {role}.address {value!r}: an https:// address is expected.")
    return value


def _archive(tree: Mapping[str, Any], where: str) -> Archive | None:
    if tree.get("archive") is None:
        return None
    told = _mapping(tree["archive"], where, "archive")
    known_keys(told, ARCHIVE_KEYS, where, "archive.")
    address = _address(told.get("address"), where, "archive")
    if address is None:
        raise ConfigError(f"{where}: archive.address is missing.")
    return Archive(address, _size(told.get("size"), where, "archive"), _hash(told.get("sha256"), where, "archive"))


def _check_thresholds(value: Any, where: str, role: str) -> None:
    told = _mapping(value, where, f"{role}.thresholds")
    needed = ("pair", "link", "merge")
    known_keys(told, (*needed, "photo_merge", "strangers"), where, f"{role}.thresholds.")
    for name in {**dict.fromkeys(needed), **told}:
        number = told.get(name)
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise ConfigError(f"{where}: {role}.thresholds.{name}: a number is expected, got {number!r}.")
    if "strangers" in told and told["strangers"] >= told["pair"]:
        raise ConfigError(f"{where}: {role}.thresholds.strangers: less than pair {told['pair']} is expected.")


def known_keys(
    given: Mapping[str, Any], known: Iterable[str], where: str, prefix: str, extra: Iterable[str] = ()
) -> None:
    """ConfigError for the first key that is not known, with the nearest one that is."""
    names = [*known]
    for key in given:
        if key not in names:
            hint = suggest(key, [*names, *extra])
            raise ConfigError(f"{where}: {prefix}{key} is not a key of a pack{hint}. Keys: {', '.join(names)}.")


def text(tree: Mapping[str, Any], key: str, where: str, default: str | None = None, role: str = "") -> str:
    """A text of the tree; ConfigError when it is missing without a default, or something else."""
    label = f"{role}.{key}" if role else key
    value = tree.get(key, default)
    if value is None:
        raise ConfigError(f"{where}: {label} is missing.")
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {label} {value!r}: text is expected.")
    return value


def _mapping(value: Any, where: str, at: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {at} wants a block of keys, got {value!r}.")
    return value
