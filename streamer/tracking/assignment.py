"""Which of two lists belong together at least cost, where most pairs are out of the question.

What may be paired falls into small groups (faces that are near each other), each is solved for itself. The usual one,
one track and one detection, needs no search; a whole solver for it took half a second to import.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamer.items import F64

SMALL = 12  # sides of a group up to which plain Python is quicker than importing and calling scipy


def pairs(cost: F64, allowed: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(row, column) of as many allowed pairs as there can be, of least total cost; each row and column at most once.

    `cost` and `allowed` are (n, m); costs lie in 0..1000, rows come in order.
    """
    found: list[tuple[int, int]] = []
    for rows, columns in _groups(allowed):
        if len(rows) == len(columns) == 1:
            found.append((rows[0], columns[0]))
            continue
        table = np.where(allowed, cost, _FORBIDDEN)[np.ix_(rows, columns)]
        best = _solve(table) if max(table.shape) <= SMALL else _solve_large(table)
        found += [(rows[i], columns[j]) for i, j in best if table[i, j] < _FORBIDDEN]
    return sorted(found)


_FORBIDDEN = 1e6


def _groups(allowed: NDArray[np.bool_]) -> list[tuple[list[int], list[int]]]:
    """Rows and columns that hang together by allowed pairs."""
    groups: list[tuple[set[int], set[int]]] = []
    for row, column in zip(*(axis.tolist() for axis in np.nonzero(allowed)), strict=True):
        touched = [g for g in groups if row in g[0] or column in g[1]]
        groups = [g for g in groups if g not in touched]
        groups.append(({row}.union(*(g[0] for g in touched)), {column}.union(*(g[1] for g in touched))))
    return [(sorted(rows), sorted(columns)) for rows, columns in groups]


def _solve(cost: F64) -> list[tuple[int, int]]:
    """The Hungarian method by shortest augmenting paths with potentials (Kuhn 1955; Jonker and Volgenant 1987)."""
    if cost.shape[0] > cost.shape[1]:
        return [(i, j) for j, i in _solve(cost.T)]
    table = cost.tolist()
    n, m = cost.shape
    row_price, column_price = [0.0] * n, [0.0] * m
    owner = [-1] * m
    for start in range(n):
        nearest, came, done = [float("inf")] * m, [-1] * m, [False] * m
        row, at = start, -1
        while True:
            for j in range(m):
                if not done[j]:
                    slack = table[row][j] - row_price[row] - column_price[j]
                    if slack < nearest[j]:
                        nearest[j], came[j] = slack, at
            best = min((j for j in range(m) if not done[j]), key=nearest.__getitem__)
            step = nearest[best]
            row_price[start] += step
            for j in range(m):
                if done[j]:
                    row_price[owner[j]] += step
                    column_price[j] -= step
                else:
                    nearest[j] -= step
            done[best], at = True, best
            if owner[at] < 0:
                break
            row = owner[at]
        while at >= 0:  # everybody on the path moves on by one
            before = came[at]
            owner[at] = owner[before] if before >= 0 else start
            at = before
    return [(owner[j], j) for j in range(m) if owner[j] >= 0]


def _solve_large(cost: F64) -> list[tuple[int, int]]:
    from scipy.optimize import linear_sum_assignment

    return [(int(i), int(j)) for i, j in zip(*linear_sum_assignment(cost), strict=True)]
