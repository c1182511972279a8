"""One thread: every item goes through all stages before the next one is read. The specification of every runner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from streamer.errors import StageError, StreamerError
from streamer.flow.stage import Stage


def run_inline(source: Iterable[Any], stages: Sequence[Stage]) -> Iterator[Any]:
    """What the last stage gives, lazily. A failing stage raises StageError with its name; the source's error passes."""
    for item in source:
        yield from _through([item], stages, 0)
    for at, stage in enumerate(stages):
        yield from _through(_guarded(stage, stage.flush), stages, at + 1)


def _through(items: Iterable[Any], stages: Sequence[Stage], at: int) -> Iterator[Any]:
    if at == len(stages):
        yield from items
        return
    stage = stages[at]
    for item in items:
        given = [item]
        yield from _through(_guarded(stage, lambda given=given: stage.process(given)), stages, at + 1)


def _guarded(stage: Stage, call: Any) -> Iterator[Any]:
    """The results of a call, with errors named after the stage."""
    try:
        yield from call()
    except StageError:
        raise
    except StreamerError as error:
        raise StageError(stage.name, str(error)) from error
    except Exception as error:
        raise StageError(stage.name, f"{type(error).__name__}: {error}") from error
