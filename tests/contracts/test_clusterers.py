"""What every clusterer must do, whatever its method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from streamer.clustering.base import Clusterer
from streamer.clustering.dbscan import DBSCANClusterer
from streamer.clustering.events import replay
from streamer.clustering.kept import restore
from streamer.clustering.online import OnlineClusterer
from streamer.errors import StoreError
from streamer.items import Assigned, Event, Merged, Split, Tracklet

DIMENSION = 32
MAKERS: dict[str, Callable[[], OnlineClusterer | DBSCANClusterer]] = {
    "cosine": lambda: OnlineClusterer(DIMENSION, model="m", remerge_every=16),
    "euclid": lambda: OnlineClusterer(DIMENSION, metric="euclid", link=0.9, merge=1.0, model="m", remerge_every=16),
    "dbscan, cosine": lambda: DBSCANClusterer(DIMENSION, model="m", eps=0.4),
    "dbscan, euclid": lambda: DBSCANClusterer(DIMENSION, metric="euclid", model="m", eps=0.9),
}
CONSTRAINED = ("cosine", "euclid")


def tracklets(n: int, people: int = 6, seed: int = 1, spread: float = 0.1) -> list[Tracklet]:
    """People in turn, two in every frame; track number t is person (t - 1) % people."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((people, DIMENSION))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    out = []
    for t in range(1, n + 1):
        x = centres[(t - 1) % people] + rng.normal(0, spread, DIMENSION)
        x = (x / np.linalg.norm(x)).astype(np.float32)
        rival = frozenset({t - 1}) if t % 2 == 0 else frozenset()
        out.append(Tracklet(t, "film", t, t + 1.0, 20, x, x[None], 0.9, rival, frozenset(), "m"))
    return out


@pytest.fixture(params=sorted(MAKERS))
def make(request: pytest.FixtureRequest) -> Callable[[], OnlineClusterer | DBSCANClusterer]:
    return MAKERS[request.param]


@pytest.fixture
def clusterer(make: Callable[[], OnlineClusterer | DBSCANClusterer]) -> OnlineClusterer | DBSCANClusterer:
    return make()


def held(clusterer: OnlineClusterer | DBSCANClusterer, vector: np.ndarray) -> bytes:
    """The first numbers of a unit vector as the clusterer's state holds them."""
    if isinstance(clusterer, OnlineClusterer):
        return vector[:4].tobytes()
    x = clusterer.space.check(vector, 1).astype(float)
    return (x / np.linalg.norm(x) if clusterer.options["metric"] == "cosine" else x)[:2].tobytes()


def test_well_separated_people_are_found(clusterer: Clusterer) -> None:
    clusterer.add(tracklets(120))
    clusterer.finish()
    labels = clusterer.labels()
    assert len(set(labels.values())) == 6
    assert all(labels[t] == labels[(t - 1) % 6 + 1] for t in range(1, 121))


def test_replaying_the_events_gives_the_labels(clusterer: Clusterer) -> None:
    log: list[Event] = []
    for t in tracklets(150, people=12, spread=0.2):
        log += clusterer.add([t])
        assert replay(log) == clusterer.labels()
    log += clusterer.finish()
    assert replay(log) == clusterer.labels()


def test_sequence_numbers_rise_and_identity_numbers_are_not_used_twice(clusterer: Clusterer) -> None:
    log = clusterer.add(tracklets(150, people=12, spread=0.25)) + clusterer.finish()
    assert all(a.seq < b.seq for a, b in pairwise(log))
    dead: set[int] = set()
    for event in log:
        if isinstance(event, Merged):
            dead.add(event.dropped)
        if isinstance(event, Assigned):
            assert event.identity not in dead
        if isinstance(event, Split):
            assert event.new not in dead


@pytest.mark.parametrize("size", [1, 7, 64, 150])
def test_batches_of_any_size_give_the_same_labels(make: Callable[[], Clusterer], size: int) -> None:
    stream = tracklets(150, people=12, spread=0.22)
    clusterer, alone = make(), make()
    for s in range(0, len(stream), size):
        clusterer.add(stream[s : s + size])
    for t in stream:
        alone.add([t])
    assert clusterer.labels() == alone.labels()


