"""Drawn people for the clustering tests: unit vectors around random centres."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from streamer.items import F32, Tracklet


def unit(x: np.ndarray) -> F32:
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True), np.float32)


def centres(people: int, dimension: int = 64, seed: int = 0) -> F32:
    return unit(np.random.default_rng(seed).standard_normal((people, dimension)))


def looks(centre: F32, n: int, cosine: float = 0.8, seed: int = 0) -> F32:
    """n unit vectors whose cosine with `centre` is `cosine`."""
    noise = np.random.default_rng(seed).standard_normal((n, len(centre)))
    noise -= (noise @ centre)[:, None] * centre
    return unit(cosine * centre + np.sqrt(1 - cosine**2) * unit(noise))


def track(
    number: int, vector: F32, *, cannot: Iterable[int] = (), must: Iterable[int] = (), quality: float = 0.9
) -> Tracklet:
    rivals, same = frozenset(cannot), frozenset(must)
    return Tracklet(number, "film", number, number + 1.0, 10, vector, vector[None], quality, rivals, same)


def crowd(
    people: int, tracks: int, *, dimension: int = 64, cosine: float = 0.8, seed: int = 0
) -> tuple[list[Tracklet], list[int]]:
    """(tracklets in random order of people, the person of each)."""
    rng = np.random.default_rng(seed)
    middle = centres(people, dimension, seed)
    who = [int(w) for w in rng.integers(0, people, tracks)]
    out = [track(n, looks(middle[w], 1, cosine, seed * 100_003 + n)[0]) for n, w in enumerate(who, 1)]
    return out, who


def partition(labels: dict[int, int | None], tracks: Sequence[int] | None = None) -> set[frozenset[int]]:
    """The tracks that go together, whatever the numbers."""
    groups: dict[int, set[int]] = {}
    for t, i in labels.items():
        if i is not None and (tracks is None or t in tracks):
            groups.setdefault(i, set()).add(t)
    return {frozenset(g) for g in groups.values()}
