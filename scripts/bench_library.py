"""What a big people library costs: `python scripts/bench_library.py [--tracklets N] [--out FOLDER] [--video FILE]`.

Fills a library with random people, then measures in CPU seconds: one more file in the big and in an empty library - the
steps of the library alone, and with --video a real file from decoding to the reports - the list of people, labels,
search and review. With --out a library that is there already is used again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from streamer.clustering.online import OnlineClusterer
from streamer.items import DETECTED, FaceSample, Track, Tracklet, TrackRows
from streamer.library import Library
from streamer.vectors import mean_direction, unit

DIMENSION, MODEL, FRAMES, SAMPLES = 512, "bench-512", 50, 3
# Two tracks of a person are at cosine 0.5, so people fill their 24 exemplars: 24,000 of them for 100,000 tracks of 1000
# people, as on hard footage; with 0.6 and more a person is one exemplar and the library looks cheaper than it is.
BETWEEN, WITHIN = 0.9, 0.5
CROP = np.kron(np.arange(147).reshape(7, 7, 3), np.ones((16, 16, 1))).astype(np.uint8)


def make() -> OnlineClusterer:
    return OnlineClusterer(DIMENSION, model=MODEL, keep_vectors=False)


def track(rng: np.random.Generator, number: int, centre: np.ndarray, k: int, source: str) -> Track:
    index = np.arange(k * 60, k * 60 + FRAMES, dtype=np.int64)
    boxes = np.cumsum(rng.normal(0, 1, (FRAMES, 4)), 0) + np.array([100, 100, 200, 200])
    rows = TrackRows(
        index,
        index / 25,
        boxes.astype(np.float32),
        np.full(FRAMES, 0.8, np.float32),
        np.full(FRAMES, DETECTED, np.uint8),
    )
    own = centre + rng.normal(0, BETWEEN / DIMENSION**0.5, DIMENSION)
    looks = unit(own + rng.normal(0, WITHIN / DIMENSION**0.5, (SAMPLES, DIMENSION)))
    samples = tuple(
        FaceSample(
            int(index[j]), float(index[j] / 25), (1, 2, 3, 4), 0.9, CROP, 0.8, thumbnail=CROP, embedding=looks[j]
        )
        for j in range(SAMPLES)
    )
    return Track(number, source, rows, samples)


def add_file(library: Library, rng: np.random.Generator, people: np.ndarray, count: int, name: str) -> None:
    """One file of `count` tracks, as a run adds it."""
    store = library.store
    clusterer = library.clusterer(make)
    source = store.begin_source(name, content_hash=name, period=0.04)
    first = store.next_track()
    for k in range(0, count, 64):
        tracks, tracklets = [], []
        for j in range(k, min(k + 64, count)):
            t = track(rng, first + j, people[rng.integers(len(people))], j, source.name)
            tracks.append(t)
            rows = np.stack([s.embedding for s in t.samples])
            tracklets.append(
                Tracklet(
                    t.number,
                    t.source,
                    t.start,
                    t.end,
                    FRAMES,
                    mean_direction(rows),
                    rows,
                    0.8,
                    model=MODEL,
                    cannot_link=frozenset({t.number - 1}) if j % 2 else frozenset(),
                )
            )
        store.add_tracks(
            source.id, tracks, clusterer.add(tracklets), position=k * 2.4,
            vectors={t.id: t.embedding for t in tracklets},
            cannot_links=[(t.id, other) for t in tracklets for other in t.cannot_link],
        )  # fmt: skip
    store.add_events(clusterer.finish())
    store.finish_source(source.id, state=clusterer.state())
    library.refresh()


def cpu(what: str, do: Callable[[], Any]) -> float:
    began, wall = time.process_time(), time.perf_counter()
    do()
    spent = time.process_time() - began
    print(f"{what:44} {spent:8.2f} s CPU {time.perf_counter() - wall:8.2f} s wall", flush=True)
    return spent


class Renamed:
    """A real embedder under the name of the random library's model, so that both fit into one library."""

    def __init__(self, embedder: Any) -> None:
        self._embedder = embedder

    def __getattr__(self, name: str) -> Any:
        return MODEL if name == "model" else getattr(self._embedder, name)


def loaded(pack: str) -> Any:
    """The models of a pack; the library is as wide as their vectors from now on."""
    from dataclasses import replace

    from streamer.models.packs import build, load_pack

    global DIMENSION
    models = build(load_pack(pack), "cpu")
    DIMENSION = models.embedder.dimension
    return replace(models, embedder=Renamed(models.embedder))


