"""Tracks of cameras, kept while they grow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamer.errors import StoreError
from streamer.items import Assigned, Gap
from streamer.store import Store

from .scene import PERIOD, make_track, new, person_vector


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.db"


def test_a_grown_track_replaces_itself_and_keeps_its_identity(path: Path) -> None:
    with new(path) as store:
        hall = store.open_live("hall", period=PERIOD)
        short, long = make_track(1, 3, 0, 5), make_track(1, 3, 0, 50, samples=3)
        store.grow([(hall.id, replace(short, open=True))], [Assigned(1, 1, 9, 0.1)], vectors={1: person_vector(3)})
        store.grow([(hall.id, long)], vectors={1: person_vector(3, 1)})
        assert store.labels() == {1: 9}
        assert store.track(1).count == 50
        assert store.track(1).end == pytest.approx(50 * PERIOD)
        assert len(store.samples(1)) == 3
        assert len(store.vectors(1)) == 3
        assert float(store.track_vectors()[1][0] @ person_vector(3, 1)) == pytest.approx(1.0, abs=2e-3)


def test_best_faces_that_changed_are_written_anew(path: Path) -> None:
    with new(path) as store:
        hall = store.open_live("hall", period=PERIOD)
        track = make_track(1, 3, 0, 50, samples=3)
        store.grow([(hall.id, track)])
        first, _, third = track.samples
        other = make_track(1, 3, 20, 10, samples=1).samples[0]
        store.grow([(hall.id, replace(track, samples=(first, other, third)))])
        assert sorted(s.frame for s in store.samples(1)) == sorted([first.frame, other.frame, third.frame])
        assert np.abs(store.vectors(1)[1] - other.embedding).max() < 1e-3


def test_tracks_may_come_in_any_order_and_numbers_are_never_given_twice(path: Path) -> None:
    with new(path) as store:
        hall, door = store.open_live("hall"), store.open_live("door")
        store.grow([(hall.id, make_track(7))])
        store.grow([(door.id, make_track(2, first=40))], cannot_links=[(7, 2)])
        assert store.next_track() == 8
        assert store.cannot_links() == [(2, 7)]
        assert [t.id for t in store.tracks(door.id)] == [2]


def test_a_camera_goes_on_where_it_was_left(path: Path) -> None:
    with new(path) as store:
        hall = store.open_live("hall", period=PERIOD)
        store.grow([(hall.id, make_track(1, first=10, frames=5))], positions={hall.id: 0.6})
        store.finish_live(hall.id)
        assert store.source(hall.id).status == "done"
        again = store.open_live("hall")
        assert (again.id, again.status, again.position) == (hall.id, "running", 0.6)
        assert store.last_frame(hall.id) == (14, 0)
        assert store.last_frame(store.open_live("door").id) == (-1, -1)


def test_a_camera_that_was_killed_is_not_discarded(path: Path) -> None:
    with new(path) as store:
        hall = store.open_live("hall", period=PERIOD)
        store.grow([(hall.id, make_track(1))], [Assigned(1, 1, 1, 0.1)], positions={hall.id: 0.4}, state=b"s")
    with new(path) as store:
        assert store.discard_unfinished() == []
        assert store.labels() == {1: 1}


def test_gaps_add_up_and_figures_are_replaced(path: Path) -> None:
    with new(path) as store:
        hall = store.open_live("hall")
        store.grow([], gaps={hall.id: [Gap("hall", 1.0, 2.0, "no data")]}, stats={hall.id: {"frames": {"read": 5}}})
        store.grow([], gaps={hall.id: [Gap("hall", 3.0, 4.0, "refused")]}, stats={hall.id: {"frames": {"read": 9}}})
        assert [(g.start, g.reason) for g in store.gaps(hall.id)] == [(1.0, "no data"), (3.0, "refused")]
        assert store.source(hall.id).stats["frames"] == {"read": 9}


def test_gaps_without_end_stay_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.store.growing.GAPS_KEPT", 3)
    with new(path) as store:
        hall = store.open_live("hall")
        for k in range(6):
            store.grow([], gaps={hall.id: [Gap("hall", k, k + 0.5, "flapping")]})
        assert [(g.start, g.end) for g in store.gaps(hall.id)] == [(0.0, 3.5), (4.0, 4.5), (5.0, 5.5)]


def test_what_cannot_be_written_leaves_nothing_behind(path: Path) -> None:
    with new(path) as store:
        hall = store.open_live("hall")
        with pytest.raises(StoreError):
            store.grow([(hall.id, make_track(1))], [Assigned(1, 1, 1, 0.1)], cannot_links=[(1, 99)])
        assert store.tracks(hall.id) == []
        assert store.last_seq() == 0


def test_a_camera_and_a_file_may_bear_one_name(path: Path) -> None:
    with new(path) as store:
        store.begin_source("hall")
        hall = store.open_live("hall")
        assert hall.name == "hall (2)"
        assert store.open_live("hall").id == hall.id


def test_vectors_without_a_model_are_refused(path: Path) -> None:
    with Store(path) as store, pytest.raises(StoreError, match="check_model"):
        store.grow([], vectors={1: person_vector(1)})
