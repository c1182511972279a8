"""Writing cameras: sources that go on for ever, and tracks that are kept while they are still open.

Everything a live run learned since the last call goes into one transaction: tracks as they stand, the events about
them, how far each camera was seen, its gaps and the clusterer's state. A process that dies loses what came after that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from streamer.errors import StoreError
from streamer.items import DETECTED, Event, Gap, Track
from streamer.pages import Pages
from streamer.store.blobs import pack_rows, pack_vector
from streamer.store.recording import Recording
from streamer.store.records import SourceRecord

GAPS_KEPT = 5000  # of a camera; beyond, the two oldest become one


class Growing(Recording):
    """The writing half of a store for live sources."""

    def open_live(
        self, name: str, *, path: str = "", config: str = "", period: float = 0.04, at: str = ""
    ) -> SourceRecord:
        """The camera of that name, to go on with: as it was left, or new. `path` is its address without credentials."""
        key = "live:" + hashlib.sha256(name.encode()).hexdigest()
        row = self._db.one("SELECT id FROM sources WHERE kind = 'live' AND hash = ?", (key,))
        if row is None:
            return self.begin_source(
                name, path=path, content_hash=key, config=config, kind="live", period=period, at=at
            )
        with self._db.write() as sql:
            sql.execute(
                "UPDATE sources SET status = 'running', path = ?, config = ?, ended = NULL WHERE id = ?",
                (path, config, row[0]),
            )
        return self.source(int(row[0]))

    def last_frame(self, source: int) -> tuple[int, int]:
        """The highest frame and shot a track of the source was in; -1 where there is none."""
        row = self._db.one(
            "SELECT coalesce(max(last_frame), -1), coalesce(max(shot), -1) FROM tracks WHERE source = ?", (source,)
        )
        return (-1, -1) if row is None else (int(row[0]), int(row[1]))

    def describe_live(self, source: int, info: Mapping[str, Any], period: float) -> None:
        """What became known of a camera when it connected."""
        with self._db.write() as sql:
            text = json.dumps(dict(info), sort_keys=True, ensure_ascii=False, default=str)
            sql.execute("UPDATE sources SET info = ?, period = ? WHERE id = ?", (text, period, source))

    def grow(
        self,
        tracks: Sequence[tuple[int, Track]],
        events: Iterable[Event] = (),
        *,
        positions: Mapping[int, float] | None = None,
        gaps: Mapping[int, Sequence[Gap]] | None = None,
        stats: Mapping[int, Mapping[str, Any]] | None = None,
        cannot_links: Iterable[tuple[int, int]] = (),
        vectors: Mapping[int, np.ndarray[Any, Any]] | None = None,
        state: bytes | Pages | None = None,
    ) -> None:
        """(source, track) pairs, new or grown, with all that belongs to them: one transaction.

        `track.number` is library-wide; a known number is replaced. `positions` is how far each source was seen.
        """
        model = self.model()
        if model is None and vectors:
            raise StoreError("vectors of an unnamed model cannot be stored. Call check_model first.")
        with self._db.write() as sql:
            for source, track in tracks:
                self._grow(source, track, None if model is None else model[0])
            if model is not None and vectors:
                found = [(t, model[0], pack_vector(v)) for t, v in sorted(vectors.items())]
                sql.executemany("INSERT OR REPLACE INTO track_vectors VALUES (?, ?, ?)", found)
            pairs = sorted({(min(p), max(p)) for p in cannot_links if p[0] != p[1]})
            sql.executemany("INSERT OR IGNORE INTO cannot_links VALUES (?, ?)", pairs)
            self.add_events(events)
            for source, at in (positions or {}).items():
                sql.execute("UPDATE sources SET position = ? WHERE id = ?", (at, source))
            for source in {*(gaps or {}), *(stats or {})}:
                self._note(source, (gaps or {}).get(source, ()), (stats or {}).get(source))
            if state is not None:
                self.save_state(state)

    def finish_live(self, source: int, *, manifest: Mapping[str, Any] | None = None, at: str = "") -> None:
        """The camera is no longer watched; `open_live` goes on with it."""
        with self._db.write() as sql:
            text = json.dumps(dict(manifest or {}), sort_keys=True, ensure_ascii=False, default=str)
            sql.execute("UPDATE sources SET status = 'done', manifest = ?, ended = ? WHERE id = ?", (text, at, source))

    def _note(self, source: int, gaps: Sequence[Gap], stats: Mapping[str, Any] | None) -> None:
        """Adds gaps to what is known of a source, and replaces the rest of its figures."""
        before = dict(self.source(source).stats)
        kept = list(before.get("gaps", []))
        kept += [{"start": g.start, "end": g.end, "reason": g.reason, "frames": g.frames} for g in gaps]
        while len(kept) > GAPS_KEPT:
            kept[:2] = [{**kept[0], "end": kept[1]["end"]}]
        told = {**before, **(stats or {}), "gaps": kept}
        self._db.connection.execute(
            "UPDATE sources SET stats = ? WHERE id = ?",
            (json.dumps(told, sort_keys=True, ensure_ascii=False, default=str), source),
        )

    def _grow(self, source: int, track: Track, model: str | None) -> None:
        number, rows, sql = track.number, track.rows, self._db.connection
        known = self._db.one("SELECT 1 FROM tracks WHERE id = ?", (number,)) is not None
        found = rows.scores[rows.kinds == DETECTED]
        score = float((found if len(found) else rows.scores).mean())
        quality = max((float(s.quality) for s in track.samples), default=0.0)
        extent = (track.start, track.end, int(rows.frames[0]), int(rows.frames[-1]), len(rows), track.shot)
        if known:
            sql.execute(
                "UPDATE tracks SET start = ?, last = ?, first_frame = ?, last_frame = ?, count = ?, shot = ?, "
                "score = ?, quality = ? WHERE id = ?",
                (*extent, score, quality, number),
            )
        else:
            sql.execute(
                "INSERT INTO tracks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (number, source, *extent, score, quality),
            )
        sql.execute("INSERT OR REPLACE INTO track_rows VALUES (?, ?)", (number, pack_rows(rows)))
        self._change_samples(track, model)
        sql.execute("UPDATE counters SET value = max(value, ?) WHERE name = 'track'", (number,))

    def _change_samples(self, track: Track, model: str | None) -> None:
        """Rewrites the best faces from the first that changed on."""
        sql, number = self._db.connection, track.number
        kept = [r[0] for r in self._db.rows("SELECT frame FROM samples WHERE track = ? ORDER BY number", (number,))]
        frames = [s.frame for s in track.samples]
        same = 0
        while same < min(len(kept), len(frames)) and kept[same] == frames[same]:
            same += 1
        for table in ("samples", "vectors", "pictures"):
            sql.execute(f"DELETE FROM {table} WHERE track = ? AND number >= ?", (number, same))  # noqa: S608
        for k, sample in enumerate(track.samples[same:], same):
            self._add_sample(number, k, sample, model)
