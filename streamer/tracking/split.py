"""Second thoughts about finished tracks, once their best faces are embedded: mixed ones are split.

A missed cut, a slow fade or two people who cross leave two persons in one track; nothing behind the tracker can repair
that. All bars are in units of the model's own pair threshold, see `agreement`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamer.errors import ConfigError
from streamer.items import DETECTED, F64, FaceSample, Track, TrackRows
from streamer.tracking.motion import to_place
from streamer.vectors import unit

STRANGER = 0.5  # agreement below which faces are taken for two people: half the bar of a pair
CLEAR = 0.35  # the same where one side has a single face: three sigma of strangers, not of faces in profile
CONTRAST = 0.7  # how much more faces of a part must agree among themselves than with the other part
TURNED = 40.0  # degrees of yaw above which a single face proves nothing


def agreement(a: ArrayLike, b: ArrayLike, pair: float, metric: str = "cosine", strangers: float = 0.0) -> F64:
    """(n, m): 1 where two faces just pass for one person, about 0 for strangers, more for sure pairs.

    `pair` is the pack's pair threshold: a cosine similarity, with `strangers` what strangers have in the mean; or a
    Euclidean distance (strangers of the dlib network, whose bar is 0.6, are 0.84 apart in the mean, hence the 1.4).
    ConfigError for another metric.
    """
    p, q = (np.atleast_2d(np.asarray(x, np.float32)) for x in (a, b))
    if metric == "cosine":
        return np.asarray((unit(p) @ unit(q).T - strangers) / (pair - strangers), np.float64)
    if metric == "euclid":
        far = np.linalg.norm(p[:, None] - q[None], axis=2)
        return np.asarray((1.4 * pair - far) / (0.4 * pair), np.float64)
    raise ConfigError(f"metric {metric!r}: cosine or euclid is expected.")


def split_mixed(
    track: Track, embeddings: ArrayLike, pair: float, metric: str = "cosine", strangers: float = 0.0
) -> list[Track]:
    """The track, or its parts in order of time where its faces are two people's.

    `embeddings` (n, d) are those of `track.samples`. A part is a stretch of neighbouring samples that agree among
    themselves and are strangers to all others; a single face only when it is frontal, agrees with none of the others
    and the box jumped or was lost beside it. So a head that turns away and back splits nothing. Parts share the number
    of the track: numbering is the caller's.
    """
    vectors = np.asarray(embeddings, np.float32)
    if len(vectors) != len(track.samples):
        raise ValueError(f"{len(vectors)} embeddings for {len(track.samples)} samples")
    order = np.argsort([s.time for s in track.samples], kind="stable")
    agree = agreement(vectors[order], vectors[order], pair, metric, strangers) if len(order) > 1 else np.ones((1, 1))
    samples = [track.samples[i] for i in order]
    edges = sorted(_edges(track, samples, agree, 0, len(samples)))
    return _divide(track, samples, edges) if edges else [track]


def _edges(track: Track, samples: list[FaceSample], agree: F64, low: int, high: int) -> Iterator[int]:
    """Indices of the samples that begin a new person, within low..high."""
    best: tuple[float, int, int] | None = None
    for i in range(low, high):
        for j in range(i + 1, high + 1):
            if (i, j) != (low, high) and _is_other(track, samples, agree, (low, i, j, high)):
                inside, outside = _parts(low, i, j, high)
                cross = float(agree[np.ix_(inside, outside)].mean())
                if best is None or (cross, j - i) < (best[0], best[2] - best[1]):
                    best = (cross, i, j)
    if best is None:
        return
    _, i, j = best
    yield from (e for e in (i, j) if low < e < high)
    for a, b in ((low, i), (i, j), (j, high)):
        if b - a > 1:
            yield from _edges(track, samples, agree, a, b)


def _parts(low: int, i: int, j: int, high: int) -> tuple[list[int], list[int]]:
    return list(range(i, j)), [*range(low, i), *range(j, high)]


def _is_other(track: Track, samples: list[FaceSample], agree: F64, stretch: tuple[int, int, int, int]) -> bool:
    """Whether samples i..j are another person than the rest of low..high."""
    low, i, j, high = stretch
    inside, outside = _parts(*stretch)
    cross = agree[np.ix_(inside, outside)]
    if cross.max() >= 1.0 or cross.mean() >= STRANGER:
        return False
    floor = float(cross.mean()) + CONTRAST
    if any(_within(agree, part) < floor for part in (inside, outside) if len(part) > 1):
        return False
    if min(len(inside), len(outside)) > 1:
        return True
    lone = inside if len(inside) == 1 else outside
    frontal = all(abs(samples[k].pose[0]) < TURNED for k in lone)
    usual = float(np.median([s.quality for s in samples[low:high]]))
    if not frontal or float(cross.max()) >= CLEAR:
        return False
    if all(samples[k].quality >= 0.7 * usual for k in lone):
        return True
    return all(_broken(track.rows, samples[e - 1].time, samples[e].time) for e in (i, j) if low < e < high)


def _within(agree: F64, part: list[int]) -> float:
    """Mean agreement among the faces of a part of at least two."""
    table = agree[np.ix_(part, part)]
    return float((table.sum() - np.trace(table)) / (len(part) * (len(part) - 1)))


@dataclass(frozen=True, slots=True)
class _Step:
    """What lies between two neighbouring detections."""

    start: float
    end: float
    jump: float  # centre moved by so many face widths, or as much by its change in size


def _steps(rows: TrackRows, start: float, end: float) -> list[_Step]:
    """The steps between detections that lie in start..end."""
    seen = np.flatnonzero((rows.kinds == DETECTED) & (rows.times >= start - 1e-6) & (rows.times <= end + 1e-6))
    place, times = to_place(rows.boxes[seen]), rows.times[seen]
    out = []
    for k in range(len(seen) - 1):
        off = place[k + 1] - place[k]
        width = float(np.exp((place[k, 2] + place[k + 1, 2]) / 2))
        jump = max(float(np.hypot(off[0], off[1])) / width, 2.0 * abs(float(off[2])))
        out.append(_Step(float(times[k]), float(times[k + 1]), jump))
    return out


def _broken(rows: TrackRows, start: float, end: float) -> bool:
    """Whether the box jumps between two times, or is lost for a while."""
    steps = _steps(rows, start, end)
    usual = float(np.median([s.end - s.start for s in _steps(rows, -np.inf, np.inf)] or [0.0]))
    return any(s.jump > 0.5 or s.end - s.start > max(0.3, 2.5 * usual) for s in steps)


def _divide(track: Track, samples: list[FaceSample], edges: list[int]) -> list[Track]:
    """The track cut between samples e - 1 and e for every edge e, where the box jumps most."""
    out, first, bounds = [], 0, [*edges, len(samples)]
    left = -np.inf
    for stop in bounds:
        right = _break(track.rows, samples[stop - 1].time, samples[stop].time) if stop < len(samples) else np.inf
        m = (track.rows.times > left) & (track.rows.times <= right)
        out.append(replace(track, rows=_take(track.rows, m), samples=tuple(samples[first:stop])))
        first, left = stop, right
    return out


def _break(rows: TrackRows, start: float, end: float) -> float:
    """Time of the most doubtful step between two samples: the greatest jump, long steps counting more."""
    steps = _steps(rows, start, end)
    if not steps:
        return (start + end) / 2
    worst = max(steps, key=lambda s: s.jump + (s.end - s.start))
    return max(start, min((worst.start + worst.end) / 2, float(np.nextafter(end, -np.inf))))


def _take(rows: TrackRows, m: NDArray[np.bool_]) -> TrackRows:
    return TrackRows(rows.frames[m], rows.times[m], rows.boxes[m], rows.scores[m], rows.kinds[m])
