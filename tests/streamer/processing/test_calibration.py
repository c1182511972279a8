"""Thresholds of a source: from its own pairs, those of earlier sources, and what the user set."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streamer.clustering.calibrate import Evidence
from streamer.config import Config
from streamer.processing.calibration import EARLIER, earlier, self_calibration, shown, stats_of
from tests.streamer.clustering.drawn import centres, looks, track

EMBEDDER: Any = SimpleNamespace(metric="cosine", model="mine", thresholds=SimpleNamespace(link=0.15, merge=0.05))


def evidence(tracks: int = 40) -> Evidence:
    rng = np.random.default_rng(2)
    return Evidence(rng.normal(0.95, 0.02, 60), rng.normal(0.03, 0.08, 80), tracks)


def store(*stats: dict[str, Any]) -> Any:
    return SimpleNamespace(newest_stats=lambda: reversed(stats))


def told(tracks: int = 40, model: str = "mine") -> dict[str, Any]:
    return {"calibration": {"model": model, "pairs": evidence(tracks).plain()}}


def configured(**values: Any) -> Config:
    config = Config()
    for path, value in values.items():
        config.set(path.replace("__", "."), value, "test")
    return config


def test_the_first_source_of_a_library_begins_with_the_packs_values() -> None:
    found = self_calibration(Config(), EMBEDDER, store()).result()
    assert (found.link, found.merge) == (0.15, 0.05)


def test_earlier_sources_set_the_thresholds_of_the_next() -> None:
    assert self_calibration(Config(), EMBEDDER, store(told())).result().merge > 0.2


def test_only_the_newest_sources_count() -> None:
    many = store(*[told(tracks=1000)] * 5, {}, *[told(tracks=1)] * EARLIER)
    assert earlier(many, "mine").tracks == EARLIER


def test_pairs_as_another_model_saw_them_say_nothing() -> None:
    assert self_calibration(Config(), EMBEDDER, store(told(model="other"))).result().merge == 0.05


def test_thresholds_set_by_hand_stand_unless_calibration_is_asked_for() -> None:
    by_hand = self_calibration(configured(clusterer__link=0.2), EMBEDDER, store(told())).result()
    asked = self_calibration(
        configured(clusterer__link=0.2, calibration__enabled=True), EMBEDDER, store(told())
    ).result()
    assert (by_hand.link, by_hand.merge) == (0.2, 0.05)
    assert asked.merge > 0.2


def test_what_is_stored_says_what_was_used_and_gives_the_curves_of_the_report() -> None:
    calibration = self_calibration(Config(), EMBEDDER, store(told()))
    face = looks(centres(1)[0], 2, 0.9)
    calibration.see([track(1, face[0]), track(2, face[1], cannot=[1])])
    stats = stats_of(calibration, "mine")
    assert stats["merge"] > stats["pack"]["merge"] == 0.05
    assert stats["impostor"] == 81
    assert stats["pairs"]["impostor"] == [pytest.approx(float(face[0] @ face[1]), abs=1e-4)]
    curves = shown({"calibration": stats})
    assert curves is not None
    assert sum(curves.impostor) == 1
    assert curves.thresholds == {"link": stats["link"], "merge": stats["merge"]}
    assert "budget" in curves.note


def test_a_source_without_calibration_has_no_curves() -> None:
    assert shown({}) is None
