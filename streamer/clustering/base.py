"""The contract of a clusterer: tracklets in, events out; labels are a fold of the events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, Self

from streamer.items import F32, Event, Tracklet
from streamer.pages import Pages


class Clusterer(Protocol):
    """Incremental identities.

    Events carry a strictly rising `seq`; identity numbers are never used twice; replaying all events gives `labels()`.
    `add` takes what closed since the last call (micro-batches of any size give the same labels as one by one); a
    tracklet of a number it has already has grown. `remerge` is the periodic repair, `finish` the last word at the end
    of a source. `must_link` and `cannot_link` are the user's: they hold for ever, at assignment and at every merge.
    """

    seq: int  # of the last event
    next_identity: int  # the next number to be given
    vectors: Callable[[Sequence[int]], F32] | None  # reads vectors that the clusterer did not keep
    options: dict[str, Any]

    def add(self, tracklets: Sequence[Tracklet]) -> list[Event]: ...
    def remerge(self) -> list[Event]: ...
    def finish(self) -> list[Event]: ...
    def retune(self, link: float, merge: float) -> None:
        """From now on these thresholds hold; `finish` draws the consequences."""
        ...

    @property
    def consolidation_due(self) -> bool:
        """Whether a repair fell due that live runs compute apart: `apply(consolidation_job()())`."""
        ...

    def must_link(self, a: int, b: int) -> list[Event]:
        """The user says tracks a and b show one person."""
        ...

    def cannot_link(self, a: int, b: int) -> list[Event]:
        """The user says tracks a and b show two persons."""
        ...

    def unlink(self, a: int, b: int) -> list[Event]:
        """The user takes back what was said about tracks a and b."""
        ...

    def pin(self, identity: int, protected: bool = True) -> None:
        """Named (or otherwise protected) identities keep their number in every merge."""
        ...

    @property
    def pinned(self) -> set[int]:
        """Identities with a pin."""
        ...

    def remove(self, tracks: Iterable[int]) -> list[Event]:
        """Erase tracks: no residue of their vectors in sums, index or state."""
        ...

    def labels(self) -> dict[int, int | None]:
        """track -> identity with aliases resolved."""
        ...

    def identity_of(self, track: int) -> int | None:
        """One of `labels()`; None for a track that is not known, too."""
        ...

    def pages(self) -> Pages:
        """`state` for whoever stores it at once: views of what is in use, valid until the next change."""
        ...

    def state(self) -> bytes:
        """Everything, without pickle."""
        ...

    @classmethod
    def restore(
        cls, state: bytes | Pages, *, model: str | None = None, dimension: int | None = None,
        vectors: Callable[[Sequence[int]], F32] | None = None,
    ) -> Self:  # fmt: skip
        """The clusterer that wrote `state`, which continues bit-equal.

        StoreError for damaged bytes, another clusterer, model or dimension.
        """
        ...
