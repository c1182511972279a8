"""The end of a source in a large library: only what the source changed is consolidated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from streamer.clustering import repair
from streamer.clustering.online import OnlineClusterer
from streamer.items import Tracklet
from streamer.vectors import unit

DIMENSION = 64


def stream(seed: int, people: Sequence[int], first: int) -> list[Tracklet]:
    """One track each of these people, two of whom (0 and 1) look alike."""
    rng = np.random.default_rng(7)
    centres = unit(rng.normal(size=(40, DIMENSION)))
    centres[1] = unit(centres[0] + 0.35 * centres[1])
    rng = np.random.default_rng(seed)
    rows = unit(centres[list(people)] + rng.normal(0, 0.8 / DIMENSION**0.5, (len(people), DIMENSION)))
    return [Tracklet(first + k, "s", k, k + 1, 9, row, row[None]) for k, row in enumerate(rows)]


def clusterer() -> OnlineClusterer:
    rng = np.random.default_rng(3)
    found = OnlineClusterer(DIMENSION, min_tracks=1, keep_vectors=False)
    found.add(stream(1, rng.integers(0, 40, 600).tolist(), 1))
    found.finish()
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_local_consolidation_tells_what_a_whole_one_would(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    news = stream(10 + seed, [0, 1, 1, 0, 5, 6, 5, 39], 601)
    labels = []
    for small in (10**9, 0):
        monkeypatch.setattr(repair, "SMALL", small)
        found = clusterer()
        assert found.grown is bool(small)
        found.add(news)
        found.finish()
        labels.append(found.labels())
    assert labels[0] == labels[1]


def test_only_changed_people_and_those_near_them_are_looked_at() -> None:
    found = clusterer()
    assert not found._stirred().any()
    found.add(stream(20, [5], 601))
    assert 1 <= found._stirred().sum() <= 3


def test_a_library_that_grew_is_consolidated_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "SMALL", 0)
    found = clusterer()
    found.add(stream(30, [k % 40 for k in range(11)], 601))
    assert not found.grown
    found.add(stream(31, [1], 612))
    assert found.grown


@pytest.mark.parametrize("restored", [False, True])
def test_a_track_of_nobody_joins_somebody_who_comes_later(restored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    found = clusterer()
    monkeypatch.setattr(repair, "SMALL", 0)
    rng = np.random.default_rng(5)
    face = unit(rng.normal(size=DIMENSION))
    blurred, *clear = unit(face + rng.normal(0, 0.4 / DIMENSION**0.5, (4, DIMENSION)))
    found.add([Tracklet(701, "s", 0, 1, 9, blurred, blurred[None], quality=0.1)])
    found.finish()
    assert found.labels()[701] is None
    if restored:
        found = OnlineClusterer.restore(found.state())
    found.add([Tracklet(702 + k, "s", k, k + 1, 9, x, x[None], quality=0.9) for k, x in enumerate(clear)])
    found.finish()
    assert not found.grown
    assert found.labels()[701] == found.labels()[702] is not None
