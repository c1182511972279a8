"""Batch clusterings: blobs everybody must find, and SciPy and scikit-learn as oracles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.clustering import batch
from streamer.errors import ConfigError

OPTIONS = {
    "k-means": {"k": 4},
    "k-medoids": {"k": 4},
    "dbscan": {"eps": 0.3},
    "hdbscan": {"min_cluster_size": 4},
    "ward": {"threshold": 1.5},
    "average": {"threshold": 0.5},
    "complete": {"threshold": 0.7},
    "single": {"threshold": 0.3},
    "centroid": {"threshold": 0.8},
    "chinese-whispers": {"threshold": 0.4},
    "rank-order": {"threshold": 1.0, "neighbours": 7},
}


def people(
    sizes: tuple[int, ...] = (8, 10, 12, 9), noise: float = 0.25, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows about orthogonal centres, shuffled, and who they are."""
    rng = np.random.default_rng(seed)
    who = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = np.eye(16)[who] + noise * rng.standard_normal((len(who), 16)) / 4
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), who


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(((a[:, None] == a) == (b[:, None] == b)).all())


@pytest.mark.parametrize("name", batch.METHODS)
def test_every_method_finds_four_people_that_stand_apart(name: str) -> None:
    rows, who = people()
    labels = batch.cluster(rows, name, **OPTIONS[name])
    assert same_partition(labels, who)
    assert labels[0] == 0
    assert set(labels) == {0, 1, 2, 3}
    np.testing.assert_array_equal(labels, batch.cluster(rows, name, **OPTIONS[name]))


@pytest.mark.parametrize("name", batch.METHODS)
@pytest.mark.parametrize("n", [0, 1, 2])
def test_every_method_takes_next_to_nothing(name: str, n: int) -> None:
    assert len(batch.cluster(np.eye(2)[:n], name, **OPTIONS[name])) == n


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 14), st.integers(0, 10_000), st.sampled_from(batch.LINKAGES), st.integers(1, 5))
def test_every_linkage_equals_scipys(n: int, seed: int, name: str, k: int) -> None:
    from scipy.cluster import hierarchy

    rows = np.random.default_rng(seed).standard_normal((n, 3))
    theirs = hierarchy.linkage(rows, name)
    ours = batch.linkage(rows, name, "euclid")
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    np.testing.assert_array_equal(batch.agglomerative(rows, name, k=k, metric="euclid"), batch.cut(theirs, k=k))
    if name not in ("ward", "centroid"):
        np.testing.assert_allclose(batch.linkage(rows, name), hierarchy.linkage(rows, name, "cosine"), atol=1e-9)


def test_dbscan_leaves_strangers_as_noise() -> None:
    rows = np.eye(4)[[0, 0, 1, 1, 2]]
    assert batch.dbscan(rows, eps=0.1).tolist() == [0, 0, 1, 1, -1]


def test_k_medoids_reaches_the_best_medoids_of_a_line() -> None:
    line = np.array([[0.0], [1.0], [2.0], [50.0], [51.0], [90.0]])
    assert batch.k_medoids(line, 3, "euclid").tolist() == [0, 0, 0, 1, 1, 2]


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 12), st.integers(0, 10_000), st.integers(1, 4))
def test_the_first_medoids_are_those_of_pams_build(n: int, seed: int, k: int) -> None:
    d = batch.distances(np.random.default_rng(seed).standard_normal((n, 3)), "euclid")
    k = min(k, n)
    chosen = [int(d.sum(1).argmin())]
    while len(chosen) < k:  # by the book: whichever shortens the sum of distances most
        costs = [d[:, [*chosen, c]].min(1).sum() if c not in chosen else np.inf for c in range(n)]
        chosen.append(int(np.argmin(costs)))
    ours = batch._build(d, k)
    assert d[:, ours].min(1).sum() == pytest.approx(d[:, chosen].min(1).sum())


@pytest.mark.parametrize("name", batch.METHODS)
def test_a_sweeps_usual_values_hold_the_right_one(name: str) -> None:
    rows, who = people()
    method = batch.METHODS[name]
    values = method.values(batch.distances(rows))
    whole = method.turns in ("clusters", "")
    found = [batch.cluster(rows, name, **{method.knob: int(v) if whole and v >= 1 else v}) for v in values]
    agree = [((x[:, None] == x) == (who[:, None] == who)).mean() for x in found]
    assert max(agree) > 0.99


def test_chinese_whispers_joins_through_neighbours_but_not_across_a_gap() -> None:
    line = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]])
    assert batch.chinese_whispers(line, 1.5, metric="euclid").tolist() == [0, 0, 0, 1, 1]


def test_rank_order_keeps_a_dense_and_a_sparse_group_apart_at_one_threshold() -> None:
    dense, sparse = np.arange(5) * 0.01, 10 + np.arange(5) * 1.0
    labels = batch.rank_order(np.r_[dense, sparse][:, None], 1.0, 4, "euclid")
    assert same_partition(labels, np.repeat([0, 1], 5))


@pytest.mark.parametrize(
    ("method", "options", "told"),
    [
        ("dbskan", {}, "Methods: k-means"),
        ("dbscan", {"epsilon": 1}, "main option is eps"),
        ("k-means", {"k": 0}, "at least 1"),
        ("average", {}, "threshold or into k"),
    ],
)
def test_a_wrong_option_is_told(method: str, options: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        batch.cluster(np.eye(3), method, **options)


def test_vectors_with_nan_are_refused() -> None:
    with pytest.raises(ConfigError, match="NaN"):
        batch.cluster(np.full((3, 2), np.nan), "dbscan")
