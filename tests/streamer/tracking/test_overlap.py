from __future__ import annotations

import numpy as np
import pytest

from streamer.errors import ConfigError
from streamer.items import DETECTED, Faces
from streamer.testing import FakeDetector, meeting
from streamer.tracking.overlap import OverlapTracker, distinct
from tests.streamer.tracking.drawn import faces, follow, frame, sample, square


def every(k: int, moving: object) -> object:
    return lambda i: moving(i) if i % k == 0 else None  # type: ignore[operator]


def test_a_still_face_is_one_track_over_all_frames() -> None:
    (track,) = follow(OverlapTracker(), lambda i: faces(square(80, 45)), range(20))
    assert track.rows.frames.tolist() == list(range(20))
    assert track.number == 1
    assert track.source == "clip.mp4"
    assert (track.rows.kinds == DETECTED).all()


def test_frames_between_looks_are_interpolated_and_marked() -> None:
    (track,) = follow(OverlapTracker(), every(5, lambda i: faces(square(40 + i, 45))), range(11))
    assert track.rows.frames.tolist() == list(range(11))
    assert track.rows.kinds.tolist() == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert track.rows.boxes[:, 0] == pytest.approx(20 + np.arange(11), abs=1e-3)


def test_a_track_begins_half_way_to_the_look_before_that_missed_it() -> None:
    (track,) = follow(OverlapTracker(), every(8, lambda i: faces(square(80, 45)) if i >= 16 else faces()), range(25))
    assert track.rows.frames[0] == 13


def test_a_track_ends_half_way_to_the_look_after_that_misses_it() -> None:
    (track,) = follow(OverlapTracker(), every(8, lambda i: faces(square(80, 45)) if i <= 16 else faces()), range(80))
    assert track.rows.frames[-1] == 20


def test_a_track_reaches_to_the_last_frame_before_a_cut_and_never_over_it() -> None:
    tracker = OverlapTracker()
    for i in range(13):
        tracker.update(frame(i), faces(square(80, 45)) if i % 5 == 0 else None)
    (first,) = tracker.cut()
    for i in range(13, 20):
        tracker.update(frame(i), faces(square(80, 45)) if i == 13 else None)
    (second,) = tracker.flush()
    assert (first.rows.frames[-1], second.rows.frames[0], second.rows.frames[-1]) == (12, 13, 19)
    assert (first.shot, second.shot) == (0, 1)


def test_a_face_lost_for_a_while_stays_one_track() -> None:
    (track,) = follow(OverlapTracker(), lambda i: faces() if 30 <= i < 48 else faces(square(80, 45)), range(80))
    assert track.rows.frames.tolist() == list(range(80))
    assert int((track.rows.kinds == DETECTED).sum()) == 62


def test_a_face_lost_for_longer_than_the_gap_comes_back_as_another_track() -> None:
    script = lambda i: faces() if 30 <= i < 60 else faces(square(80, 45))  # noqa: E731
    assert [len(t.rows) for t in follow(OverlapTracker(gap=1.0), script, range(80))] == [30, 20]


def test_a_face_seen_once_is_not_waited_for_long() -> None:
    script = lambda i: faces(square(80, 45)) if i in (0, 15) else faces()  # noqa: E731
    assert len(follow(OverlapTracker(), script, range(20))) == 2


def test_a_single_look_counts_only_when_it_is_sure() -> None:
    script = lambda i: faces(square(40, 45), square(120, 45), scores=[0.9, 0.52]) if i == 0 else faces()  # noqa: E731
    tracks = follow(OverlapTracker(), script, range(20))
    assert [float(t.rows.boxes[0, 0]) for t in tracks] == [20.0]


def test_two_unsure_looks_count() -> None:
    script = lambda i: faces(square(40, 45), scores=[0.52]) if i < 2 else faces()  # noqa: E731
    assert len(follow(OverlapTracker(), script, range(20))) == 1


def test_a_weak_detection_continues_a_track_but_begins_none() -> None:
    weak = lambda i: faces(square(40, 45), scores=[0.8 if i < 5 else 0.35])  # noqa: E731
    (track,) = follow(OverlapTracker(), weak, range(15))
    assert int((track.rows.kinds == DETECTED).sum()) == 15
    assert follow(OverlapTracker(), lambda i: faces(square(40, 45), scores=[0.35]), range(15)) == []


