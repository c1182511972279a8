"""What the lab clusters: vectors of a file or of a people library with, where known, who they are and how they look."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError, SourceError, StoreError
from streamer.items import F32, F64, U8

VECTOR_KEYS = ("embeddings", "embedding", "emb", "vectors", "features", "x")
NAME_KEYS = ("identity", "person", "labels", "label", "name", "y")
LIBRARY_SUFFIXES = (".db", ".sqlite", ".sqlite3")
Of = Literal["tracks", "faces"]
Thumbnails = Callable[[Sequence[int]], list[U8 | None]]


def _no_pictures(rows: Sequence[int]) -> list[U8 | None]:
    return [None] * len(rows)


@dataclass(frozen=True, slots=True)
class Vectors:
    """Rows (n, d) and who they are.

    `identity` (n,) holds true names, "" where unknown; None where nobody is known. `metric` is what the file says its
    vectors want ("" where it does not), `cannot_link` pairs of rows that share a frame, `quality` (n,) 0..1.
    `thumbnails(rows)` gives BGR pictures of some rows, None for those without one.
    """

    rows: F32
    identity: NDArray[np.str_] | None
    metric: str = ""
    cannot_link: tuple[tuple[int, int], ...] = ()
    quality: F64 | None = None
    thumbnails: Thumbnails = _no_pictures

    def __len__(self) -> int:
        return len(self.rows)

    def named(self, path: Path) -> NDArray[np.str_]:
        """The true names; ConfigError where there are none."""
        if self.identity is None:
            raise ConfigError(
                f"{path} has no true names. Expected an array or column called {', '.join(NAME_KEYS)}, or a library "
                "with named people."
            )
        return self.identity

    def known(self, path: Path) -> Vectors:
        """The rows with a true name alone; ConfigError where there are none."""
        return self.take(np.flatnonzero(self.named(path) != ""))

    def take(self, kept: NDArray[np.intp]) -> Vectors:
        """Some of the rows, in that order."""
        place = {int(old): new for new, old in enumerate(kept)}
        links = tuple((place[a], place[b]) for a, b in self.cannot_link if a in place and b in place)
        return replace(
            self,
            rows=self.rows[kept],
            identity=None if self.identity is None else self.identity[kept],
            cannot_link=links,
            quality=None if self.quality is None else self.quality[kept],
            thumbnails=lambda rows: self.thumbnails([int(kept[r]) for r in rows]),
        )


def read_vectors(path: Path, at_least: int = 1, of: Of = "tracks") -> Vectors:
    """Vectors of a people library, npz, npy, Parquet or CSV file; people with fewer than `at_least` rows are left out.

    npz: an array (n, d) called one of `VECTOR_KEYS` and names called one of `NAME_KEYS`; `path` and `box` (n, 4) give
    the faces' pictures. CSV and Parquet: one list column so called (Parquet), or every column that is no name. A
    library gives the vector of every track, or of every kept face; names are those of its people that have one.
    SourceError for anything else.
    """
    if path.is_dir() and (path / "people.db").is_file():
        path = path / "people.db"
    if not path.is_file():
        raise SourceError(f"{path}: no such embedding file (npz, npy, parquet, csv) or people library (db).")
    if path.suffix.lower() in LIBRARY_SUFFIXES:
        found = _library(path, of)
    else:
        found = _file(path)
    if found.identity is None or at_least < 2:
        return found
    _, which, count = np.unique(found.identity, return_inverse=True, return_counts=True)
    return found.take(np.flatnonzero((count[which] >= at_least) & (found.identity != "")))


def write_labels(path: Path, labels: NDArray[Any], identity: NDArray[np.str_] | None) -> None:
    """A CSV with the row number, its cluster (empty = noise) and its true name where known."""
    from streamer.reports.atomic import text

    with text(path) as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["row", "cluster", "identity"])
        for i, label in enumerate(labels.tolist()):
            writer.writerow([i, "" if label < 0 else label, "" if identity is None else identity[i]])


def _file(path: Path) -> Vectors:
    readers = {".npz": _npz, ".npy": _npz, ".csv": _csv, ".parquet": _parquet}
    if path.suffix.lower() not in readers:
        known = ", ".join((*readers, *LIBRARY_SUFFIXES))
        raise SourceError(f"{path}: {path.suffix or 'no suffix'} is no embedding file. Known: {known}.")
    try:
        rows, names, more = readers[path.suffix.lower()](path)
        x = np.asarray(rows, np.float32)
        identity = None if names is None else np.asarray(["" if n is None else n for n in np.asarray(names).tolist()])
    except (ValueError, OSError, KeyError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise SourceError(f"{path}: cannot be read as vectors ({error}).") from error
    if x.ndim != 2 or not np.isfinite(x).all():
        raise SourceError(f"{path}: vectors must be finite rows (n, d), not {x.shape} or with NaN.")
    if identity is not None and identity.shape != (len(x),):
        raise SourceError(f"{path}: {identity.shape} names do not fit {len(x)} vectors.")
    named = None if identity is None else identity.astype(np.str_)
    pictures = _pictures(path, more) if {"path", "box"} <= set(more) else _no_pictures
    return Vectors(x, named, str(more.get("metric", "")), thumbnails=pictures)


def _npz(path: Path) -> tuple[Any, Any, dict[str, Any]]:
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded, None, {}
    with loaded as arrays:
        vectors = next((arrays[k] for k in VECTOR_KEYS if k in arrays), None)
        names = next((arrays[k] for k in NAME_KEYS if k in arrays), None)
        if vectors is None:
            raise KeyError(f"no array called {', '.join(VECTOR_KEYS)}; found {', '.join(arrays.files)}")
        return vectors, names, {k: arrays[k] for k in ("path", "box", "metric") if k in arrays}


def _pictures(file: Path, more: dict[str, Any]) -> Thumbnails:
    """The faces cut out of the photos a file names; paths are absolute or relative to the file's folder."""

    def cut_out(rows: Sequence[int]) -> list[U8 | None]:
        from streamer.crops import cut
        from streamer.sources.images import read_image

        out: list[U8 | None] = []
        for row in rows:
            try:
                image = read_image(file.parent / str(more["path"][row]))
                out.append(cut(image, more["box"][row], 0.1, 64))
            except SourceError:
                out.append(None)
        return out

    return cut_out


