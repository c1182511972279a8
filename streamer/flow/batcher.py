"""One worker for many callers: items that wait together go through one call, so several sources share a session."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, TypeVar

from streamer.errors import StageError
from streamer.flow.stage import stage_error
from streamer.flow.stats import Load

T = TypeVar("T")
R = TypeVar("R")


class _Ticket(Generic[T, R]):
    """One submitted item and, later, its result or error."""

    __slots__ = ("done", "error", "item", "result")

    def __init__(self, item: T) -> None:
        self.item = item
        self.done = threading.Event()
        self.result: R | None = None
        self.error: Exception | None = None


class Batcher(Generic[T, R]):
    """`submit(item)` gives `fn([..., item, ...])` for that item, computed with whatever else was waiting.

    `fn` takes a list of at most `batch` items and gives one result each, in order; it runs in one thread only. A call
    is made as soon as `batch` items wait, or `deadline_ms` after the first one came. When a call with several items
    fails, each is tried alone, so that one caller's bad item does not fail the others.
    """

    def __init__(
        self, fn: Callable[[list[T]], Sequence[R]], *, batch: int = 8, deadline_ms: float = 2.0, name: str = "batcher"
    ) -> None:
        self.name, self.batch = name, max(1, batch)
        self.calls = self.items = 0
        self._load = Load(name)
        self._fn, self._deadline = fn, deadline_ms / 1000
        self._waiting: deque[_Ticket[T, R]] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=f"flow-{name}", daemon=True)
        self._thread.start()

    def submit(self, item: T) -> R:
        """The result for `item`; waits for it. StageError when `fn` failed on it or the batcher is closed."""
        return self.submit_many([item])[0]

    def submit_many(self, items: Sequence[T]) -> list[R]:
        """The results for `items`, in order, possibly over several calls."""
        tickets: list[_Ticket[T, R]] = [_Ticket(item) for item in items]
        with self._changed:
            if self._closed:
                raise StageError(self.name, "is closed and takes no more items")
            self._waiting.extend(tickets)
            self._changed.notify_all()
        return [self._result(ticket) for ticket in tickets]

    def load(self) -> Load:
        """What its calls cost so far, how many items they held, and how many wait."""
        self._load.waiting = len(self._waiting)
        return self._load

    def close(self) -> None:
        """Finishes what waits, then ends the worker. May be called twice, from any thread but the worker."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> Batcher[T, R]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _result(self, ticket: _Ticket[T, R]) -> R:
        ticket.done.wait()
        if ticket.error is not None:
            raise stage_error(self.name, ticket.error) from ticket.error
        return ticket.result  # type: ignore[return-value]

    def _serve(self) -> None:
        while tickets := self._take():
            try:
                self._call(tickets)
            except Exception as error:
                self._retry(tickets, error)
            for ticket in tickets:
                ticket.done.set()

    def _take(self) -> list[_Ticket[T, R]]:
        """The next tickets, empty when closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            until = time.monotonic() + self._deadline
            while len(self._waiting) < self.batch and not self._closed:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            return [self._waiting.popleft() for _ in range(min(self.batch, len(self._waiting)))]

    def _call(self, tickets: list[_Ticket[T, R]]) -> None:
        self.calls += 1
        began = time.monotonic()
        results = self._fn([t.item for t in tickets])
        self._load.note(time.monotonic() - began, len(tickets))
        if len(results) != len(tickets):
            raise ValueError(f"{len(results)} results for {len(tickets)} items")
        for ticket, result in zip(tickets, results, strict=True):
            ticket.result = result
        self.items += len(tickets)

    def _retry(self, tickets: list[_Ticket[T, R]], error: Exception) -> None:
        if len(tickets) == 1:
            tickets[0].error = error
            return
        for ticket in tickets:
            try:
                self._call([ticket])
            except Exception as alone:
                ticket.error = alone
