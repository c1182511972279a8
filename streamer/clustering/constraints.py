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


def _key(a: int, b: int) -> int:
    """A pair of positions, in any order, as one number."""
    return a << 32 | b if a < b else b << 32 | a


class Constraints:
    """Pairs of track positions. `must` is the user's (or a continued track's), `cannot` the machine's or the user's."""

    def __init__(self) -> None:
        self._pairs = np.zeros((64, 2), np.int64)
        self._weights = np.zeros(64, np.int64)
        self._count = 0
        self._users: dict[int, set[int]] = {}  # position -> those the user parted it from
        self._at: dict[int, int] = {}  # pair (as one number, see _key) -> where it is in the arrays
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
        return bool(self._users)

    def load(self, pairs: I64, weights: I64) -> None:
        """Takes over pairs (n, 2), low position first, each once, into a table that is empty."""
        self._pairs, self._weights, self._count = pairs, weights, len(pairs)
        self._at = dict(zip((pairs[:, 0] << 32 | pairs[:, 1]).tolist(), range(len(pairs))))
        for a, b in pairs[weights >= USER].tolist():
            self._part(a, b)

    def _part(self, a: int, b: int) -> None:
        self._users.setdefault(a, set()).add(b)
        self._users.setdefault(b, set()).add(a)

    def forbid(self, a: int, b: int, weight: int = 1) -> None:
        """Records that tracks at a and b are two persons; the stronger word stays."""
        if weight >= USER:
            self._part(a, b)
        key = _key(a, b)
        at = self._at.get(key)
        if at is not None:
            self._weights[at] = max(int(self._weights[at]), weight)
            return
        self._pairs, self._weights = grown(self._pairs, self._count), grown(self._weights, self._count)
        self._pairs[self._count], self._weights[self._count] = (min(a, b), max(a, b)), weight
        self._at[key] = self._count
        self._count += 1

    def weight(self, a: int, b: int) -> int:
        """0 when nobody says that tracks at a and b are two persons."""
        at = self._at.get(_key(a, b))
        return 0 if at is None else int(self._weights[at])

    def require(self, a: int, b: int) -> None:
        """Records that tracks at a and b are one person; a machine's conflict between them is forgotten."""
        key = (min(a, b), max(a, b))
        self.must.add(key)
        self.forget([key])

    def forget(self, keys: Iterable[tuple[int, int]]) -> None:
        """Takes conflicts of these pairs back (must-links stay)."""
        for a, b in keys:
            at = self._at.pop(_key(a, b), None)
            if at is None:
                continue
            for one, other in ((a, b), (b, a)):
                if other in self._users.get(one, ()):
                    self._users[one].discard(other)
                    if not self._users[one]:
                        del self._users[one]
            last = self._count - 1
            if at != last:
                self._pairs[at], self._weights[at] = self._pairs[last], self._weights[last]
                self._at[_key(int(self._pairs[at, 0]), int(self._pairs[at, 1]))] = at
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
        if least >= USER:
            return sorted(self._users.get(position, ()))
        hit = self.pairs[(self.pairs == position).any(1)]
        return [int(b if a == position else a) for a, b in hit]

    def of_each(self, positions: I64) -> dict[int, list[int]]:
        """What `of` says of each of these positions, in one pass over the pairs."""
        out: dict[int, list[int]] = {at: [] for at in positions.tolist()}
        pairs = self.pairs
        for mine, other in ((0, 1), (1, 0)):
            for at, foe in pairs[np.isin(pairs[:, mine], positions)][:, [mine, other]].tolist():
                out[at].append(foe)
        return out

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
