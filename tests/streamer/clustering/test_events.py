"""The labels that a log of events adds up to."""

from __future__ import annotations

from streamer.clustering.events import replay
from streamer.items import Assigned, Dissolved, Merged, Split


def assigned(seq: int, track: int, identity: int | None, reason: str = "new") -> Assigned:
    return Assigned(seq, track, identity, 0.1, reason=reason)


def test_the_last_word_about_a_track_counts() -> None:
    assert replay([assigned(1, 7, 1), assigned(2, 7, 2)]) == {7: 2}


def test_a_merge_holds_for_tracks_assigned_before_and_after_it() -> None:
    assert replay([assigned(1, 7, 2), Merged(2, 1, 2, 0.3), assigned(3, 8, 2)]) == {7: 1, 8: 1}


def test_chains_of_merges_resolve() -> None:
    assert replay([assigned(1, 7, 3), Merged(2, 2, 3, 0.3), Merged(3, 1, 2, 0.3)]) == {7: 1}


def test_a_split_moves_its_tracks_only() -> None:
    log = [assigned(1, 7, 1), assigned(2, 8, 1), Split(3, 1, 4, (8,))]
    assert replay(log) == {7: 1, 8: 4}


def test_nobodys_track_is_none_and_an_erased_one_is_gone() -> None:
    log = [assigned(1, 7, None, "gate"), assigned(2, 8, 1), assigned(3, 8, None, "removed"), Dissolved(4, 1)]
    assert replay(log) == {7: None}
