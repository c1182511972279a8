"""What a big people library costs: `python scripts/bench_library.py [--tracklets N] [--out FOLDER] [--video FILE ...]`.

Fills a library with generated people (bench_cast), then measures in CPU seconds: one more file in the big and in an
empty library - the steps of the library alone, and with --video a real file from decoding to the reports - the list of
people, labels, search and review. With --out a library that is there already is used again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from bench_cast import Cast, cast

from streamer.clustering.online import OnlineClusterer
from streamer.items import DETECTED, F32, I64, FaceSample, Track, Tracklet, TrackRows
from streamer.library import Library
from streamer.vectors import mean_direction, unit

FRAMES, SAMPLES, PER_FILE = 50, 3, 2000  # 2000 tracks: about an hour of drama
WITHIN = 0.35  # cosine of two looks of one track: 0.9
CROP = np.kron(np.arange(147).reshape(7, 7, 3), np.ones((16, 16, 1))).astype(np.uint8)


@dataclass(frozen=True)
class Kind:
    """The vectors of a library: their model's name, length and thresholds."""

    model: str = "bench"
    dimension: int = 512
    link: float = 0.42
    merge: float = 0.31
    middle: F32 | None = None  # of the cone in which the vectors lie

    def make(self) -> OnlineClusterer:
        return OnlineClusterer(self.dimension, model=self.model, link=self.link, merge=self.merge, keep_vectors=False)

    def placed(self, vectors: F32) -> F32:
        """Zero-centred vectors, in a cone so narrow that the thresholds part them as 0.42 and 0.31 would have."""
        if self.middle is None:
            return vectors
        width = min(1.0, ((1 - self.link) / 0.58 + (1 - self.merge) / 0.69) / 2)
        return unit(width**0.5 * vectors + (1 - width) ** 0.5 * self.middle)


def track(rng: np.random.Generator, number: int, looks: F32, quality: float, k: int, source: str) -> Track:
    index = np.arange(k * 60, k * 60 + FRAMES, dtype=np.int64)
    boxes = np.cumsum(rng.normal(0, 1, (FRAMES, 4)), 0) + np.array([100, 100, 200, 200])
    rows = TrackRows(
        index,
        index / 25,
        boxes.astype(np.float32),
        np.full(FRAMES, 0.8, np.float32),
        np.full(FRAMES, DETECTED, np.uint8),
    )
    samples = tuple(
        FaceSample(
            int(index[j]), float(index[j] / 25), (1, 2, 3, 4), 0.9, CROP, quality, thumbnail=CROP, embedding=looks[j]
        )
        for j in range(SAMPLES)
    )
    return Track(number, source, rows, samples)


def add_file(library: Library, kind: Kind, people: Cast, name: str) -> None:
    """One file with these tracks, as a run adds it."""
    rng, store = np.random.default_rng(1), library.store
    clusterer = library.clusterer(kind.make)
    source = store.begin_source(name, content_hash=name, period=0.04)
    first = store.next_track()
    for k in range(0, len(people.vectors), 16):
        tracks, tracklets = [], []
        for j in range(k, min(k + 16, len(people.vectors))):
            noise = rng.normal(0, WITHIN / kind.dimension**0.5, (SAMPLES, kind.dimension))
            looks = kind.placed(unit(people.vectors[j] + noise.astype(np.float32)))
            t = track(rng, first + j, looks, float(people.quality[j]), j, source.name)
            tracks.append(t)
            beside = np.flatnonzero(people.shot[max(0, j - 8) : j] == people.shot[j]) + first + max(0, j - 8)
            tracklets.append(
                Tracklet(
                    t.number,
                    t.source,
                    t.start,
                    t.end,
                    FRAMES,
                    mean_direction(looks),
                    looks,
                    float(people.quality[j]),
                    model=kind.model,
                    cannot_link=frozenset(beside.tolist()),
                )
            )
        store.add_tracks(
            source.id, tracks, clusterer.add(tracklets), position=k * 2.4,
            vectors={t.id: t.embedding for t in tracklets},
            cannot_links=[(t.id, other) for t in tracklets for other in t.cannot_link],
        )  # fmt: skip
    store.add_events(clusterer.finish())
    store.finish_source(source.id, state=clusterer.pages())
    library.refresh()


def cpu(what: str, do: Callable[[], Any]) -> float:
    began, wall = time.process_time(), time.perf_counter()
    do()
    spent = time.process_time() - began
    print(f"{what:44} {spent:8.2f} s CPU {time.perf_counter() - wall:8.2f} s wall", flush=True)
    return spent


def loaded(pack: str) -> Any:
    """The models of a pack."""
    from streamer.models.packs import build, load_pack

    return build(load_pack(pack), "cpu")


def kind_of(models: Any, folder: Path, video: Path) -> Kind:
    """The library that fits these models, its cone around the mean of the faces of the video."""
    e = models.embedder
    kind = Kind(e.model, e.dimension, e.thresholds.link, e.thresholds.merge)
    real_file(folder / "warm.db", kind, video, models, folder)
    with opened(folder / "warm.db", kind) as library:
        return replace(kind, middle=mean_direction(library.store.track_vectors()[1]))


def copied(video: Path, folder: Path) -> Path:
    """The video as a file the library has not seen: a free box more at its end."""
    copy = folder / f"{time.time_ns()}{video.suffix}"
    copy.write_bytes(video.read_bytes() + b"\0\0\0\x10free" + os.urandom(8))
    return copy


