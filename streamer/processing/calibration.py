"""Thresholds that follow a library's own videos: made before a source, stored with it, shown in its report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np

from streamer.clustering.calibrate import Evidence, SelfCalibration
from streamer.config import Config
from streamer.models.base import Embedder
from streamer.reports.base import Calibration
from streamer.store import Store

EARLIER = 50  # newest sources whose evidence counts
BINS = 32


def self_calibration(config: Config, embedder: Embedder, store: Store) -> SelfCalibration:
    """The calibration of the next source, with the evidence of earlier ones.

    Thresholds the user set himself stand, unless he asks for calibration too.
    """
    given = config.component("clusterer")
    t = embedder.thresholds
    return config.make(  # type: ignore[no-any-return]
        "calibration", link=given.get("link", t.link), merge=given.get("merge", t.merge), metric=embedder.metric,
        enabled=not {"link", "merge"} & given.keys(), before=earlier(store, embedder.model),
    )  # fmt: skip


def earlier(store: Store, model: str) -> Evidence:
    """What the newest sources of a library showed, of those embedded by this model."""
    told = (stats["calibration"] for stats in store.newest_stats() if "calibration" in stats)
    newest = list(islice((c["pairs"] for c in told if c.get("model") == model), EARLIER))
    return Evidence.of(newest[::-1])


def stats_of(calibration: SelfCalibration, model: str) -> dict[str, Any]:
    """For the store: the thresholds, what they rest on, and the pairs of this source as `model` sees them."""
    found = calibration.result()
    return {
        "model": model,
        "link": round(found.link, 4), "merge": round(found.merge, 4),
        "pack": {"link": calibration.link, "merge": calibration.merge}, "metric": calibration.metric,
        "genuine": found.genuine, "impostor": found.impostor, "tracks": found.tracks, "trust": round(found.trust, 3),
        "budget": found.budget, "fell_back": found.fell_back, "reason": found.reason,
        "false_merge": round(found.false_merge, 6) if math.isfinite(found.false_merge) else None,
        "pairs": calibration.found.plain(),
    }  # fmt: skip


def shown(*stats: Mapping[str, Any]) -> Calibration | None:
    """The curves for a report, from what `stats_of` wrote for its sources; None where there is nothing.

    The pairs of all sources are drawn, the thresholds are those of the last one; of another model's none are taken.
    """
    found = [s["calibration"] for s in stats if "calibration" in s]
    if not found:
        return None
    told = found[-1]
    mine = [c["pairs"] for c in found if c["metric"] == told["metric"]]
    genuine, impostor = (np.asarray([v for p in mine for v in p[kind]], np.float64) for kind in ("genuine", "impostor"))
    both = np.concatenate([genuine, impostor, [told["link"], told["merge"]]])
    edges = np.histogram_bin_edges(both, BINS)
    return Calibration(
        edges.tolist(), np.histogram(genuine, edges)[0].tolist(), np.histogram(impostor, edges)[0].tolist(),
        {"link": told["link"], "merge": told["merge"]},
        "cosine similarity" if told["metric"] == "cosine" else "Euclidean distance", _note(told),
    )  # fmt: skip


def _note(told: Mapping[str, Any]) -> str:
    """What the thresholds rest on, in words."""
    risk = "" if told["false_merge"] is None else (
        f" At this merge threshold {told['false_merge']:.1%} of the track pairs of different people are near enough, "
        f"the budget is {told['budget']:.0%}."
    )  # fmt: skip
    pack = told["pack"]
    return f"{told['reason']} The model's own values are link {pack['link']:.2f} and merge {pack['merge']:.2f}.{risk}"
