"""The numbering that changes least."""

from __future__ import annotations

import numpy as np

from streamer.clustering.consolidate import Diff, plan


def planned(number: list[int], cluster: list[int], sizes: list[int] | None = None, pinned: set[int] | None = None):
    keys = np.arange(len(number))
    fresh = iter(range(100, 200))
    target, steps = plan(
        Diff(keys, np.asarray(cluster)),
        keys,
        np.asarray(number),
        np.asarray(sizes or [1] * len(number)),
        pinned or set(),
        lambda: next(fresh),
    )
    return target.tolist(), steps


def test_nothing_changes_where_clusters_equal_identities() -> None:
    assert planned([1, 1, 2], [5, 5, 3]) == ([1, 1, 2], [])


def test_a_split_leaves_the_number_with_the_larger_part() -> None:
    assert planned([1, 1, 1], [0, 1, 1]) == ([100, 1, 1], [(1, 100, False)])


def test_a_merge_keeps_the_larger_overlap_then_the_older_number() -> None:
    assert planned([1, 2, 2], [0, 0, 0]) == ([2, 2, 2], [(1, 2, True)])
    assert planned([1, 2], [0, 0]) == ([1, 1], [(2, 1, True)])


def test_a_pinned_number_chooses_first() -> None:
    assert planned([1, 2, 2], [0, 0, 0], pinned={1}) == ([1, 1, 1], [(2, 1, True)])


def test_an_exchange_moves_the_smaller_parts_only() -> None:
    target, steps = planned([1, 1, 1, 2, 2, 2], [0, 0, 1, 1, 1, 0])
    assert target == [1, 1, 2, 2, 2, 1]
    assert sorted(steps) == [(1, 2, False), (2, 1, False)]


def test_a_number_that_loses_all_goes_along_with_its_largest_part() -> None:
    target, steps = planned([1, 2, 3, 3, 3], [0, 1, 0, 1, 1], sizes=[9, 9, 1, 1, 1])
    assert target == [1, 2, 1, 2, 2]
    assert steps == [(3, 1, False), (3, 2, True)]


def test_exemplars_the_snapshot_did_not_know_go_with_the_larger_part_of_their_identity() -> None:
    target, steps = plan(
        Diff(np.array([0, 1, 2]), np.array([0, 1, 1])),
        np.array([0, 1, 2, 7, 8]),
        np.array([1, 1, 1, 1, 4]),
        np.ones(5, int),
        set(),
        lambda: 50,
    )
    assert target.tolist() == [50, 1, 1, 1, 4]
    assert steps == [(1, 50, False)]
