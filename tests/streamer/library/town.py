"""Runs over drawn people into a library, through the real clusterer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from streamer.clustering.online import OnlineClusterer
from streamer.items import Track, Tracklet
from streamer.library import Library
from streamer.vectors import mean_direction
from tests.streamer.store.scene import DIMENSION, MODEL, PERIOD, make_track

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make(**options: Any) -> OnlineClusterer:
    """A clusterer for the toy model."""
    settings: dict[str, Any] = {"model": MODEL, "keep_vectors": False, "min_tracks": 1} | options
    return OnlineClusterer(DIMENSION, **settings)


def opened(path: Path, **options: Any) -> Library:
    """An open library with a clock that stands at noon."""
    library = Library(path, create=True, clock=lambda: NOON, who="ann", **options)
    library.store.check_model(MODEL, DIMENSION, "cosine")
    return library


def tracklet(track: Track, cannot_link: frozenset[int] = frozenset()) -> Tracklet:
    """The track as the clusterer sees it."""
    rows = np.stack([s.embedding for s in track.samples if s.embedding is not None])
    return Tracklet(
        track.number, track.source, track.start, track.end, len(track.rows), mean_direction(rows), rows,
        cannot_link=cannot_link, model=MODEL,
    )  # fmt: skip


def run(
    library: Library, people: Sequence[int], name: str = "clip", *, step: int = 20, each: int = 10, finish: bool = True,
    content: str = "", batch: int = 4, kind: str = "file", info: dict[str, Any] | None = None, at: float = 0.0,
) -> list[int]:  # fmt: skip
    """One source in which track k shows people[k], `each` frames from frame k * step; the track numbers.

    `at` is the time of frame 0.
    """
    store = library.store
    clusterer = library.clusterer(make)
    source = store.begin_source(
        name, content_hash=content or name, kind=kind, period=PERIOD, at=NOON.isoformat(), info=info
    )
    first = store.next_track()
    tracks = [make_track(first + k, p, k * step, each, source=source.name) for k, p in enumerate(people)]
    tracks = [replace(t, rows=replace(t.rows, times=t.rows.times + at)) for t in tracks]
    for k in range(0, len(tracks), batch):
        part = [tracklet(t) for t in tracks[k : k + batch]]
        vectors = {t.id: t.embedding for t in part}
        store.add_tracks(
            source.id, tracks[k : k + batch], clusterer.add(part), position=k * step * PERIOD, vectors=vectors
        )
    if finish:
        store.add_events(clusterer.finish())
        store.finish_source(source.id, state=clusterer.state(), at=NOON.isoformat())
    library.refresh()
    return [t.number for t in tracks]
