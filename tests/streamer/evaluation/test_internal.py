"""Internal scores."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamer.evaluation import davies_bouldin, dunn, internal_scores, silhouette

LINE = np.array([[0.0], [1.0], [10.0], [12.0]])


def test_dunn_is_the_gap_over_the_widest_cluster() -> None:
    assert dunn(LINE, [0, 0, 1, 1]) == pytest.approx(9 / 2)


def test_silhouette_and_davies_bouldin_by_hand() -> None:
    outer, inner = (11 - 1) / 11, (10 - 1) / 10
    assert silhouette(LINE, [0, 0, 1, 1]) == pytest.approx((outer + inner + (9.5 - 2) / 9.5 + (11.5 - 2) / 11.5) / 4)
    assert davies_bouldin(LINE, [0, 0, 1, 1]) == pytest.approx((0.5 + 1) / 10.5)


def test_noise_is_left_out() -> None:
    far = np.vstack([LINE, [[500.0]]])
    assert internal_scores(far, [0, 0, 1, 1, -1]) == internal_scores(LINE, [0, 0, 1, 1])


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [-1, -1, -1, -1]])
def test_without_two_clusters_there_is_no_score(labels: list[int]) -> None:
    assert all(math.isnan(v) for v in internal_scores(LINE, labels).values())
