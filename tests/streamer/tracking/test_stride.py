from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from streamer.errors import ConfigError
from streamer.items import DETECTED, Faces, Track, TrackRows
from streamer.tracking.base import Following
from streamer.tracking.overlap import OverlapTracker
from streamer.tracking.stride import RecallCheck, StrideController
from tests.streamer.tracking.drawn import faces, frame, square


def following(speed: float = 0.0, count: int = 1, born: int = 0, lives: tuple[int, ...] = ()) -> Following:
    ones = np.ones(count)
    return Following(
        np.arange(1, count + 1),
        np.tile(np.array([[0, 0, 40, 40]], np.float32), (count, 1)),
        (ones * speed).astype(np.float32),
        (ones * 5).astype(np.int64),
        ones,
        born=born,
        lives=lives,
    )


NOBODY = Following.nothing()


def looks(
    stride: StrideController,
    seen: Callable[[int], Following] = lambda i: following(),
    frames: int = 100,
    fps: float = 25.0,
    cuts: tuple[int, ...] = (),
) -> list[int]:
    return [i for i in range(frames) if stride.due(frame(i, fps), i in cuts, seen(i))]


def test_accurate_looks_at_every_frame() -> None:
    assert looks(StrideController(preset="accurate"), frames=30) == list(range(30))


def test_balanced_begins_with_every_fifth_frame_and_slows_down_while_nobody_comes_or_goes() -> None:
    found = looks(StrideController(), frames=80)
    assert found[:3] == [0, 5, 10]
    assert set(np.diff(found)[-4:]) <= {6, 7}  # 0.25 s


@pytest.mark.parametrize(("fps", "k"), [(12.5, 2), (25, 5), (30, 6), (50, 10)])
def test_looks_are_spaced_in_seconds(fps: float, k: int) -> None:
    found = looks(StrideController(), lambda i: following(speed=2.5), fps=fps)  # half a width in 0.2 s
    assert set(np.diff(found)) <= {k, k + 1}
    assert found[1] == k or fps == 12.5


def test_a_cut_is_looked_at_at_once() -> None:
    found = looks(StrideController(preset="fast"), frames=30, cuts=(11, 13))
    assert {11, 13} <= set(found)


def test_faces_that_move_bring_looks_closer() -> None:
    """2.5 widths a second: half a width is covered in 0.2 s; 10 widths a second: in 0.05 s, one frame."""
    assert set(np.diff(looks(StrideController(preset="fast"), lambda i: following(speed=2.5)))) == {5}
    assert set(np.diff(looks(StrideController(preset="balanced"), lambda i: following(speed=10.0)))) == {1}


def test_fast_has_a_floor() -> None:
    assert set(np.diff(looks(StrideController(preset="fast"), lambda i: following(speed=10.0)))) == {2}


def test_coming_and_going_brings_looks_closer_and_quiet_apart_again() -> None:
    restless = lambda i: following(count=2, born=1) if i < 60 else following(count=2)  # noqa: E731
    found = np.array(looks(StrideController(), restless, frames=160))
    assert (np.diff(found[found < 60])[-5:] <= 2).all()
    assert set(np.diff(found[found > 110])) <= {6, 7}


def test_short_lived_tracks_bring_looks_closer() -> None:
    found = looks(StrideController(), lambda i: following(lives=(1, 1, 2, 1, 2, 1, 1, 1)))
    assert np.diff(found)[-1] == 1


def test_an_empty_scene_is_still_scanned() -> None:
    found = looks(StrideController(), lambda i: NOBODY, fps=25)
    assert max(np.diff(found)) / 25 <= 0.28
    assert min(np.diff(found)) >= 6


def test_everybody_being_new_after_a_cut_is_no_unrest() -> None:
    stride = StrideController()
    seen = lambda i: following(born=1) if i in (1, 2, 3, 4, 5) else following()  # noqa: E731
    assert looks(stride, seen, frames=16) == [0, 5, 10]


def test_the_budget_bounds_looks_per_second() -> None:
    found = looks(StrideController(preset="accurate", fps_budget=5), frames=250)
    assert 49 <= len(found) <= 51


def test_a_cut_runs_ahead_of_the_budget_and_is_paid_back() -> None:
    found = looks(StrideController(preset="accurate", fps_budget=2), frames=100, cuts=(3, 6))
    assert found[:3] == [0, 3, 6]
    assert len(found) <= 100 / 25 * 2 + 1


def test_what_was_done_where_is_told() -> None:
    stride = StrideController()
    looks(stride, lambda i: following(speed=2.5), frames=501)
    assert stride.frames == 501
    assert stride.looks == 101
    assert stride.histogram == {5: 100}
    assert [w.start for w in stride.windows] == [0.0, 10.0, 20.0]
    assert stride.windows[0].k == pytest.approx(5.0)


def test_the_record_is_bounded() -> None:
    stride = StrideController(preset="accurate")
    for i in range(30_000):
        stride.due(frame(i, fps=1), False, NOBODY)
    assert len(stride.windows) <= 1001
    assert sum(w.frames for w in stride.windows) == 30_000


def test_a_wrong_preset_names_the_right_ones() -> None:
    with pytest.raises(ConfigError, match="fast, balanced, accurate"):
        StrideController(preset="quick")
    with pytest.raises(ConfigError, match="above 0"):
        StrideController(fps_budget=0)


def _row(first: int, last: int, x: float) -> Track:
    n = last - first + 1
    rows = TrackRows(
        np.arange(first, last + 1),
        np.arange(first, last + 1) / 25,
        np.tile(np.array([square(x, 45)], np.float32), (n, 1)),
        np.ones(n, np.float32),
        np.full(n, DETECTED, np.uint8),
    )
    return Track(1, "clip.mp4", rows, ())


def test_the_check_counts_faces_that_no_track_shows() -> None:
    check = RecallCheck(every=10)
    for i in range(40):
        if check.wants(frame(i)):
            check.note(frame(i), faces(square(40, 45), square(120, 45), square(80, 80), scores=[0.8, 0.8, 0.3]))
    check.add([_row(0, 25, 41), _row(0, 39, 60)])
    assert check.faces == 8  # frames 2, 12, 22, 32; the weak one does not count
    assert check.recall == pytest.approx(3 / 8)


def test_the_check_without_a_face_has_no_answer() -> None:
    check = RecallCheck(every=10)
    check.note(frame(10), Faces.none())
    assert np.isnan(check.recall)


def test_the_check_keeps_sums_of_what_it_forgets() -> None:
    check = RecallCheck(every=1, most=5)
    for i in range(20):
        check.note(frame(i), faces(square(40, 45)))
        check.add([_row(i, i, 40)])
    assert (check.faces, check.recall) == (20, 1.0)


def test_in_the_pipeline_the_check_finds_nothing_missing_in_a_quiet_scene() -> None:
    stride, tracker, check = StrideController(), OverlapTracker(), RecallCheck(every=7)
    for i in range(100):
        found = faces(square(40 + 0.2 * i, 45))
        look = stride.due(frame(i), False, tracker.following())
        if not look and check.wants(frame(i)):
            check.note(frame(i), found)
        check.add(tracker.update(frame(i), found if look else None))
    check.add(tracker.flush())
    assert check.faces > 5
    assert check.recall == 1.0
