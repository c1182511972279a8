"""The options every library command has, and how a library is opened for it. Exit code 2 for what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.terminal.tables import remark

if TYPE_CHECKING:
    from streamer.library import Library

LibraryFile = Annotated[
    Path,
    typer.Option(
        "--library", "-l", envvar="WHOWHEN_LIBRARY", help="The people library, or the folder that holds people.db."
    ),
]
Who = Annotated[str, typer.Argument(help="A person: number or name (a beginning will do).")]
Models = Annotated[
    str, typer.Option("--models", "-m", envvar="WHOWHEN_PACK", help="Model pack the library was made with.")
]
DEFAULT = Path("people.db")


def opened(path: Path, *, readonly: bool = False) -> Library:
    """The library of that path, signed by the user who is logged in."""
    from streamer.library import Library

    return Library(_file(path), readonly=readonly, who=user(), say=remark)


def opened_for(path: Path, loaded: Any) -> Library:
    """The library, made when it is not there; StoreError when it holds vectors of another model."""
    from streamer.library import Library

    found = Library(_file(path), create=True, who=user(), say=remark)
    try:
        e = loaded.embedder
        found.store.check_model(e.model, e.dimension, e.metric, e.template)
    except BaseException:
        found.close()
        raise
    return found


def user() -> str:
    """Who is logged in."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user entry
        return "user"


def load(models: str, device: str) -> Any:
    """The models of a pack, ready."""
    from streamer.models.packs import build, load_pack

    return build(load_pack(models), device)


def thresholds(models: str) -> Any:
    """pair, link and merge of a pack, without loading its models."""
    from streamer.models.packs import load_pack

    return load_pack(models).thresholds


def pack_model(models: str) -> str:
    """The id of a pack's embedding model, as libraries store it."""
    from streamer.models.packs import load_pack

    return load_pack(models).model


def same_model(found: Library, loaded: Any) -> None:
    """StoreError when the library holds vectors of another model."""
    from streamer.errors import StoreError

    have = found.store.model()
    if have is not None and have[0] != loaded.embedder.model:
        raise StoreError(
            f"{found.store.path} holds vectors of the model {have[0]}, those of --models {loaded.embedder.model} "
            "cannot be compared with them. Choose the pack the library was made with."
        )


def _file(path: Path) -> Path:
    return path / "people.db" if path.is_dir() else path
