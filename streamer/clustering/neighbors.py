"""NeighborIndex: all rows within a radius of a batch of queries, exact inner products by FAISS."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamer.items import F32, I64

# From this many queries in a call the matrix product wins; below it FAISS's own loop does (10 k rows of 512, one
# thread: 1 query 0.44 ms against 2.9 ms, 32 queries 0.34 against 0.82 ms each). FAISS 1.15 would wait for 128 000
# queries.
GEMM_FROM = 12
FLAT_ROWS = 65_536  # rows up to which every search looks at all of them
PROBED = 8  # beyond, one cell in this many is looked at (from 500 rows on, 6-10 k tracks: B-cubed F -0.1 to -0.2)


class NeighborIndex:
    """Rows (n, width) float32: searched, rewritten in place, removed by moving the last row into the hole.

    Up to `flat_rows` rows the search is exact, beyond it goes through the nearest cells of an inverted file (FAISS
    IVFFlat). Positions stay the same on both sides of the switch.
    """

    def __init__(self, width: int, capacity: int = 256, *, flat_rows: int = FLAT_ROWS) -> None:
        self.width, self.flat_rows = width, flat_rows
        self._data = np.zeros((capacity, width), np.float32)
        self._count = 0
        self._cells: Any = None  # FAISS IVF over copies of the rows, once there are more than flat_rows
        self._changed: set[int] = set()  # rows that the cells do not hold as they are
        self.trained_at = 0  # rows at the last training of the cells

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> F32:
        """(n, width), a live view until the next `add`; `write` changes rows."""
        return self._data[: self._count]

    @property
    def exact(self) -> bool:
        """Whether a search looks at every row."""
        return self._cells is None

    def add(self, row: F32) -> int:
        """The position of the new row."""
        if self._count == len(self._data):
            self._make_room(len(self._data) * 3 // 2 + 1)
        self._count += 1
        self.write(self._count - 1, row)
        if self._count > max(self.flat_rows, 2 * self.trained_at):
            self._train()
        return self._count - 1

    def _make_room(self, size: int) -> None:
        if self._data.flags.owndata:
            # in place: a copy would double the peak memory; nobody keeps a view (see `rows`)
            self._data.resize((size, self.width), refcheck=False)
        else:
            data = np.empty((size, self.width), np.float32)
            data[: self._count] = self.rows
            self._data = data

    @property
    def centres(self) -> F32:
        """(cells, width) of the inverted file; none while the search is exact."""
        if self._cells is None:
            return np.zeros((0, self.width), np.float32)
        centres: F32 = self._cells.quantizer.reconstruct_n(0, self._cells.nlist)
        return centres

    def load(self, rows: F32, count: int, centres: F32, trained_at: int) -> None:
        """Takes over what another index held, into an empty one: the same searches find the same.

        `rows` is this index's from now on: the first `count` are rows, the others are room.
        """
        self._count, self._data = count, rows
        if len(centres):
            self._fill(len(centres), centres)
            self.trained_at = trained_at

    def write(self, position: int, row: F32) -> None:
        self._data[position] = row
        if self._cells is not None:
            self._changed.add(position)

    def remove(self, position: int) -> int:
        """The former position of the row that now stands at `position` (the last one); it is overwritten."""
        last = self._count - 1
        self._data[position] = self._data[last]
        self._data[last] = 0.0
        self._count = last
        if self._cells is not None:
            self._changed |= {position, last}
            self._refresh()
        return last

    def within(self, queries: F32, radius: float) -> tuple[I64, I64]:
        """Positions of all rows with inner product > radius: (offsets (n + 1,), positions), unordered per query.

        Beyond `flat_rows` rows a few per cent of them are missed (those in cells that were not probed).
        """
        import faiss

        n = len(queries)
        if not n or not self._count:
            return np.zeros(n + 1, np.int64), np.zeros(0, np.int64)
        queries = np.ascontiguousarray(queries, np.float32)
        faiss.cvar.distance_compute_blas_threshold = GEMM_FROM
        _single_thread(faiss)
        if self._cells is not None:
            self._refresh()
            offsets, _, positions = self._cells.range_search(queries, radius)
            return offsets.astype(np.int64), positions
        found = faiss.RangeSearchResult(n)
        data = self._data
        faiss.range_search_inner_product(
            faiss.swig_ptr(queries), faiss.swig_ptr(data), self.width, n, self._count, radius, found
        )
        offsets = faiss.rev_swig_ptr(found.lims, n + 1).astype(np.int64)
        total = int(offsets[-1])
        positions = faiss.rev_swig_ptr(found.labels, total).astype(np.int64) if total else np.zeros(0, np.int64)
        return offsets, positions

    def _train(self) -> None:
        """Cells anew from all rows; again whenever their number has doubled, since faces drift."""
        self._fill(4 * int(np.sqrt(self._count)), None)
        self.trained_at = self._count

    def _fill(self, cells: int, centres: F32 | None) -> None:
        """An inverted file of all rows, around these centres or around those of a training."""
        import faiss

        _single_thread(faiss)
        quantizer = faiss.IndexFlatIP(self.width)
        if centres is not None:
            quantizer.add(np.ascontiguousarray(centres))
        self._cells = faiss.IndexIVFFlat(quantizer, self.width, cells, faiss.METRIC_INNER_PRODUCT)
        self._cells.cp.niter, self._cells.cp.seed, self._cells.cp.max_points_per_centroid = 6, 7, 64
        self._cells.cp.min_points_per_centroid = 1
        self._cells.set_direct_map_type(faiss.DirectMap.Hashtable)  # type: ignore[attr-defined]
        self._cells.nprobe = max(1, cells // PROBED)
        self._cells.train(self.rows)  # keeps centres that are there
        self._cells.add_with_ids(self.rows, np.arange(self._count))
        self._changed.clear()

    def _refresh(self) -> None:
        """The cells hold the rows as they are now."""
        import faiss

        if not self._changed:
            return
        changed = np.asarray(sorted(self._changed), np.int64)
        self._changed.clear()
        self._cells.remove_ids(faiss.IDSelectorArray(changed))
        changed = changed[changed < self._count]
        self._cells.add_with_ids(self._data[changed], changed)


def _single_thread(faiss: Any) -> None:
    if faiss.omp_get_max_threads() != 1:
        faiss.omp_set_num_threads(1)