def test_weak_detections_alone_do_not_keep_a_track_for_ever() -> None:
    script = lambda i: faces(square(40, 45), scores=[0.8 if i < 5 else 0.35])  # noqa: E731
    (track,) = follow(OverlapTracker(weak=1.0), script, range(100))
    assert track.end <= 1.3


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_two_who_cross_keep_their_tracks(k: int) -> None:
    """They pass each other, one behind: for a fifth of a second only one is found."""

    def script(i: int) -> Faces:
        a, b = square(40 + 3 * i, 45), square(190 - 3 * i, 49)
        return faces(a) if abs(a[0] - b[0]) < 9 else faces(a, b)

    tracks = follow(OverlapTracker(), every(k, script), range(51))
    ends = sorted((round(float(t.rows.boxes[0, 0])), round(float(t.rows.boxes[-1, 0]))) for t in tracks)
    assert len(ends) == 2
    assert ends[0] == pytest.approx((20, 20 + 3 * 50), abs=8)
    assert ends[1] == pytest.approx((170, 170 - 3 * 50), abs=8)


def test_two_side_by_side_are_never_one_track() -> None:
    tracks = follow(OverlapTracker(), every(3, lambda i: faces(square(60, 45), square(105, 45))), range(30))
    assert sorted(float(t.rows.boxes[:, 0].mean()) for t in tracks) == pytest.approx([40, 85])


def test_a_face_somewhere_else_is_another_track() -> None:
    script = lambda i: faces(square(30, 45)) if i < 10 else faces(square(130, 45))  # noqa: E731
    assert [len(t.rows) for t in follow(OverlapTracker(), script, range(20))] == [10, 10]


def test_a_face_of_quite_another_size_is_another_track() -> None:
    script = lambda i: faces(square(80, 45, 20 if i < 10 else 60))  # noqa: E731
    assert len(follow(OverlapTracker(), script, range(20))) == 2


def test_a_head_that_jerks_stays_one_track() -> None:
    x = [80, 80, 80, 98, 98, 80, 80, 62, 62, 80]
    (track,) = follow(OverlapTracker(), lambda i: faces(square(x[i], 45)), range(10))
    assert len(track.rows) == 10


def test_a_face_found_twice_has_one_track() -> None:
    script = lambda i: faces(square(80, 45, 40), square(80, 47, 26), scores=[0.7, 0.8])  # noqa: E731
    (track,) = follow(OverlapTracker(), script, range(10))
    assert track.rows.boxes[0] == pytest.approx(square(80, 47, 26))


def test_of_nested_boxes_the_surer_one_stays() -> None:
    found = faces(square(80, 45, 60), square(80, 45, 30), square(20, 45, 20), scores=[0.9, 0.6, 0.7])
    assert distinct(found).tolist() == [True, False, True]


def test_a_small_face_before_the_edge_of_a_large_one_is_another_face() -> None:
    assert distinct(faces(square(80, 45, 80), square(112, 70, 24))).all()


def test_a_long_track_goes_on_under_a_new_number() -> None:
    tracks = follow(OverlapTracker(longest=2.0), lambda i: faces(square(80, 45)), range(120))
    assert [t.number for t in tracks] == [1, 2, 3]
    assert [f for t in tracks for f in t.rows.frames] == list(range(120))


@pytest.mark.parametrize("k", [4, 5])
def test_between_a_long_track_and_its_next_number_no_frame_is_lost(k: int) -> None:
    tracks = follow(OverlapTracker(longest=2.0), every(k, lambda i: faces(square(80, 45))), range(120))
    assert sorted(f for t in tracks for f in t.rows.frames.tolist()) == list(range(120))


def test_a_budget_of_one_look_in_two_seconds_still_follows() -> None:
    (track,) = follow(OverlapTracker(), every(50, lambda i: faces(square(80, 45))), range(201))
    assert len(track.rows) == 201


def test_after_an_outage_nobody_is_taken_for_the_same() -> None:
    tracker = OverlapTracker()
    for i in range(10):
        tracker.update(frame(i), faces(square(80, 45)))
    ended = tracker.update(frame(10, time=60.0), faces(square(80, 45)))
    assert [t.end for t in ended] == [pytest.approx(9 / 25)]


