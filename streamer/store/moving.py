"""From one embedding model to another: new vectors are collected beside the old ones, then take their place at once."""

from __future__ import annotations

from collections.abc import Sequence

from streamer.items import F32
from streamer.store.base import StorePart
from streamer.store.blobs import pack_vector
from streamer.store.records import SampleRecord, sample_of


class Moving(StorePart):
    """The part of a store that changes its model."""

    def template(self) -> str:
        """Name of the alignment template of the kept crops, "" when it was not told."""
        row = self._db.one("SELECT template FROM models")
        return "" if row is None else str(row[0])

    def count_vectors(self) -> int:
        """How many faces have a vector."""
        return self._number("SELECT count(*) FROM vectors")

    def without_crop(self, model: str) -> list[SampleRecord]:
        """Faces that have a vector but neither a kept crop nor a new vector of that model, by source and frame."""
        sql = (
            "SELECT f.* FROM samples f JOIN tracks t ON t.id = f.track "
            "JOIN vectors v ON (v.track, v.number) = (f.track, f.number) "
            "LEFT JOIN pictures p ON (p.track, p.number) = (f.track, f.number) "
            "LEFT JOIN staged s ON (s.track, s.number, s.model) = (f.track, f.number, ?) "
            "WHERE p.crop IS NULL AND s.track IS NULL ORDER BY t.source, f.frame, f.track"
        )
        return [sample_of(r) for r in self._db.rows(sql, (model,))]

    def staged(self, model: str) -> int:
        """How many new vectors of that model wait; those of another model are thrown away."""
        with self._db.write() as sql:
            sql.execute("DELETE FROM staged WHERE model != ?", (model,))
        return self._number("SELECT count(*) FROM staged")

    def unstaged(self, model: str, limit: int) -> list[tuple[int, int, bytes]]:
        """(track, number, JPEG of the crop) of up to `limit` faces without a new vector of that model."""
        sql = (
            "SELECT v.track, v.number, p.crop FROM vectors v "
            "JOIN pictures p ON (p.track, p.number) = (v.track, v.number) "
            "LEFT JOIN staged s ON (s.track, s.number, s.model) = (v.track, v.number, ?) "
            "WHERE s.track IS NULL ORDER BY v.track, v.number LIMIT ?"
        )
        return [(t, n, data) for t, n, data in self._db.rows(sql, (model, limit))]

    def stage_vectors(self, model: str, keys: Sequence[tuple[int, int]], vectors: F32) -> None:
        """Puts new vectors (n, d) of (track, number) aside."""
        with self._db.write() as sql:
            rows = [(t, n, model, pack_vector(v)) for (t, n), v in zip(keys, vectors, strict=True)]
            sql.executemany("INSERT INTO staged VALUES (?, ?, ?, ?)", rows)

    def adopt(self, model: str, dimension: int, metric: str, template: str) -> None:
        """The staged vectors are the library's vectors now; state and track vectors of the old model are gone."""
        with self._db.write() as sql:
            sql.execute("UPDATE sources SET snapshot = NULL")
            for table in ("snapshots", "chunks", "told", "track_vectors", "vectors", "models"):
                sql.execute(f"DELETE FROM {table}")  # noqa: S608
            sql.execute("INSERT INTO models VALUES (?, ?, ?, ?)", (model, dimension, metric, template))
            sql.execute("INSERT INTO vectors SELECT track, number, model, data FROM staged ORDER BY track, number")
            sql.execute("DELETE FROM staged")

    def tracks_with_vectors(self) -> list[int]:
        """Tracks that have at least one embedded face, ascending."""
        return [r[0] for r in self._db.rows("SELECT DISTINCT track FROM vectors ORDER BY track")]

    def set_track_vector(self, track: int, vector: F32) -> None:
        """The one vector that stands for a track."""
        model = self.model()
        with self._db.write() as sql:
            row = (track, model[0] if model else "", pack_vector(vector))
            sql.execute("INSERT OR REPLACE INTO track_vectors VALUES (?, ?, ?)", row)

    def _number(self, sql: str) -> int:
        row = self._db.one(sql)
        return 0 if row is None else int(row[0])
