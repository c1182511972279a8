"""Scores of a whole run on one video against its truth: was everybody found, and was everybody kept apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.evaluation.external import PRF, Contingency, time_error
from streamer.evaluation.presence import slices, wanted_spans
from streamer.evaluation.rows import FaceRows, spans
from streamer.evaluation.truth import HARD, IGNORE, VISIBLE, Truth
from streamer.geometry import iou
from streamer.intervals import gaps, overlap, total
from streamer.items import F64, I64

TOLERANCE = 0.075  # seconds between a labelled box and the row that finds it
OVERLAP = 0.3  # least IoU of the two


@dataclass(frozen=True, slots=True)
class VideoScore:
    """What a run is worth on one video; NaN where the truth has nothing to say about it.

    `level` says what was compared: "boxes"; "time" where the truth has only times (recall and B-cubed are then weighted
    by seconds); "nobody" where nobody is labelled, and `people_found` is whoever was made up.
    """

    video: str
    level: str
    recall: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f: float
    pair_precision: float
    pair_recall: float
    pair_f: float
    nmi: float  # arithmetic mean normaliser
    wcp: float
    people_found: int
    people_true: int
    people_extra: int
    violations: int
    switches: int
    visible: int  # labelled boxes of kind visible
    visible_found: int
    scored: int  # found boxes of kind visible and hard
    time_error: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(self).items()}


def evaluate(rows: FaceRows, truth: Truth) -> VideoScore:
    """The scores of one video.

    A labelled box is found when a row within `TOLERANCE` seconds overlaps it with IoU >= `OVERLAP`; at one instant the
    match is one to one between boxes and tracks, as many as possible, then nearest in time and greatest in IoU.
    Recall is over boxes of kind visible; B-cubed, pairs, NMI and WCP over found boxes of kind visible and hard, each
    unassigned face a singleton. What is `ignore`, as a box or as a presence range of that person, is left out. People
    found are those named on found boxes, people true those with a visible box or a found hard one. A violation is a
    second face of one person in one frame, anywhere in the rows. A switch is a change of name along one true person's
    found boxes. People extra are those who were made up, see `extra_people`.
    """
    if len(truth.times):
        return _by_boxes(rows, truth)
    return _by_nobody(rows, truth) if truth.empty else _by_time(rows, truth)


def match(rows: FaceRows, truth: Truth) -> I64:
    """(n,) row that finds each labelled box, -1 where none does. Boxes of kind ignore take part, so that a face found
    on one is not given to a neighbour."""
    order = np.argsort(rows.times, kind="stable")
    times = rows.times[order]
    found = np.full(len(truth.times), -1, np.int64)
    for t in np.unique(truth.times):
        wanted = np.flatnonzero(truth.times == t)
        low, high = np.searchsorted(times, [t - TOLERANCE - 1e-6, t + TOLERANCE + 1e-6])
        near = order[low:high]
        if len(near):
            _match_instant(rows, truth, wanted, near, found)
    return found


def extra_people(rows: FaceRows, truth: Truth) -> set[str]:
    """People none of whose rows lies on a labelled box of any kind: made of no face, or of one nobody labelled.

    Rows at times in which anybody may be found (presence `-` of kind ignore) say nothing.
    """
    told = (rows.persons != "") & ~np.array([truth.ignored("-", t) for t in rows.times.tolist()], bool)
    on_label = np.zeros(len(rows), bool)
    for t in np.unique(truth.times):
        near = np.flatnonzero(np.abs(rows.times - t) <= TOLERANCE + 1e-6)
        if len(near):
            on_label[near] |= (iou(truth.boxes[truth.times == t], rows.boxes[near]) >= OVERLAP).any(0)
    return set(rows.persons[told].tolist()) - set(rows.persons[on_label].tolist())


def _match_instant(rows: FaceRows, truth: Truth, wanted: I64, near: I64, found: I64) -> None:
    """Fills `found` for the boxes `wanted` of one instant from the rows `near` it."""
    from scipy.optimize import linear_sum_assignment

    shared = iou(truth.boxes[wanted], rows.boxes[near])
    apart = np.abs(rows.times[near] - truth.times[wanted[0]]) / (2 * TOLERANCE)
    tracks, of = np.unique(rows.tracks[near], return_inverse=True)
    gain = np.zeros((len(wanted), len(tracks)))
    pick = np.full(gain.shape, -1, np.int64)
    for column in np.lexsort((np.arange(len(near)), -apart)):  # nearest last, so that it stays
        good = shared[:, column] >= OVERLAP
        pick[good, of[column]] = column
        # 4 for each match: one match more outweighs any nearness (each gives less than 2)
        gain[good, of[column]] = 4.0 * len(wanted) + shared[good, column] + 1 - apart[column]
    for i, j in zip(*linear_sum_assignment(-gain)):
        if pick[i, j] >= 0:
            found[wanted[i]] = near[pick[i, j]]


def violations(rows: FaceRows) -> int:
    """Second, third ... faces of one person in one frame, over all rows."""
    assigned = rows.persons != ""
    seen = Counter(zip(rows.frames[assigned].tolist(), rows.persons[assigned].tolist()))
    return sum(n - 1 for n in seen.values())


def _by_boxes(rows: FaceRows, truth: Truth) -> VideoScore:
    found = match(rows, truth)
    kinds, persons = np.array(truth.kinds), np.array(truth.persons)
    left_out = np.array([truth.ignored(p, t) for p, t in zip(truth.persons, truth.times)])
    kinds[left_out] = IGNORE
    visible = kinds == VISIBLE
    scored = np.flatnonzero((found >= 0) & (visible | (kinds == HARD)))
    names = rows.persons[found[scored]] if len(scored) else np.zeros(0, np.str_)
    return _score(
        truth.video,
        "boxes",
        persons[scored],
        names,
        recall=float((found[visible] >= 0).mean()) if visible.any() else float("nan"),
        people_true=len(set(persons[visible]) | set(persons[scored])),
        people_extra=len(extra_people(rows, truth)),
        violations=violations(rows),
        switches=_switches(truth.times[scored], persons[scored], names),
        visible=int(visible.sum()),
        visible_found=int((found[visible] >= 0).sum()),
        error=_time_error(rows, truth) if truth.presence else float("nan"),
    )


def _score(
    video: str,
    level: str,
    true: NDArray[np.str_],
    names: NDArray[np.str_],
    *,
    recall: float,
    people_true: int,
    people_extra: int,
    violations: int,
    switches: int,
    visible: int,
    visible_found: int,
    error: float,
    weights: F64 | None = None,
) -> VideoScore:
    """Scores of found items with true names and given names ("" = nobody: a singleton)."""
    _, labels = np.unique(names, return_inverse=True)
    table = Contingency.of(true, np.where(names == "", -1, labels), weights)
    none = float("nan")
    known = len(names) > 0
    cubed = table.bcubed() if known else PRF(none, none)
    pairs = table.pairs().prf if known and weights is None else PRF(none, none)
    return VideoScore(
        video,
        level,
        recall,
        cubed.precision,
        cubed.recall,
        cubed.f(),
        pairs.precision,
        pairs.recall,
        pairs.f(),
        table.nmi() if known else none,
        table.wcp() if known else none,
        people_found=len(set(names.tolist()) - {""}),
        people_true=people_true,
        people_extra=people_extra,
        violations=violations,
        switches=switches,
        visible=visible,
        visible_found=visible_found,
        scored=len(names),
        time_error=error,
    )


def _switches(times: F64, persons: NDArray[np.str_], names: NDArray[np.str_]) -> int:
    """Changes of name along each person's boxes in time; boxes nobody was named on are passed over."""
    along: dict[str, str] = {}
    count = 0
    for i in np.argsort(times, kind="stable"):
        if names[i]:
            count += along.get(persons[i], names[i]) != names[i]
            along[persons[i]] = names[i]
    return count


