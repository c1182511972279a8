"""NeighborIndex: all rows within a radius of a batch of queries, inner products and differing bits by FAISS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.clustering.sketch import Sketch, differing
from streamer.items import F32, I64, U8

# From this many queries in a call the matrix product wins; below it FAISS's own loop does (10 k rows of 512, one
# thread: 1 query 0.44 ms against 2.9 ms, 32 queries 0.34 against 0.82 ms each). FAISS 1.15 would wait for 128 000
# queries.
GEMM_FROM = 12
FLAT_ROWS = 4096  # a film's; up to these every search looks at all rows
NEAREST = 32  # beyond, the inner products of so many rows are computed, those with the nearest sketches


class Found:
    """What a search found, corrected for rows that were rewritten (see `touch`) or added since."""

    def __init__(self, index: NeighborIndex, offsets: I64, positions: I64, bits: F32, query: U8 | None, most: int):
        self.index, self._size = index, len(index)
        self.offsets, self.positions = offsets, positions
        self._bits = bits  # in which the sketches differ, where rows were chosen by them
        self._query, self._most = query, most  # sketches of the queries, and how many bits may differ
        self._stale = np.zeros(len(index), bool)
        self._touched: list[int] = []

    def touch(self, row: int) -> None:
        """The row was rewritten."""
        if row < self._size and not self._stale[row]:
            self._stale[row] = True
            self._touched.append(row)

    def of(self, query: int) -> I64:
        """Ascending positions for a query: what a search for it alone would find now."""
        part = slice(self.offsets[query], self.offsets[query + 1])
        rows, changed = self.positions[part], np.arange(self._size, len(self.index))
        if self._touched:
            changed = np.concatenate([changed, self._touched])
        if self._query is None:
            return np.sort(np.concatenate([rows[~self._stale[rows]], changed]) if len(changed) else rows)
        bits = self._bits[part]
        if len(changed):
            same = ~self._stale[rows]
            other = differing(self.index.sketches[changed], self._query[query])
            near = other <= self._most
            rows, bits = np.concatenate([rows[same], changed[near]]), np.concatenate([bits[same], other[near]])
        if len(rows) > NEAREST:
            rows = rows[bits <= np.partition(bits, NEAREST - 1)[NEAREST - 1]]
        return np.sort(rows)


class NeighborIndex:
    """Rows (n, width): searched, rewritten in place, removed by moving the last row into the hole.

    With `flat_rows`, once there are more rows than these they are kept in half precision (a unit vector turns by
    0.0003), and only those whose sketches are near are looked at (see sketch.py); the rows must be unit vectors then.
    Positions are the same on both sides of the switch; it stays where it is when rows go.
    """

    def __init__(self, width: int, capacity: int = 256, *, flat_rows: int | None = None) -> None:
        self.width, self.flat_rows = width, flat_rows
        self._data: NDArray[np.floating[Any]] = np.zeros((capacity, width), np.float32)
        self._count = 0
        self._sketch: Sketch | None = None  # once there are more than flat_rows
        self._sketches = np.zeros((0, 0), np.uint8)

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> NDArray[np.floating[Any]]:
        """(n, width) as they are kept, a live view until the next `add`."""
        return self._data[: self._count]

    def take(self, rows: I64 | slice | int) -> F32:
        """(m, width) copies of rows."""
        return self.rows[rows].astype(np.float32)

    def products(self, rows: I64, query: F32) -> F32:
        """(m,) inner products of rows with a query, each the same in any company."""
        return np.asarray(np.einsum("ij,j->i", self.take(rows), query))

    @property
    def sketches(self) -> U8:
        """(n, bytes) of the rows, once there were more than `flat_rows`."""
        return self._sketches[: self._count]

    @property
    def exact(self) -> bool:
        """Whether a search looks at every row."""
        return self._sketch is None

    @property
    def room(self) -> int:
        """How many rows may be added before a search is made otherwise."""
        return self.flat_rows + 1 - self._count if self.flat_rows is not None and self.exact else 1 << 62

    def add(self, row: F32) -> int:
        """The position of the new row."""
        if self._count == len(self._data):
            self._make_room(len(self._data) * 9 // 8 + 256)
        self._count += 1
        self.write(self._count - 1, row)
        if self.exact and self.flat_rows is not None and self._count > self.flat_rows:
            self._data = self._data.astype(np.float16)
            self._sketch_all()
        return self._count - 1

    def _make_room(self, size: int) -> None:
        if self._data.flags.owndata:
            # in place: a copy would double the peak memory; nobody keeps a view (see `rows`)
            self._data.resize((size, self.width), refcheck=False)
        else:
            data = np.empty((size, self.width), self._data.dtype)
            data[: self._count] = self.rows
            self._data = data

    def load(self, rows: NDArray[np.floating[Any]], count: int, sketches: U8 | None = None) -> None:
        """Takes over what another index held, into an empty one: the same searches find the same.

        `rows` is this index's from now on: the first `count` are rows, the others are room. `sketches` are theirs, in
        one line; without them they are made.
        """
        self._count, self._data = count, rows
        if rows.dtype == np.float16:
            self._sketch_all(sketches)

    def _sketch_all(self, known: U8 | None = None) -> None:
        self._sketch = Sketch(self.width)
        self._sketches = np.zeros((len(self._data), self._sketch.bits // 8), np.uint8)
        if known is not None and len(known):
            self._sketches[: self._count] = known.reshape(self._count, -1)
            return
        for s in range(0, self._count, 1024):
            self._sketches[s : min(s + 1024, self._count)] = self._sketch(self.take(slice(s, s + 1024)))

    def write(self, position: int, row: F32) -> None:
        self._data[position] = row
        if self._sketch is not None:
            if position >= len(self._sketches):
                self._sketches.resize((len(self._data), self._sketches.shape[1]), refcheck=False)
            self._sketches[position] = self._sketch(self.take(slice(position, position + 1)))[0]

    def remove(self, position: int) -> int:
        """The former position of the row that now stands at `position` (the last one); it is overwritten."""
        last = self._count - 1
        self._data[position] = self._data[last]
        self._data[last] = 0.0
        if self._sketch is not None:
            self._sketches[position] = self._sketches[last]
            self._sketches[last] = 0
        self._count = last
        return last

    def search(self, queries: F32, radius: float) -> Found:
        """Rows with inner product > radius, among others; beyond `flat_rows` the NEAREST by their sketches."""
        import faiss

        n, sketches, most = len(queries), None, 0
        if not n or not self._count:
            return Found(self, np.zeros(n + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), None, 0)
        queries = np.ascontiguousarray(queries, np.float32)
        found = faiss.RangeSearchResult(n)
        if faiss.omp_get_max_threads() != 1:
            faiss.omp_set_num_threads(1)
        if self.exact:
            faiss.cvar.distance_compute_blas_threshold = GEMM_FROM
            rows, searched = (faiss.swig_ptr(a) for a in (self._data, queries))
            faiss.range_search_inner_product(searched, rows, self.width, n, self._count, radius, found)
        else:
            assert self._sketch is not None
            sketches, most = self._sketch(queries), self._sketch.most(radius)
            rows, searched = (faiss.swig_ptr(a) for a in (self._sketches, sketches))
            # FAISS finds what differs in less than the bits it is told
            faiss.hamming_range_search(  # type: ignore[attr-defined]
                searched, rows, n, self._count, most + 1, sketches.shape[1], found
            )
        return Found(self, *_taken(faiss, found, n), sketches, most)

    def within(self, queries: F32, radius: float) -> tuple[I64, I64]:
        """Positions of rows with inner product > radius: (offsets (n + 1,), positions), unordered per query.

        All of them up to `flat_rows` rows, beyond at most the NEAREST by their sketches.
        """
        found = self.search(queries, radius)
        if self.exact:
            return found.offsets, found.positions
        near = []
        for i, query in enumerate(queries):
            rows = found.of(i)
            near.append(rows[self.products(rows, query) > radius])
        return np.cumsum([0, *map(len, near)]), np.concatenate(near)


def _taken(faiss: Any, found: Any, queries: int) -> tuple[I64, I64, F32]:
    """Offsets, positions and distances out of FAISS's memory."""
    offsets = faiss.rev_swig_ptr(found.lims, queries + 1).astype(np.int64)
    total = int(offsets[-1])
    if not total:
        return offsets, np.zeros(0, np.int64), np.zeros(0, np.float32)
    return (
        offsets,
        faiss.rev_swig_ptr(found.labels, total).astype(np.int64),
        faiss.rev_swig_ptr(found.distances, total).copy(),
    )
