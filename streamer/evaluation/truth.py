"""True labels of videos: read from label folders (boxes and presence) or RTTM, and written.

A label folder holds `boxes/<video>.csv` (`t_s,x1,y1,x2,y2,person,kind`) and `presence.csv`
(`video,start_s,end_s,person,kind,note`). `kind` is `visible` (a good system must show the person), `hard` (identity
counts if found, never a miss) or `ignore` (not scored; person `-` or empty: anybody).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamer.errors import SourceError
from streamer.items import F32, F64

VISIBLE, HARD, IGNORE = "visible", "hard", "ignore"
BOX_COLUMNS = ("t_s", "x1", "y1", "x2", "y2", "person", "kind")
PRESENCE_COLUMNS = ("video", "start_s", "end_s", "person", "kind", "note")


@dataclass(frozen=True, slots=True)
class Presence:
    """A person is there from `start` to `end` (half open, seconds of the container)."""

    start: float
    end: float
    person: str
    kind: str = VISIBLE


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one video. `times`, `boxes`, `persons` and `kinds` share their first axis; it may be 0."""

    video: str
    times: F64
    boxes: F32
    persons: tuple[str, ...]
    kinds: tuple[str, ...]
    presence: tuple[Presence, ...] = ()

    @property
    def empty(self) -> bool:
        """True where nobody is labelled: whoever is found there is wrong."""
        return not len(self.times) and not any(p.kind != IGNORE for p in self.presence)

    def ignored(self, person: str, time: float) -> bool:
        """Whether a presence range says not to score this person at this time."""
        return any(p.kind == IGNORE and p.person == person and p.start <= time < p.end for p in self.presence)


def make_truth(
    video: str,
    boxes: Sequence[tuple[float, float, float, float, float, str, str]] = (),
    presence: Sequence[Presence] = (),
) -> Truth:
    """A Truth from rows of `BOX_COLUMNS`."""
    numbers = np.array([b[:5] for b in boxes], np.float64).reshape(-1, 5)
    return Truth(
        video,
        numbers[:, 0],
        numbers[:, 1:].astype(np.float32),
        tuple(b[5] for b in boxes),
        tuple(b[6] for b in boxes),
        tuple(presence),
    )


def read_truth(path: Path, video: str = "") -> Truth:
    """The truth of `video` from a label folder, one boxes file (`<video>.csv`) or an RTTM file.

    A folder may also be one that holds `labels/`. `video` may be left out where the file names only one. SourceError
    where there is no such file, no such video, or a row that cannot be read.
    """
    if path.is_dir():
        folder = path / "labels" if (path / "labels").is_dir() else path
        return _from_folder(folder, video)
    if not path.is_file():
        raise SourceError(f"{path}: no such truth file. Give a label folder, a boxes file or an RTTM file.")
    if path.suffix.lower() == ".rttm":
        return _from_rttm(path, video)
    name = video or path.name.removesuffix(".csv")
    beside = next((p for p in (path.parent / "presence.csv", path.parent.parent / "presence.csv") if p.is_file()), None)
    return make_truth(name, _boxes(path), _presence(beside, name) if beside else ())


def truth_videos(path: Path) -> list[str]:
    """Names of the videos a truth folder or file knows, sorted.

    Those of `videos.csv` count, boxes or not, unless its column `people_visible` has no number (not labelled).
    """
    if path.is_file():
        if path.suffix.lower() == ".rttm":
            return sorted({line[1] for line in _rttm_lines(path)})
        return [path.name.removesuffix(".csv")]
    folder = path / "labels" if (path / "labels").is_dir() else path
    found = {p.name.removesuffix(".csv") for p in (folder / "boxes").glob("*.csv")}
    if (folder / "presence.csv").is_file():
        found |= {row["video"] for row in _rows(folder / "presence.csv", ("video",))}
    if (folder / "videos.csv").is_file():
        rows = _rows(folder / "videos.csv", ("video",))
        found |= {row["video"] for row in rows if row.get("people_visible", "0").isdigit()}
    return sorted(found)


def write_truth(truth: Truth, folder: Path) -> None:
    """Writes `boxes/<video>.csv` and `presence.csv` of one video as a label folder."""
    (folder / "boxes").mkdir(parents=True, exist_ok=True)
    with (folder / "boxes" / f"{truth.video}.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(BOX_COLUMNS)
        for time, box, person, kind in zip(truth.times, truth.boxes, truth.persons, truth.kinds):
            writer.writerow([f"{time:.3f}", *(f"{v:.1f}" for v in box), person, kind])
    with (folder / "presence.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(PRESENCE_COLUMNS)
        for p in truth.presence:
            writer.writerow([truth.video, f"{p.start:.3f}", f"{p.end:.3f}", p.person, p.kind, ""])


def _from_folder(folder: Path, video: str) -> Truth:
    known = truth_videos(folder)
    name = video or (known[0] if len(known) == 1 else "")
    if name not in known:
        listed = ", ".join(known) or "none"
        raise SourceError(f"{folder}: no labels for {video or 'an unnamed video'}. Videos labelled there: {listed}.")
    boxes = folder / "boxes" / f"{name}.csv"
    presence = folder / "presence.csv"
    return make_truth(
        name, _boxes(boxes) if boxes.is_file() else (), _presence(presence, name) if presence.is_file() else ()
    )


def _boxes(path: Path) -> list[tuple[float, float, float, float, float, str, str]]:
    out = []
    for line, row in enumerate(_rows(path, BOX_COLUMNS), 2):
        try:
            t, x1, y1, x2, y2 = (float(row[c]) for c in BOX_COLUMNS[:5])
        except ValueError as error:
            raise SourceError(f"{path}, line {line}: {error}.") from error
        out.append((t, x1, y1, x2, y2, row["person"], row["kind"]))
    return out


def _presence(path: Path, video: str) -> list[Presence]:
    return [
        Presence(float(row["start_s"]), float(row["end_s"]), row["person"], row["kind"])
        for row in _rows(path, PRESENCE_COLUMNS[:5])
        if row["video"] == video
    ]


def _rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Rows of a CSV file; SourceError where a column is missing."""
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        missing = [c for c in columns if c not in (reader.fieldnames or ())]
        if missing:
            raise SourceError(f"{path}: no column {', '.join(missing)}. Expected: {', '.join(columns)}.")
        yield from reader


def _from_rttm(path: Path, video: str) -> Truth:
    lines = _rttm_lines(path)
    known = sorted({line[1] for line in lines})
    stem = Path(video).stem
    name = next((k for k in (video, stem) if k in known), known[0] if len(known) == 1 and not video else "")
    if not name:
        raise SourceError(f"{path}: nothing about {video or 'one single file'}. Files named there: {', '.join(known)}.")
    try:
        spans = [Presence(float(f[3]), float(f[3]) + float(f[4]), f[7]) for f in lines if f[1] == name]
    except ValueError as error:
        raise SourceError(f"{path}: {error}; an RTTM line needs start and duration in fields 4 and 5.") from error
    return make_truth(video or name, (), spans)


def _rttm_lines(path: Path) -> list[list[str]]:
    """Fields of every SPEAKER line; comments and other types are passed over."""
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    kept = [f for f in lines if f and f[0] == "SPEAKER"]
    if any(len(f) < 8 for f in kept):
        raise SourceError(
            f"{path}: an RTTM line needs at least 8 fields (type file channel start duration <NA> <NA> name)."
        )
    return kept
