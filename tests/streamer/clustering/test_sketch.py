"""Sketches against the angles they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.clustering.sketch import Sketch, differing
from tests.streamer.clustering.drawn import unit

ROWS = unit(np.random.default_rng(0).standard_normal((300, 200)))


@pytest.mark.parametrize("dimension", [5, 128, 200])
def test_a_vector_has_the_same_sketch_in_any_company(dimension: int) -> None:
    rows = np.ascontiguousarray(ROWS[:, :dimension])
    sketch = Sketch(dimension)
    together = sketch(rows)
    assert together.shape == (300, sketch.bits // 8)
    assert sketch.bits >= 512
    assert all(np.array_equal(sketch(rows[i : i + 1])[0], together[i]) for i in range(0, 300, 7))
    assert np.array_equal(sketch(rows[13:40]), together[13:40])


def test_the_bits_that_differ_tell_the_angle() -> None:
    sketch = Sketch(200)
    for cosine in (0.9, 0.5, 0.2):
        other = cosine * ROWS[::2] + np.sqrt(1 - cosine**2) * unit(
            ROWS[1::2] - (ROWS[1::2] * ROWS[::2]).sum(1)[:, None] * ROWS[::2]
        )
        bits = [differing(b[None], a)[0] for a, b in zip(sketch(ROWS[::2]), sketch(other.astype(np.float32)))]
        assert np.mean(bits) / sketch.bits == pytest.approx(np.arccos(cosine) / np.pi, abs=0.01)
        assert np.mean(np.array(bits) <= sketch.most(cosine)) > 0.6


def test_opposite_and_equal_vectors() -> None:
    sketch = Sketch(200)
    assert differing(sketch(ROWS[:1]), sketch(ROWS[:1])[0]).tolist() == [0]
    assert differing(sketch(-ROWS[:1]), sketch(ROWS[:1])[0]).tolist() == [sketch.bits]
    assert (sketch.most(1.0), sketch.most(-1.0), sketch.most(-9.0)) == (0, sketch.bits, sketch.bits)
