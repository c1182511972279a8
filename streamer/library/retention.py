"""Storage limitation: people nobody named go after a while, also during a run that lasts for weeks."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from streamer.errors import ConfigError

if TYPE_CHECKING:
    from streamer.library import Library

EVERY = timedelta(hours=1)  # what has expired is gone an hour later at the latest
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def duration(text: str) -> timedelta:
    """30d, 12h, 45m, 90s. ConfigError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([dhms])", text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no length of time. Write 30d, 12h, 45m or 90s.")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


class Retention:
    """Erases expired people now and then: `apply` at the start of a run, between and during sources.

    `keep` None keeps everything. The clock is the library's.
    """

    def __init__(self, library: Library, keep: timedelta | None, *, every: timedelta = EVERY) -> None:
        self.library, self.keep, self.every = library, keep, every
        self._last: datetime | None = None

    @property
    def due(self) -> bool:
        """Whether it is time to look again."""
        return self.keep is not None and (self._last is None or self.library.clock() - self._last >= self.every)

    def apply(self, clusterer: Any = None, *, running: bool = False) -> int:
        """How many tracks were erased; 0 at once when it is not time yet. `clusterer` is the one of the run, `running`
        that a file is half read: it stays.
        """
        now = self.library.clock()
        if self.keep is None or not self.due:
            return 0
        self._last = now
        return self.library.expire(self.keep, now=now, clusterer=clusterer, running=running)
