"""A run in threads of its own whose results wait to be taken: work on what comes next, begun before its turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from streamer.flow.link import Link

R = TypeVar("R")


class FeedClosed(Exception):  # noqa: N818 - it ends a run nobody wants any more, nothing failed
    """Raised into a run whose results nobody will take."""


class Feed(Generic[R]):
    """`run(put)` in a thread; iterating gives what it put, in order, then raises what it raised.

    At most `capacity_items` items and `capacity_bytes` bytes wait; then `put` waits, too. After the last item `result`
    is what `run` returned and `exhausted` is True. `close` ends the run at its next `put`; may be called twice.
    """

    def __init__(
        self,
        run: Callable[[Callable[[Any], None]], R],
        *,
        name: str = "feed",
        capacity_items: int = 4096,
        capacity_bytes: int = 256 << 20,
    ) -> None:
        self.result: R | None = None
        self.exhausted = False
        self._run, self._link = run, Link(capacity_items, capacity_bytes)
        self._thread = threading.Thread(target=self._serve, name=f"flow-{name}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        while batch := self._link.take(1):
            yield batch[0]
        if self._link.refused:
            return
        if self._link.error is not None:
            raise self._link.error
        self.exhausted = True

    def close(self) -> None:
        """Nobody takes any more."""
        self._link.refuse()

    def join(self, patience: float) -> bool:
        """Whether the run ended within `patience` seconds."""
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        error: BaseException | None = None
        try:
            self.result = self._run(self._put)
        except BaseException as raised:
            error = raised
        self._link.finish(error)

    def _put(self, item: Any) -> None:
        if not self._link.put(item):
            raise FeedClosed
