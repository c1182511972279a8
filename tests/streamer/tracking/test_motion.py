from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.tracking.motion import Motion, to_boxes, to_place


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_places_and_boxes_are_each_others_inverse() -> None:
    b = boxes((10, 20, 50, 80), (0, 0, 1, 1))
    assert to_boxes(to_place(b)) == pytest.approx(b, abs=1e-4)


def test_a_box_without_size_counts_as_a_pixel() -> None:
    assert to_place(boxes((5, 5, 5, 5)))[0] == pytest.approx([5, 5, 0, 0])


def test_a_face_just_found_is_expected_where_it_is() -> None:
    motion = Motion.empty()
    motion.add(boxes((10, 10, 50, 50)), 0.0)
    assert motion.boxes(0.2)[0] == pytest.approx([10, 10, 50, 50])
    assert motion.pace()[0] == 0


def _walk(speed: float, seconds: float = 1.0) -> Motion:
    """A 40 px wide face that moves to the right at `speed` px/s, seen ten times a second."""
    motion = Motion.empty()
    motion.add(boxes((0, 0, 40, 40)), 0.0)
    for i in range(1, round(seconds * 10) + 1):
        x = speed * i / 10
        motion.correct(np.array([0]), boxes((x, 0, x + 40, 40)), i / 10)
    return motion


def test_a_moving_face_is_expected_further_on() -> None:
    motion = _walk(80.0)
    assert motion.boxes(1.1)[0, 0] == pytest.approx(88, abs=2)
    assert motion.pace()[0] == pytest.approx(2.0, abs=0.2)


def test_a_face_out_of_sight_slows_down() -> None:
    motion = _walk(80.0)
    assert motion.boxes(60.0)[0, 0] < 80 + 80 * 0.9


def test_uncertainty_grows_while_a_face_is_not_seen() -> None:
    motion = _walk(0.0)
    spreads = [motion.predict(1.0 + t)[1][0, 0] for t in (0.1, 0.3, 0.9)]
    assert spreads == sorted(spreads)


def test_asking_does_not_change_what_is_known() -> None:
    asked, silent = _walk(30.0), _walk(30.0)
    for t in (1.1, 1.5, 2.0):
        asked.predict(t)
    assert asked.boxes(1.2) == pytest.approx(silent.boxes(1.2))


def test_correcting_nobody_is_allowed() -> None:
    motion = Motion.empty()
    motion.correct(np.zeros(0, np.intp), np.zeros((0, 4), np.float32), 1.0)
    assert len(motion) == 0


def test_forgetting_keeps_the_others() -> None:
    motion = Motion.empty()
    motion.add(boxes((0, 0, 40, 40), (100, 0, 140, 40)), 0.0)
    motion.keep(np.array([False, True]))
    assert motion.boxes(0.0)[0] == pytest.approx([100, 0, 140, 40])


@given(st.floats(0.01, 1e3), st.integers(1, 8))
def test_motion_is_the_same_at_any_size(scale: float, steps: int) -> None:
    """A picture twice as large gives boxes twice as large."""
    scale = max(scale, 0.1)  # boxes stay above a pixel
    results = []
    for s in (1.0, scale):
        motion = Motion.empty()
        motion.add(boxes((0, 0, 40 * s, 40 * s)), 0.0)
        for i in range(1, steps + 1):
            motion.correct(np.array([0]), boxes((9 * i * s, 0, (9 * i + 40) * s, 40 * s)), i / 10)
        results.append(motion.boxes(steps / 10 + 0.2) / s)
    assert results[0] == pytest.approx(results[1], rel=1e-3, abs=1e-2)
