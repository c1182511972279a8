"""The contract of a stage: synchronous, deterministic, no clock, no threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from streamer.errors import StageError


class Stage(Protocol):
    """`process` takes what waits (at least one item, at most `batch`), `flush` is called once, after the last item.

    The results of `process` must not depend on how the items were cut into batches.
    """

    name: str
    batch: int

    def process(self, items: Sequence[Any]) -> Iterable[Any]: ...
    def flush(self) -> Iterable[Any]: ...


def guarded(name: str, call: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    """What `call()` gives; any error in it becomes a StageError with the stage's name and the cause chained."""
    try:
        yield from call()
    except Exception as error:
        raise stage_error(name, error) from error


def stage_error(name: str, error: Exception) -> StageError:
    """The StageError that says which stage failed and why."""
    if isinstance(error, StageError):
        return error
    return StageError(name, str(error) or type(error).__name__)
