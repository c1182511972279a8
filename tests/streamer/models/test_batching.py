"""Buckets and what happens when the device has no memory left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import ModelError
from streamer.models.batching import Batcher, bucket, is_out_of_memory


def limited(most: int, seen: list[int]) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A fake device that holds `most` rows and answers row * 2 and row + 1."""

    def run(rows: np.ndarray) -> list[np.ndarray]:
        seen.append(len(rows))
        if len(rows) > most:
            raise RuntimeError("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 1")
        return [rows * 2, rows + 1]

    return run


def test_batches_are_padded_to_the_next_bucket() -> None:
    assert [bucket(n, (1, 4, 8)) for n in (1, 2, 4, 5, 8, 9)] == [1, 4, 4, 8, 8, 9]


@given(st.integers(1, 70), st.integers(1, 40), st.integers(1, 33), st.booleans())
def test_nothing_is_lost_whatever_fits_on_the_device(count: int, limit: int, most: int, padded: bool) -> None:
    rows = np.arange(count * 3).reshape(count, 3)
    seen: list[int] = []
    double, plus = Batcher(limit, padded)(limited(most, seen), rows)
    assert np.array_equal(double, rows * 2)
    assert np.array_equal(plus, rows + 1)


def test_the_batch_halves_and_stays_halved() -> None:
    seen: list[int] = []
    batcher = Batcher(32)
    batcher(limited(8, seen), np.arange(20))
    assert seen == [20, 10, 5, 5, 5, 5]
    assert batcher.limit == 5


def test_one_picture_that_does_not_fit_is_an_error_with_advice() -> None:
    with pytest.raises(ModelError, match=r"no memory for one picture.*--device cpu"):
        Batcher(4)(limited(0, []), np.arange(3))


def test_other_errors_are_not_swallowed() -> None:
    def broken(rows: np.ndarray) -> list[np.ndarray]:
        raise ValueError("wrong shape")

    with pytest.raises(ValueError, match="wrong shape"):
        Batcher(4)(broken, np.arange(3))


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA failure 2: out of memory ; GPU=0"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("CUDA failure 700: an illegal memory access"), False),
        (ValueError("Got invalid dimensions"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error: Exception, memory: bool) -> None:
    assert is_out_of_memory(error) is memory
