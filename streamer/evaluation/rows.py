"""The rows of a faces.csv: where everybody was in every frame, and when each person is on screen."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamer.errors import SourceError
from streamer.intervals import Interval, join
from streamer.items import F32, F64, I64

FACE_COLUMNS = ("frame", "time_s", "track", "person", "x1", "y1", "x2", "y2")


@dataclass(frozen=True, slots=True)
class FaceRows:
    """The rows of a faces.csv as columns of one length, any order. `persons` holds "" where unassigned."""

    frames: I64
    times: F64
    tracks: NDArray[np.str_]
    persons: NDArray[np.str_]
    boxes: F32

    def __len__(self) -> int:
        return len(self.frames)

    def people(self) -> list[str]:
        """Everybody somebody was called, sorted."""
        return sorted(set(self.persons.tolist()) - {""})


def read_faces(path: Path) -> FaceRows:
    """The rows of a faces.csv. SourceError where the file or a column is missing or a cell is no number."""
    if not path.is_file():
        raise SourceError(f"{path}: no such file. Give the output folder of a run (it holds faces.csv).")
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        missing = [c for c in FACE_COLUMNS if c not in (reader.fieldnames or ())]
        if missing:
            raise SourceError(f"{path}: no column {', '.join(missing)}. Is this the faces.csv of a run?")
        rows = [[row[c] for c in FACE_COLUMNS] for row in reader]
    try:
        numbers = np.array([[float(v) for v in (r[0], r[1], *r[4:])] for r in rows], np.float64).reshape(-1, 6)
    except (ValueError, TypeError) as error:
        raise SourceError(f"{path}: {error}. The file is damaged; run again.") from error
    return FaceRows(
        numbers[:, 0].astype(np.int64),
        numbers[:, 1],
        np.array([r[2] for r in rows], np.str_),
        np.array([r[3] for r in rows], np.str_),
        numbers[:, 2:].astype(np.float32),
    )


def spans(rows: FaceRows) -> dict[str, list[Interval]]:
    """When each person is on screen: every row lasts one frame; stretches less than a frame apart are joined."""
    length = _frame_length(rows)
    times: dict[str, list[Interval]] = defaultdict(list)
    for time, person in zip(rows.times.tolist(), rows.persons.tolist()):
        if person:
            times[person].append((time, time + length))
    return {person: join(stretches, gap=length) for person, stretches in sorted(times.items())}


def _frame_length(rows: FaceRows) -> float:
    """Median seconds between neighbouring frames that both have a face; 0.04 where there are none."""
    frames, first = np.unique(rows.frames, return_index=True)
    steps = np.diff(rows.times[first])[np.diff(frames) == 1]
    return float(np.median(steps)) if len(steps) else 0.04
