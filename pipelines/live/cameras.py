"""The cameras file of `whowhen watch`, and the same from addresses on the command line."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from streamer.config import Config, read_yaml
from streamer.errors import ConfigError, suggest
from streamer.sources.address import Address, holds_password, parse_address, read_secret
from streamer.sources.redact import shown

CAMERA_OPTIONS = ("transport", "open_timeout", "stall", "frozen", "max_pixels")
CAMERA_KEYS = ("url", "user", "password_file", *CAMERA_OPTIONS)
NAME = re.compile(r"[\w][\w .:-]{0,63}")


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera to watch."""

    name: str
    address: Address
    options: Mapping[str, Any] = field(default_factory=dict)  # of CameraSource


@dataclass(frozen=True, slots=True)
class Cameras:
    """What is watched, and the other blocks of the file as they are written there."""

    cameras: tuple[Camera, ...]
    blocks: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "command line"


def read_cameras(given: Sequence[str], blocks: Sequence[str]) -> Cameras:
    """The cameras of one YAML file, or those at addresses.

    The file holds `cameras:` (name -> address, or name -> {url, user, password_file, stall, ...}) and any of `blocks`.
    ConfigError for anything else in it, SourceError for an address that is none.
    """
    if len(given) == 1 and given[0].lower().endswith((".yaml", ".yml")):
        return _from_file(Path(given[0]), blocks)
    found: dict[str, Camera] = {}
    for text in given:
        address = parse_address(text)
        name = _unused(_short(address), found)
        found[name] = Camera(name, address)
    if not found:
        raise ConfigError("No camera was given. Name a cameras file or addresses, for example rtsp://10.0.0.5/stream1.")
    return Cameras(tuple(found.values()))


def apply_options(config: Config, tree: Any, origin: str) -> None:
    """The `options:` block, as if each had been given with --set; what was set there stays."""
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{origin}: options wants sections of options, got {tree!r}.")
    told = {path: config.origins[path] for path in config.origins if config.origins[path] == "--set"}
    kept = {path: config.component(path.partition(".")[0])[path.partition(".")[2]] for path in told}
    config.update(tree, origin)
    for path, value in kept.items():
        config.set(path, value, "--set")


def _from_file(path: Path, blocks: Sequence[str]) -> Cameras:
    tree = read_yaml(path)
    _known(tree, ("cameras", *blocks), str(path))
    listed = tree.get("cameras")
    if not isinstance(listed, Mapping) or not listed:
        raise ConfigError(f"{path}: cameras wants a list of name: address.")
    private = not stat.S_IMODE(path.stat().st_mode) & 0o077
    cameras = tuple(_camera(path, str(name), told, private) for name, told in listed.items())
    return Cameras(cameras, {k: v for k, v in tree.items() if k != "cameras"}, str(path))


def _camera(path: Path, name: str, told: Any, private: bool) -> Camera:
    place = f"{path}: camera {shown(name)}"
    if not NAME.fullmatch(name):
        raise ConfigError(f"{place}: a name is made of letters, digits, spaces and .:-_, 64 at most.")
    options = {"url": told} if isinstance(told, str) else told
    if not isinstance(options, Mapping) or not isinstance(options.get("url"), str):
        raise ConfigError(f"{place} wants an address (url).")
    _known(options, CAMERA_KEYS, place)
    url = str(options["url"])
    if holds_password(url) and not private:
        raise ConfigError(
            f"{place}: its password is in a file that others may read. Write ${{NAME}} in its place and set that in "
            f"the environment, use password_file, or run: chmod 600 {path}"
        )
    secret = options.get("password_file")
    password = "" if secret is None else read_secret(path.parent / str(secret))
    try:
        address = parse_address(url, user=str(options.get("user", "")), password=password)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
    return Camera(name, address, _checked(options, place))


def _checked(options: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The options of CameraSource, of the right kind."""
    from streamer.sources.camera import CameraSource

    hints = get_type_hints(CameraSource.__init__)
    out: dict[str, Any] = {}
    for key in CAMERA_OPTIONS:
        if key not in options:
            continue
        value = options[key]
        number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        fits = value in ("tcp", "udp") if key == "transport" else number
        if not fits:
            wanted = "tcp or udp" if key == "transport" else "a number of at least 0"
            raise ConfigError(f"{place}: {key} wants {wanted}, got {value!r}.")
        out[key] = int(value) if hints[key] is int else value
    return out


def _known(tree: Mapping[str, Any], keys: Sequence[str], place: str) -> None:
    for key in tree:
        if key not in keys:
            raise ConfigError(
                f"{place}: {shown(key)} is not an option{suggest(str(key), keys)}. Options: {', '.join(keys)}."
            )


def _short(address: Address) -> str:
    """A name for a camera nobody named: host and path of its address, or the device."""
    text = address.shown.partition("://")[2] or address.shown
    text = text.rpartition("@")[2].partition("?")[0]
    return re.sub(r"[^\w.:-]+", "-", text).strip("-.:")[:64] or "camera"


def _unused(name: str, taken: Mapping[str, object]) -> str:
    number, wanted = 1, name
    while wanted in taken:
        number += 1
        wanted = f"{name}-{number}"
    return wanted
