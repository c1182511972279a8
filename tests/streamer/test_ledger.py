"""What decisions make of a clustering."""

from __future__ import annotations

from typing import Any

import pytest

from streamer.errors import StoreError
from streamer.ledger import DISPLACED, Ledger

WHO: dict[str, Any] = {"who": "ann", "at": "2026-01-01T00:00:00Z"}
LABELS = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3, 7: None}


def test_without_decisions_the_view_is_the_clustering() -> None:
    view = Ledger().apply(LABELS)
    assert view.labels == LABELS
    assert (view.names, view.aliases, view.touched) == ({}, {}, frozenset())


def test_a_name_stays_with_the_person_when_the_machine_merges_it_away() -> None:
    ledger = Ledger()
    ledger.name(ledger.apply(LABELS), 2, "Bob", **WHO)
    view = ledger.apply({1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 3, 7: None})
    assert view.names == {2: "Bob"}
    assert view.tracks()[2] == [1, 2, 3, 4, 5]
    assert view.resolve(1) == 2


def test_two_named_people_in_one_cluster_both_stay() -> None:
    ledger = Ledger()
    ledger.name(ledger.apply(LABELS), 1, "Ann", **WHO)
    ledger.name(ledger.apply(LABELS), 2, "Bob", **WHO)
    view = ledger.apply(dict.fromkeys(LABELS, 9))
    assert view.names == {1: "Ann", 2: "Bob"}
    assert view.tracks() == {1: [1, 2, 3, 6, 7], 2: [4, 5]}


def test_a_name_follows_the_majority_and_the_rest_gets_another_number() -> None:
    ledger = Ledger()
    ledger.name(ledger.apply(LABELS), 1, "Ann", **WHO)
    view = ledger.apply({1: 8, 2: 8, 3: 1, 4: 2, 5: 2, 6: 3, 7: None})
    assert view.tracks() == {1: [1, 2], 1 + DISPLACED: [3], 2: [4, 5], 3: [6]}


def test_a_merge_holds_when_the_machine_sees_two_and_takes_newcomers_along() -> None:
    ledger = Ledger()
    ledger.merge(ledger.apply(LABELS), 1, 2, **WHO)
    view = ledger.apply(LABELS | {8: 2, 9: 1})
    assert view.tracks() == {1: [1, 2, 3, 4, 5, 8, 9], 3: [6]}
    assert view.resolve(2) == 1


def test_an_undone_merge_separates_even_when_the_machine_has_merged_meanwhile() -> None:
    ledger = Ledger()
    merge = ledger.merge(ledger.apply(LABELS), 1, 2, **WHO)
    undo = ledger.undo(merge.id, **WHO)
    merged = {**LABELS, 4: 1, 5: 1}
    assert ledger.apply(merged).tracks() == {1: [1, 2, 3], 2: [4, 5], 3: [6]}
    ledger.undo(undo.id, **WHO)
    assert ledger.apply(LABELS).tracks() == {1: [1, 2, 3, 4, 5], 3: [6]}


def test_undoing_the_first_of_two_merges_leaves_the_second() -> None:
    ledger = Ledger()
    first = ledger.merge(ledger.apply(LABELS), 1, 2, **WHO)
    ledger.merge(ledger.apply(LABELS), 1, 3, **WHO)
    ledger.undo(first.id, **WHO)
    assert ledger.apply(LABELS).tracks() == {1: [1, 2, 3, 6], 2: [4, 5]}


def test_a_split_holds_against_the_machine_and_can_be_undone() -> None:
    ledger = Ledger()
    split = ledger.split(ledger.apply(LABELS), 1, [3], 10, **WHO)
    assert ledger.apply(LABELS).tracks() == {1: [1, 2], 2: [4, 5], 3: [6], 10: [3]}
    assert ledger.constraints() == ([(1, 2)], [(3, 1)])
    ledger.undo(split.id, **WHO)
    assert ledger.apply({**LABELS, 3: 11}).tracks()[1] == [1, 2, 3]
    assert ledger.constraints()[1] == []


