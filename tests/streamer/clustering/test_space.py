"""The algebra both metrics share."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.clustering.space import Space
from streamer.errors import ConfigError, StoreError


def test_a_cosine_threshold_is_one_minus_its_dissimilarity() -> None:
    assert Space("cosine", 4).dissimilarity(0.42) == pytest.approx(0.58)


def test_a_euclidean_threshold_is_half_its_square() -> None:
    assert Space("euclid", 4).dissimilarity(0.6) == pytest.approx(0.18)


@pytest.mark.parametrize("metric", ["cosine", "euclid"])
def test_thresholds_come_back(metric: str) -> None:
    space = Space(metric, 4)
    assert space.threshold(space.dissimilarity(0.37)) == pytest.approx(0.37)


def test_query_times_row_gives_half_the_squared_euclidean_distance() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 7)).astype(np.float32)
    space = Space("euclid", 7)
    d = space.from_product(space.query(a[None])[0] @ space.row(b, 1.0))
    assert d == pytest.approx(np.linalg.norm(a - b) ** 2 / 2, rel=1e-5)


def test_the_row_of_a_cosine_sum_is_its_direction() -> None:
    assert Space("cosine", 2).row(np.array([3.0, 4.0], np.float32), 5.0).tolist() == pytest.approx([0.6, 0.8])


def test_an_unknown_metric_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'manhattan'"):
        Space("manhattan", 4)


def test_a_vector_of_another_length_names_both_lengths() -> None:
    with pytest.raises(StoreError, match=r"\(3,\).*4 numbers"):
        Space("cosine", 4).check(np.ones(3, np.float32), 12)


def test_a_vector_without_direction_is_refused() -> None:
    with pytest.raises(StoreError, match="track 12"):
        Space("cosine", 4).check(np.zeros(4, np.float32), 12)
