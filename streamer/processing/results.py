"""The folder of one source: its reports with the identities of now."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from streamer import reports
from streamer.library import Library
from streamer.processing.exporting import export
from streamer.sources import stem
from streamer.store import SourceRecord

FORMATS = ("faces", "appearances", "people", "run", "html")


def source_folder(out: Path, path: Path, source: SourceRecord, taken: set[str]) -> Path:
    """The folder in `out` for the results of a source, not yet in `taken` (its name is added).

    A folder that holds the results of another video is left alone: two `clip.mp4` of different runs get two.
    """
    while True:
        folder = out / stem(path, taken)
        if _belongs(folder, source):
            return folder


def _belongs(folder: Path, source: SourceRecord) -> bool:
    try:
        told = json.loads((folder / "run.json").read_text("utf-8"))
        return bool({told["source"]["path"], told["source"].get("content")} & {source.path, source.hash})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return True


def write_folder(
    library: Library, record: int, folder: Path, formats: Sequence[str] = (), *, usual: Sequence[str] = FORMATS
) -> list[Path]:
    """Writes the reports of source number `record` into `folder`, `formats` beside the usual ones; the paths written.

    The library remembers them, so that forgetting a person can remove them.
    """
    forms = list(dict.fromkeys((*usual, *formats)))
    source = library.store.source(record)
    return export(library, [source], forms, lambda _, form: folder / reports.about(form).filename)
