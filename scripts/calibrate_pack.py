#!/usr/bin/env python3
"""Measures the thresholds of a model pack on labelled photos, and on labelled videos where there are some.

    scripts/calibrate_pack.py PACK PHOTOS [--videos DATA] [--per-person 25] [--metric cosine|euclid] [--flip] [--json]

PHOTOS has one folder per person. Three thresholds come out, for the three questions a clusterer asks:
pair   accept two photos as one person: best balanced accuracy; TAR at FAR 1e-2, 1e-3, 1e-4
link   accept the nearest neighbour: single linkage over nearest looks with the best B-cubed F
merge  average linkage over means with the best B-cubed F
With --videos the same is done for tracks (the five best looks) of the labelled boxes, one video at a time, every track
counting by its boxes; each video counts the same. Video is blurred and small, so a threshold of photos alone is a
starting value.
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

from streamer.errors import StreamerError  # noqa: E402
from streamer.evaluation.external import Contingency  # noqa: E402
from streamer.evaluation.verification import verification  # noqa: E402
from streamer.models import packs  # noqa: E402

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass
class Labelled:
    """Looks (k, d) of faces with their people, in groups that are clustered apart (a photo set, a video)."""

    looks: list[np.ndarray] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    missed: int = 0

    def add(self, looks: np.ndarray, person: str, group: str, weight: int = 1) -> None:
        self.looks.append(looks)
        self.weights.append(weight)
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
            found.add(vector[None], person.name, "photos")
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


def read_tracks(models: packs.Models, data: Path, most: int = 5) -> Labelled:
    """The up to `most` best faces (width x sharpness) of every track of the labelled boxes.

    A track ends where its person is away for 0.5 s, or at a labelled cut. Boxes of kind `ignore` are left out.
    """
    found = Labelled()
    for file in sorted((data / "labels" / "boxes").glob("*.csv")):
        video = data / "videos" / file.stem
        if video.is_file():
            for person, seen in _tracks(models, video, file, _cuts(data, file.stem)):
                best = sorted(range(len(seen)), key=lambda i: -seen[i][0])[:most]
                found.add(np.stack([seen[i][1] for i in best]), person, file.stem, len(seen))
    return found


def _cuts(data: Path, video: str) -> list[float]:
    import csv

    with open(data / "labels" / "cuts.csv", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["video"] == video]
    return sorted(float(r["time_s"]) for r in rows)


def _tracks(models: packs.Models, video: Path, labels: Path, cuts: list[float]) -> Iterator[tuple[str, list]]:
    import csv

    from streamer.crops import align, crispness, sharpness
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
            last, seen = open_tracks.get(row["person"], (now, []))
            if now - last > 0.5 or any(last < c <= now for c in cuts):
                yield row["person"], seen
                seen = []
            worth = float(box[0, 2] - box[0, 0]) * max(float(crispness(sharpness(crop))[0]), 0.05)
            seen.append((worth, models.embedder.embed(crop)[0]))
            open_tracks[row["person"]] = (now, seen)
    for person, (_, seen) in open_tracks.items():
        if seen:
            yield person, seen


@dataclass(frozen=True)
class Group:
    """Items clustered together: dissimilarities (n, n) of their means and of their nearest looks."""

    means: np.ndarray
    nearest: np.ndarray
    people: np.ndarray
    weights: np.ndarray


def dissimilarities(a: np.ndarray, metric: str) -> np.ndarray:
    """(n, n) of rows (n, d): 1 - cosine, or half the squared Euclidean distance (what the clusterer averages)."""
    gram = a.astype(np.float64) @ a.T.astype(np.float64)
    half = np.diag(gram) / 2
    d = 1 - gram if metric == "cosine" else half[:, None] + half[None] - gram
    return np.maximum((d + d.T) / 2, 0) * (1 - np.eye(len(d)))


def groups_of(found: Labelled, metric: str) -> list[Group]:
    """Every group of two or more items."""
    names, people = np.asarray(found.groups), np.unique(found.people, return_inverse=True)[1]
    made = []
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        if len(rows) > 1:
            looks = [found.looks[i] for i in rows]
            means = np.stack([v.mean(0) for v in looks])
            if metric == "cosine":
                means = means / np.linalg.norm(means, axis=1, keepdims=True)
            weights = np.asarray(found.weights)[rows]
            made.append(Group(dissimilarities(means, metric), _nearest(looks, metric), people[rows], weights))
    return made


def _nearest(looks: list[np.ndarray], metric: str) -> np.ndarray:
    """(n, n): the least dissimilarity between any two looks of two items."""
    starts = np.cumsum([0, *(len(v) for v in looks)])[:-1]
    each = dissimilarities(np.concatenate(looks), metric)
    return np.minimum.reduceat(np.minimum.reduceat(each, starts, 0), starts, 1) * (1 - np.eye(len(looks)))


def as_threshold(d: np.ndarray, metric: str) -> np.ndarray:
    """Dissimilarity to the pack's own units: cosine similarity, or Euclidean distance."""
    return 1 - d if metric == "cosine" else np.sqrt(2 * np.maximum(d, 0))


def linkage_scores(groups: list[Group], which: str, method: str, grid: np.ndarray) -> np.ndarray:
    """Mean B-cubed F over the groups at each height of the grid, items counted by their weights."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    total = np.zeros(len(grid))
    for group in groups:
        tree = linkage(squareform(getattr(group, which), checks=False), method)
        for i, height in enumerate(grid):
            labels = np.repeat(fcluster(tree, height, "distance"), group.weights)
            total[i] += Contingency.of(np.repeat(group.people, group.weights), labels).bcubed().f()
    return total / len(groups)


def measure(found: Labelled, metric: str, steps: int = 120) -> dict[str, object]:
    """The best thresholds and their scores."""
    groups = groups_of(found, metric)
    upper = [np.triu_indices(len(g.people), 1) for g in groups]
    d = np.concatenate([g.means[at] for g, at in zip(groups, upper)])
    same = np.concatenate([(g.people[:, None] == g.people[None])[at] for g, at in zip(groups, upper)])
    roc = verification(-d, same)
    told: dict[str, object] = {
        "items": len(found.looks),
        "people": len(set(zip(found.groups, found.people))),
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
    grid = np.linspace(np.quantile(d[same], 0.05), np.quantile(d[~same], 0.6), steps)
    for name, which, method in (("link", "nearest", "single"), ("merge", "means", "average")):
        f = linkage_scores(groups, which, method, grid)
        best = int(f.argmax())
        near = grid[f >= f[best] - 0.01]
        told[name] = {
            "threshold": _rounded(grid[best], metric),
            "bcubed_f": round(float(f[best]), 4),
            "within_a_point": sorted([_rounded(near.min(), metric), _rounded(near.max(), metric)]),
        }
    return told


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
        print(f"{name}: {len(found.looks)} items in {cost:.0f} CPU-seconds", file=sys.stderr)
        result[name] = measure(found, models.embedder.metric)
    print(json.dumps(result) if told.json else json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StreamerError as error:
        sys.exit(f"{type(error).__name__}: {error}")
