"""Self-calibration: a video's own pairs say whether the pack's thresholds can be right for it.

The earlier and the later half of one track are one person for sure, two tracks in one frame are two. Nobody knows which
tracks of different shots are one person, so neither kind gives a threshold by itself. What they give is two edges. The
merge bar is too loose where more than a stated share (the budget) of the pairs of different people falls below it. It
is too strict where it would refuse halves of tracks, which are nearer than two shots of a person, or stands hardly
beyond them while different people begin far away. A bar between the edges stays as it is, one outside moves to the
edge, the less the thinner the evidence. The link bar moves along: what a single neighbour is worth beside means of
several looks is the model's, not the video's. What that gains and costs: `scripts/eval_calibration`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from streamer.clustering.space import Space
from streamer.errors import ConfigError
from streamer.items import F32, F64, Tracklet

# The merge bars with which all labelled videos do best, and the quantiles of their impostor pairs at 1 and 5 %, in
# dissimilarity: EdgeFace 0.49..0.69, 0.59 and 0.64; MobileFaceNet 0.41..0.46, 0.42 and 0.56; dlib 0.036..0.044, 0.036
# and 0.044. The shares are not far in the tail: a normal fit of it is wrong by a factor of two.
BUDGET = 0.05
REFUSED = 0.05  # share of tracks whose halves a bar may refuse, and more where tracks are few
BEYOND = 0.5  # of the way from there to the loose edge: what a bar must reach when tracks are many
HALF_BEYOND = 20  # tracks seen beside another one at which half of that is asked for: a wrong merge shows in no halves
LOOSEST = 0.72  # of the way from the genuine to the impostor median: where few people share a frame, or unlike ones
HALF_TRUST = 8  # tracks seen beside another one at which evidence and pack weigh the same
LEAST = 6  # pairs of each kind below which nothing is moved
KEPT = 256  # pairs of each kind that are stored of one source: quantiles, which is all that is asked of them
RECENT = 512  # tracks whose vectors are held for the pairs of tracks to come


@dataclass(frozen=True, slots=True)
class Curve:
    """Error rates along thresholds in the pack's metric: shares of impostor pairs taken, of genuine pairs refused."""

    threshold: F64
    false_merge: F64
    false_split: F64


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds for one run and what they rest on; `reason` is a sentence for the report."""

    link: float
    merge: float
    curve: Curve
    genuine: int  # pairs
    impostor: int
    tracks: int  # different tracks in the impostor pairs
    trust: float  # 0: the pack's values, 1: the video's
    false_merge: float  # share of the impostor track pairs below the merge bar
    budget: float
    fell_back: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Pairs in the metric of the thresholds (cosine: similarity, Euclid: distance)."""

    genuine: F64
    impostor: F64
    tracks: int  # different tracks in the impostor pairs

    def plain(self) -> dict[str, Any]:
        """For JSON: at most KEPT quantiles of each kind."""
        kinds = {"genuine": self.genuine, "impostor": self.impostor}
        return {k: [round(float(x), 4) for x in _thinned(v)] for k, v in kinds.items()} | {"tracks": self.tracks}

    @classmethod
    def of(cls, told: Iterable[Mapping[str, Any]]) -> Evidence:
        """All of what `plain` wrote, put together."""
        kept = list(told)
        genuine, impostor = ([x for one in kept for x in one[kind]] for kind in ("genuine", "impostor"))
        return cls(np.asarray(genuine, np.float64), np.asarray(impostor, np.float64), sum(e["tracks"] for e in kept))

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(
            np.concatenate([self.genuine, other.genuine]),
            np.concatenate([self.impostor, other.impostor]),
            self.tracks + other.tracks,
        )


def _thinned(values: F64) -> F64:
    """The values ascending, or KEPT of their quantiles where there are more."""
    return np.sort(values) if len(values) <= KEPT else np.quantile(values, (np.arange(KEPT) + 0.5) / KEPT)


class Gathering:
    """Evidence from tracks as they come, in the order in which `cannot_link` names earlier ones.

    Genuine pairs: the earlier and the later half of a track's exemplars (4 or more): alternate ones are neighbours in
    time and look alike. Impostor pairs: tracks in one frame. Tracks below
    `quality` are left out: blurred faces of different people resemble each other.
    """

    def __init__(self, *, metric: str = "cosine", quality: float = 0.30) -> None:
        self.metric, self.quality = metric, quality
        self._genuine: list[float] = []
        self._impostor: list[float] = []
        self._seen: set[int] = set()
        self._recent: dict[int, F32] = {}

    def see(self, tracklets: Iterable[Tracklet]) -> None:
        """Takes the pairs of these tracks with each other and with earlier ones."""
        for t in tracklets:
            if t.quality >= self.quality and t.id not in self._recent:
                self._take(t)

    def _take(self, t: Tracklet) -> None:
        if len(t.exemplars) >= 4:
            middle = len(t.exemplars) // 2
            early, late = (_mean(half, self.metric) for half in (t.exemplars[:middle], t.exemplars[middle:]))
            self._genuine.append(_pair(early, late, self.metric))
        for other in sorted(t.cannot_link & self._recent.keys()):
            self._impostor.append(_pair(t.embedding, self._recent[other], self.metric))
            self._seen |= {t.id, other}
        self._recent[t.id] = t.embedding.copy()
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]

    def evidence(self) -> Evidence:
        """All pairs so far."""
        return Evidence(np.asarray(self._genuine, np.float64), np.asarray(self._impostor, np.float64), len(self._seen))


