#!/usr/bin/env python3
"""Cut detection against labels, side by side with PySceneDetect (pip install --no-deps scenedetect), on one folder.

    scripts/bench_shots.py ../shared/data [--json FILE]

A cut counts as found within two frames, a fade from its start to `--fade` seconds later. The cost is CPU time for one
frame that is decoded already; PySceneDetect's includes decoding.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from streamer.sources.file import FileSource
from streamer.tracking.shots import ShotDetector

Truth = list[tuple[float, str]]


def read_cuts(folder: Path) -> dict[str, Truth]:
    truth: dict[str, Truth] = defaultdict(list)
    with (folder / "labels" / "cuts.csv").open() as table:
        for row in csv.DictReader(table):
            truth[row["video"]].append((float(row["time_s"]), row["type"]))
    return truth


def score(found: list[float], truth: Truth, times: np.ndarray, fade: float) -> tuple[np.ndarray, list[float]]:
    """(found, wrong, missed) and the wrong ones' times; each true cut takes the first that fits."""
    left, hits = sorted(found), 0
    for at, kind in truth:
        i = int(np.argmin(np.abs(times - at)))
        low, high = times[max(0, i - 2)] - 1e-3, times[min(len(times) - 1, i + 2)] + 1e-3
        fits = [t for t in left if low <= t <= high + (fade if kind == "fade" else 0)]
        if fits:
            hits += 1
            left.remove(fits[0])
    return np.array([hits, len(left), len(truth) - hits]), left


def own(path: Path) -> tuple[list[float], np.ndarray, float]:
    """Cuts, times of all frames, CPU seconds of the detector alone."""
    detector, found, times, cost = ShotDetector(), [], [], 0.0
    for frame in FileSource(path):
        before = time.thread_time()  # the decoder has threads of its own
        if detector.is_cut(frame):
            found.append(frame.time)
        cost += time.thread_time() - before
        times.append(frame.time)
    return found, np.array(times), cost


def peer(path: Path, start: float) -> dict[str, list[float]]:
    """PySceneDetect's cuts with its own defaults, in the container's time; empty where it is not installed."""
    try:
        from scenedetect import AdaptiveDetector, ContentDetector, SceneManager, open_video
    except ImportError:
        return {}
    out = {}
    for name, detector in (
        ("PySceneDetect content", ContentDetector()),
        ("PySceneDetect adaptive", AdaptiveDetector()),
    ):
        manager = SceneManager()
        manager.add_detector(detector)
        manager.detect_scenes(open_video(str(path), backend="pyav"))
        out[name] = [scene[0].seconds + start for scene in manager.get_scene_list()[1:]]
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--fade", type=float, default=0.5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    truth = read_cuts(options.data)
    sums: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(3, int))
    cost = frames = 0.0
    for path in sorted((options.data / "videos").iterdir()):
        found, times, seconds = own(path)
        cost, frames = cost + seconds, frames + len(times)
        for name, cuts in {"whowhen": found, **peer(path, float(times[0]))}.items():
            counts, wrong = score(cuts, truth.get(path.name, []), times, options.fade)
            sums[name] += counts
            if counts[1:].any():
                print(f"{path.name:20s} {name:24s} missed {counts[2]}, not labelled at {np.round(wrong, 2).tolist()}")
    result = {}
    print(f"\n{'':24s} found wrong missed precision recall    F1")
    for name, (hit, wrong, missed) in sums.items():
        precision, recall, f1 = (
            hit / max(1, hit + wrong),
            hit / max(1, hit + missed),
            2 * hit / (2 * hit + wrong + missed),
        )
        result[name] = {"found": int(hit), "wrong": int(wrong), "missed": int(missed), "f1": float(f1)}
        print(f"{name:24s} {hit:5d} {wrong:5d} {missed:6d} {precision:9.3f} {recall:6.3f} {f1:6.4f}")
    print(f"\nwhowhen: {1000 * cost / frames:.3f} CPU-ms a frame over {frames:.0f} frames")
    if options.json:
        options.json.write_text(json.dumps({"ms_per_frame": 1000 * cost / frames, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
