"""The link between two threads: a queue bounded in items and in bytes that carries its own end and error."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

OVERFLOWS = ("wait", "drop_oldest")


class Link:
    """One writer, one reader. `overflow` says what a full link does: `wait` for the reader, or `drop_oldest`.

    An item counts with its `nbytes` where it has one; an item bigger than the whole capacity still passes, alone.
    """

    def __init__(
        self,
        capacity_items: int,
        capacity_bytes: int,
        overflow: str = "wait",
        on_drop: Callable[[Any], object] | None = None,
    ) -> None:
        if capacity_items < 1 or capacity_bytes < 1 or overflow not in OVERFLOWS:
            raise ValueError(f"link of {capacity_items} items, {capacity_bytes} bytes, overflow {overflow!r}")
        self._items: deque[tuple[Any, int]] = deque()
        self._bytes = 0
        self._capacity = capacity_items, capacity_bytes
        self._drops, self._on_drop = overflow == "drop_oldest", on_drop
        self._changed = threading.Condition(threading.Lock())
        self._ended = self._refused = False
        self.error: BaseException | None = None
        self.dropped = self.deepest = self.most_bytes = 0

    def put(self, item: Any) -> bool:
        """Whether the item was taken; False once the reader is gone or the link was ended."""
        size = int(getattr(item, "nbytes", 0))
        lost: list[Any] = []
        with self._changed:
            while self._full(size) and not (self._refused or self._ended):
                if self._drops:
                    lost.append(self._pop())
                else:
                    self._changed.wait()
            if self._refused or self._ended:
                return False
            self._append(item, size)
            self.dropped += len(lost)
        if self._on_drop is not None:
            for gone in lost:
                self._on_drop(gone)
        return True

    def take(self, limit: int) -> list[Any]:
        """What waits, at least one item and at most `limit`; empty when the link has ended (then see `error`)."""
        with self._changed:
            while not self._items and not self._ended and not self._refused:
                self._changed.wait()
            if self._refused:
                return []
            batch = [self._pop() for _ in range(min(limit, len(self._items)))]
            self._changed.notify_all()
            return batch

    def finish(self, error: BaseException | None = None) -> None:
        """No more items come; the reader first gets those that wait. The first call counts."""
        with self._changed:
            if not self._ended:
                self._ended, self.error = True, error
            self._changed.notify_all()

    def refuse(self) -> None:
        """The reader is gone: what waits is thrown away and every `put` answers False."""
        with self._changed:
            self._refused = True
            self._items.clear()
            self._bytes = 0
            self._changed.notify_all()

    @property
    def refused(self) -> bool:
        """Whether the reader is gone."""
        return self._refused

    def __len__(self) -> int:
        return len(self._items)

    def _full(self, size: int) -> bool:
        items, size_limit = self._capacity
        return bool(self._items) and (len(self._items) >= items or self._bytes + size > size_limit)

    def _append(self, item: Any, size: int) -> None:
        self._items.append((item, size))
        self._bytes += size
        self.deepest = max(self.deepest, len(self._items))
        self.most_bytes = max(self.most_bytes, self._bytes)
        self._changed.notify_all()

    def _pop(self) -> Any:
        item, size = self._items.popleft()
        self._bytes -= size
        return item
