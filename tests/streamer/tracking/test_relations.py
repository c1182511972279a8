"""Which finished tracks are pieces of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamer.items import F32, Track, TrackRows
from streamer.tracking.relations import Relations
from tests.streamer.tracking.drawn import sample, square
from tests.streamer.tracking.test_split import ANNA, BERT, PAIR, looks, track


def later(first: Track, after: float, x: float = 60.0, shot: int = 0) -> Track:
    """A second track `after` seconds behind the first."""
    n = len(first.rows)
    at = np.arange(n) + int(first.rows.frames[-1]) + round(after * 25)
    boxes = np.tile(np.array([square(x, 45)], np.float32), (n, 1))
    rows = TrackRows(at, at / 25, boxes, first.rows.scores, first.rows.kinds)
    return Track(first.number + 1, "clip.mp4", rows, (sample(float(at[0]) / 25),), shot=shot)


A = track([sample(0.2)], frames=25)


@pytest.mark.parametrize(
    ("second", "person", "joined"),
    [
        (later(A, 0.8), ANNA, True),
        (later(A, 0.8), BERT, False),  # somebody else sat down
        (later(A, 3.0), ANNA, False),  # too late
        (later(A, 0.8, x=140.0), ANNA, False),  # too far
        (later(A, 0.8, shot=1), ANNA, False),  # behind a cut
        (later(A, -0.4), ANNA, False),  # at the same time
    ],
)
def test_broken_tracks_are_joined_only_when_all_agrees(second: Track, person: F32, joined: bool) -> None:
    relations = Relations(PAIR)
    assert relations.add(A, looks(ANNA)).must == frozenset()
    assert relations.add(second, looks(person)).must == (frozenset([A.number]) if joined else frozenset())


def test_the_order_of_closing_does_not_matter() -> None:
    relations, b = Relations(PAIR), later(A, 0.5)
    c = later(b, 0.5)
    assert relations.add(c, looks(ANNA)).must == frozenset()
    assert relations.add(A, looks(ANNA)).must == frozenset([c.number])
    assert relations.add(b, looks(ANNA)).must == frozenset()  # c goes on from A already: one track goes on from one


def test_the_piece_between_two_belongs_to_both() -> None:
    relations, b = Relations(PAIR), later(A, 1.2)
    c = later(b, 1.2)
    assert relations.add(A, looks(ANNA)).must == frozenset()
    assert relations.add(c, looks(ANNA)).must == frozenset()
    assert relations.add(b, looks(ANNA)).must == frozenset([A.number, c.number])


def test_two_at_one_time_do_not_both_go_on_from_one() -> None:
    relations, b = Relations(PAIR), later(A, 0.4)
    twin = replace(b, number=99)
    assert relations.add(A, looks(ANNA)).must == frozenset()
    assert relations.add(b, looks(ANNA)).must == frozenset([A.number])
    assert relations.add(twin, looks(ANNA)).must == frozenset()


def test_a_track_without_faces_is_joined_to_none() -> None:
    relations = Relations(PAIR)
    relations.add(A, looks(ANNA))
    assert relations.add(later(A, 0.8), np.zeros((0, 128), np.float32)).must == frozenset()


def test_two_blinks_do_not_make_somebody() -> None:
    relations, b = Relations(PAIR), later(A, 0.5)
    relations.add(A, looks(ANNA), weak=True)
    assert relations.add(b, looks(ANNA), weak=True).must == frozenset()
    assert relations.add(later(b, 0.5), looks(ANNA)).must == frozenset([b.number])


def _with_margin(t: Track, first: int, last: int) -> Track:
    """Found from frame `first` to `last` only; the rest of its rows is margin."""
    kinds = ((t.rows.frames >= first) & (t.rows.frames <= last)).astype(np.uint8)
    return replace(t, rows=replace(t.rows, kinds=kinds))


def test_a_margin_that_overlaps_the_same_face_elsewhere_is_cut_off() -> None:
    relations, b = Relations(PAIR), later(A, -0.12, x=140.0)  # begins three frames before A's end
    relations.add(_with_margin(A, 0, 20), looks(ANNA))
    related = relations.add(_with_margin(b, 26, 46), looks(ANNA))
    assert related.cannot == frozenset()
    assert int(related.track.rows.frames[0]) == 25


def test_a_margin_that_overlaps_somebody_else_stays_and_they_are_two() -> None:
    relations, b = Relations(PAIR), later(A, -0.12, x=140.0)
    relations.add(_with_margin(A, 0, 20), looks(ANNA))
    related = relations.add(_with_margin(b, 26, 46), looks(BERT))
    assert related.cannot == frozenset([A.number])
    assert len(related.track.rows) == 25


def test_two_found_at_one_time_are_two_however_alike() -> None:
    relations = Relations(PAIR)
    relations.add(A, looks(ANNA))
    assert relations.add(later(A, -0.4), looks(ANNA)).cannot == frozenset([A.number])


def test_an_open_track_that_comes_again_is_no_stranger_to_itself() -> None:
    relations, b = Relations(PAIR), later(A, 0.5)
    relations.add(A, looks(ANNA))
    assert relations.add(replace(b, open=True), looks(ANNA)).must == frozenset()
    closed = relations.add(b, looks(ANNA))
    assert (closed.cannot, closed.must) == (frozenset(), frozenset([A.number]))


def test_what_ended_long_ago_is_forgotten() -> None:
    relations, b = Relations(PAIR, gap=1e9, memory=10.0), later(A, 20.0)
    relations.add(A, looks(ANNA))
    assert relations.add(b, looks(ANNA)).must == frozenset()