def test_not_same_keeps_two_people_apart_in_one_cluster() -> None:
    ledger = Ledger()
    ledger.not_same(ledger.apply(LABELS), 1, 2, **WHO)
    assert ledger.apply(dict.fromkeys(LABELS, 1)).tracks() == {1: [1, 2, 3, 6, 7], 2: [4, 5]}
    assert ledger.constraints() == ([(1, 2), (2, 3), (4, 5)], [(1, 4)])


def test_the_last_name_counts_and_undo_brings_the_one_before() -> None:
    ledger = Ledger()
    ledger.name(ledger.apply(LABELS), 1, "Ann", **WHO)
    second = ledger.name(ledger.apply(LABELS), 1, "Anna", **WHO)
    assert ledger.apply(LABELS).label(1) == "Anna"
    ledger.undo(second.id, **WHO)
    assert ledger.apply(LABELS).label(1) == "Ann"
    ledger.name(ledger.apply(LABELS), 1, "", **WHO)
    assert ledger.apply(LABELS).label(1) == "Person 1"


def test_a_merge_inherits_the_name_of_the_dropped_person_unless_there_is_one() -> None:
    ledger = Ledger()
    ledger.name(ledger.apply(LABELS), 2, "Bob", **WHO)
    ledger.merge(ledger.apply(LABELS), 1, 2, **WHO)
    assert ledger.apply(LABELS).names == {1: "Bob"}
    ledger.name(ledger.apply(LABELS), 1, "", **WHO)
    assert ledger.apply(LABELS).names == {}
    ledger.name(ledger.apply(LABELS), 1, "Ann", **WHO)
    assert ledger.apply(LABELS).names == {1: "Ann"}
    ledger.undo(2, **WHO)
    assert ledger.apply(LABELS).names == {1: "Ann", 2: "Bob"}


def test_hidden_people_are_marked_until_shown() -> None:
    ledger = Ledger()
    ledger.hide(ledger.apply(LABELS), 3, **WHO)
    assert ledger.apply(LABELS).hidden == {3}
    ledger.hide(ledger.apply(LABELS), 3, hidden=False, **WHO)
    assert ledger.apply(LABELS).hidden == frozenset()


def test_a_named_person_whose_tracks_are_gone_is_still_listed() -> None:
    ledger = Ledger()
    ledger.name(ledger.apply(LABELS), 3, "Cem", **WHO)
    view = ledger.apply({1: 1})
    assert view.tracks() == {3: [], 1: [1]}


def test_a_named_track_that_nobody_owns_any_more_keeps_its_name() -> None:
    ledger = Ledger()
    ledger.name(ledger.apply(LABELS), 3, "Cem", **WHO)
    assert ledger.apply({**LABELS, 6: None}).labels[6] == 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda g, v: g.name(v, 99, "X", **WHO), "no person 99"),
        (lambda g, v: g.merge(v, 1, 1, **WHO), "merged with itself"),
        (lambda g, v: g.split(v, 1, [4], 10, **WHO), "has no track 4"),
        (lambda g, v: g.split(v, 1, [1, 2, 3], 10, **WHO), "nothing would be left"),
        (lambda g, v: g.not_same(v, 2, 2, **WHO), "is one person"),
        (lambda g, v: g.undo(5, **WHO), "no decision 5"),
        (lambda g, v: g.add("shout", {}, **WHO), "no kind of decision"),
    ],
)
def test_nonsense_is_refused_and_not_logged(wrong: Any, message: str) -> None:
    ledger = Ledger()
    with pytest.raises(StoreError, match=message):
        wrong(ledger, ledger.apply(LABELS))
    assert ledger.entries == []


def test_an_entry_is_undone_once_and_erasure_never() -> None:
    ledger = Ledger()
    first = ledger.name(ledger.apply(LABELS), 1, "Ann", **WHO)
    ledger.undo(first.id, **WHO)
    with pytest.raises(StoreError, match="already undone"):
        ledger.undo(first.id, **WHO)
    gone = ledger.add("forget", {"person": 2}, **WHO)
    with pytest.raises(StoreError, match="cannot come back"):
        ledger.undo(gone.id, **WHO)
    assert [e.inverse for e in ledger] == [
        "person 1 has the name it had before",
        "decision 1 holds again",
        "cannot be undone",
    ]
