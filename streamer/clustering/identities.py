"""The tables of the online clusterer: exemplars (micro-clusters), identities, tracks; columns, for array operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.clustering.neighbors import NeighborIndex
from streamer.clustering.space import Space
from streamer.items import F32, F64, I64

NEIGHBORS = (
    12  # remembered per exemplar when it is made: the graph of the consolidation comes free with the insert search
)


def grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    """The array itself, or a copy half as long again with zeros, so that row `size` exists."""
    if size < len(array):
        return array
    out = np.zeros((max(size + 1, len(array) * 3 // 2 + 16), *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out


class Exemplars:
    """Micro-clusters: a row in the index, its weight, its owner (an identity's slot) and the tracks in it.

    `key` is a number that stays with an exemplar while its row may move; `near` names up to NEIGHBORS keys (-1: none).
    """

    def __init__(self, space: Space, flat_rows: int) -> None:
        self.space = space
        # Euclidean rows have no angle that a sketch could tell: they are always searched in full
        self.index = NeighborIndex(space.width, flat_rows=flat_rows if space.metric == "cosine" else None)
        self.scale = np.zeros(64, np.float64)  # sum = scale * row: |sum| for cosine, the weight for Euclid
        self.weight = np.zeros(64, np.float64)
        self.energy = np.zeros(64, np.float64)
        self.owner = np.zeros(64, np.int64)
        self.key = np.zeros(64, np.int64)
        self.near = np.full((64, NEIGHBORS), -1, np.int64)
        self.members: list[list[int]] = []  # positions in Tracks
        self.row_of: dict[int, int] = {}
        self.next_key = 0

    def __len__(self) -> int:
        return len(self.members)

    def sums(self, rows: I64 | slice | int) -> F32:
        """(n, d) sums of the vectors in these exemplars."""
        scale = self.scale[: len(self)][rows][..., None].astype(np.float32)
        return np.asarray(self.index.take(rows)[..., : self.space.dimension] * scale, np.float32)

    def parts(self, rows: I64 | slice) -> Callable[[], F32]:
        """What gives the `sums` of now later, and elsewhere."""
        directions = self.index.rows[rows, : self.space.dimension].copy()
        scale = self.scale[: len(self)][rows][:, None].astype(np.float32)
        return lambda: np.asarray(directions * scale, np.float32)

    def create(self, vector: F32, energy: float, weight: float, owner: int, near: I64 | None = None) -> int:
        """The row of a new exemplar with one vector (or a sum of `weight` vectors)."""
        row = self.index.add(self.space.row(vector, weight))
        for name in ("scale", "weight", "energy", "owner", "key", "near"):
            setattr(self, name, grown(getattr(self, name), row))
        self._set(row, vector, energy, weight)
        self.owner[row], self.key[row] = owner, self.next_key
        self.near[row] = -1
        if near is not None and len(near):
            self.near[row, : min(NEIGHBORS, len(near))] = near[:NEIGHBORS]
        self.row_of[self.next_key] = row
        self.next_key += 1
        self.members.append([])
        return row

    def remember(self, row: int, rows: I64) -> None:
        """The exemplar's neighbours are the first of these others."""
        keys = self.key[rows[rows != row][:NEIGHBORS]]
        self.near[row] = -1
        self.near[row, : len(keys)] = keys

    def absorb(self, row: int, vector: F32, energy: float) -> None:
        """Adds a vector to the exemplar and rewrites its row."""
        total = np.asarray(self.index.take(row)[: self.space.dimension] * np.float32(self.scale[row]) + vector)
        self.replace(row, total, float(self.energy[row]) + energy, float(self.weight[row]) + 1.0)

    def replace(self, row: int, total: F32, energy: float, weight: float) -> None:
        """The exemplar now holds this sum."""
        self.index.write(row, self.space.row(total, weight))
        self._set(row, total, energy, weight)

    def _set(self, row: int, total: F32, energy: float, weight: float) -> None:
        self.scale[row] = np.sqrt(np.dot(total, total)) if self.space.metric == "cosine" else weight
        self.weight[row], self.energy[row] = weight, energy

    def remove(self, row: int) -> int:
        """The former row of the exemplar that moved into the hole; its owner's list and its tracks must be told."""
        del self.row_of[int(self.key[row])]
        last = self.index.remove(row)
        self.members[row] = self.members[last]
        self.members.pop()
        for column in (self.scale, self.weight, self.energy, self.owner, self.key, self.near):
            column[row] = column[last]
        if row != last:
            self.row_of[int(self.key[row])] = row
        return last


class Identities:
    """Sums of everybody's vectors by slot. A slot is reused when an identity ends, its number never."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.sums = np.zeros((64, space.dimension), np.float32)
        self.weight = np.zeros(64, np.float64)
        self.energy = np.zeros(64, np.float64)
        self.count = np.zeros(64, np.int64)  # tracks, also those of low quality
        self.settled = np.zeros(64, np.int64)  # count at the last consolidation
        self.number = np.zeros(64, np.int64)  # 0: slot is free
        self.rows: list[list[int]] = []
        self.slot_of: dict[int, int] = {}
        self.free: list[int] = []
        self.pinned: set[int] = set()

    def __len__(self) -> int:
        return len(self.slot_of)

    def create(self, number: int) -> int:
        """The slot of a new, empty identity."""
        slot = self.free.pop() if self.free else len(self.rows)
        if slot == len(self.rows):
            self.rows.append([])
            for name in ("sums", "weight", "energy", "count", "settled", "number"):
                setattr(self, name, grown(getattr(self, name), slot))
        self.slot_of[number] = slot
        self.number[slot] = number
        return slot

    def end(self, slot: int) -> None:
        """Frees the slot; no vector stays in it."""
        number = int(self.number[slot])
        del self.slot_of[number]
        self.sums[slot] = 0.0
        self.weight[slot] = self.energy[slot] = self.count[slot] = self.settled[slot] = self.number[slot] = 0
        self.rows[slot] = []
        self.free.append(slot)

    def absorb(self, slot: int, vector: F32, energy: float, weight: float = 1.0) -> None:
        self.sums[slot] += vector
        self.weight[slot] += weight
        self.energy[slot] += energy

    def merge(self, kept: int, dropped: int) -> None:
        """Sums and rows of slot `dropped` go to `kept`; owners of the rows are the caller's to change."""
        self.absorb(kept, self.sums[dropped], float(self.energy[dropped]), float(self.weight[dropped]))
        self.count[kept] += self.count[dropped]
        self.rows[kept] += self.rows[dropped]
        self.end(dropped)

    def recompute(self, slot: int, rows: list[int], exemplars: Exemplars) -> None:
        """The identity consists of exactly these exemplars."""
        at = np.asarray(rows, np.int64)
        self.rows[slot] = rows
        self.sums[slot] = exemplars.sums(at).sum(0) if rows else 0.0
        self.weight[slot], self.energy[slot] = exemplars.weight[at].sum(), exemplars.energy[at].sum()
        self.count[slot] = sum(len(exemplars.members[r]) for r in rows)
        exemplars.owner[at] = slot

    def mean_dissimilarity(self, slots: I64, vector: F32, energy: float) -> F64:
        """(n,) average linkage between a vector and identities."""
        w = self.weight[slots]
        dots = np.einsum("ij,j->i", self.sums[slots], vector)
        return np.asarray(energy + self.energy[slots] / w - dots / w, np.float64)


class Tracks:
    """What is known of each track: where it is, how good, and (when kept) its vector."""

    def __init__(self, space: Space, keep_vectors: bool) -> None:
        self.position: dict[int, int] = {}
        self.number = np.zeros(64, np.int64)
        self.row = np.zeros(64, np.int64)  # exemplar, -1: none
        self.light = np.zeros(64, bool)  # in no sum
        self.vectors = np.zeros((64 if keep_vectors else 0, space.dimension), np.float32)
        self.keep_vectors = keep_vectors
        self.count = 0

    def add(self, number: int, vector: F32) -> int:
        at = self.count
        for name in ("number", "row", "light"):
            setattr(self, name, grown(getattr(self, name), at))
        if self.keep_vectors:
            self.vectors = grown(self.vectors, at)
            self.vectors[at] = vector
        self.position[number] = at
        self.number[at], self.row[at], self.light[at] = number, -1, False
        self.count += 1
        return at

    def known(self, numbers: Iterable[int]) -> list[int]:
        """Positions of those numbers that are here, ascending in number."""
        return [self.position[n] for n in sorted(numbers) if n in self.position]
