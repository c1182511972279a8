"""Options that several commands share, declared once, and what `run` and `watch` make of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from streamer.config import Config

Models = Annotated[
    str,
    typer.Option(
        "--models", "-m", envvar="WHOWHEN_PACK", help="Model pack: a registered name, a pack.yaml, or its folder."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, tensorrt or openvino.")]
Preset = Annotated[str, typer.Option(help="fast, balanced or accurate.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="A YAML file with options.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="One option: section.key=value. Repeat for more.")]
OwnLibrary = Annotated[Path | None, typer.Option("--library", "-l", help="People library (default: OUT/people.db).")]
Formats = Annotated[list[str] | None, typer.Option("--format", "-f", help="More formats, with commas, or all.")]
KeepUnnamed = Annotated[
    str, typer.Option(help="Erase people nobody named this long after they were last seen: 30d, 12h.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What every run was asked for, of files or of cameras."""

    out: Path
    library: Path
    models: str = "open"
    device: str = "auto"
    config: Config = field(default_factory=Config)
    formats: tuple[str, ...] = ()
    keep_unnamed: timedelta | None = None  # people without a name are erased this long after they were last seen


def ordered(
    out: Path,
    library: Path | None,
    models: str,
    device: str,
    preset: str,
    config: Path | None,
    settings: Sequence[str] | None,
    formats: Sequence[str] | None,
    keep_unnamed: str,
) -> dict[str, Any]:
    """The fields of an `Order` from what was typed. ConfigError for what is none of the choices."""
    from streamer.config import load
    from streamer.library.retention import duration
    from streamer.reports import formats_of

    return {
        "out": out,
        "library": library or out / "people.db",
        "models": models,
        "device": device,
        "config": load(preset, config, tuple(settings or ())),
        "formats": tuple(formats_of(formats or ())),
        "keep_unnamed": duration(keep_unnamed) if keep_unnamed else None,
    }
