#!/usr/bin/env python3
"""Writes the table of all clustering methods on embedding files into a page: scripts/lab_methods.py PAGE FILE...

    whowhen lab embed photos/lfw -o edgeface.npz -m pack.yaml --at-least 2 --mirror
    scripts/lab_methods.py docs/methods.md edgeface.npz open.npz

Every method is swept over the usual values of its main option, then once more finely about the best one; k-means and
k-medoids over 0.8 to 1.2 of the true number of people. What stands between the markers of the page is replaced.
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
FINE = 8  # values tried between the neighbours of the best coarse one


def best_point(bench: c.Bench, method: str, people: int) -> dict:
    """The best point of a method by B-cubed F, and what one clustering at it costs in CPU-seconds."""
    if method in METHODS and METHODS[method].turns == "clusters":
        grid = [round(people * f) for f in (0.8, 0.9, 1.0, 1.1, 1.2)]
        points = [(method, {"k": k}) for k in grid]
    else:
        points = list(c.grid_points(bench, [method], ()))
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
    parser.add_argument("files", type=Path, nargs="+")
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
