#!/usr/bin/env python3
"""Measures the thresholds of a model pack on labelled photos, and on labelled videos where there are some.

    scripts/calibrate_pack.py PACK PHOTOS [--videos DATA] [--per-person 25] [--metric cosine|euclid] [--flip] [--json]

PHOTOS has one folder per person. Three thresholds come out, for the three questions a clusterer asks:
pair   accept two photos as one person: best balanced accuracy; TAR at FAR 1e-2, 1e-3, 1e-4
link   accept the nearest neighbour: single linkage with the best B-cubed F
merge  average linkage with the best B-cubed F
With --videos the same is done for tracks (mean of five looks) of the labelled boxes, people of one video at a time.
A threshold that is best on photos alone is a starting value: video is blurred and small.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from streamer.evaluation.external import Contingency  # noqa: E402
from streamer.evaluation.verification import verification  # noqa: E402
from streamer.models import packs  # noqa: E402

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass
class Labelled:
    """Vectors (n, d) with their people, in groups that are clustered apart (a photo set, a video)."""

    vectors: list[np.ndarray] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    missed: int = 0

    def add(self, vector: np.ndarray, person: str, group: str) -> None:
        self.vectors.append(vector)
        self.people.append(person)
        self.groups.append(group)


def central_face(detector: object, image: np.ndarray) -> np.ndarray | None:
    """Landmarks (5, 2) of the face nearest to the middle of the picture; None where none is found."""
    faces = detector.detect([image])[0]
    if not len(faces):
        return None
    middle = np.array([image.shape[1], image.shape[0]]) / 2
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    return faces.landmarks[np.linalg.norm(centres - middle, axis=1).argmin()]


def read_photos(models: packs.Models, folder: Path, per_person: int, smallest: int) -> Labelled:
    """A vector for the central face of every photo, at most `per_person` of each folder with `smallest` or more."""
    import cv2

    from streamer.crops import align

    found = Labelled()
    for person in sorted(p for p in folder.iterdir() if p.is_dir()):
        pictures = sorted(p for p in person.iterdir() if p.suffix.lower() in PICTURES)[:per_person]
        if len(pictures) < smallest:
            continue
        crops = []
        for picture in pictures:
            image = cv2.imread(str(picture))
            points = None if image is None else central_face(models.detector, image)
            if points is None:
                found.missed += 1
            else:
                crops.append(align(image, points[None], models.embedder.template)[0])
        for vector in models.embedder.embed(np.stack(crops)) if crops else ():
            found.add(vector, person.name, "photos")
    return found


def frames_at(video: Path, times: set[float]) -> Iterator[tuple[float, np.ndarray]]:
    """(labelled time, picture) for the decoded frames next to these times."""
    import av

    wanted = sorted(times)
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if not wanted:
                return
            if frame.time is not None and frame.time >= wanted[0] - 0.02:
                yield wanted.pop(0), frame.to_ndarray(format="bgr24")


def read_tracks(models: packs.Models, data: Path, looks: int = 5) -> Labelled:
    """A vector per track of the labelled boxes: the mean of up to `looks` evenly spread faces found there.

    A track ends where its person is away for 0.5 s, or at a labelled cut. Boxes of kind `ignore` are left out.
    """
    found = Labelled()
    for file in sorted((data / "labels" / "boxes").glob("*.csv")):
        video = data / "videos" / file.stem
        if video.is_file():
            for person, vectors in _tracks(models, video, file, _cuts(data, file.stem)):
                chosen = np.unique(np.linspace(0, len(vectors) - 1, looks).round().astype(int))
                mean = np.mean([vectors[i] for i in chosen], 0)
                found.add(unit_like(mean, models.embedder.metric), person, file.stem)
    return found


def unit_like(vector: np.ndarray, metric: str) -> np.ndarray:
    return vector / np.linalg.norm(vector) if metric == "cosine" else vector


def _cuts(data: Path, video: str) -> list[float]:
    import csv

    with open(data / "labels" / "cuts.csv", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["video"] == video]
    return sorted(float(r.get("t_s") or r.get("time_s") or 0) for r in rows)


def _tracks(models: packs.Models, video: Path, labels: Path, cuts: list[float]) -> Iterator[tuple[str, list]]:
    import csv

    from streamer.crops import align
    from streamer.geometry import iou

    with open(labels, newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["kind"] != "ignore" and r["person"] != "-"]
    times = {float(r["t_s"]) for r in rows}
    open_tracks: dict[str, tuple[float, list]] = {}
    for now, image in frames_at(video, times):
        faces = models.detector.detect([image])[0]
        for row in (r for r in rows if float(r["t_s"]) == now):
            box = np.array([[float(row[k]) for k in ("x1", "y1", "x2", "y2")]], np.float32)
            overlap = iou(box, faces.boxes)[0] if len(faces) else np.zeros(0)
            if not len(overlap) or overlap.max() < 0.3:
                continue
            crop = align(image, faces.landmarks[overlap.argmax()][None], models.embedder.template)
            last, vectors = open_tracks.get(row["person"], (now, []))
            if now - last > 0.5 or any(last < c <= now for c in cuts):
                yield row["person"], vectors
                vectors = []
            vectors.append(models.embedder.embed(crop)[0])
            open_tracks[row["person"]] = (now, vectors)
    for person, (_, vectors) in open_tracks.items():
        if vectors:
            yield person, vectors


def dissimilarities(vectors: np.ndarray, metric: str) -> np.ndarray:
    """Condensed pairwise 1 - cosine, or half the squared Euclidean distance (what the clusterer averages)."""
    from scipy.spatial.distance import squareform

    gram = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    square = 1 - gram if metric == "cosine" else (np.diag(gram)[:, None] + np.diag(gram)[None]) / 2 - gram
    return squareform(np.maximum((square + square.T) / 2 * (1 - np.eye(len(square))), 0), checks=False)


def as_threshold(d: np.ndarray, metric: str) -> np.ndarray:
    """Dissimilarity to the pack's own units: cosine similarity, or Euclidean distance."""
    return 1 - d if metric == "cosine" else np.sqrt(2 * np.maximum(d, 0))