@pytest.mark.parametrize("make", CONSTRAINED, indirect=True)
def test_two_tracks_of_one_frame_never_carry_one_identity(clusterer: Clusterer) -> None:
    stream = tracklets(150, people=12, spread=0.25)
    for t in stream:
        clusterer.add([t])
    clusterer.finish()
    labels = clusterer.labels()
    assert not [
        (t.id, o) for t in stream for o in t.cannot_link if labels[t.id] is not None and labels[t.id] == labels[o]
    ]


def test_a_saved_and_restored_clusterer_continues_as_if_nothing_had_happened(clusterer: Clusterer) -> None:
    stream = tracklets(200, people=12, spread=0.22)
    clusterer.add(stream[:90])
    copy = type(clusterer).restore(clusterer.state(), model="m", dimension=DIMENSION)
    assert [str(e) for e in copy.add(stream[90:])] == [str(e) for e in clusterer.add(stream[90:])]
    assert copy.labels() == clusterer.labels()
    assert copy.state() == clusterer.state()


def test_a_damaged_state_is_refused(clusterer: Clusterer) -> None:
    clusterer.add(tracklets(10))
    state = bytearray(clusterer.state())
    state[len(state) // 2] ^= 1
    with pytest.raises(StoreError, match="damaged"):
        type(clusterer).restore(bytes(state))


def test_another_model_or_dimension_is_refused(clusterer: Clusterer) -> None:
    clusterer.add(tracklets(10))
    with pytest.raises(StoreError, match="cannot be mixed"):
        type(clusterer).restore(clusterer.state(), model="other")
    with pytest.raises(StoreError, match="32 numbers"):
        type(clusterer).restore(clusterer.state(), dimension=128)


def test_the_state_of_another_clusterer_is_refused_and_ours_are_told_apart(clusterer: Clusterer) -> None:
    clusterer.add(tracklets(10))
    other = DBSCANClusterer if isinstance(clusterer, OnlineClusterer) else OnlineClusterer
    with pytest.raises(StoreError, match="written by another clusterer"):
        other.restore(clusterer.state())
    back = restore(clusterer.state(), model="m", dimension=DIMENSION)
    assert type(back) is type(clusterer)
    assert back.labels() == clusterer.labels()


def test_a_pinned_identity_keeps_its_number(clusterer: Clusterer) -> None:
    stream = tracklets(60, people=2, spread=0.25)
    clusterer.add(stream[:20])
    last = max(i for i in clusterer.labels().values() if i is not None)
    clusterer.pin(last)
    clusterer.add(stream[20:])
    clusterer.finish()
    assert clusterer.pinned == {last}
    assert last in clusterer.labels().values()


def test_a_track_that_grew_keeps_its_identity(clusterer: Clusterer) -> None:
    stream = tracklets(60)
    clusterer.add(stream)
    before = clusterer.labels()
    log = clusterer.add([replace(stream[30], end=99.0, embedding=stream[36].embedding)])
    assert clusterer.labels() == before
    assert replay(log).get(31, before[31]) == before[31]


def test_nothing_of_an_erased_vector_stays_in_the_state(clusterer: OnlineClusterer | DBSCANClusterer) -> None:
    stream = tracklets(60, people=3)
    clusterer.add(stream)
    clusterer.remove([1, 10])
    assert 1 not in clusterer.labels()
    state = clusterer.state()
    for gone in (stream[0], stream[9]):
        raw = gone.embedding.tobytes()
        assert not any(raw[i : i + 16] in state for i in range(0, len(raw), 16))
        assert held(clusterer, gone.embedding) not in state
    assert held(clusterer, stream[1].embedding) in state


def test_the_callers_arrays_are_not_kept(clusterer: Clusterer) -> None:
    stream = tracklets(40)
    clusterer.add(stream[:20])
    before = clusterer.state()
    for t in stream[:20]:
        t.embedding[:] = 0.0
    assert clusterer.state() == before