def test_memory_of_frames_is_bounded() -> None:
    tracker = OverlapTracker(longest=4.0, gap=1.0)
    for i in range(3000):
        tracker.update(frame(i), faces(square(80, 45)) if i % 5 == 0 else None)
    assert len(tracker._log_times) < 600


def test_a_look_without_faces_is_fine() -> None:
    assert follow(OverlapTracker(), lambda i: Faces.none(), range(10)) == []


def test_nothing_told_ends_with_nothing() -> None:
    tracker = OverlapTracker()
    assert tracker.flush() == []
    assert tracker.snapshot() == []
    assert len(tracker.following()) == 0


def test_the_assignment_names_each_faces_track() -> None:
    tracker = OverlapTracker()
    tracker.update(frame(0), faces(square(40, 45), square(120, 45)))
    tracker.update(frame(1), faces(square(120, 45), square(40, 45), square(80, 20), scores=[0.8, 0.8, 0.4]))
    assert tracker.assignment.tolist() == [2, 1, 0]


def test_looks_are_wanted_only_where_they_would_be_kept() -> None:
    tracker = OverlapTracker()
    tracker.update(frame(0), faces(square(40, 45), square(120, 45)))
    assert tracker.wanted([0.9, 0.9]).tolist() == [0, 1]
    tracker.keep(0, sample(0.0, 0.9))
    tracker.update(frame(1), faces(square(40, 45), square(120, 45)))
    assert tracker.wanted([0.5, 0.9]).tolist() == [1]


def test_samples_arrive_with_their_track() -> None:
    tracker = OverlapTracker()
    for i in range(30):
        tracker.update(frame(i), faces(square(40, 45), square(120, 45)))
        for row in tracker.wanted([0.5, 0.5]):
            tracker.keep(int(row), sample(i / 25, 0.3 + 0.2 * row))
    a, b = tracker.flush()
    assert {s.quality for s in a.samples} == {0.3}
    assert {s.quality for s in b.samples} == {0.5}
    assert 2 <= len(a.samples) <= 5


def test_hopes_must_fit_the_faces() -> None:
    tracker = OverlapTracker()
    tracker.update(frame(0), faces(square(40, 45)))
    with pytest.raises(ValueError, match="2 hopes for 1 faces"):
        tracker.wanted([0.5, 0.5])


def test_a_snapshot_shows_open_tracks_up_to_now() -> None:
    tracker = OverlapTracker()
    for i in range(13):
        tracker.update(frame(i), faces(square(40 + 2 * i, 45)) if i % 5 == 0 else None)
    (shown,) = tracker.snapshot()
    assert shown.open
    assert shown.rows.frames.tolist() == list(range(13))
    assert shown.rows.boxes[-1, 0] == pytest.approx(44, abs=1)  # predicted two frames beyond the last look
    (ended,) = tracker.flush()
    assert ended.number == shown.number
    assert not ended.open


def test_following_tells_speed_and_coming_and_going() -> None:
    tracker = OverlapTracker()
    for i in range(10):
        tracker.update(frame(i), faces(square(20 + 4 * i, 45), square(140, 45)))
    now = tracker.following()
    assert now.numbers.tolist() == [1, 2]
    assert now.detections.tolist() == [10, 10]
    assert now.speeds == pytest.approx([2.5, 0.0], abs=0.4)
    tracker.update(frame(10), faces(square(60, 45), square(80, 80, 20)))
    assert (tracker.following().born, tracker.following().lost) == (1, 1)


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="gap < longest"):
        OverlapTracker(gap=5, longest=4)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_a_drawn_meeting_gives_one_track_for_each_actor_and_shot(k: int) -> None:
    scene, detector, tracker = meeting(), FakeDetector(), OverlapTracker()
    cuts = {round(c * scene.fps) for c in scene.cuts}
    tracks = []
    since = 0
    for f in scene.frames():
        if f.index in cuts:
            tracks += tracker.cut()
            since = f.index
        look = (f.index - since) % k == 0
        tracks += tracker.update(f, detector.detect([f.image])[0] if look else None)
    tracks += tracker.flush()
    actors = sum(len(s.actors) for s in scene.shots)
    assert len(tracks) == actors == 9