def linkage_scores(parts: list[tuple[np.ndarray, np.ndarray]], method: str, grid: np.ndarray) -> np.ndarray:
    """Mean B-cubed F over the parts (condensed dissimilarities, labels) at each height of the grid."""
    from scipy.cluster.hierarchy import fcluster, linkage

    total = np.zeros(len(grid))
    for condensed, truth in parts:
        tree = linkage(condensed, method)
        heights = [fcluster(tree, height, "distance") for height in grid]
        total += [Contingency.of(truth, labels).bcubed().f() for labels in heights]
    return total / len(parts)


def measure(found: Labelled, metric: str, steps: int = 120) -> dict[str, object]:
    """The best thresholds and their scores."""
    vectors, people = np.stack(found.vectors), np.unique(found.people, return_inverse=True)[1]
    groups = np.asarray(found.groups)
    parts = []
    for group in np.unique(groups):
        rows = groups == group
        if rows.sum() > 1:
            parts.append((dissimilarities(vectors[rows], metric), people[rows]))
    d = np.concatenate([p[0] for p in parts])
    same = np.concatenate([(p[1][:, None] == p[1][None])[np.triu_indices(len(p[1]), 1)] for p in parts])
    roc = verification(-d, same)
    told: dict[str, object] = {
        "faces": len(vectors),
        "people": len(np.unique(people)),
        "missed": found.missed,
        "same_pairs": roc.same,
        "different_pairs": roc.different,
        "auc": round(roc.auc, 5),
        "same_median": _rounded(np.median(d[same]), metric),
        "different_median": _rounded(np.median(d[~same]), metric),
        "pair": _rounded(-roc.best, metric),
        "pair_balanced_accuracy": round(roc.accuracy, 4),
    }
    for far in (1e-2, 1e-3, 1e-4):
        at = np.flatnonzero(roc.far <= far)[-1]
        told[f"far_{far:g}"] = {"tar": round(roc.tar_at(far), 4), "threshold": _rounded(-roc.thresholds[at], metric)}
    grid = np.quantile(d, 1.0) * np.linspace(0.004, 0.75, steps) if metric == "euclid" else _cosine_grid(d, same, steps)
    for name, method in (("link", "single"), ("merge", "average")):
        f = linkage_scores(parts, method, grid)
        best = int(f.argmax())
        near = grid[f >= f[best] - 0.005]
        told[name] = {
            "threshold": _rounded(grid[best], metric),
            "bcubed_f": round(float(f[best]), 4),
            "within_half_a_point": sorted([_rounded(near.min(), metric), _rounded(near.max(), metric)]),
        }
    return told


def _cosine_grid(d: np.ndarray, same: np.ndarray, steps: int) -> np.ndarray:
    return np.linspace(np.quantile(d[same], 0.05), np.quantile(d[~same], 0.6), steps)


def _rounded(d: float, metric: str) -> float:
    return round(float(as_threshold(np.asarray(d), metric)), 4)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", help="registered name, pack.yaml, or its folder")
    parser.add_argument("photos", type=Path, help="folder with one folder of photos per person")
    parser.add_argument("--videos", type=Path, help="folder with videos/ and labels/boxes/")
    parser.add_argument("--per-person", type=int, default=25)
    parser.add_argument("--smallest", type=int, default=2, help="leave out people with fewer photos")
    parser.add_argument("--metric", choices=("cosine", "euclid"), help="instead of the pack's own")
    parser.add_argument("--flip", action="store_true", help="mean of a crop's vector and its mirror image's")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    told = parser.parse_args()
    if not told.photos.is_dir():
        parser.error(f"{told.photos} is not a folder")
    pack = packs.load_pack(told.pack)
    options = dict(pack.embedder.options)
    options |= {"metric": told.metric} if told.metric else {}
    options |= {"flip": True} if told.flip else {}
    pack = replace(pack, embedder=replace(pack.embedder, options=options))
    models = packs.build(pack, "cpu")
    result: dict[str, object] = {"pack": pack.name, "model": pack.model, "metric": models.embedder.metric}
    for name, read in (
        ("photos", lambda: read_photos(models, told.photos, told.per_person, told.smallest)),
        ("tracks", (lambda: read_tracks(models, told.videos)) if told.videos else None),
    ):
        if read is None:
            continue
        start = time.process_time()
        found = read()
        cost = time.process_time() - start
        print(f"{name}: {len(found.vectors)} vectors in {cost:.0f} CPU-seconds", file=sys.stderr)
        result[name] = measure(found, models.embedder.metric)
    print(json.dumps(result) if told.json else json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
