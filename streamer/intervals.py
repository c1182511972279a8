"""Half-open stretches (start, end) of seconds."""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[float, float]
TOUCH = 1e-6  # s: rounding, a hundredth of the finest time base in use (1/90000 s)


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


def together(spans: Iterable[tuple[int, float, float]]) -> dict[tuple[int, int], float]:
    """(a, b), a < b -> seconds both keys are there, ascending; `spans` are (key, start, end).

    One sweep over their edges. Pairs that only touch are left out: what floats leave of two ends that meet
    (1e-14 s) is no time together.

    >>> together([(1, 0.0, 3.0), (2, 2.0, 5.0), (3, 5.0, 6.0)])
    {(1, 2): 1.0}
    """
    edges = sorted(e for key, start, end in spans for e in ((start, 1, key), (end, 0, key)))
    out: dict[tuple[int, int], float] = {}
    there: dict[int, int] = {}  # key -> spans open
    at = 0.0
    for time, starts, key in edges:
        if time - at > TOUCH and len(there) > 1:
            everyone = sorted(there)
            for i, a in enumerate(everyone):
                for b in everyone[i + 1 :]:
                    out[a, b] = out.get((a, b), 0.0) + time - at
        at = time
        there[key] = there.get(key, 0) + (1 if starts else -1)
        if there[key] <= 0:
            del there[key]
    return dict(sorted(out.items()))