def copied(video: Path, folder: Path) -> Path:
    """The video as a file the library has not seen: a free box more at its end."""
    copy = folder / f"{time.time_ns()}{video.suffix}"
    copy.write_bytes(video.read_bytes() + b"\0\0\0\x10free" + os.urandom(8))
    return copy


def real_file(path: Path, video: Path, models: Any, folder: Path) -> float:
    """CPU seconds of a real file, from opening the library to its reports."""
    from streamer.config import load
    from streamer.processing import FileWorker
    from streamer.processing.results import write_folder

    copy = copied(video, folder)

    def run() -> None:
        with opened(path) as library:
            done = FileWorker(library, models, load()).one(copy)
            if done.record is None:
                raise SystemExit(f"{video}: {done.error}")
            library.refresh()
            write_folder(library, done.record, folder / "reports")

    spent = cpu(f"{video.name}, {path.stem.partition('-')[0]} library", run)
    copy.unlink()
    return spent


def real_files(folder: Path, big: Path, video: Path, models: Any, repeats: int) -> None:
    """What a real file costs in the big library, as a multiple of what it costs in an empty one; in turns."""
    real_file(folder / f"warm-{time.time_ns()}.db", video, models, folder)
    real_file(big, video, models, folder)
    small = large = 0.0
    for _ in range(repeats):
        small += real_file(folder / f"empty-{time.time_ns()}.db", video, models, folder)
        large += real_file(big, video, models, folder)
    print(f"ratio {large / small:.3f} for all of {video.name}, {(large - small) / repeats:.2f} s more a file")


def report(folder: Path, rng: np.random.Generator) -> float:
    """CPU seconds of the reports of two hours with 50 people in 4000 tracks."""
    from streamer.processing.results import write_folder

    with opened(folder / f"report-{time.time_ns()}.db") as library:
        library.store.keep_pictures = True
        add_file(library, rng, unit(rng.normal(size=(50, DIMENSION))), 4000, "two hours")
        record = library.store.sources()[0].id
        return cpu(
            "reports of 2 h, 50 people, 4000 tracks", lambda: write_folder(library, record, folder / "two hours")
        )


def opened(path: Path) -> Library:
    library = Library(path, create=True)
    library.store.keep_pictures = False
    library.store.check_model(MODEL, DIMENSION, "cosine")
    return library


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tracklets", type=int, default=100_000)
    options.add_argument("--per-file", type=int, default=2000, help="tracks of one file (about an hour of drama)")
    options.add_argument("--out", type=Path)
    options.add_argument("--video", type=Path, help="a real file to add, too")
    options.add_argument("--models", default="open", help="pack for --video; the library's vectors are as long as its")
    options.add_argument("--repeats", type=int, default=5, help="of --video in either library")
    chosen = options.parse_args()
    models = loaded(chosen.models) if chosen.video is not None else None
    folder = chosen.out or Path(tempfile.mkdtemp(prefix="bench_library_"))
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    people = unit(rng.normal(size=(max(20, chosen.tracklets // 100), DIMENSION)))
    path = folder / "big.db"
    if not path.exists():
        with opened(path) as library:
            for k in range(0, chosen.tracklets, 10_000):
                count = min(10_000, chosen.tracklets - k)
                cpu(f"fill {k + count}", lambda n=count, k=k: add_file(library, rng, people, n, f"file {k}"))
    with opened(folder / f"empty-{time.time_ns()}.db") as library:
        small = cpu(
            "one more file, empty library", lambda: add_file(library, rng, people[:40], chosen.per_file, "more")
        )
    library = opened(path)
    big = cpu(
        "one more file, big library",
        lambda: add_file(library, rng, people[:40], chosen.per_file, f"more {time.time_ns()}"),
    )
    library.close()
    if chosen.video is not None:
        real_files(folder, path, chosen.video, models, chosen.repeats)
    library = opened(path)
    print(f"ratio {big / small:.2f} without decoding, detection and embedding; extra {big - small:.2f} s CPU a file")
    library.refresh()
    cpu("labels and view", lambda: library.view)
    library.refresh()
    listed = cpu("people list", library.people)
    wrote = report(folder, rng)
    print(
        f"{listed:.2f} of 1 s for the list of {len(library.people())} people, {wrote / 10:.2f} of 10 s for the reports"
    )
    cpu("search one face", lambda: library.search(people[0], pair=0.4))
    cpu("review questions", lambda: library.review(merge=0.31))
    print(f"{path.stat().st_size / 1e6:.0f} MB on disk, {len(library.store.tracks())} tracks")
    library.close()
    if chosen.out is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
