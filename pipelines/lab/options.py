"""Options that several commands of the lab share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.lab.vectors import Vectors


class Of(StrEnum):
    """What is taken from a people library."""

    TRACKS = "tracks"
    FACES = "faces"


File = Annotated[Path, typer.Argument(help="Embedding file (npz, npy, parquet, csv) or people library (people.db).")]
Taken = Annotated[Of, typer.Option("--of", help="From a library: its tracks, or every kept face.")]
Metric = Annotated[str, typer.Option(help="cosine or euclid. Default: what the file says, else cosine.")]
Least = Annotated[int, typer.Option(help="Leave out people with fewer rows than this.", min=1)]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="An option of the method: name=value. Repeat for more.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Plot = Annotated[Path | None, typer.Option("--plot", help="Picture of it: .png, .svg or .pdf.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Picture to write: .png, .svg or .pdf.")]
Method = Annotated[str, typer.Option("--method", "-m", help="Name of a method, see `whowhen lab methods`.")]


def opened(file: Path, metric: str, at_least: int = 1, of: Of = Of.TRACKS) -> tuple[Vectors, str]:
    """The vectors of a file and the metric they are compared by."""
    from pipelines.lab.vectors import read_vectors
    from streamer.errors import ConfigError

    vectors = read_vectors(file, at_least, of.value)
    chosen = metric or vectors.metric or "cosine"
    if chosen not in ("cosine", "euclid"):
        raise ConfigError(f"metric {chosen!r} is not known. Choose cosine or euclid.")
    return vectors, chosen
