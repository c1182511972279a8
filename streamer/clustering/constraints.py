"""Which tracks must, and which must not, be one person; who said so decides how hard it holds.

A machine's conflict (two tracks in one frame) can be wrong: mirrors, posters, screens, double detections. It always
forbids an assignment, but a few of them give way when identities are merged (see remerge.vetoed). A user's word
never gives way. Constraints name tracks, not identities: a split would lose them otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from streamer.clustering.identities import grown
from streamer.clustering.remerge import USER, Links
from streamer.items import I64

MUST = 0  # in place of a weight: the two are one person


class Constraints:
    """Pairs of track positions. `must` is the user's (or a continued track's), `cannot` the machine's or the user's."""

    def __init__(self) -> None:
        self._pairs = np.zeros((64, 2), np.int64)
        self._weights = np.zeros(64, np.int64)
        self._count = 0
        self._user = 0  # pairs of the user's
        self._at: dict[tuple[int, int], int] = {}  # user's pairs and whatever may be looked up
        self.must: set[tuple[int, int]] = set()
        self.waiting: dict[int, list[tuple[int, int]]] = {}  # unseen track number -> (other number, weight or MUST)

    @property
    def pairs(self) -> I64:
        """(n, 2) positions of tracks that cannot be one person."""
        return self._pairs[: self._count]

    @property
    def weights(self) -> I64:
        """(n,) 1 for the machine's, USER for the user's."""
        return self._weights[: self._count]

    @property
    def any_user(self) -> bool:
        """Whether the user parted anybody."""
        return self._user > 0

    def forbid(self, a: int, b: int, weight: int = 1) -> None:
        """Records that tracks at a and b are two persons; the stronger word stays."""
        key = (min(a, b), max(a, b))
        at = self._at.get(key)
        if at is not None:
            self._user += int(weight >= USER > self._weights[at])
            self._weights[at] = max(int(self._weights[at]), weight)
            return
        self._user += int(weight >= USER)
        self._pairs, self._weights = grown(self._pairs, self._count), grown(self._weights, self._count)
        self._pairs[self._count], self._weights[self._count] = key, weight
        self._at[key] = self._count
        self._count += 1

    def weight(self, a: int, b: int) -> int:
        """0 when nobody says that tracks at a and b are two persons."""
        at = self._at.get((min(a, b), max(a, b)))
        return 0 if at is None else int(self._weights[at])

    def require(self, a: int, b: int) -> None:
        """Records that tracks at a and b are one person; a machine's conflict between them is forgotten."""
        key = (min(a, b), max(a, b))
        self.must.add(key)
        self.forget([key])

    def forget(self, keys: Iterable[tuple[int, int]]) -> None:
        """Takes conflicts of these pairs back (must-links stay)."""
        for key in keys:
            at = self._at.pop(key, None)
            if at is None:
                continue
            self._user -= int(self._weights[at] >= USER)
            last = self._count - 1
            if at != last:
                moved = (int(self._pairs[last, 0]), int(self._pairs[last, 1]))
                self._pairs[at], self._weights[at] = self._pairs[last], self._weights[last]
                self._at[moved] = at
            self._count = last

    def components(self) -> dict[int, int]:
        """position -> lowest position of the tracks it must be one person with; only tracks with such a link."""
        root: dict[int, int] = {}

        def find(x: int) -> int:
            while root.setdefault(x, x) != x:
                x = root[x]
            return x

        for a, b in sorted(self.must):
            p, q = sorted((find(a), find(b)))
            root[q] = p
        return {x: find(x) for x in root}

    def of(self, position: int, least: int = 1) -> list[int]:
        """Positions of the tracks that are not the same person as this one, by a word of this weight."""
        hit = (self.pairs == position).any(1) & (self.weights >= least)
        return [int(b if a == position else a) for a, b in self.pairs[hit]]

    def forget_tracks(self, positions: set[int]) -> None:
        """Takes back all that was said about these tracks."""
        gone = np.fromiter(positions, np.int64, len(positions))
        hit = np.isin(self.pairs, gone).any(1)
        self.forget([(int(a), int(b)) for a, b in self.pairs[hit]])
        self.must = {p for p in self.must if p[0] not in positions and p[1] not in positions}

    def between(self, place: NDArray[np.int64]) -> Links:
        """Conflicts between places of tracks, `place` (tracks,) with -1 for nowhere."""
        a, b = place[self.pairs[:, 0]], place[self.pairs[:, 1]]
        ok = (a >= 0) & (b >= 0)
        return Links(a[ok], b[ok], self.weights[ok])

    def together(self, place: NDArray[np.int64]) -> Links:
        """Must-link pairs between places; those nowhere are left out."""
        if not self.must:
            return Links.none()
        pairs = np.asarray(sorted(self.must), np.int64)
        a, b = place[pairs[:, 0]], place[pairs[:, 1]]
        ok = (a >= 0) & (b >= 0)
        return Links(a[ok], b[ok], np.ones(int(ok.sum()), np.int64))


__all__ = ["MUST", "USER", "Constraints"]
