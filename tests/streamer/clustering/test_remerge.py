"""Average linkage over sums: equal to scipy where scipy can follow, and bound by constraints where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.clustering.remerge import USER, Bars, Links, Pool, agglomerate, vetoed
from tests.streamer.clustering.drawn import centres, looks, unit


def pool_of(x: np.ndarray, pins: list[int] | None = None) -> Pool:
    n = len(x)
    pin = np.zeros(n, np.int64) if pins is None else np.asarray(pins)
    return Pool(x.astype(np.float32).copy(), np.ones(n), (x**2).sum(1) / 2, np.ones(n, np.int64), pin)


def all_edges(n: int) -> Links:
    a, b = np.triu_indices(n, 1)
    return Links(a, b, np.zeros(len(a)))


def links(*pairs: tuple[int, int], weight: int = 1) -> Links:
    a = np.asarray(pairs, np.int64).reshape(-1, 2)
    return Links(a[:, 0], a[:, 1], np.full(len(a), weight, np.int64))


def groups(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == v).tolist()) for v in np.unique(labels)}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.sampled_from(["cosine", "sqeuclidean"]), st.floats(0.2, 1.2))
def test_with_all_edges_it_is_scipys_average_linkage_cut_at_the_bar(seed: int, n: int, metric: str, bar: float) -> None:
    from scipy.cluster.hierarchy import fcluster, linkage

    rng = np.random.default_rng(seed)
    x = rng.standard_normal((5, 6))[rng.integers(0, 5, n)] + rng.normal(0, 0.5, (n, 6))
    x = unit(x) if metric == "cosine" else (x / 3).astype(np.float32)
    tree = linkage(x.astype(np.float64), "average", metric=metric)
    scale = 1.0 if metric == "cosine" else 0.5
    if np.min(np.abs(tree[:, 2] * scale - bar)) < 1e-4:
        return  # a merge exactly at the bar is decided by the last bit
    expected = fcluster(tree, bar / scale, "distance")
    assert groups(agglomerate(pool_of(x), all_edges(n), Bars(bar, bar), Links.none())) == groups(expected)


def test_one_conflict_keeps_two_single_tracks_apart() -> None:
    x = looks(centres(1)[0], 2, 0.95)
    assert len(groups(agglomerate(pool_of(x), all_edges(2), Bars(1, 1), links((0, 1))))) == 2


def test_a_doubtful_conflict_gives_way_between_large_clusters_and_the_users_never() -> None:
    x = looks(centres(1)[0], 80, 0.9)
    together = links(*[(0, i) for i in range(1, 40)], *[(40, i) for i in range(41, 80)])
    for weight, expected in ((1, 1), (USER, 2)):
        out = agglomerate(pool_of(x), all_edges(80), Bars(1, 1), links((3, 50), weight=weight), together)
        assert len(groups(out)) == expected


@pytest.mark.parametrize(
    ("conflicts", "a", "b", "expected"),
    [
        (0, 1, 1, False),
        (1, 2, 50, True),
        (1, 3, 50, False),
        (2, 50, 80, True),
        (2, 100, 80, False),
        (USER, 10**6, 10**6, True),
    ],
)
def test_the_veto_follows_its_rule(conflicts: int, a: int, b: int, expected: bool) -> None:
    assert vetoed(np.array([conflicts]), np.array([a]), np.array([b]))[0] == expected


def test_what_must_be_together_is_merged_whatever_the_distance() -> None:
    x = centres(4)
    assert groups(agglomerate(pool_of(x), all_edges(4), Bars(0.1, 0.1), Links.none(), links((0, 3), (3, 2)))) == {
        frozenset({0, 2, 3}),
        frozenset({1}),
    }


def test_two_clusters_with_different_pins_are_never_merged() -> None:
    x = looks(centres(1)[0], 6, 0.95)
    out = agglomerate(pool_of(x, [7, 0, 0, 0, 0, 9]), all_edges(6), Bars(1, 1), Links.none())
    assert out[0] != out[5]


def test_bars_fall_from_one_to_many_with_size() -> None:
    at = Bars(0.6, 0.72).at(np.array([1, 1, 8, 100]), np.array([1, 8, 8, 100]))
    assert at.tolist() == pytest.approx([0.6, 0.72 - 0.12 * (8**-0.5 - 0.125) / 0.875, 0.72, 0.72])
