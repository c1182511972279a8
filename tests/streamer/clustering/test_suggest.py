"""How many clusters there may be."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.clustering import suggest
from streamer.errors import ConfigError
from tests.streamer.clustering.test_batch import people


def test_the_number_of_people_is_suggested_three_ways() -> None:
    rows, _ = people()
    ks = range(1, 12)
    found = (suggest.elbow(rows, ks), suggest.silhouettes(rows, ks), suggest.eigengap(rows))
    assert [s.k for s in found] == [4, 4, 4]
    assert all(len(s.ks) == len(s.values) for s in found)


def test_inertia_falls_and_the_silhouette_is_highest_at_its_k() -> None:
    rows, _ = people()
    inertia = suggest.elbow(rows, range(1, 12)).values
    marks = suggest.silhouettes(rows, range(1, 12))
    assert all(a >= b for a, b in zip(inertia, inertia[1:]))
    assert marks.values[marks.ks.index(marks.k)] == max(marks.values)


def test_as_many_zero_eigenvalues_as_parts_of_the_graph() -> None:
    rows = np.repeat(np.eye(3), 5, axis=0)
    assert np.allclose(suggest.eigengap(rows, neighbours=3).values[:3], 0, atol=1e-9)


def test_duplicates_alone_are_no_silhouette() -> None:
    with pytest.warns(match="distinct clusters"):
        assert suggest.silhouettes(np.ones((6, 2)), [2, 3]).values == (-1.0, -1.0)


def test_values_of_k_are_thinned_with_growing_steps() -> None:
    assert suggest.spread(5) == [1, 2, 3, 4, 5]
    many = suggest.spread(1000)
    assert (many[0], many[-1]) == (1, 1000)
    assert len(many) <= 30


@pytest.mark.parametrize(("n", "k"), [(0, 0), (1, 1), (2, 2)])
def test_next_to_nothing_is_as_many_clusters(n: int, k: int) -> None:
    assert suggest.eigengap(np.eye(2)[:n]).k == k
    with pytest.raises(ConfigError, match="at least"):
        suggest.elbow(np.eye(2)[:n], [1, 2, 3])
