"""From events and spans to who appears when."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.items import Appearance, Assigned, Dissolved, Event, Merged, Split
from streamer.timeline import Timeline, appearances, copresence, first_last, fold, intervals, screen_time

NAN = float("nan")


@dataclass(frozen=True)
class Piece:
    id: int
    source: str
    start: float
    end: float
    count: int = 10
    score: float = 0.5


def stretch(identity: int, start: float, end: float, source: str = "a") -> Appearance:
    return Appearance(source, identity, start, end, (1,), 1, 1.0)


def test_the_last_word_about_a_track_counts() -> None:
    events: list[Event] = [
        Assigned(1, 1, 1, NAN), Assigned(2, 2, 2, NAN), Assigned(3, 3, None, NAN), Assigned(4, 1, 2, 0.1),
        Split(5, 2, 4, (2,)), Assigned(6, 5, 5, NAN), Assigned(7, 5, None, NAN, reason="removed"), Dissolved(8, 5),
    ]  # fmt: skip
    assert fold(events) == {1: 2, 2: 4, 3: None}


def test_a_merge_changes_the_past_and_the_future() -> None:
    timeline = Timeline()
    for event in (Assigned(1, 1, 1, NAN), Assigned(2, 2, 2, NAN), Merged(3, 1, 2, 0.1)):
        timeline.add(event)
    assert (timeline.identity(2), timeline.identity(9), timeline.seq) == (1, None, 3)
    timeline.add(Assigned(4, 3, 2, 0.2))
    assert timeline.labels() == {1: 1, 2: 1, 3: 1}


def test_tracks_closer_than_the_gap_are_one_appearance() -> None:
    spans = [
        Piece(1, "a", 0, 1),
        Piece(2, "a", 1.5, 2),
        Piece(3, "a", 2.6, 3),
        Piece(4, "b", 2, 3),
        Piece(5, "a", 0, 9),
    ]
    found = appearances(spans, {1: 7, 2: 7, 3: 7, 4: 7, 5: None})
    assert [(a.source, a.start, a.end, a.tracks, a.faces) for a in found] == [
        ("a", 0, 2, (1, 2), 20), ("a", 2.6, 3, (3,), 10), ("b", 2, 3, (4,), 10)
    ]  # fmt: skip


def test_a_short_track_inside_a_long_one_does_not_end_it() -> None:
    spans = [Piece(1, "a", 0, 10), Piece(2, "a", 1, 2), Piece(3, "a", 10.2, 11)]
    assert [(a.start, a.end) for a in appearances(spans, {1: 1, 2: 1, 3: 1})] == [(0, 11)]


def test_the_score_is_the_mean_over_faces() -> None:
    spans = [Piece(1, "a", 0, 1, count=30, score=0.9), Piece(2, "a", 1, 2, count=10, score=0.5)]
    (found,) = appearances(spans, {1: 1, 2: 1})
    assert (found.faces, found.score) == (40, pytest.approx(0.8))


def test_screen_time_counts_overlaps_once() -> None:
    found = [stretch(1, 0, 2), stretch(1, 1, 3), stretch(1, 0, 1, "b"), stretch(2, 5, 6)]
    assert screen_time(found) == {1: 4.0, 2: 1.0}


def test_copresence_is_the_time_both_are_there() -> None:
    found = [stretch(1, 0, 4), stretch(2, 1, 2), stretch(2, 3, 9), stretch(3, 20, 30), stretch(1, 0, 5, "b")]
    assert copresence(found) == {(1, 2): 2.0}


def test_first_and_last_follow_the_order_given() -> None:
    found = [stretch(1, 3, 4, "z"), stretch(2, 0, 1, "z"), stretch(1, 0, 1, "a")]
    assert first_last(found) == {1: (("z", 3), ("a", 1)), 2: (("z", 0), ("z", 1))}


def test_nobody_is_an_ordinary_case() -> None:
    assert fold([]) == {}
    assert appearances([], {}) == []
    assert (screen_time([]), copresence([]), intervals([])) == ({}, {}, {})


pieces = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 8), st.sampled_from("ab"), st.integers(1, 3)), max_size=12
).map(lambda rows: [(Piece(k, s, a / 2, (a + n) / 2), i) for k, (a, n, s, i) in enumerate(rows)])


@given(pieces, st.sampled_from([0.0, 0.5, 2.0]))
def test_every_assigned_track_is_in_one_appearance_and_they_keep_their_distance(
    rows: list[tuple[Piece, int]], gap: float
) -> None:
    labels = {p.id: i for p, i in rows}
    found = appearances([p for p, _ in rows], labels, gap=gap)
    assert sorted(t for a in found for t in a.tracks) == sorted(labels)
    for a in found:
        mine = [p for p, _ in rows if p.id in a.tracks]
        assert (a.start, a.end) == (min(p.start for p in mine), max(p.end for p in mine))
        assert {labels[t] for t in a.tracks} == {a.identity}
        assert all(
            b.start - a.end > gap or a.start - b.end > gap
            for b in found
            if b is not a and (a.source, a.identity) == (b.source, b.identity)
        )


@given(pieces)
def test_copresence_never_exceeds_either_screen_time(rows: list[tuple[Piece, int]]) -> None:
    found = appearances([p for p, _ in rows], {p.id: i for p, i in rows})
    seconds = screen_time(found)
    for (a, b), both in copresence(found).items():
        assert a < b
        assert 0 < both <= min(seconds[a], seconds[b]) + 1e-9
