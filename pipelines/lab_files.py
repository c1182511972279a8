"""Embedding files of the lab: vectors with, where known, who they are."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError, SourceError
from streamer.items import F32

VECTOR_KEYS = ("embeddings", "embedding", "emb", "vectors", "features", "x")
NAME_KEYS = ("identity", "person", "labels", "label", "name", "y")


@dataclass(frozen=True, slots=True)
class Vectors:
    """Rows (n, d) and their true names (n,), None where the file has none."""

    rows: F32
    identity: NDArray[np.str_] | None

    def __len__(self) -> int:
        return len(self.rows)

    def named(self, path: Path) -> NDArray[np.str_]:
        """The true names; ConfigError where there are none."""
        if self.identity is None:
            raise ConfigError(f"{path} has no true names. Expected an array or column called {', '.join(NAME_KEYS)}.")
        return self.identity


def read_vectors(path: Path, at_least: int = 1) -> Vectors:
    """Vectors of an npz, npy, Parquet or CSV file; persons with fewer than `at_least` rows are left out where named.

    npz: an array (n, d) called one of `VECTOR_KEYS` and names called one of `NAME_KEYS`. CSV and Parquet: one list
    column so called (Parquet), or every column that is no name. SourceError for anything else.
    """
    if not path.is_file():
        raise SourceError(f"{path}: no such embedding file (npz, npy, parquet or csv).")
    readers = {".npz": _npz, ".npy": _npz, ".csv": _csv, ".parquet": _parquet}
    if path.suffix.lower() not in readers:
        raise SourceError(f"{path}: {path.suffix or 'no suffix'} is no embedding file. Known: {', '.join(readers)}.")
    try:
        rows, names = readers[path.suffix.lower()](path)
        x = np.asarray(rows, np.float32)
    except (ValueError, OSError, KeyError) as error:
        raise SourceError(f"{path}: cannot be read as vectors ({error}).") from error
    if x.ndim != 2 or not np.isfinite(x).all():
        raise SourceError(f"{path}: vectors must be finite rows (n, d), not {x.shape} or with NaN.")
    identity = None if names is None else np.asarray(names).astype(np.str_)
    if identity is None or at_least < 2:
        return Vectors(x, identity)
    _, which, count = np.unique(identity, return_inverse=True, return_counts=True)
    kept = count[which] >= at_least
    return Vectors(x[kept], identity[kept])


def write_labels(path: Path, labels: NDArray[Any], identity: NDArray[np.str_] | None) -> None:
    """A CSV with the row number, its cluster (empty = noise) and its true name where known."""
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["row", "cluster", "identity"])
        for i, label in enumerate(labels.tolist()):
            writer.writerow([i, "" if label < 0 else label, "" if identity is None else identity[i]])


def _npz(path: Path) -> tuple[Any, Any]:
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded, None
    with loaded as arrays:
        vectors = next((arrays[k] for k in VECTOR_KEYS if k in arrays), None)
        names = next((arrays[k] for k in NAME_KEYS if k in arrays), None)
        if vectors is None:
            raise KeyError(f"no array called {', '.join(VECTOR_KEYS)}; found {', '.join(arrays.files)}")
    return vectors, names


def _csv(path: Path) -> tuple[Any, Any]:
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        columns = list(reader.fieldnames or ())
        rows = list(reader)
    name = next((k for k in NAME_KEYS if k in columns), None)
    numeric = [c for c in columns if c != name]
    return [[float(r[c]) for c in numeric] for r in rows], None if name is None else [r[name] for r in rows]


def _parquet(path: Path) -> tuple[Any, Any]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(f"{path}: Parquet needs pyarrow. Install it: pip install pyarrow.") from error
    table = parquet.read_table(path)
    name = next((k for k in NAME_KEYS if k in table.column_names), None)
    names = None if name is None else table.column(name).to_pylist()
    whole = next((k for k in VECTOR_KEYS if k in table.column_names), None)
    if whole:
        return table.column(whole).to_pylist(), names
    columns = [table.column(c).to_pylist() for c in table.column_names if c != name]
    return np.array(columns).T, names
