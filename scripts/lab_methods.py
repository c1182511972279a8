#!/usr/bin/env python3
"""Writes the table of all clustering methods on embedding files into a page: scripts/lab_methods.py PAGE FILE...

    whowhen lab embed photos/lfw -o edgeface.npz -m pack.yaml --at-least 2 --mirror
    scripts/lab_methods.py docs/methods.md edgeface.npz open.npz

Every method is swept over its main option, then once more finely about the best value; k-means and k-medoids are told
the true number of people, and 1.2 times that. What stands between the markers of the page is replaced.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from pipelines.lab import clusterings as c  # noqa: E402
from pipelines.lab.vectors import read_vectors  # noqa: E402
from streamer.clustering.batch import METHODS  # noqa: E402
from streamer.errors import StreamerError  # noqa: E402

BEGIN, END = "<!-- scripts/lab_methods.py begin -->", "<!-- scripts/lab_methods.py end -->"
COARSE, FINE = 7, 4  # values over the range, then as many again about the best one
RANGE = (0.25, 0.85)  # of the usual distance of two faces: where the best threshold of every method here lies


def best_point(bench: c.Bench, method: str, people: int) -> dict:
    """The best point of a method by B-cubed F, and what one clustering at it costs in CPU-seconds."""
    points = coarse(bench, method, people)
    done = list(c.swept(bench, points, None, {}))
    best = c.best_of_each(done, "bcubed_f")[0]
    knob = next(iter(best["options"]))
    values = sorted(p["options"][knob] for p in done)
    at = values.index(best["options"][knob])
    low, high = values[max(0, at - 1)], values[min(len(values) - 1, at + 1)]
    if isinstance(best["options"][knob], float) and high > low:
        finer = [(method, {knob: float(f"{v:.4g}")}) for v in np.linspace(low, high, FINE + 2)[1:-1]]
        done += c.swept(bench, finer, None, {})
        best = c.best_of_each(done, "bcubed_f")[0]
    began = time.process_time()
    c.Bench(bench.vectors, bench.metric).labels(method, best["options"])
    return best | {"cpu": time.process_time() - began}


def coarse(bench: c.Bench, method: str, people: int) -> list[c.Point]:
    """The first values of a method's main option."""
    usual = float(np.median(bench.distances))
    bars = np.linspace(RANGE[0] * usual, RANGE[1] * usual, COARSE)
    if method == c.ONLINE:
        return [(method, {"link": float(f"{1 - d if bench.metric == 'cosine' else d:.4g}")}) for d in bars]
    known = METHODS[method]
    if known.turns == "clusters":
        return [(method, {known.knob: k}) for k in (people, round(1.2 * people))]
    if known.turns:
        high = known.turns == "height"
        return [(method, {known.knob: float(f"{np.sqrt(2 * d) if high else d:.4g}")}) for d in bars]
    return [(method, {known.knob: v}) for v in known.grid[:5]]


def section(file: Path) -> str:
    """The table of one embedding file."""
    vectors = read_vectors(file).known(file)
    people = len(set(vectors.named(file).tolist()))
    bench = c.Bench(vectors, vectors.metric or "cosine")
    found = []
    for method in c.methods():
        began = time.process_time()
        found.append(best_point(bench, method, people))
        print(f"{file.stem} {method}: {time.process_time() - began:.0f} CPU-s", file=sys.stderr, flush=True)
    found.sort(key=c.better("bcubed_f"))
    lines = c.sweep_table(found).splitlines()
    lines = [f"{lines[0]} CPU-s |", f"{lines[1]} --- |", *(f"{t} {p['cpu']:.1f} |" for t, p in zip(lines[2:], found))]
    head = f"### {file.stem}: {len(vectors)} faces of {people} people, {vectors.rows.shape[1]}-d"
    return "\n".join([head, "", *lines])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("files", type=Path, nargs="+", help="embedding files with true names")
    told = parser.parse_args()
    text = told.page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        parser.error(f"{told.page} has no place for the table: write {BEGIN} and {END} into it")
    tables = "\n\n".join(section(f) for f in told.files)
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    told.page.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StreamerError as error:
        sys.exit(f"{type(error).__name__}: {error}")
