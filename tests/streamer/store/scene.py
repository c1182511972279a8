"""Small drawn tracks for the tests of the library: no picture of anybody."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from streamer.items import Assigned, Event, FaceSample, Track, TrackRows
from streamer.store import Store
from streamer.vectors import unit

MODEL, DIMENSION = "toy-1234", 16
PERIOD = 0.04


def person_vector(person: int, seed: int = 0, noise: float = 0.05) -> np.ndarray:
    """A unit vector near the axis of that person."""
    rng = np.random.default_rng((person, seed))
    axis = np.zeros(DIMENSION)
    axis[person % DIMENSION] = 1.0
    return unit(axis + noise * rng.standard_normal(DIMENSION))


def drawing(person: int, seed: int, size: int = 24) -> np.ndarray:
    """A coloured pattern that stands for a face crop."""
    rng = np.random.default_rng((person, seed, 7))
    return np.kron(rng.integers(0, 255, (4, 4, 3)), np.ones((size // 4, size // 4, 1))).astype(np.uint8)


def make_track(
    number: int,
    person: int = 0,
    first: int = 0,
    frames: int = 10,
    *,
    samples: int = 2,
    source: str = "clip",
    shot: int = 0,
) -> Track:
    """A track of `frames` frames from frame `first`, seen at 25 frames a second."""
    index = np.arange(first, first + frames, dtype=np.int64)
    boxes = np.stack([index + 0.25, index * 0 + 5.0, index + 20.0, index * 0 + 30.0], 1).astype(np.float32)
    scores = np.linspace(0.8, 0.9, frames).astype(np.float32)
    kinds = (index % 2 == 0).astype(np.uint8)
    looks = tuple(
        FaceSample(
            int(index[k]), float(index[k] * PERIOD), tuple(boxes[k].tolist()), 0.9, drawing(person, number * 10 + k),
            0.5 + 0.1 * k, (1.0, 2.0, 3.0), drawing(person, number * 10 + k + 5, 32),
            person_vector(person, number * 10 + k),
        )
        for k in range(min(samples, frames))
    )  # fmt: skip
    return Track(number, source, TrackRows(index, index * PERIOD, boxes, scores, kinds), looks, shot=shot)


def fill(
    store: Store, people: Sequence[int], *, name: str = "clip", content: str = "", each: int = 10, step: int = 20
) -> list[Event]:
    """One finished source: track k shows people[k] and is assigned to identity people[k]; the events."""
    store.check_model(MODEL, DIMENSION, "cosine")
    source = store.begin_source(name, content_hash=content or name, period=PERIOD, at="2026-01-01T00:00:00Z")
    first, seq = store.next_track(), store.last_seq()
    tracks = [make_track(first + k, p, k * step, each, source=name) for k, p in enumerate(people)]
    events: list[Event] = [Assigned(seq + k + 1, t.number, people[k], float("nan")) for k, t in enumerate(tracks)]
    vectors = {t.number: person_vector(people[k], t.number) for k, t in enumerate(tracks)}
    store.add_tracks(source.id, tracks, events, position=len(people) * step * PERIOD, vectors=vectors)
    store.finish_source(source.id, state=b"state %d" % source.id, at="2026-01-01T00:01:00Z")
    return events


def new(path: Path) -> Store:
    """An open store for the toy model."""
    store = Store(path)
    store.check_model(MODEL, DIMENSION, "cosine")
    return store


def everything(path: Path) -> list[str]:
    """Every row of every table as text: two stores with equal content give equal lists."""
    import sqlite3

    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())
