"""The contract of a clusterer: tracklets in, events out; labels are a fold of the events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from streamer.items import Event, Tracklet


class Clusterer(Protocol):
    """Incremental identities.

    Events carry a strictly rising `seq`; identity numbers are never used twice; replaying all events gives `labels()`.
    `add` takes what closed since the last call (micro-batches of any size give the same labels as one by one).
    `remerge` is the periodic repair, `finish` the last word at the end of a source. `must_link` and `cannot_link`
    are the user's: they hold for ever, at assignment and at every merge. `state` is bytes without pickle; `restore`
    of another model or dimension, or of damaged bytes, raises StoreError.
    """

    def add(self, tracklets: Sequence[Tracklet]) -> list[Event]: ...
    def remerge(self) -> list[Event]: ...
    def finish(self) -> list[Event]: ...
    def retune(self, link: float, merge: float) -> None:
        """From now on these thresholds hold; `finish` draws the consequences."""
        ...

    def must_link(self, a: int, b: int) -> list[Event]:
        """The user says tracks a and b show one person."""
        ...

    def cannot_link(self, a: int, b: int) -> list[Event]:
        """The user says tracks a and b show two persons."""
        ...

    def pin(self, identity: int, protected: bool = True) -> None:
        """Named (or otherwise protected) identities keep their number in every merge."""
        ...

    def remove(self, tracks: Iterable[int]) -> list[Event]:
        """Erase tracks: no residue of their vectors in sums, index or state."""
        ...

    def labels(self) -> dict[int, int | None]:
        """track -> identity with aliases resolved."""
        ...

    def state(self) -> bytes: ...
