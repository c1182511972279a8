"""The neighbour index against a plain matrix product, on both sides of the switch to sketches."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.clustering.neighbors import NeighborIndex
from tests.streamer.clustering.drawn import centres, looks, unit


def found(index: NeighborIndex, queries: np.ndarray, radius: float) -> list[set[int]]:
    offsets, rows = index.within(queries, radius)
    return [set(rows[a:b].tolist()) for a, b in zip(offsets[:-1], offsets[1:], strict=True)]


def filled(rows: np.ndarray, **options: int) -> NeighborIndex:
    index = NeighborIndex(rows.shape[1], capacity=4, **options)
    for row in rows:
        index.add(row)
    return index


@pytest.mark.parametrize("queries", [1, 5, 40])
def test_all_rows_within_the_radius_are_found(queries: int) -> None:
    rows = unit(np.random.default_rng(1).standard_normal((200, 16)))
    index = filled(rows)
    expected = [set(np.flatnonzero(rows @ q > 0.3).tolist()) for q in rows[:queries]]
    assert found(index, rows[:queries], 0.3) == expected


def test_an_empty_index_finds_nothing() -> None:
    assert found(NeighborIndex(8), np.ones((2, 8), np.float32), -9.0) == [set(), set()]


def test_a_rewritten_row_is_found_where_it_is_now() -> None:
    index = filled(np.eye(4, dtype=np.float32))
    index.write(2, np.eye(4, dtype=np.float32)[0])
    assert found(index, np.eye(4, dtype=np.float32)[:1], 0.5) == [{0, 2}]


def test_removing_moves_the_last_row_into_the_hole() -> None:
    index = filled(np.eye(4, dtype=np.float32))
    assert index.remove(1) == 3
    assert found(index, np.eye(4, dtype=np.float32), 0.5) == [{0}, set(), {2}, {1}]


def test_beyond_flat_rows_nearly_all_near_rows_are_found_under_the_same_positions() -> None:
    rows = np.vstack([looks(c, 30, 0.9, seed) for seed, c in enumerate(centres(40, 32))])
    flat, chosen = filled(rows), filled(rows, flat_rows=300)
    assert (flat.exact, chosen.exact) == (True, False)
    exact, near = found(flat, rows[::7], 0.6), found(chosen, rows[::7], 0.6)
    assert all(b <= a for a, b in zip(exact, near, strict=True))
    assert sum(map(len, near)) >= 0.9 * sum(map(len, exact))


def test_of_more_rows_than_are_looked_at_the_nearest_are_found() -> None:
    rows = np.vstack([looks(centres(1, 128)[0], 200, 0.75), looks(centres(2, 128)[1], 20, 0.95)])
    index = filled(rows, flat_rows=100)
    for query in (0, 50, 210):
        best = np.argsort(-(rows @ rows[query]))[:8].tolist()
        assert len(set(best) & found(index, rows[query : query + 1], 0.3)[0]) >= 6


def test_beyond_flat_rows_rewritten_and_removed_rows_are_told() -> None:
    rows = np.vstack([looks(c, 30, 0.9, seed) for seed, c in enumerate(centres(10, 32))])
    index = filled(rows, flat_rows=100)
    target = -rows[0]
    index.write(5, target)
    assert found(index, target[None], 0.99) == [{5}]
    assert index.remove(5) == 299
    assert found(index, target[None], 0.99) == [set()]
    assert 5 in found(index, rows[299][None], 0.99)[0]
    assert 299 not in found(index, rows[299][None], 0.99)[0]


@pytest.mark.parametrize("flat_rows", [None, 100])
def test_rows_changed_after_a_search_are_in_it_as_if_it_were_made_now(flat_rows: int | None) -> None:
    rows = np.vstack([looks(c, 30, 0.9, seed) for seed, c in enumerate(centres(10, 32))])
    index = filled(rows, flat_rows=flat_rows)
    queries = rows[[0, 40, 80]]
    search = index.search(queries, 0.5)
    for row, other in ((3, 45), (41, 100), (250, 1)):
        index.write(row, rows[other])
        search.touch(row)
    index.add(rows[2])
    for i, query in enumerate(queries):
        now = index.search(query[None], 0.5).of(0)
        kept = search.of(i)
        if flat_rows is None:  # more may be given to look at than is near
            kept = kept[index.rows[kept] @ query > 0.5]
        assert kept.tolist() == now.tolist()


def test_no_sketch_stays_of_a_row_that_is_removed() -> None:
    index = filled(unit(np.random.default_rng(3).standard_normal((20, 16))), flat_rows=10)
    last = index.sketches[19].copy()
    index.remove(19)
    assert last.any()
    assert not index._sketches[19:].any()
