"""The measuring of thresholds, on vectors whose answer is known."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[2] / "scripts" / "calibrate_pack.py"


@pytest.fixture(scope="module")
def calibrate() -> Any:
    spec = importlib.util.spec_from_file_location("calibrate_pack", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def people(calibrate: Any, similarity: float, count: int = 8, each: int = 4, scale: float = 1.0) -> Any:
    """Orthogonal people; any two looks at one person have about this cosine, at two persons 0."""
    rng = np.random.default_rng(3)
    found = calibrate.Labelled()
    size = count * (each + 1)
    for person in range(count):
        for look in range(each):
            vector = np.zeros(size)
            vector[person] = np.sqrt(similarity)
            vector[count + person * each + look] = np.sqrt(1 - similarity)
            found.add(scale * (vector + rng.normal(0, 0.01, size))[None], f"P{person}", "photos")
    return found


def unit(found: Any) -> Any:
    found.looks = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in found.looks]
    return found


def test_thresholds_of_separable_people_lie_between_same_and_different(calibrate: Any) -> None:
    told = calibrate.measure(unit(people(calibrate, 0.6)), "cosine")
    assert (told["people"], told["items"]) == (8, 32)
    assert (told["same_pairs"], told["different_pairs"]) == (48, 448)
    assert told["auc"] == 1.0
    for name in ("link", "merge"):
        assert told[name]["bcubed_f"] == 1.0
        assert 0.05 < told[name]["threshold"] < 0.62
    assert told["far_0.001"]["tar"] == 1.0
    assert told["same_median"] == pytest.approx(0.6, abs=0.03)


def test_euclid_answers_in_distances(calibrate: Any) -> None:
    told = calibrate.measure(people(calibrate, 0.6, scale=1.4), "euclid")
    assert told["same_median"] == pytest.approx(1.4 * np.sqrt(0.8), abs=0.05)
    assert told["different_median"] == pytest.approx(1.4 * np.sqrt(2), abs=0.05)
    assert told["merge"]["bcubed_f"] == 1.0


def test_groups_are_clustered_apart_and_tracks_count_by_their_boxes(calibrate: Any) -> None:
    a, b = np.eye(4)[:1], np.eye(4)[1:2]
    found = calibrate.Labelled()
    for group in ("one", "two"):
        found.add(a, "P1", group, 9)
        found.add(a if group == "one" else b, "P1", group, 1)
        found.add(np.eye(4)[2:3], "P2", group, 5)
    groups = calibrate.groups_of(found, "cosine")
    assert len(groups) == 2
    scores = calibrate.linkage_scores(groups, "means", "average", np.array([0.5]))
    # in the second video one box of ten is alone: recall 0.1 for it, 0.9 for nine, 1 for five
    recall = (9 * 0.9 + 1 * 0.1 + 5) / 15
    assert scores[0] == pytest.approx((1 + 2 * recall / (1 + recall)) / 2)


def test_two_items_are_as_near_as_their_nearest_looks(calibrate: Any) -> None:
    eye = np.eye(3)
    nearest = calibrate._nearest([eye[:2], eye[1:], eye[:1]], "cosine")
    assert nearest.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0]]
