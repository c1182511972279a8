"""Running rows in batches of a few sizes, and with smaller ones when the device runs out of memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ModelError

Rows = NDArray[Any]
BUCKETS = (1, 4, 8, 16, 32)  # a GPU or a compiled graph tunes itself per shape: few shapes, padded
_SIGNS = ("out of memory", "failed to allocate", "bad allocation", "bad_alloc", "cuda failure 2", "resource_exhausted")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the device has no memory left."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in _SIGNS)


def bucket(count: int, sizes: Sequence[int]) -> int:
    """The smallest of the sizes that holds `count` rows; `count` itself where none does."""
    return min((s for s in sizes if s >= count), default=count)


@dataclass(slots=True)
class Batcher:
    """Calls `run` on slices of at most `limit` rows; padded to a bucket where `padded`.

    When the device runs out of memory the limit halves, for good, and the same rows are tried again: nothing is
    lost and the answer is the same. ModelError when a single row does not fit.
    """

    limit: int
    padded: bool = False
    sizes: tuple[int, ...] = BUCKETS

    def __call__(self, run: Callable[[Rows], Sequence[Rows]], rows: Rows) -> list[Rows]:
        """The outputs of all rows (one or more), joined along the first axis."""
        parts: list[Sequence[Rows]] = []
        at = 0
        while at < len(rows):
            count = min(self.limit, len(rows) - at)
            try:
                parts.append(self._once(run, rows[at : at + count]))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                self._shrink(count, error)
                continue
            at += count
        return list(parts[0]) if len(parts) == 1 else [np.concatenate(c) for c in zip(*parts, strict=True)]

    def _once(self, run: Callable[[Rows], Sequence[Rows]], rows: Rows) -> Sequence[Rows]:
        wanted = bucket(len(rows), self.sizes) if self.padded else len(rows)
        if wanted == len(rows):
            return run(rows)
        filled = np.concatenate([rows, np.repeat(rows[-1:], wanted - len(rows), 0)])
        return [o[: len(rows)] for o in run(filled)]

    def _shrink(self, count: int, error: Exception) -> None:
        if count <= 1:
            raise ModelError(
                f"the device has no memory for one picture ({str(error).splitlines()[0]}). "
                "Free its memory, lower detector.long_side, or use --device cpu."
            ) from error
        self.limit = max(1, count // 2)
