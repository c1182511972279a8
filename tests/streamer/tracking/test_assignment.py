"""The pairs that belong together at least cost, against scipy's solver."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from streamer.tracking.assignment import SMALL, pairs


def by_scipy(cost: np.ndarray, allowed: np.ndarray) -> tuple[int, float]:
    """How many pairs there can be, and what they cost together at least."""
    table = np.where(allowed, cost, 1e6)
    rows, columns = linear_sum_assignment(table)
    real = allowed[rows, columns]
    return int(real.sum()), float(cost[rows, columns][real].sum())


@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(0, 9), st.floats(0, 1))
def test_as_many_pairs_as_can_be_at_least_cost(seed: int, rows: int, columns: int, share: float) -> None:
    random = np.random.default_rng(seed)
    cost, allowed = random.random((rows, columns)) * 2, random.random((rows, columns)) < share
    found = pairs(cost, allowed)
    assert all(allowed[i, j] for i, j in found)
    assert len({i for i, _ in found}) == len({j for _, j in found}) == len(found)
    count, total = by_scipy(cost, allowed)
    assert len(found) == count
    assert sum(cost[i, j] for i, j in found) == pytest.approx(total)


def test_a_group_too_large_for_plain_python_is_solved_all_the_same() -> None:
    cost = np.random.default_rng(1).random((SMALL + 3, SMALL + 5))
    found = pairs(cost, np.ones(cost.shape, bool))
    assert sum(cost[i, j] for i, j in found) == pytest.approx(by_scipy(cost, np.ones(cost.shape, bool))[1])


def test_pairs_come_in_order_of_rows_and_forbidden_ones_never() -> None:
    cost = np.array([[0.1, 0.0, 0.5], [0.0, 0.9, 0.5], [0.3, 0.3, 0.3]])
    allowed = np.array([[True, False, False], [True, True, False], [False, False, True]])
    assert pairs(cost, allowed) == [(0, 0), (1, 1), (2, 2)]
