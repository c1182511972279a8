"""The last notices, so that a consumer who was away gets exactly what it missed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from streamer.presence.notices import Notice


@dataclass(frozen=True, slots=True)
class Missed:
    """What a consumer has to apply. `truncated`: older notices are gone, so begin with an empty book."""

    notices: tuple[Notice, ...]
    truncated: bool = False


@dataclass(slots=True)
class Kept:
    """A bounded log of the notices of one epoch, in order of `seq`."""

    limit: int = 10_000  # about 6 MB; at one notice a second nearly three hours
    _notices: deque[Notice] = field(default_factory=deque)

    def add(self, notices: Iterable[Notice]) -> None:
        """Appends; the oldest fall out."""
        self._notices.extend(notices)
        while len(self._notices) > self.limit:
            self._notices.popleft()

    def last(self, count: int) -> list[Notice]:
        """The newest, at most `count`, in order."""
        return list(self._notices)[-count:]

    def since(self, epoch: int, seq: int) -> Missed:
        """Everything after (epoch, seq), each once. An older epoch, or one that is not this one, gets all that is kept,
        `truncated` unless that reaches back to the first notice of this epoch."""
        if not self._notices:
            return Missed(())
        first = self._notices[0]
        if epoch == first.epoch and seq >= first.seq - 1:
            return Missed(tuple(n for n in self._notices if n.seq > seq))
        return Missed(tuple(self._notices), truncated=first.seq > 1)


def parse_key(text: str) -> tuple[int, int] | None:
    """(epoch, seq) of a Last-Event-ID; None for anything else."""
    epoch, dash, seq = text.strip().partition("-")
    if not dash or not (epoch.isdecimal() and seq.isdecimal() and epoch.isascii() and seq.isascii()):
        return None
    return (int(epoch), int(seq)) if len(text) < 40 else None