def evidence(tracklets: Sequence[Tracklet], *, metric: str = "cosine", quality: float = 0.30) -> Evidence:
    """What a `Gathering` finds in these tracks."""
    gathering = Gathering(metric=metric, quality=quality)
    gathering.see(tracklets)
    return gathering.evidence()


def _mean(rows: F32, metric: str) -> F32:
    mean = np.asarray(rows.mean(0), np.float32)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32) if metric == "cosine" else mean


def _pair(a: F32, b: F32, metric: str) -> float:
    return float(a @ b) if metric == "cosine" else float(np.linalg.norm(a - b))


def calibrate(
    found: Evidence, *, link: float, merge: float, metric: str = "cosine", budget: float = BUDGET, dimension: int = 1
) -> Calibration:
    """Thresholds for the video `found` comes from; the pack's own `link` and `merge` where it says too little.

    `budget` is the share of different people's track pairs that may fall below the merge bar; `link` moves with it.
    """
    if not 0 < budget < 0.5:
        raise ConfigError(f"calibration.budget is {budget}. It is a share of pairs between 0 and 0.5, such as 0.01.")
    space = Space(metric, dimension)
    g, i = (np.asarray(space.dissimilarity(x), np.float64) for x in (found.genuine, found.impostor))
    curve = _curve(space, g, i)
    i = i[i > 2.0 * np.median(g)] if len(g) else i  # nearer: a mirror, a poster, one face found twice
    trust = found.tracks / (found.tracks + HALF_TRUST)
    if len(g) < LEAST or len(i) < LEAST:
        reason = f"{len(g)} genuine and {len(i)} impostor pairs are too few: the pack's thresholds are used."
        return Calibration(link, merge, curve, len(g), len(i), found.tracks, 0.0, float("nan"), budget, True, reason)
    bar = float(space.dissimilarity(merge))
    strict, loose = _edges(g, i, found.tracks, budget)
    by = trust * (min(max(bar, strict), loose) - bar)
    by = max(by, -0.9 * float(space.dissimilarity(link)))  # a link bar of nothing would join nobody
    taken = float((i <= bar + by).mean())
    if abs(by) < 1e-12:
        reason = f"{len(g)} genuine and {len(i)} impostor pairs agree with the pack's thresholds."
    else:
        link, merge = (space.threshold(float(space.dissimilarity(x)) + by) for x in (link, merge))
        way = "tightened" if by < 0 else "loosened"
        reason = f"{len(g)} genuine and {len(i)} impostor pairs: thresholds {way} towards what this video asks for."
    return Calibration(link, merge, curve, len(g), len(i), found.tracks, trust, taken, budget, False, reason)


def _edges(genuine: F64, impostor: F64, tracks: int, budget: float) -> tuple[float, float]:
    """Dissimilarities between which a merge bar is left alone."""
    near = float(np.median(genuine))
    farthest = near + LOOSEST * (float(np.median(impostor)) - near)
    loose = max(near, min(float(np.quantile(impostor, budget)), farthest))
    held = float(np.quantile(genuine, max(0.5, 1.0 - REFUSED - 0.5 / np.sqrt(len(genuine)))))
    beyond = BEYOND * tracks / (tracks + HALF_BEYOND)
    return min(loose, held + beyond * (loose - held)), loose


def _curve(space: Space, genuine: F64, impostor: F64, steps: int = 64) -> Curve:
    """Error rates at `steps` thresholds over the range of the pairs."""
    both = np.concatenate([genuine, impostor])
    if not len(both):
        return Curve(np.zeros(0), np.zeros(0), np.zeros(0))
    d = np.linspace(float(both.min()), float(both.max()), steps)
    return Curve(np.asarray([space.threshold(x) for x in d]), _share(impostor, d), 1.0 - _share(genuine, d))


def _share(values: F64, bars: F64) -> F64:
    """Share of values at or below each bar; 0 of none."""
    if not len(values):
        return np.zeros(len(bars))
    return np.searchsorted(np.sort(values), bars, "right") / len(values)


class SelfCalibration:
    """Thresholds of a run that follow what its sources show: made with the pack's values, told every track.

    `before` is the evidence of earlier sources of the library. Without `enabled` the pack's values stand.
    """

    def __init__(
        self,
        *,
        link: float,
        merge: float,
        metric: str,
        enabled: bool = True,
        budget: float = BUDGET,
        before: Evidence | None = None,
    ) -> None:
        self.link, self.merge, self.metric, self.enabled, self.budget = link, merge, metric, enabled, budget
        self.before = before or Evidence(np.zeros(0), np.zeros(0), 0)
        self._gathering = Gathering(metric=metric)
        self.result()  # a budget that is none is told before the first frame

    def see(self, tracklets: Iterable[Tracklet]) -> None:
        """Takes the evidence of these tracks."""
        self._gathering.see(tracklets)

    @property
    def found(self) -> Evidence:
        """The evidence of this source alone."""
        return self._gathering.evidence()

    def result(self) -> Calibration:
        """The thresholds as of now."""
        found = self.before + self.found
        out = calibrate(found, link=self.link, merge=self.merge, metric=self.metric, budget=self.budget)
        if self.enabled:
            return out
        return replace(
            out, link=self.link, merge=self.merge, trust=0.0, fell_back=True,
            reason="Self-calibration is off: the given thresholds are used.",
        )  # fmt: skip


__all__ = ["Calibration", "Curve", "Evidence", "Gathering", "SelfCalibration", "calibrate", "evidence"]
