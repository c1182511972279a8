"""The contract of a stage: synchronous, deterministic, no clock, no threads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Stage(Protocol):
    """`process` takes what is waiting (at least one item, at most `batch`), `flush` is called once, after the last item.

    The results of `process` must not depend on how the items were cut into batches.
    """

    name: str
    batch: int

    def process(self, items: Sequence[Any]) -> Iterable[Any]: ...
    def flush(self) -> Iterable[Any]: ...
