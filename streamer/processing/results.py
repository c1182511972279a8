"""The folder of one source: its reports with the identities of now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamer.library import Library
from streamer.processing.file import now
from streamer.processing.rundata import run_data

FORMATS = ("faces", "appearances", "people", "run", "html")


def write_folder(library: Library, record: int, folder: Path, formats: Sequence[str] = ()) -> list[Path]:
    """Writes the reports of source number `record` into `folder`, `formats` beside the usual five; the paths written.

    The library remembers them, so that forgetting a person can remove them.
    """
    from streamer import reports

    folder.mkdir(parents=True, exist_ok=True)
    data = run_data(library, library.store.source(record), folder)
    people = [p.id for p in data.people]
    written = []
    for form in (*FORMATS, *formats):
        path = reports.write(form, data, folder)
        library.store.add_export(str(path.absolute()), people, now())
        written.append(path)
    return written
