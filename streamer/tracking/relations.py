"""What finished tracks of one source are to each other: two people in one frame, or pieces of one track.

Place and time are evidence of their own, so faces that just pass for one person (the bar of a pair) are enough here to
join pieces, where the clusterer, which knows neither, asks for more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from streamer.items import DETECTED, F32, Track
from streamer.tracking.motion import to_place
from streamer.tracking.split import agreement


@dataclass(frozen=True, slots=True)
class Related:
    """A track and its relations to those that closed before it."""

    track: Track
    cannot: frozenset[int]  # alive in one of its frames
    must: frozenset[int]  # the piece it goes on from, and the one that goes on from it


@dataclass(slots=True)
class _Piece:
    track: Track
    vectors: F32
    first: int  # frame of the first detection
    last: int
    weak: bool
    followed: bool = False  # another goes on from its end
    follows: bool = False  # it goes on from another's end


class Relations:
    """Finished tracks in the order they close, answered with their relations to earlier ones.

    A track's rows reach half the way to the looks that did not find it. Where that margin alone overlaps the rows of a
    track with the same face, who moved on or was found elsewhere after a cut nobody noticed, the margin is cut off.

    Two tracks of one shot are pieces of one when the second begins at most `gap` seconds after the first ended and at
    most `reach` face widths away, in like size, and their faces agree in the mean like a pair (`agreement` >= 1). A
    track has one that goes on from it, and goes on from one: the nearest in time of those that closed before.

    Older shots are forgotten, and what ended `memory` seconds before: no track that closes now can have begun by then.
    """

    def __init__(
        self, pair: float, metric: str = "cosine", *, gap: float = 2.0, reach: float = 1.5, memory: float = 310.0
    ) -> None:
        """`pair` is the pack's pair threshold."""
        self.pair, self.metric, self.gap, self.reach, self.memory = pair, metric, gap, reach, memory
        self.joined = 0
        self._pieces: list[_Piece] = []

    def add(self, track: Track, vectors: F32, weak: bool = False) -> Related:
        """`track` with the faces `vectors` (n, d), n may be 0; two `weak` ones are never joined.

        A track that is still open comes again: its last state counts, and it is neither trimmed nor joined before it
        ended.
        """
        self._pieces = [p for p in self._pieces if self._may_matter(p.track, track)]
        new = _piece(track, vectors, weak)
        for old in self._pieces:
            if not track.open and _overlap(old.track, new.track) and not _met(old, new) and self._alike(old, new):
                new.track = _trimmed(new, old)
        cannot = frozenset(p.track.number for p in self._pieces if _overlap(p.track, new.track))
        must = frozenset[int]() if track.open else self._join(new)
        self._pieces.append(new)
        return Related(new.track, cannot, must)

    def _may_matter(self, old: Track, new: Track) -> bool:
        fresh = old.shot >= new.shot and old.end > new.end - self.memory
        return fresh and old.source == new.source and old.number != new.number

    def _alike(self, a: _Piece, b: _Piece) -> bool:
        if not len(a.vectors) or not len(b.vectors):
            return False
        return float(agreement(a.vectors, b.vectors, self.pair, self.metric).mean()) >= 1.0

    def _join(self, new: _Piece) -> frozenset[int]:
        closed = [p for p in self._pieces if not (p.track.open or (p.weak and new.weak))]
        before = [p for p in closed if not p.followed and self._continues(p, new)]
        after = [p for p in closed if not p.follows and self._continues(new, p)]
        found = []
        if before:
            last = max(before, key=lambda p: p.track.end)
            last.followed = new.follows = True
            found.append(last.track.number)
        if after:
            first = min(after, key=lambda p: p.track.start)
            first.follows = new.followed = True
            found.append(first.track.number)
        self.joined += len(found)
        return frozenset(found)

    def _continues(self, a: _Piece, b: _Piece) -> bool:
        return _follows(a.track, b.track, self.gap, self.reach) and self._alike(a, b)


def _piece(track: Track, vectors: F32, weak: bool) -> _Piece:
    seen = track.rows.frames[track.rows.kinds == DETECTED]
    seen = seen if len(seen) else track.rows.frames
    return _Piece(track, vectors, int(seen[0]), int(seen[-1]), weak)


def _overlap(a: Track, b: Track) -> bool:
    return bool(a.rows.frames[0] <= b.rows.frames[-1] and b.rows.frames[0] <= a.rows.frames[-1])


def _met(a: _Piece, b: _Piece) -> bool:
    """Whether both were there at one time: their detections, first to last, overlap."""
    return a.first <= b.last and b.first <= a.last


def _trimmed(new: _Piece, old: _Piece) -> Track:
    """The new track without those rows of its margins in which the old one is there."""
    frames, rows = new.track.rows.frames, old.track.rows.frames
    low = max(int(frames[0]), int(rows[-1]) + 1) if old.last < new.first else int(frames[0])
    high = min(int(frames[-1]), int(rows[0]) - 1) if old.first > new.last else int(frames[-1])
    return replace(new.track, rows=new.track.rows.between(min(low, new.first), max(high, new.last)))


def _follows(a: Track, b: Track, gap: float, reach: float) -> bool:
    """Whether b begins in a's shot after a's end, within `gap` seconds and `reach` face widths of it, in like size."""
    if a.source != b.source or a.shot != b.shot or b.rows.frames[0] <= a.rows.frames[-1] or b.start - a.end > gap:
        return False
    p, q = to_place(a.rows.boxes[-1:])[0], to_place(b.rows.boxes[:1])[0]
    width = float(np.exp((p[2] + q[2]) / 2))
    return float(np.hypot(*(q - p)[:2])) < reach * width and abs(float(q[2] - p[2])) < 0.47
