"""Sketch: the signs of a vector on random axes, 64 bytes that tell roughly how far two vectors are apart.

Two vectors at an angle a differ in a share a / pi of the signs (Charikar 2002). Counting different bits is ten times
cheaper than a matrix product (faces of 512 numbers, 11,000 rows, one thread: 0.03 ms a query instead of 0.25), so it
chooses the rows whose inner product is worth computing.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from streamer.items import F32, I64, U8

BITS = 512  # at least
# Standard deviations of the number of different signs that a row at the radius itself is given. Looked at are rows with
# cosine > 0.33: 0.5 misses 6 % of these and none above 0.45 (1: 2 %; 1.5: 0.5 %), for 2.5 times (4.5, 7.5) as many
# inner products as there are rows within the radius.
SLACK = 0.5


class Sketch:
    """Signs of vectors (n, d) after random sign flips and a Hadamard transform, as often as it takes for BITS signs."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        power = max(3, math.ceil(math.log2(dimension)))
        self._left, self._right = _hadamard(power // 2), _hadamard(power - power // 2)
        rounds = max(1, BITS >> power)
        flips = np.random.default_rng(7).integers(0, 2, (rounds, dimension)) * 2 - 1
        self._flips = flips.astype(np.float32)
        self.bits = rounds << power

    def __call__(self, vectors: F32) -> U8:
        """(n, d) -> (n, bits / 8), for each vector the same in any company."""
        n, (a, b) = len(vectors), (len(self._left), len(self._right))
        padded = np.zeros((n, len(self._flips), a * b), np.float32)
        padded[:, :, : self.dimension] = vectors[:, None] * self._flips
        # one small product per vector and round: a larger one would round differently in other batches
        turned = self._left @ padded.reshape(-1, a, b) @ self._right
        return np.packbits(turned.reshape(n, self.bits) > 0, axis=1)

    def most(self, cosine: float) -> int:
        """In how many bits two vectors as near as this may differ, with some slack."""
        share = math.acos(min(1.0, max(-1.0, cosine))) / math.pi
        return int(self.bits * share + SLACK * math.sqrt(self.bits * share * (1.0 - share)))


def differing(sketches: U8, one: U8) -> I64:
    """(n,) bits in which each of these sketches differs from `one`."""
    bits: I64 = np.bitwise_count(sketches ^ one).sum(1, dtype=np.int64)
    return bits


@cache
def _hadamard(power: int) -> F32:
    """(2^power, 2^power) of plus and minus one, rows orthogonal."""
    out = np.ones((1, 1), np.float32)
    for _ in range(power):
        out = np.block([[out, out], [out, -out]])
    return np.ascontiguousarray(out)
