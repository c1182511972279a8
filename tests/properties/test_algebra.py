"""Laws of intervals, aliases and boxes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamer.aliases import Aliases
from streamer.geometry import iou
from streamer.intervals import gaps, join, overlap, total

seconds = st.integers(0, 50).map(float)
stretches = st.lists(st.tuples(seconds, seconds), max_size=12)


@given(stretches)
def test_joining_twice_is_joining_once(parts: list[tuple[float, float]]) -> None:
    assert join(join(parts)) == join(parts)


@given(stretches)
def test_cover_and_gaps_fill_the_whole(parts: list[tuple[float, float]]) -> None:
    whole = (0.0, 50.0)
    assert total(join(parts)) + total(gaps(parts, whole)) == 50.0
    assert overlap(parts, gaps(parts, whole)) == []


@given(stretches, stretches)
def test_overlap_does_not_care_for_the_order(a: list[tuple[float, float]], b: list[tuple[float, float]]) -> None:
    assert overlap(a, b) == overlap(b, a)
    assert total(overlap(a, b)) <= min(total(a), total(b))


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), max_size=30))
def test_aliases_are_an_equivalence(merges: list[tuple[int, int]]) -> None:
    aliases = Aliases()
    groups = {i: {i} for i in range(1, 13)}
    for kept, dropped in merges:
        aliases.merge(kept, dropped)
        both = groups[kept] | groups[dropped]
        for member in both:
            groups[member] = both
    for member, group in groups.items():
        assert {i for i in range(1, 13) if aliases.resolve(i) == aliases.resolve(member)} == group


@given(st.lists(st.tuples(*[st.integers(0, 40)] * 4), min_size=1, max_size=8))
def test_iou_is_symmetric_and_bounded(boxes: list[tuple[int, int, int, int]]) -> None:
    b = np.array(boxes, np.float32)
    m = iou(b, b)
    assert np.allclose(m, m.T)
    assert ((m >= 0) & (m <= 1 + 1e-6)).all()
