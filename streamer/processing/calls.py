"""`streamer.process` and `streamer.open`: the main job and the live one, for Python."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from streamer.config import Config, load
from streamer.errors import ConfigError, StreamerError
from streamer.library import Library
from streamer.processing.base import Listener
from streamer.processing.file import FileWorker
from streamer.processing.result import Result


def process(
    *paths: str | Path,
    library: Library | str | Path | None = None,
    models: str | Path | Any = "open",
    device: str = "auto",
    preset: str = "balanced",
    settings: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
    force: bool = False,
    jobs: int = 1,
) -> Result:
    """Who appears when in videos, folders or globs: a `Result`, to be closed (or used with `with`).

    `library` is the people library to add to, open or a path (made where there is none); without one everything lives
    until the result is closed. `models` is a registered pack, a pack file or folder, or built models. `settings` maps
    "section.key" to values, as `whowhen config show` lists them. What the library holds already is not done again,
    unless by `force`.

    A source that cannot be read is in `Result.problems` when others could; else its error is raised. ConfigError,
    ModelError and StoreError as on the command line.
    """
    from streamer.sources import expand

    if jobs < 1:
        raise ConfigError(f"jobs {jobs}: 1 or more sources at a time are expected.")
    found = expand(paths)
    with ExitStack() as stack:
        people = opened(library, stack)
        worker = FileWorker(people, built(models, device), config_of(preset, settings), listener, force=force)
        done = []
        for one in worker.all(found, jobs):
            done.append(one)
            people.refresh()
        problems: dict[str, StreamerError] = {d.path: d.error for d in done if d.error is not None}
        numbers = dict.fromkeys(d.record for d in done if d.record is not None)
        if not numbers and problems:
            raise next(iter(problems.values()))
        records = [people.store.source(n) for n in numbers]
        return Result(people, records, problems, stack.pop_all())
    raise AssertionError("unreachable")  # pragma: no cover - ExitStack lets every error through


def opened(library: Library | str | Path | None, stack: ExitStack) -> Library:
    """The library; what is opened here is closed by `stack`."""
    if isinstance(library, Library):
        return library
    if library is None:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="whowhen-"))
        return stack.enter_context(Library(Path(folder) / "people.db", create=True))
    return stack.enter_context(Library(library, create=True))


def built(models: Any, device: str) -> Any:
    """The models of a pack, ready; built ones as they are."""
    from streamer.models import packs

    return packs.build(packs.load_pack(str(models)), device) if isinstance(models, str | Path) else models


def config_of(preset: str, settings: Mapping[str, Any] | None) -> Config:
    """A preset with these "section.key" values set."""
    config = load(preset)
    for path, value in (settings or {}).items():
        config.set(path, value, "settings")
    return config