def _csv(path: Path) -> tuple[Any, Any, dict[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        columns = list(reader.fieldnames or ())
        rows = list(reader)
    name = next((k for k in NAME_KEYS if k in columns), None)
    numeric = [c for c in columns if c != name]
    return [[float(r[c]) for c in numeric] for r in rows], None if name is None else [r[name] for r in rows], {}


def _parquet(path: Path) -> tuple[Any, Any, dict[str, Any]]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(f"{path}: Parquet needs pyarrow. Install it: pip install pyarrow.") from error
    table = parquet.read_table(path)
    name = next((k for k in NAME_KEYS if k in table.column_names), None)
    names = None if name is None else table.column(name).to_pylist()
    whole = next((k for k in VECTOR_KEYS if k in table.column_names), None)
    if whole:
        return table.column(whole).to_pylist(), names, {}
    columns = [table.column(c).to_pylist() for c in table.column_names if c != name]
    return np.array(columns).T, names, {}


def _library(path: Path, of: Of) -> Vectors:
    from streamer.library import Library

    with Library(path, readonly=True) as library:
        store, view = library.store, library.view
        model = store.model()
        if model is None:
            raise StoreError(f"{path} holds no faces yet. Run a video into it first: whowhen run VIDEO -o OUT")
        if of == "tracks":
            numbers, rows = store.track_vectors()
            keys = np.stack([numbers, np.full(len(numbers), -1)], 1)
        else:
            keys, rows = store.all_vectors(limit=1 << 40)
        tracks = keys[:, 0].tolist()
        names = np.array([view.names.get(view.labels.get(t) or 0, "") for t in tracks], np.str_)
        place = {t: i for i, t in enumerate(tracks)} if of == "tracks" else {}
        links = tuple((place[a], place[b]) for a, b in store.cannot_links() if a in place and b in place)
        quality = {t.id: t.quality for t in store.tracks()}
    worth = np.array([quality.get(t, 1.0) for t in tracks], np.float64)
    identity = names if (names != "").any() else None
    return Vectors(rows, identity, model[2], links, worth, _stored_faces(path, keys.tolist()))


def _stored_faces(path: Path, keys: list[list[int]]) -> Thumbnails:
    """The kept pictures of tracks or faces: (track, number) a row, number -1 for the best of a track."""

    def look_up(rows: Sequence[int]) -> list[U8 | None]:
        from streamer.crops import decode_jpeg
        from streamer.store import Store

        out: list[U8 | None] = []
        with Store(path, readonly=True) as store:
            for track, number in (keys[r] for r in rows):
                best = store.best_faces([track], 1) if number < 0 else ()
                data = next((d for _, _, d in best), None) if number < 0 else store.thumbnail(track, number)
                out.append(None if data is None else decode_jpeg(data))
        return out

    return look_up
