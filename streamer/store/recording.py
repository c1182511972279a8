"""Writing a run: begin, add, finish, and what a killed run leaves behind.

One source is one unit: until `finish_source` its tracks and events are provisional. `discard_unfinished` brings every
table and every counter back to where `begin_source` found them, so the same command again gives the unbroken result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from streamer.errors import StoreError
from streamer.items import DETECTED, Event, FaceSample, Track
from streamer.pages import Pages
from streamer.store import chunks
from streamer.store.base import StorePart
from streamer.store.blobs import CROP_QUALITY, THUMBNAIL_QUALITY, jpeg, pack_rows, pack_vector
from streamer.store.eventlog import event_row, relabel
from streamer.store.records import Snapshot, SourceRecord


class Recording(StorePart):
    """The writing half of a store."""

    def check_model(self, model: str, dimension: int, metric: str, template: str = "") -> None:
        """Registers the embedding model of an empty library; StoreError if the library holds another one.

        `template` is the one its crops are aligned to: they can be embedded again by another model.
        """
        have = self.model()
        if have is None:
            with self._db.write() as sql:
                sql.execute("INSERT INTO models VALUES (?, ?, ?, ?)", (model, dimension, metric, template))
            return
        if template and have == (model, dimension, metric) and not self.readonly:
            with self._db.write() as sql:
                sql.execute("UPDATE models SET template = ? WHERE template = ''", (template,))
        if have != (model, dimension, metric):
            raise StoreError(
                f"{self.path} holds vectors of the model {have[0]} ({have[1]} numbers, {have[2]}), the run would use "
                f"{model} ({dimension} numbers, {metric}). They cannot be compared: choose --models to match, "
                "name another --library, or move this one with `whowhen recluster --models`."
            )

    def begin_source(
        self,
        name: str,
        *,
        path: str = "",
        content_hash: str = "",
        config: str = "",
        kind: str = "file",
        info: Mapping[str, Any] | None = None,
        period: float = 0.0,
        at: str = "",
        state: bytes | Pages | None = None,
    ) -> SourceRecord:
        """The new source, status "running". A name already taken gets " (2)", " (3)" ...; use the name in the record.

        `period` is one frame in seconds (the end of a track is half-open). `state` is the clusterer's state right now;
        leave it out when the last snapshot still is it. `at` is the caller's clock, ISO 8601.
        """
        with self._db.write() as sql:
            if state is not None:
                self.save_state(state)
            last = self._db.one("SELECT max(id) FROM snapshots")
            before = json.dumps(dict(self._db.rows("SELECT name, value FROM counters ORDER BY name")))
            number = self._count("source")
            sql.execute(
                "INSERT INTO sources (id, name, path, hash, config, kind, info, period, status, began, counters, "
                "snapshot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?)",
                (number, self._free_name(name), path, content_hash, config, kind, _json(info), period, at, before)
                + (last or (None,)),
            )
        return self.source(number)

    def add_tracks(
        self,
        source: int,
        tracks: Sequence[Track],
        events: Iterable[Event] = (),
        *,
        position: float | None = None,
        cannot_links: Iterable[tuple[int, int]] = (),
        vectors: Mapping[int, np.ndarray[Any, Any]] | None = None,
        state: bytes | Pages | None = None,
    ) -> None:
        """Tracks, their samples, the events about them, the position and (when given) the state: one transaction.

        `track.number` is the library-wide number, counted on from `next_track()`. `vectors` maps tracks to the one
        vector (d,) the clusterer saw.
        """
        model = self.model()
        with self._db.write() as sql:
            for track in tracks:
                self._add_track(source, track, None if model is None else model[0])
            if vectors:
                if model is None:
                    raise StoreError("vectors of an unnamed model cannot be stored. Call check_model first.")
                sql.executemany(
                    "INSERT INTO track_vectors VALUES (?, ?, ?)",
                    [(t, model[0], pack_vector(v)) for t, v in sorted(vectors.items())],
                )
            pairs = sorted({(min(p), max(p)) for p in cannot_links})
            sql.executemany("INSERT OR IGNORE INTO cannot_links VALUES (?, ?)", pairs)
            self.add_events(events)
            if position is not None:
                sql.execute("UPDATE sources SET position = ? WHERE id = ?", (position, source))
            if state is not None:
                self.save_state(state)

    def add_events(self, events: Iterable[Event]) -> None:
        """Appends events and keeps the derived labels in step. `seq` must rise; StoreError otherwise."""
        with self._db.write() as sql:
            last = self.last_seq()
            for event in events:
                if event.seq <= last:
                    raise StoreError(
                        f"event {event.seq} comes after event {last}. Restore the clusterer from the store first."
                    )
                last = event.seq
                sql.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", event_row(event))
                relabel(sql, event)
            sql.execute("UPDATE counters SET value = ? WHERE name = 'seq'", (last,))

    def finish_source(
        self,
        source: int,
        *,
        state: bytes | Pages | None = None,
        status: str = "done",
        stats: Mapping[str, Any] | None = None,
        manifest: Mapping[str, Any] | None = None,
        at: str = "",
    ) -> None:
        """Makes the source final: `status` "done", or "partial" for a damaged input; keeps the state."""
        with self._db.write() as sql:
            sql.execute(
                "UPDATE sources SET status = ?, stats = ?, manifest = ?, ended = ? WHERE id = ?",
                (status, _json(stats), _json(manifest), at, source),
            )
            if state is not None:
                self.save_state(state)

    def save_state(self, state: bytes | Pages) -> None:
        """Keeps a snapshot of the clusterer in checked pieces; snapshots nobody can go back to are dropped."""
        model = self.model()
        pages = state if isinstance(state, Pages) else Pages.of(state)
        with self._db.write() as sql:
            sql.execute(
                "INSERT INTO snapshots (seq, track, model, data) VALUES (?, ?, ?, ?)",
                (self.last_seq(), self.next_track() - 1, model[0] if model else "", chunks.keep(sql, pages)),
            )
            sql.execute(
                "DELETE FROM snapshots WHERE id < (SELECT max(id) FROM snapshots) AND id NOT IN "
                "(SELECT snapshot FROM sources WHERE status = 'running' AND kind != 'live' AND snapshot IS NOT NULL)"
            )
            chunks.sweep(sql)

    def state(self) -> Snapshot | None:
        """The newest snapshot, None when there is none. StoreError when it is damaged."""
        row = self._db.one("SELECT max(id) FROM snapshots")
        return None if row is None or row[0] is None else self._snapshot(row[0])

    def rollbacks(self) -> dict[int, Snapshot]:
        """Snapshots by number that half read files would be rolled back to. StoreError when one is damaged."""
        found = self._db.rows(
            "SELECT DISTINCT snapshot FROM sources WHERE status = 'running' AND kind != 'live' AND snapshot IS NOT NULL"
        )
        return {number: self._snapshot(number) for (number,) in found}

    def rewrite_snapshot(self, number: int, state: Pages) -> None:
        """Puts a state from which somebody was erased in the place of the one that knows them."""
        with self._db.write() as sql:
            sql.execute("UPDATE snapshots SET data = ? WHERE id = ?", (chunks.keep(sql, state), number))

    def drop_rollbacks(self) -> None:
        """Half read files can no longer be rolled back: the clusterer would be made anew."""
        with self._db.write() as sql:
            sql.execute("UPDATE sources SET snapshot = NULL WHERE status = 'running'")

    def _snapshot(self, number: int) -> Snapshot:
        row = self._db.one("SELECT seq, track, model, data FROM snapshots WHERE id = ?", (number,))
        if row is None:
            raise StoreError(f"{self.path} holds no snapshot {number}.")
        try:
            pieces = self._db.stream("SELECT hash, data FROM chunks")
            return Snapshot(row[0], row[1], row[2], chunks.assemble(pieces, row[3]))
        except StoreError as error:
            raise StoreError(f"{error}. The next run makes it again from the tracks.") from error

    def drop_state(self) -> None:
        """Forgets every snapshot: the next run rebuilds the clusterer from the stored tracks."""
        with self._db.write() as sql:
            sql.execute("UPDATE sources SET snapshot = NULL")
            sql.execute("DELETE FROM snapshots")
            sql.execute("DELETE FROM chunks")
            sql.execute("DELETE FROM told")

    def discard_unfinished(self) -> list[str]:
        """Names of the files a killed run left half done, now gone with their tracks and events.

        Counters and the clusterer's snapshot are those of `begin_source`. Where other sources were written in
        between (cameras, several at once) numbers are not rolled back and the snapshot is dropped instead.
        Live sources are not touched: they go on.
        """
        half = "(s.status = 'running' AND s.kind != 'live')"
        left = self._db.rows(f"SELECT id, name, counters, snapshot FROM sources s WHERE {half} ORDER BY id")  # noqa: S608
        if not left:
            return []
        before = json.loads(left[0][2])
        others = "FROM tracks t JOIN sources s ON s.id = t.source WHERE t.id > ?"
        alone = (
            self._db.one(f"SELECT 1 {others} AND NOT {half}", (before["track"],)) is None
            and self._db.one(f"SELECT 1 FROM sources s WHERE s.id > ? AND NOT {half}", (left[0][0],)) is None  # noqa: S608
        )
        with self._db.write() as sql:
            numbers = [r[0] for r in left]
            gone = [r[0] for r in self._db.rows(f"SELECT id FROM tracks WHERE source IN ({_marks(numbers)})", numbers)]  # noqa: S608
            sql.execute(f"DELETE FROM sources WHERE id IN ({_marks(numbers)})", numbers)  # noqa: S608
            if alone:
                sql.execute("DELETE FROM events WHERE seq > ?", (before["seq"],))
                sql.executemany("UPDATE counters SET value = ? WHERE name = ?", [(v, k) for k, v in before.items()])
                sql.execute("DELETE FROM snapshots WHERE id > ?", (left[0][3] or 0,))
                chunks.sweep(sql)
            else:
                sql.executemany("DELETE FROM events WHERE kind = 'assigned' AND track = ?", [(t,) for t in gone])
                self.drop_state()
            self.relabel_all()
        return [r[1] for r in left]

    def record(self, events: Iterable[Event], state: bytes | Pages, links: Iterable[tuple[int, int, bool]]) -> None:
        """Events outside any source, the state they lead to and the constraints it knows: one transaction."""
        with self._db.write() as sql:
            self.add_events(events)
            self.save_state(state)
            sql.execute("DELETE FROM told")
            sql.executemany("INSERT INTO told VALUES (?, ?, ?)", [(a, b, int(must)) for a, b, must in sorted(links)])

    def rewind(self, seq: int) -> None:
        """Takes back every event after `seq`: a clusterer restored from a snapshot is about to decide them anew."""
        with self._db.write() as sql:
            sql.execute("DELETE FROM events WHERE seq > ?", (seq,))
            sql.execute("UPDATE counters SET value = ? WHERE name = 'seq'", (seq,))
            self.relabel_all()

    def next_track(self) -> int:
        """The library-wide number the next track gets."""
        return self._counter("track") + 1

    def last_seq(self) -> int:
        """`seq` of the last event, 0 before the first."""
        return self._counter("seq")

    def _add_track(self, source: int, track: Track, model: str | None) -> None:
        rows, number = track.rows, track.number
        if number < self.next_track():
            raise StoreError(
                f"track {number} was given before; the next number of this library is {self.next_track()}."
            )
        sql = self._db.connection
        found = rows.scores[rows.kinds == DETECTED]
        score = float((found if len(found) else rows.scores).mean())
        quality = max((float(s.quality) for s in track.samples), default=0.0)
        where = (
            number,
            source,
            track.start,
            track.end,
            int(rows.frames[0]),
            int(rows.frames[-1]),
            len(rows),
            track.shot,
        )
        sql.execute("INSERT INTO tracks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", (*where, score, quality))
        sql.execute("INSERT INTO track_rows VALUES (?, ?)", (number, pack_rows(rows)))
        for k, sample in enumerate(track.samples):
            self._add_sample(number, k, sample, model)
        sql.execute("UPDATE counters SET value = ? WHERE name = 'track'", (number,))

    def _add_sample(self, track: int, k: int, s: FaceSample, model: str | None) -> None:
        sql = self._db.connection
        numbers = (*map(float, s.box), float(s.score), float(s.quality), *map(float, s.pose))
        marks = _marks(range(13))
        sql.execute(f"INSERT INTO samples VALUES ({marks})", (track, k, int(s.frame), float(s.time), *numbers))  # noqa: S608
        if s.embedding is not None:
            if model is None:
                raise StoreError("vectors of an unnamed model cannot be stored. Call check_model first.")
            sql.execute("INSERT INTO vectors VALUES (?, ?, ?, ?)", (track, k, model, pack_vector(s.embedding)))
        if self.keep_pictures:
            thumbnail = None if s.thumbnail is None else jpeg(s.thumbnail, THUMBNAIL_QUALITY)
            sql.execute("INSERT INTO pictures VALUES (?, ?, ?, ?)", (track, k, jpeg(s.crop, CROP_QUALITY), thumbnail))

    def _count(self, name: str) -> int:
        self._db.connection.execute("UPDATE counters SET value = value + 1 WHERE name = ?", (name,))
        return self._counter(name)

    def _counter(self, name: str) -> int:
        row = self._db.one("SELECT value FROM counters WHERE name = ?", (name,))
        return int(row[0]) if row else 0

    def _free_name(self, name: str) -> str:
        wanted, k = name, 1
        while self._db.one("SELECT 1 FROM sources WHERE name = ?", (wanted,)):
            k += 1
            wanted = f"{name} ({k})"
        return wanted


def _json(value: Mapping[str, Any] | None) -> str:
    return json.dumps(dict(value or {}), sort_keys=True, ensure_ascii=False, default=str)


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
