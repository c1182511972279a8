"""What every tracker promises, run over all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from streamer.items import Faces, Track
from streamer.tracking.base import Tracker
from streamer.tracking.overlap import OverlapTracker
from tests.streamer.tracking.drawn import faces, frame, sample, square

TRACKERS: dict[str, Callable[[], Tracker]] = {"overlap": OverlapTracker}


@pytest.fixture(params=TRACKERS)
def make(request: pytest.FixtureRequest) -> Callable[[], Tracker]:
    return TRACKERS[request.param]


def crowd(seed: int, frames: int) -> list[Faces | None]:
    """People on random walks who come, go and flicker; looked at on some frames only."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(40, 600, (6, 2))
    size = rng.uniform(24, 60, 6)
    out: list[Faces | None] = []
    for _ in range(frames):
        place += rng.normal(0, 2, place.shape)
        there = rng.random(6) < 0.8
        found = [square(x, y, s) for (x, y), s, t in zip(place, size, there) if t]
        out.append(faces(*found, scores=rng.uniform(0.3, 0.9, len(found)).tolist()) if rng.random() < 0.4 else None)
    return out


def run(tracker: Tracker, script: list[Faces | None], cuts: tuple[int, ...] = ()) -> list[Track]:
    ended: list[Track] = []
    for i, found in enumerate(script):
        if i in cuts:
            ended += tracker.cut()
        ended += tracker.update(frame(i), found)
        if found is not None:
            for row in tracker.wanted(found.scores):
                tracker.keep(int(row), sample(i / 25, float(found.scores[row])))
    return ended + tracker.flush()


@pytest.fixture(params=range(4))
def tracks(request: pytest.FixtureRequest, make: Callable[[], Tracker]) -> list[Track]:
    return run(make(), crowd(request.param, 200), cuts=(70, 71, 140))


def test_somebody_is_followed(tracks: list[Track]) -> None:
    assert len(tracks) >= 6


def test_rows_cover_every_decoded_frame_from_first_to_last(tracks: list[Track]) -> None:
    for track in tracks:
        assert np.diff(track.rows.frames).tolist() == [1] * (len(track.rows) - 1)
        assert track.rows.times == pytest.approx(track.rows.frames / 25)


def test_columns_have_their_types(tracks: list[Track]) -> None:
    for rows in (t.rows for t in tracks):
        kinds = [c.dtype for c in (rows.frames, rows.times, rows.boxes, rows.scores, rows.kinds)]
        assert kinds == [np.int64, np.float64, np.float32, np.float32, np.uint8]
        assert rows.boxes.shape == (len(rows), 4)
        assert np.isfinite(rows.boxes).all()


def test_numbers_are_unique(tracks: list[Track]) -> None:
    assert len({t.number for t in tracks}) == len(tracks)


def test_no_track_crosses_a_cut(tracks: list[Track]) -> None:
    for track in tracks:
        assert len({sum(f >= c for c in (70, 71, 140)) for f in track.rows.frames.tolist()}) == 1


def test_shots_are_counted(tracks: list[Track]) -> None:
    for track in tracks:
        assert track.shot == sum(track.rows.frames[0] >= c for c in (70, 71, 140))


def test_every_track_was_really_found(tracks: list[Track]) -> None:
    for track in tracks:
        assert (track.rows.kinds == 1).any()


def test_no_detection_belongs_to_two_tracks(tracks: list[Track]) -> None:
    seen = [
        (int(f), *b) for t in tracks for f, b, k in zip(t.rows.frames, t.rows.boxes.tolist(), t.rows.kinds) if k == 1
    ]
    assert len(seen) == len(set(seen))


def test_samples_are_of_the_tracks_own_time(tracks: list[Track]) -> None:
    for track in tracks:
        assert all(track.start <= s.time <= track.end for s in track.samples)


def test_closed_tracks_are_not_open(tracks: list[Track]) -> None:
    assert not any(t.open for t in tracks)


def test_the_same_input_gives_the_same_tracks(make: Callable[[], Tracker]) -> None:
    a, b = (run(make(), crowd(9, 150)) for _ in range(2))
    assert [t.number for t in a] == [t.number for t in b]
    for s, t in zip(a, b, strict=True):
        assert (s.rows.boxes == t.rows.boxes).all()


def test_asking_in_between_changes_nothing(make: Callable[[], Tracker]) -> None:
    script = crowd(5, 150)
    silent, asked = make(), make()
    tracks: list[Track] = []
    for i, found in enumerate(script):
        tracks += asked.update(frame(i), found)
        asked.snapshot()
        asked.following()
    tracks += asked.flush()
    expected: list[Track] = []
    for i, found in enumerate(script):
        expected += silent.update(frame(i), found)
    expected += silent.flush()
    assert [t.rows.frames.tolist() for t in tracks] == [t.rows.frames.tolist() for t in expected]


def test_flush_leaves_nothing_behind(make: Callable[[], Tracker]) -> None:
    tracker = make()
    run(tracker, crowd(1, 50))
    assert tracker.flush() == []
    assert tracker.snapshot() == []
