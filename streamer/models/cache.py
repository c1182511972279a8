"""Where models made or fetched on this machine lie, and how a file gets there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from streamer.errors import ModelError

VARIABLE = "WHOWHEN_CACHE"


def cache_folder() -> Path:
    """The folder for models: `WHOWHEN_CACHE`, else the user's cache folder of the platform. It need not exist yet."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("whowhen", appauthor=False)


def write_whole(path: Path, data: bytes) -> None:
    """Puts a file in place by temporary file and rename: nobody ever sees half of it.

    Two writers at once are safe: each has its own temporary file, the later rename wins. ModelError when the folder
    cannot be written.
    """
    spare = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(spare, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(spare, path)
    except OSError as error:
        raise ModelError(
            f"{path} cannot be written: {error.strerror or error}. Free the disk, or set {VARIABLE} to a folder "
            "that can be written."
        ) from error
    finally:
        with contextlib.suppress(OSError):  # it is there only after a failure
            spare.unlink()
