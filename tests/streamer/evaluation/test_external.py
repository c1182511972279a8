"""External scores: the worked examples of the course, and scikit-learn as oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.evaluation import PRF, Contingency, scores, time_error

# 17 points in three clusters, the textbook example (Manning et al., figure 16.4)
CLUSTERS = [0] * 6 + [1] * 6 + [2] * 5
CLASSES = list("xxxxxo" + "xoooo◇" + "xx◇◇◇")
SEVENTEEN = Contingency.of(CLASSES, CLUSTERS)
TWENTY = Contingency.from_table([[3, 3, 4], [2, 7, 1]])


def test_purity_of_the_seventeen_points_is_twelve_of_seventeen() -> None:
    assert SEVENTEEN.purity() == pytest.approx(12 / 17)
    assert round(SEVENTEEN.wcp(), 2) == 0.71


def test_inverse_purity_is_purity_with_the_roles_exchanged() -> None:
    truth, found = [1, 1, 1, 2, 2, 3], [7, 7, 8, 8, 8, 9]
    assert Contingency.of(truth, found).inverse_purity() == pytest.approx(5 / 6)
    assert Contingency.of(truth, found).inverse_purity() == Contingency.of(found, truth).purity()
    assert SEVENTEEN.inverse_purity() == pytest.approx((5 + 4 + 3) / 17)


def test_pairs_of_the_seventeen_points_are_counted_as_in_the_book() -> None:
    pairs = SEVENTEEN.pairs()
    assert (pairs.tp, pairs.fp, pairs.fn, pairs.tn) == (20, 20, 24, 72)
    assert round(pairs.rand, 2) == 0.68
    assert pairs.prf.precision == pytest.approx(0.5)
    assert pairs.prf.recall == pytest.approx(20 / 44)
    assert round(pairs.prf.f(), 4) == 0.4762
    assert round(SEVENTEEN.nmi(), 4) == 0.3646


def test_nmi_of_the_course_table_is_in_bits_with_the_arithmetic_mean() -> None:
    assert round(TWENTY.mutual_information(base=2), 4) == 0.1361
    assert TWENTY.entropies(base=2) == pytest.approx((1.0, 1.5), abs=0.02)
    assert round(TWENTY.nmi("arithmetic"), 4) == 0.1089
    assert len({round(TWENTY.nmi(n), 4) for n in ("arithmetic", "geometric", "min", "max")}) == 4


def test_f_beta_weighs_recall_more_when_beta_grows() -> None:
    assert PRF(0.5, 1.0).f(1) == pytest.approx(2 / 3)
    assert PRF(0.5, 1.0).f(2) == pytest.approx(5 * 0.5 / (4 * 0.5 + 1))
    assert PRF(0.0, 0.0).f() == 0


def test_noise_counts_as_singletons() -> None:
    cubed = Contingency.of([0, 0, 1], [-1, -1, -1]).bcubed()
    assert (cubed.precision, cubed.recall) == pytest.approx((1.0, (0.5 + 0.5 + 1) / 3))


def test_bcubed_of_one_impure_cluster() -> None:
    cubed = Contingency.of([0, 0, 1], [5, 5, 5]).bcubed()
    assert (cubed.precision, cubed.recall) == pytest.approx(((2 / 3 * 2 + 1 / 3) / 3, 1.0))


def test_weights_count_like_repeated_items() -> None:
    once = Contingency.of([0, 0, 1], [0, 1, 1], weights=[2, 1, 3])
    often = Contingency.of([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1])
    assert once.bcubed() == often.bcubed()
    assert once.nmi() == pytest.approx(often.nmi())


def test_labels_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 true labels and 3"):
        Contingency.of([0, 1], [0, 1, 1])


def test_nobody_to_score_is_perfect() -> None:
    assert scores([], [])["bcubed_f"] == 1.0


def test_time_error_adds_missed_false_and_confused_seconds() -> None:
    assert time_error([[(0, 10)]], [[(0, 10)]]) == 0
    assert time_error([[(0, 10)]], [[(0, 8)]]) == pytest.approx(0.2)  # missed
    assert time_error([[(0, 10)]], [[(0, 12)]]) == pytest.approx(0.2)  # false
    assert time_error([[(0, 10)]], [[(0, 7)], [(7, 10)]]) == pytest.approx(0.3)  # confused
    assert time_error([[(0, 5)], [(0, 5)]], [[(0, 5)]]) == pytest.approx(0.5)  # two at once, one seen


LABELINGS = st.integers(2, 30).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 5), min_size=n, max_size=n) for _ in range(2)])
)


@settings(deadline=None)  # the first example imports scikit-learn
@given(LABELINGS)
def test_every_score_equals_scikit_learns(pair: tuple[list[int], list[int]]) -> None:
    from sklearn import metrics

    truth, labels = pair
    table, ours = Contingency.of(truth, labels), scores(truth, labels)
    (tn, fp), (fn, tp) = metrics.cluster.pair_confusion_matrix(truth, labels) // 2
    assert table.pairs() == type(table.pairs())(tp, fp, fn, tn)
    assert ours["rand"] == pytest.approx(metrics.rand_score(truth, labels))
    assert ours["adjusted_rand"] == pytest.approx(metrics.adjusted_rand_score(truth, labels))
    assert table.mutual_information() == pytest.approx(metrics.mutual_info_score(truth, labels), abs=1e-9)
    for normaliser in ("arithmetic", "geometric", "min", "max"):
        theirs = metrics.normalized_mutual_info_score(truth, labels, average_method=normaliser)
        assert table.nmi(normaliser) == pytest.approx(theirs, abs=1e-7)
    for beta in (0.5, 1.0, 2.0):
        theirs = metrics.homogeneity_completeness_v_measure(truth, labels, beta=beta)
        assert (*table.homogeneity_completeness(), table.v_measure(beta)) == pytest.approx(theirs, abs=1e-7)


@given(LABELINGS)
def test_bcubed_equals_its_definition_item_by_item(pair: tuple[list[int], list[int]]) -> None:
    y, c = np.array(pair[0]), np.array(pair[1])
    same = (y[:, None] == y) & (c[:, None] == c)
    precision = (same.sum(1) / (c[:, None] == c).sum(1)).mean()
    recall = (same.sum(1) / (y[:, None] == y).sum(1)).mean()
    cubed = Contingency.of(y, c).bcubed()
    assert (cubed.precision, cubed.recall) == pytest.approx((precision, recall))
