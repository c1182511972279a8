"""Half-open stretches (start, end) of seconds."""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[float, float]


def join(intervals: Iterable[Interval], gap: float = 0.0) -> list[Interval]:
    """The union, ascending; neighbours no more than `gap` apart become one. Empty stretches are left out.

    >>> join([(0, 1), (1.5, 2)], gap=0.5)
    [(0, 2)]
    """
    out: list[Interval] = []
    for start, end in sorted(i for i in intervals if i[1] > i[0]):
        if out and start - out[-1][1] <= gap:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def gaps(intervals: Iterable[Interval], within: Interval) -> list[Interval]:
    """What of `within` no interval covers, ascending."""
    out: list[Interval] = []
    at = within[0]
    for start, end in join(intervals):
        if start > at:
            out.append((at, min(start, within[1])))
        at = max(at, end)
        if at >= within[1]:
            break
    if at < within[1]:
        out.append((at, within[1]))
    return [g for g in out if g[1] > g[0]]


def overlap(a: Iterable[Interval], b: Iterable[Interval]) -> list[Interval]:
    """Where both are, ascending."""
    p, q = join(a), join(b)
    out: list[Interval] = []
    i = j = 0
    while i < len(p) and j < len(q):
        start, end = max(p[i][0], q[j][0]), min(p[i][1], q[j][1])
        if end > start:
            out.append((start, end))
        if p[i][1] < q[j][1]:
            i += 1
        else:
            j += 1
    return out


def total(intervals: Iterable[Interval]) -> float:
    """Seconds covered by the union."""
    return float(sum(end - start for start, end in join(intervals)))