def real_file(path: Path, kind: Kind, video: Path, models: Any, folder: Path) -> float:
    """CPU seconds of a real file, from opening the library to its reports."""
    from streamer.config import load
    from streamer.processing import FileWorker
    from streamer.processing.results import write_folder

    copy = copied(video, folder)

    def run() -> None:
        with opened(path, kind) as library:
            done = FileWorker(library, models, load()).one(copy)
            if done.record is None:
                raise SystemExit(f"{video}: {done.error}")
            library.refresh()
            write_folder(library, done.record, folder / "reports")

    spent = cpu(f"{video.name}, {path.stem.partition('-')[0]} library", run)
    copy.unlink()
    return spent


def real_files(folder: Path, big: Path, kind: Kind, video: Path, models: Any, repeats: int) -> None:
    """What a real file costs in the big library, as a multiple of what it costs in an empty one; in turns."""
    small, large = [], []
    for _ in range(repeats):
        small.append(real_file(folder / f"empty-{time.time_ns()}.db", kind, video, models, folder))
        large.append(real_file(big, kind, video, models, folder))
    ratio, more = sum(large) / sum(small), (sum(large) - sum(small)) / repeats
    print(f"RATIO {ratio:.3f} for all of {video.name}, {more:.2f} s more a file; by turn:", end=" ")
    print(*(f"{b / s:.3f}" for s, b in zip(small, large, strict=True)))


def report(folder: Path, kind: Kind) -> float:
    """CPU seconds of the reports of two hours with 50 people in 4000 tracks."""
    from streamer.processing.results import write_folder

    people = cast(20_000, kind.dimension, 1)
    often = np.argsort(-np.bincount(people.person))[:50]
    few = part(people, np.flatnonzero(np.isin(people.person, often))[:4000])
    with opened(folder / f"report-{time.time_ns()}.db", kind) as library:
        library.store.keep_pictures = True
        add_file(library, kind, few, "two hours")
        record = library.store.sources()[0].id
        return cpu(
            "reports of 2 h, 50 people, 4000 tracks", lambda: write_folder(library, record, folder / "two hours")
        )


def opened(path: Path, kind: Kind) -> Library:
    library = Library(path, create=True)
    library.store.keep_pictures = False
    library.store.check_model(kind.model, kind.dimension, "cosine")
    return library


def filled(path: Path, kind: Kind, people: Cast) -> None:
    """The big library, made unless it is there."""
    if path.exists():
        return
    with opened(path, kind) as library:
        for at in range(0, len(people.vectors), PER_FILE):
            add_file(library, kind, part(people, slice(at, at + PER_FILE)), f"file {at}")
    with opened(path, kind) as library:
        kept = library.clusterer(kind.make)
        rows = np.array([len(r) for r in kept.identities.rows if r])
        print(
            f"{len(library.store.labels())} tracks, {len(rows)} people of {rows.mean():.1f} looks, at most {rows.max()}"
        )
        print(f"{len(kept.exemplars)} looks, state {sum(map(len, kept.pages().parts)) / 1e6:.0f} MB", flush=True)


def part(people: Cast, k: slice | I64) -> Cast:
    return Cast(people.vectors[k], people.person[k], people.shot[k], people.quality[k])


def steps(folder: Path, big: Path, kind: Kind, more: Cast) -> None:
    """What a file costs the library alone: no decoding, detection, embedding."""
    with opened(folder / f"empty-{time.time_ns()}.db", kind) as library:
        small = cpu("library's part of a file, empty", lambda: add_file(library, kind, more, "more"))
    with opened(big, kind) as library:
        large = cpu("library's part of a file, big", lambda: add_file(library, kind, more, f"more {time.time_ns()}"))
    print(f"ratio {large / small:.2f} for the library's part alone; extra {large - small:.2f} s CPU a file")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tracklets", type=int, default=100_000)
    options.add_argument("--out", type=Path)
    options.add_argument("--video", type=Path, nargs="*", default=[], help="real files to add, too")
    options.add_argument("--models", default="open", help="pack for --video; the library's vectors are as its")
    options.add_argument("--repeats", type=int, default=5, help="of --video in either library")
    chosen = options.parse_args()
    folder = chosen.out or Path(tempfile.mkdtemp(prefix="bench_library_"))
    folder.mkdir(parents=True, exist_ok=True)
    models = loaded(chosen.models) if chosen.video else None
    kind = kind_of(models, folder, chosen.video[0]) if chosen.video else Kind()
    people = cast(chosen.tracklets + PER_FILE, kind.dimension)
    path = folder / "big.db"
    filled(path, kind, part(people, slice(0, chosen.tracklets)))
    for video in chosen.video:
        real_files(folder, path, kind, video, models, chosen.repeats)
    steps(folder, path, kind, part(people, slice(chosen.tracklets, None)))
    with opened(path, kind) as library:
        cpu("labels and view", lambda: library.view)
        library.refresh()
        listed = cpu("people list", library.people)
        wrote = report(folder, kind)
        print(f"{listed:.2f} of 1 s for the list of {len(library.people())} people, {wrote:.2f} of 10 s for reports")
        cpu("search one face", lambda: library.search(kind.placed(people.vectors[0]), pair=kind.link))
        cpu("review questions", lambda: library.review(merge=kind.merge))
        print(f"{path.stat().st_size / 1e6:.0f} MB on disk, {len(library.store.tracks())} tracks")
    if chosen.out is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
