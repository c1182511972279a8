"""ExactDBSCAN equals scikit-learn after every insertion and every deletion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.clustering.dbscan import DBSCANClusterer
from streamer.clustering.events import replay
from streamer.clustering.exact import NOISE, ExactDBSCAN
from streamer.items import Dissolved, Event, Merged, Tracklet


def assert_equals_sklearn(ours: ExactDBSCAN, points: dict[int, np.ndarray], metric: str) -> None:
    from sklearn.cluster import DBSCAN

    tracks = sorted(points)
    x = np.stack([points[t] for t in tracks])
    theirs = DBSCAN(eps=ours.eps, min_samples=ours.min_samples, metric=metric).fit(x)
    labels = ours.labels()
    core = {tracks[i] for i in theirs.core_sample_indices_}
    assert ours.core_tracks() == core
    assert {t for t in tracks if labels[t] == NOISE} == {
        t for t, l in zip(tracks, theirs.labels_, strict=True) if l == -1
    }
    pairs = {(labels[t], l) for t, l in zip(tracks, theirs.labels_, strict=True) if t in core}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    for t in tracks:  # a border sample is in the cluster of some core within eps
        if labels[t] != NOISE and t not in core:
            assert any(labels[c] == labels[t] and _distance(points[c], points[t], metric) <= ours.eps for c in core)


def _distance(a: np.ndarray, b: np.ndarray, metric: str) -> float:
    if metric == "euclidean":
        return float(np.linalg.norm(a - b))
    return float(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)) - 1e-12


grid = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=24)


@settings(max_examples=30, deadline=None)
@given(grid, st.integers(1, 5), st.sampled_from([1.0, 2.0]), st.randoms(use_true_random=False))
def test_on_a_grid_full_of_ties_and_duplicates(points, min_samples, eps, random) -> None:
    ours = ExactDBSCAN(eps, min_samples, "euclid")
    have: dict[int, np.ndarray] = {}
    for track, p in enumerate(points, 1):
        have[track] = np.array(p, float)
        ours.insert(track, have[track])
        assert_equals_sklearn(ours, have, "euclidean")
    order = list(have)
    random.shuffle(order)
    for track in order[:-1]:
        ours.remove([track])
        del have[track]
        assert_equals_sklearn(ours, have, "euclidean")


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2, 8, 128]), st.integers(2, 5))
def test_on_unit_vectors_with_insertions_and_deletions_mixed(seed, dimension, min_samples) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((4, dimension))
    ours = ExactDBSCAN(0.25, min_samples, "cosine")
    have: dict[int, np.ndarray] = {}
    for track in range(1, 31):
        have[track] = centres[rng.integers(4)] + rng.normal(0, 0.5, dimension) / np.sqrt(dimension) * 4
        ours.insert(track, have[track])
        if rng.random() < 0.3:
            gone = int(rng.choice(list(have)))
            ours.remove([gone])
            del have[gone]
        if have:
            assert_equals_sklearn(ours, have, "cosine")


@given(grid, st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_arrival_changes_neither_cores_nor_noise_nor_core_partition(points, random) -> None:
    def run(order: list[int]) -> tuple[set[int], set[frozenset[int]]]:
        db = ExactDBSCAN(1.0, 3, "euclid")
        for t in order:
            db.insert(t, points[t])
        labels, core = db.labels(), db.core_tracks()
        return core, {frozenset(t for t in core if labels[t] == n) for n in set(labels.values()) - {NOISE}}

    order = list(range(len(points)))
    shuffled = order.copy()
    random.shuffle(shuffled)
    assert run(order) == run(shuffled)


def test_a_taken_number_is_refused() -> None:
    from streamer.errors import ConfigError

    db = ExactDBSCAN(0.5, 2)
    db.insert(1, [1.0, 0.0])
    with pytest.raises(ConfigError, match="already"):
        db.insert(1, [0.0, 1.0])


def _tracklet(track: int, vector: np.ndarray) -> Tracklet:
    x = vector.astype(np.float32)
    return Tracklet(track, "film", track, track + 1.0, 9, x, x[None], 0.9)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("aaaagrt"), st.integers(1, 30), st.integers(0, 5), st.integers(0, 5)), max_size=30
    ),
    st.integers(1, 4),
)
def test_the_events_of_the_clusterer_always_add_up_to_what_scikit_learn_says(steps, min_samples) -> None:
    ours = DBSCANClusterer(2, metric="euclid", eps=None, link=1.0, min_samples=min_samples)
    have: dict[int, np.ndarray] = {}
    log: list[Event] = []
    numbers: set[int] = set()
    for k, (kind, track, x, y) in enumerate(steps):
        point = np.array([x, y], float)
        if kind == "a":
            track = k + 100
        if kind in "ag":  # a new one, or one that grew
            have[track] = point
            log += ours.add([_tracklet(track, point)])
        elif kind == "r":
            gone = list(have)[track % len(have)] if have else track
            have.pop(gone, None)
            log += ours.remove([gone])
        else:
            ours.retune((1.0, 1.5, 2.0)[track % 3], 0.0)
            log += ours.finish()
        assert replay(log) == ours.labels()
        numbers |= {i for i in ours.labels().values() if i is not None}
        if have:
            assert_partition(ours, have, min_samples)
    assert [e.seq for e in log] == list(range(1, len(log) + 1))
    dead = {e.dropped for e in log if isinstance(e, Merged)} | {e.identity for e in log if isinstance(e, Dissolved)}
    assert not dead & {i for i in ours.labels().values() if i is not None}
    assert max(numbers, default=0) < ours.next_identity


def assert_partition(ours: DBSCANClusterer, points: dict[int, np.ndarray], min_samples: int) -> None:
    """Cores are parted as by scikit-learn, noise is with nobody."""
    from sklearn.cluster import DBSCAN

    tracks = sorted(points)
    theirs = DBSCAN(eps=ours.options["link"], min_samples=min_samples).fit(np.stack([points[t] for t in tracks]))
    labels = ours.labels()
    assert {t for t in tracks if labels[t] is None} == {t for t, l in zip(tracks, theirs.labels_) if l == -1}
    pairs = {(labels[tracks[i]], theirs.labels_[i]) for i in theirs.core_sample_indices_}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