def _by_nobody(rows: FaceRows, truth: Truth) -> VideoScore:
    none = np.zeros(0, np.str_)
    score = _score(
        truth.video,
        "nobody",
        none,
        none,
        recall=float("nan"),
        people_true=0,
        people_extra=len(rows.people()),
        violations=violations(rows),
        switches=0,
        visible=0,
        visible_found=0,
        error=float("nan"),
    )
    return replace(score, people_found=len(rows.people()))


def _time_error(rows: FaceRows, truth: Truth) -> float:
    """`time_error` over the time in which nothing is hard or ignored of anybody."""
    unclear = [(p.start, p.end) for p in truth.presence if p.kind != VISIBLE]
    wanted, given = wanted_spans(truth), spans(rows)
    edges = [x for side in (wanted, given) for stretches in side.values() for s in stretches for x in s]
    if not edges:
        return float("nan")
    clear = gaps(unclear, (min(edges), max(edges)))
    return time_error([overlap(v, clear) for v in wanted.values()], [overlap(v, clear) for v in given.values()])


def _by_time(rows: FaceRows, truth: Truth) -> VideoScore:
    """Scores by seconds where the truth has no boxes: at each moment given names are matched to true ones."""
    wanted, given = wanted_spans(truth), spans(rows)
    true, names, seconds = slices(wanted, given)
    whole = sum(total(v) for v in wanted.values())
    order = np.arange(len(true), dtype=np.float64)
    return _score(
        truth.video,
        "time",
        true,
        names,
        recall=float(seconds.sum()) / whole if whole else float("nan"),
        people_true=len(wanted),
        people_extra=0,
        violations=violations(rows),
        switches=_switches(order, true, names),
        visible=0,
        visible_found=0,
        error=_time_error(rows, truth),
        weights=seconds,
    )
