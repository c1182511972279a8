"""`whowhen eval`: what a run is worth against labels."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.terminal.options import Json
from streamer.errors import SourceError

if TYPE_CHECKING:
    from streamer.evaluation import VideoScore

# heading, field, percent
COLUMNS = (
    ("B3 P", "bcubed_precision", True),
    ("B3 R", "bcubed_recall", True),
    ("B3 F", "bcubed_f", True),
    ("pair F", "pair_f", True),
    ("NMI", "nmi", True),
    ("WCP", "wcp", True),
    ("recall", "recall", True),
    ("viol", "violations", False),
    ("switch", "switches", False),
)


def evaluate(
    out: Annotated[Path, typer.Argument(help="Output folder of a run: of one source, or with one folder per source.")],
    truth: Annotated[Path, typer.Option("--truth", "-t", help="Label folder, boxes file (video.csv) or RTTM file.")],
    as_json: Json = False,
) -> int:
    """Score a finished run: B-cubed, pairwise F, NMI, WCP, people, recall, two faces of one person at a time."""
    found = score_folder(out, truth)
    if as_json:
        print(json.dumps({"videos": [s.as_dict() for s in found], "mean": means(found)}, indent=2))
    else:
        print(table(found))
    return 0


def score_folder(out: Path, truth: Path) -> list[VideoScore]:
    """Scores of every source under `out` that `truth` has labels for, by name. SourceError where there is none."""
    from streamer.evaluation import evaluate as evaluate_rows
    from streamer.evaluation import read_faces, read_truth, truth_videos

    folders = [out] if (out / "faces.csv").is_file() else sorted(p.parent for p in out.glob("*/faces.csv"))
    if not folders:
        raise SourceError(f"{out}: no faces.csv in it or in a folder under it. Give the output folder of a run.")
    known = truth_videos(truth) if truth.exists() else []
    scores = []
    for folder in folders:
        video = _video(folder, known, alone=len(folders) == 1 and truth.is_file())
        if video is not None:
            scores.append(evaluate_rows(read_faces(folder / "faces.csv"), read_truth(truth, video)))
    if not scores:
        if not truth.exists():
            read_truth(truth)
        raise SourceError(f"{truth}: no labels for {', '.join(f.name for f in folders)}. Labelled: {', '.join(known)}.")
    return scores


def _video(folder: Path, known: Sequence[str], alone: bool) -> str | None:
    """Which of the labelled videos a result folder is about: by the source in faces.csv, else by the folder's name."""
    import csv

    with (folder / "faces.csv").open(newline="", encoding="utf-8") as lines:
        row = next(csv.DictReader(lines), {})
    for name in (Path(row.get("source") or "").name, folder.resolve().name):
        for video in known:
            if name and name in (video, Path(video).stem):
                return video
    return known[0] if alone and len(known) == 1 else None


def means(scores: Sequence[VideoScore]) -> dict[str, float | None]:
    """Mean of every share over the videos that have it, and the sums of violations, switches and people."""
    out: dict[str, float | None] = {}
    for _, field, share in COLUMNS:
        values = [v for s in scores if not math.isnan(v := float(getattr(s, field)))]
        out[field] = (sum(values) / len(values) if values else None) if share else sum(values)
    for field in ("people_found", "people_true", "people_extra"):
        out[field] = sum(getattr(s, field) for s in scores)
    return out


def table(scores: Sequence[VideoScore]) -> str:
    """The scores as text, one line per video and a last line with the means (shares in percent) and sums (counts)."""
    width = max([len(s.video) for s in scores] + [len("mean / sum")])
    lines = [f"{'video':{width}} " + " ".join(f"{h:>6}" for h, _, _ in COLUMNS) + "  people  extra  by"]
    for s in scores:
        lines.append(_line(s.video, width, s.as_dict()) + f"  {s.level}")
    if len(scores) > 1:
        lines.append(_line("mean / sum", width, means(scores)))
    return "\n".join(lines)


def _line(name: str, width: int, values: dict[str, float | None]) -> str:
    cells = []
    for _, field, share in COLUMNS:
        v = values[field]
        cells.append(f"{'-':>6}" if v is None else f"{100 * v:6.1f}" if share else f"{v:6.0f}")
    people = f"{values['people_found']:.0f}/{values['people_true']:.0f}"
    return f"{name:{width}} {' '.join(cells)}  {people:>6} {values['people_extra']:6.0f}"
