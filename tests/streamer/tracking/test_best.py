from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamer.tracking.best import BestFaces
from tests.streamer.tracking.drawn import sample


def fill(best: BestFaces, qualities: dict[float, float]) -> BestFaces:
    for time, quality in qualities.items():
        best.offer(sample(time, quality))
    return best


def times(best: BestFaces) -> list[float]:
    return [s.time for s in best.pick()]


def test_nothing_offered_nothing_picked() -> None:
    assert BestFaces().pick() == ()


def test_the_best_look_is_always_among_the_picked() -> None:
    assert 3.0 in times(fill(BestFaces(count=3), {t / 4: 0.9 if t == 12 else 0.4 for t in range(40)}))


def test_a_better_look_replaces_a_worse_one_of_the_same_moment() -> None:
    best = fill(BestFaces(), {0.0: 0.4, 0.04: 0.7, 0.08: 0.5})
    assert [s.quality for s in best.pick()] == [0.7]


def test_picked_looks_are_apart_where_the_track_is_long_enough() -> None:
    found = times(fill(BestFaces(count=5, apart=0.5), {t / 10: 0.5 + t % 3 / 10 for t in range(60)}))
    assert len(found) == 5
    assert min(np.diff(found)) >= 0.5


def test_a_short_track_gives_closer_looks() -> None:
    found = times(fill(BestFaces(count=3, apart=0.5), {0.0: 0.5, 0.3: 0.5, 0.6: 0.5}))
    assert found == [0.0, 0.3, 0.6]


def test_first_and_last_parts_of_a_long_track_are_represented() -> None:
    """The middle is better, but only the ends would show that two people share the track."""
    found = times(fill(BestFaces(count=5), {t / 5: 0.8 if 20 <= t < 80 else 0.5 for t in range(100)}))
    assert found[0] < 4.0
    assert found[-1] >= 16.0


def test_memory_is_bounded_however_long_a_track_is() -> None:
    best = BestFaces(count=5)
    for t in range(20_000):
        best.offer(sample(t / 5, 0.5))
        assert len(best) <= 10
    assert times(best)[-1] > 3000


def test_a_look_that_cannot_be_better_is_not_wanted() -> None:
    best = fill(BestFaces(), {0.0: 0.6})
    assert not best.wants(0.6, 0.1)
    assert best.wants(0.9, 0.1)
    assert best.wants(0.1, 2.0)


def test_a_little_more_hope_is_not_worth_a_crop_unless_the_last_was_blurred() -> None:
    sharp, blurred = BestFaces(), BestFaces()
    sharp.offer(sample(0.0, 0.7), hope=0.8)
    blurred.offer(sample(0.0, 0.2), hope=0.8)
    assert not sharp.wants(0.82, 0.1)
    assert blurred.wants(0.82, 0.1)


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 1)), max_size=60), st.integers(1, 6))
def test_picks_are_ordered_few_and_from_what_was_offered(looks: list[tuple[float, float]], count: int) -> None:
    best = BestFaces(count=count)
    for time, quality in sorted(looks):
        best.offer(sample(time, quality))
    picked = best.pick()
    assert len(picked) <= count
    assert [s.time for s in picked] == sorted(s.time for s in picked)
    assert {(s.time, s.quality) for s in picked} <= set(looks)
    if looks:
        assert max(s.quality for s in picked) == max(q for _, q in looks)
