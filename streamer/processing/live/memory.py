"""Memory that was freed goes back to the system: a run without an end would else keep the worst moment of every thread.

glibc gives each thread a heap of its own and seldom returns any of it. Four cameras on two busy cores held 150 MB of
freed memory after seven minutes, and more every minute, while what was in use stayed as it was; returned every ten
seconds it stays flat, for a few milliseconds of processor time each.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache

RETURN_EVERY = 10.0  # s


@lru_cache(maxsize=1)
def _trim() -> Callable[[int], int] | None:
    """glibc's `malloc_trim`; None where the C library is another."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):
        return None


def give_back() -> bool:
    """Whether any freed memory went back to the system. Other threads wait only where they allocate meanwhile."""
    trim = _trim()
    return trim is not None and bool(trim(0))
