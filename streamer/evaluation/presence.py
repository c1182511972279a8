"""Who should be seen when, and who was, where the truth has times only."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streamer.evaluation.truth import IGNORE, VISIBLE, Truth
from streamer.intervals import Interval, gaps, join, overlap, total
from streamer.items import F64


def wanted_spans(truth: Truth) -> dict[str, list[Interval]]:
    """When each person must be seen (kind visible), without what is ignored of them."""
    out: dict[str, list[Interval]] = defaultdict(list)
    for p in truth.presence:
        if p.kind == VISIBLE:
            out[p.person].append((p.start, p.end))
    return {person: _without(truth, person, join(stretches)) for person, stretches in sorted(out.items())}


def _without(truth: Truth, person: str, stretches: list[Interval]) -> list[Interval]:
    ignored = [(p.start, p.end) for p in truth.presence if p.kind == IGNORE and p.person == person]
    return [g for s in stretches for g in gaps(ignored, s)]


def slices(
    wanted: dict[str, list[Interval]], given: dict[str, list[Interval]]
) -> tuple[NDArray[np.str_], NDArray[np.str_], F64]:
    """(true, given, seconds) of every stretch in which neither side changes, one entry per person seen in it.

    Who is who among several at once is taken from the naming that shares most seconds over the whole video; those it
    leaves over are paired in order.
    """
    edges = sorted({x for side in (wanted, given) for stretches in side.values() for s in stretches for x in s})
    partner = _partners(wanted, given)
    out: list[tuple[str, str, float]] = []
    for start, end in pairwise(edges):
        here = [p for p, stretches in wanted.items() if any(s <= start < e for s, e in stretches)]
        seen = [p for p, stretches in given.items() if any(s <= start < e for s, e in stretches)]
        sure = [(p, partner[p]) for p in here if partner.get(p) in seen]
        rest = zip([p for p in here if p not in dict(sure)], [s for s in seen if s not in dict(sure).values()])
        out += [(p, s, end - start) for p, s in (*sure, *rest)]
    return (
        np.array([o[0] for o in out], np.str_),
        np.array([o[1] for o in out], np.str_),
        np.array([o[2] for o in out], np.float64),
    )


def _partners(wanted: dict[str, list[Interval]], given: dict[str, list[Interval]]) -> dict[str, str]:
    from scipy.optimize import linear_sum_assignment

    people, names = list(wanted), list(given)
    shared = np.array([[total(overlap(wanted[p], given[n])) for n in names] for p in people])
    shared = shared.reshape(len(people), len(names))
    return {people[i]: names[j] for i, j in zip(*linear_sum_assignment(-shared)) if shared[i, j] > 0}
