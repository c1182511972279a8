"""The folder of one source: its reports with the identities of now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from streamer.items import Frame
from streamer.library import Library
from streamer.processing.file import now
from streamer.processing.rundata import run_data
from streamer.sources import open_source, stem
from streamer.store import SourceRecord

FORMATS = ("faces", "appearances", "people", "run", "html")


def frames_again(source: SourceRecord) -> Iterator[Frame]:
    """The frames of a source once more, from where it lies. SourceError when it is no longer there."""
    with closing(open_source(source.path)) as reading:
        yield from reading


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
    from streamer import reports

    folder.mkdir(parents=True, exist_ok=True)
    source = library.store.source(record)
    data = run_data(library, source, folder)
    people = [p.id for p in data.people]
    written = []
    for form in dict.fromkeys((*usual, *formats)):
        draws = form in reports.FORMATS and reports.FORMATS[form].pictures
        path = reports.write(form, data, folder, **({"frames": partial(frames_again, source)} if draws else {}))
        library.store.add_export(str(path.absolute()), people, now())
        written.append(path)
    for person in people:
        picture = folder / "faces" / f"person_{person}.jpg"  # beside people.csv, of nobody else
        if picture.exists():
            library.store.add_export(str(picture.absolute()), [person], now())
    return written
