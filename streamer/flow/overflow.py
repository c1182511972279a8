"""Latest wins: what a live consumer takes is the newest item, and every item it missed is counted."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """A slot of depth one between a writer that never waits and a reader that takes the newest item."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._item: T | None = None
        self._closed = False
        self.dropped = 0

    def put(self, item: T) -> T | None:
        """The item nobody will take: the overwritten one, or `item` itself once closed; else None. Never waits."""
        with self._changed:
            if self._closed:
                return item
            old, self._item = self._item, item
            self.dropped += old is not None
            self._changed.notify_all()
            return old

    def take(self, timeout: float | None = None) -> T | None:
        """The newest item; None after `timeout` seconds without one, or when the slot is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Wakes the reader; an item that still waits can be taken, later ones are refused."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""
        return self._closed
