"""Verification scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.evaluation import all_pairs, verification


def test_a_perfect_verifier_has_its_threshold_at_the_worst_same_pair() -> None:
    v = verification([0.9, 0.6, 0.2, 0.1], [True, True, False, False])
    assert (v.auc, v.best, v.accuracy, v.tar_at(1e-4)) == (1.0, 0.6, 1.0, 1.0)


def test_tar_at_far_counts_what_passes_before_too_many_strangers_do() -> None:
    v = verification([0.9, 0.8, 0.7, 0.6], [True, False, True, False])
    assert (v.tar_at(0.0), v.tar_at(0.5), v.auc) == (0.5, 1.0, 0.75)


def test_ties_are_accepted_together() -> None:
    v = verification([0.5, 0.5], [True, False])
    assert (v.auc, v.tar_at(0.5)) == (0.5, 0.0)


def test_both_kinds_of_pair_are_needed() -> None:
    with pytest.raises(ValueError, match="2 same and 0 different"):
        verification([0.1, 0.2], [True, True])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=40))
def test_the_area_equals_scikit_learns(pairs: list[tuple[int, bool]]) -> None:
    from sklearn.metrics import roc_auc_score

    similarity, same = zip(*pairs)
    if len(set(same)) == 2:
        assert verification(similarity, same).auc == pytest.approx(roc_auc_score(same, similarity))


def test_all_pairs_are_the_upper_triangle() -> None:
    similarity, same = all_pairs(np.array([[2.0, 0], [1, 0], [0, 3]]), ["a", "a", "b"])
    assert similarity.tolist() == [1, 0, 0]
    assert same.tolist() == [True, False, False]
