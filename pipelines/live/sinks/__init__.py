"""Where notices go: files, web addresses, MQTT. One line in SINKS adds one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.live.sinks.base import Figures, Sink, url_digest
from streamer.config import checked, load_class
from streamer.errors import ConfigError, suggest

__all__ = ["Figures", "Sink", "make_sinks"]

SINKS = {
    "jsonl": "pipelines.live.sinks.jsonl:JsonLines",
    "webhook": "pipelines.live.sinks.webhook:Webhook",
    "mqtt": "pipelines.live.sinks.mqtt:Mqtt",
}
REQUIRED = {"jsonl": "path", "webhook": "url", "mqtt": "host"}
SECRET = {"webhook": "secret", "mqtt": "password"}  # given as <name>_env or <name>_file, never in the file itself


def make_sinks(
    blocks: Any, folder: Path, *, origin: str = "sinks", environment: Mapping[str, str] | None = None
) -> list[Sink]:
    """The sinks of the block `sinks:`, not yet started. Relative paths are beneath `folder`.

    ConfigError for everything that is not an option, with the nearest that is, and for secrets that cannot be read.
    """
    if not isinstance(blocks, Sequence) or isinstance(blocks, str):
        raise ConfigError(f"{origin} wants a list of sinks, each with a type ({', '.join(SINKS)}), got {blocks!r}.")
    environment = os.environ if environment is None else environment
    out = [_sink(b, folder, f"{origin}[{k}]", environment) for k, b in enumerate(blocks)]
    names = [s.name for s in out]
    twice = next((n for n in names if names.count(n) > 1 and not n.startswith("mqtt")), None)
    if twice:
        raise ConfigError(f"{origin}: {twice} is given twice.")
    return out


def _sink(block: Any, folder: Path, place: str, environment: Mapping[str, str]) -> Sink:
    if not isinstance(block, Mapping):
        raise ConfigError(f"{place} wants options such as type: jsonl, got {block!r}.")
    kind = block.get("type")
    if kind not in SINKS:
        raise ConfigError(f"{place}: {kind} is no type of sink{suggest(str(kind), SINKS)}. Types: {', '.join(SINKS)}.")
    place = f"{place} ({kind})"
    given = {k: v for k, v in block.items() if k != "type"}
    main = given.pop(REQUIRED[kind], None)
    if not isinstance(main, str) or not main:
        raise ConfigError(f"{place} wants {REQUIRED[kind]}.")
    secret = _secret(kind, given, place, environment, folder)
    options = checked(SINKS[kind], given, place, extra=(REQUIRED[kind],), without=tuple(secret))
    if kind == "jsonl" and main != "-":
        main = str(folder / main)
    if kind == "webhook":
        main = _filled(main, place, environment)
        options["spool"] = folder / ".spool" / f"webhook-{url_digest(main)}.jsonl"
    try:
        made: Sink = load_class(SINKS[kind])(main, **options, **secret)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
    return made


def _secret(
    kind: str, given: dict[str, Any], place: str, environment: Mapping[str, str], folder: Path
) -> dict[str, str]:
    """Takes `<name>_env` and `<name>_file` out of the options and reads what they name."""
    name = SECRET.get(kind)
    if name is None:
        return {}
    if name in given:
        raise ConfigError(f"{place}: {name} does not belong in the file. Use {name}_env or {name}_file.")
    variable, path = given.pop(f"{name}_env", None), given.pop(f"{name}_file", None)
    if variable is not None:
        if not environment.get(str(variable)):
            raise ConfigError(f"{place}: the environment variable {variable} is not set.")
        return {name: environment[str(variable)]}
    if path is not None:
        from streamer.sources.address import read_secret

        return {name: read_secret(folder / str(path))}
    return {name: ""}


def _filled(text: str, place: str, environment: Mapping[str, str]) -> str:
    """`text` with `${NAME}` from the environment: a web address may hold a token."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise ConfigError(f"{place}: {match[0]} is not set in the environment.")
        return environment[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, text)
