"""Reading a store: sources, tracks, rows in frame order, samples, events, labels."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from streamer.aliases import Aliases
from streamer.items import F32, F64, I64, Event, Gap, TrackRows
from streamer.store.base import StorePart, missing
from streamer.store.blobs import unpack_rows, unpack_vectors
from streamer.store.eventlog import event_of
from streamer.store.records import RowRecord, SampleRecord, SourceRecord, TrackRecord, sample_of

PIECE = 900  # values bound at a time: SQLite takes 999 in its oldest builds
_SOURCE = (
    "SELECT id, name, path, hash, config, kind, info, period, status, position, stats, "
    "manifest, began, ended FROM sources"
)
_TRACK = (
    "SELECT t.id, s.name, t.start, t.last + s.period, t.count, t.score, t.quality, t.shot, t.first_frame, t.last_frame "
    "FROM tracks t JOIN sources s ON s.id = t.source"
)


def _source(row: tuple[Any, ...]) -> SourceRecord:
    fields = list(row)
    for k in (6, 10, 11):
        fields[k] = json.loads(fields[k])
    return SourceRecord(*fields)


class Reading(StorePart):
    """The reading half of a store."""

    def sources(self, *, enrolled: bool = False) -> list[SourceRecord]:
        """Every source in the order it was begun; enrolments only when asked for."""
        return [_source(r) for r in self._db.rows(f"{_SOURCE} ORDER BY id") if enrolled or r[5] != "enrolled"]

    def source_names(self, *, enrolled: bool = False) -> dict[int, str]:
        """number -> name, in the order they were begun; cheap where a library has thousands of sources."""
        found = self._db.rows("SELECT id, name, kind FROM sources ORDER BY id")
        return {number: name for number, name, kind in found if enrolled or kind != "enrolled"}

    def newest_stats(self) -> Iterator[dict[str, Any]]:
        """The figures of each source, newest first, one by one."""
        found = self._db.stream("SELECT stats FROM sources WHERE kind != 'enrolled' ORDER BY id DESC")
        return (json.loads(stats) for (stats,) in found)

    def source(self, number: int) -> SourceRecord:
        """The source of that number. StoreError if there is none."""
        row = self._db.one(f"{_SOURCE} WHERE id = ?", (number,))
        if row is None:
            raise missing("source", number, self.path)
        return _source(row)

    def find_source(self, content_hash: str, config: str | None = None) -> SourceRecord | None:
        """The newest source of that content (and configuration), or None. Moved and renamed files are found."""
        where, args = (
            ("hash = ?", [content_hash]) if config is None else ("hash = ? AND config = ?", [content_hash, config])
        )
        row = self._db.one(f"{_SOURCE} WHERE {where} ORDER BY id DESC LIMIT 1", args)
        return None if row is None else _source(row)

    def sources_of(self, content_hash: str) -> list[SourceRecord]:
        """Every source of that content, oldest first."""
        return [_source(r) for r in self._db.rows(f"{_SOURCE} WHERE hash = ? ORDER BY id", (content_hash,))]

    def tracks(self, source: int | None = None) -> list[TrackRecord]:
        """The tracks of one source, or of all videos and cameras, ordered by number."""
        where, args = ("s.kind != 'enrolled'", ()) if source is None else ("t.source = ?", (source,))
        return [TrackRecord._make(r) for r in self._db.stream(f"{_TRACK} WHERE {where} ORDER BY t.id", args)]

    def track_columns(self) -> tuple[I64, I64, F64, F64, I64]:
        """Number, source, start, half-open end and frames of every track of videos and cameras, ordered by number."""
        import numpy as np

        found = self._db.rows("SELECT id, period FROM sources WHERE kind != 'enrolled'")
        period = np.full(max((number for number, _ in found), default=0) + 2, np.nan)  # nan: enrolled
        period[[number for number, _ in found]] = [p for _, p in found]
        rows = self._db.stream("SELECT id, source, start, last, count FROM tracks ORDER BY id")
        table = np.fromiter(chain.from_iterable(rows), np.float64).reshape(-1, 5)  # half the time of an array of rows
        last = period[np.minimum(table[:, 1].astype(np.int64), len(period) - 1)]
        table, last = table[last == last], last[last == last]
        number, source, count = (table[:, k].astype(np.int64) for k in (0, 1, 4))
        return number, source, table[:, 2], table[:, 3] + last, count

    def track(self, number: int) -> TrackRecord:
        """One track. StoreError if there is none."""
        row = self._db.one(f"{_TRACK} WHERE t.id = ?", (number,))
        if row is None:
            raise missing("track", number, self.path)
        return TrackRecord(*row)

    def track_rows(self, track: int) -> TrackRows:
        """Where the track was in every frame it was alive in."""
        row = self._db.one("SELECT data FROM track_rows WHERE track = ?", (track,))
        if row is None:
            raise missing("track", track, self.path)
        return unpack_rows(row[0], track)

    def iter_rows(self, source: int) -> Iterator[RowRecord]:
        """Every row of a source by frame, then track. Only the tracks alive around the current frame are in memory."""
        waiting = self._db.rows(
            "SELECT first_frame, id FROM tracks WHERE source = ? ORDER BY first_frame, id", (source,)
        )
        heap: list[tuple[int, int, int, TrackRows]] = []
        at = 0
        while heap or at < len(waiting):
            while at < len(waiting) and (not heap or waiting[at][0] <= heap[0][0]):
                first, track = waiting[at]
                heapq.heappush(heap, (first, track, 0, self.track_rows(track)))
                at += 1
            frame, track, k, rows = heap[0]
            x1, y1, x2, y2 = rows.boxes[k].tolist()
            yield RowRecord(
                frame, float(rows.times[k]), track, (x1, y1, x2, y2), float(rows.scores[k]), int(rows.kinds[k])
            )
            if k + 1 < len(rows):
                heapq.heapreplace(heap, (int(rows.frames[k + 1]), track, k + 1, rows))
            else:
                heapq.heappop(heap)

    def samples(self, track: int) -> list[SampleRecord]:
        """The best faces of a track, best first."""
        found = self._db.rows("SELECT * FROM samples WHERE track = ? ORDER BY quality DESC, number", (track,))
        return [sample_of(r) for r in found]

    def vectors(self, track: int) -> F32:
        """(n, d) the vectors of the track's samples in order of `number`; (0, d) when none could be embedded."""
        model = self.model()
        blobs = self._db.rows("SELECT data FROM vectors WHERE track = ? ORDER BY number", (track,))
        return unpack_vectors((b[0] for b in blobs), model[1] if model else 1)

    def all_vectors(self, after: tuple[int, int] = (0, -1), limit: int = 65536) -> tuple[I64, F32]:
        """Up to `limit` samples after (track, number): (n, 2) int64 track and number, (n, d) vectors."""
        import numpy as np

        model = self.model()
        sql = "SELECT track, number, data FROM vectors WHERE (track, number) > (?, ?) ORDER BY track, number LIMIT ?"
        found = self._db.rows(sql, (*after, limit))
        keys = np.array([r[:2] for r in found], np.int64).reshape(-1, 2)
        return keys, unpack_vectors((r[2] for r in found), model[1] if model else 1)

    def track_vectors(self, tracks: Sequence[int] | None = None) -> tuple[I64, F32]:
        """(n,) tracks ascending and (n, d) the vector that stands for each; all tracks unless some are named."""
        import numpy as np

        model = self.model()
        sql = "SELECT track, data FROM track_vectors"
        if tracks is None:
            found = self._db.rows(f"{sql} ORDER BY track")
        else:  # in pieces: a library of 100,000 tracks is 100 MB of vectors, one video asks for a few hundred
            wanted = sorted(set(tracks))
            pieces = [wanted[k : k + PIECE] for k in range(0, len(wanted), PIECE)]
            found = [
                r for p in pieces for r in self._db.rows(f"{sql} WHERE track IN ({','.join('?' * len(p))})", p)
            ]  # the key is the row number, so every piece comes ascending
        return np.array([r[0] for r in found], np.int64), unpack_vectors(
            (r[1] for r in found), model[1] if model else 1
        )

    def track_vector_pages(self, size: int) -> Iterator[tuple[I64, F32]]:
        """`track_vectors` of all tracks, up to `size` at a time."""
        import numpy as np

        model, at = self.model(), 0
        sql = "SELECT track, data FROM track_vectors WHERE track > ? ORDER BY track LIMIT ?"
        while found := self._db.rows(sql, (at, size)):
            at = found[-1][0]
            yield (
                np.array([r[0] for r in found], np.int64),
                unpack_vectors((r[1] for r in found), model[1] if model else 1),
            )

    def vectors_of(self, tracks: Sequence[int]) -> tuple[I64, F32]:
        """The samples of these tracks: (n, 2) int64 track and number, (n, d) vectors."""
        import numpy as np

        model = self.model()
        found: list[tuple[Any, ...]] = []
        for at in range(0, len(tracks), 500):
            part = tracks[at : at + 500]
            marks = ",".join("?" * len(part))
            sql = f"SELECT track, number, data FROM vectors WHERE track IN ({marks}) ORDER BY track, number"  # noqa: S608
            found += self._db.rows(sql, part)
        keys = np.array([r[:2] for r in found], np.int64).reshape(-1, 2)
        return keys, unpack_vectors((r[2] for r in found), model[1] if model else 1)

    def thumbnail(self, track: int, number: int) -> bytes | None:
        """JPEG to look at; the aligned crop where there is no thumbnail, None where pictures are not kept."""
        row = self._db.one(
            "SELECT coalesce(thumbnail, crop) FROM pictures WHERE track = ? AND number = ?", (track, number)
        )
        return None if row is None else row[0]

    def best_faces(self, tracks: Sequence[int], limit: int) -> list[tuple[int, int, bytes]]:
        """(track, number, JPEG) of the best sample of the best of these tracks, best first."""
        wanted = set(tracks)
        ranked = (
            self._db.rows("SELECT id FROM tracks ORDER BY quality DESC, count DESC, id") if len(wanted) > 900 else None
        )
        if ranked is None:
            marks = ",".join("?" * len(wanted))
            sql = f"SELECT id FROM tracks WHERE id IN ({marks}) ORDER BY quality DESC, count DESC, id"  # noqa: S608
            ranked = self._db.rows(sql, sorted(wanted))
        out: list[tuple[int, int, bytes]] = []
        for (track,) in ranked:
            if len(out) >= limit:
                break
            best = next(iter(self.samples(track)), None) if track in wanted else None
            data = None if best is None else self.thumbnail(track, best.number)
            if best is not None and data is not None:
                out.append((track, best.number, data))
        return out

    def crop(self, track: int, number: int) -> bytes | None:
        """JPEG of the aligned crop, None where pictures are not kept."""
        row = self._db.one("SELECT crop FROM pictures WHERE track = ? AND number = ?", (track, number))
        return None if row is None else row[0]

    def cannot_links(self) -> list[tuple[int, int]]:
        """Pairs of tracks that share a frame."""
        return [(a, b) for a, b in self._db.rows("SELECT a, b FROM cannot_links ORDER BY a, b")]

    def events(self, after: int = 0) -> Iterator[Event]:
        """Events with a higher `seq`, ascending."""
        return (event_of(r) for r in self._db.stream("SELECT * FROM events WHERE seq > ? ORDER BY seq", (after,)))

    def labels(self) -> dict[int, int | None]:
        """track -> identity with aliases resolved, in no order: the cached fold of all events.

        Read as two lists: 100,000 tracks of 7,000 people in 0.04 s, as rows 0.065 s, as a list per person 0.08 s.
        """
        now = Aliases(dict(self._db.rows("SELECT dropped, kept FROM aliases")))
        found = self._db.rows("SELECT json_group_array(id), json_group_array(identity) FROM tracks")
        tracks, identities = (json.loads(column) for column in found[0])
        moved = dict(now.items())
        return dict(zip(tracks, [moved.get(i, i) for i in identities] if moved else identities, strict=True))

    def gaps(self, source: int) -> list[Gap]:
        """What of the source was not seen, from its stats."""
        record = self.source(source)
        return [
            Gap(record.name, g["start"], g["end"], g["reason"], g.get("frames", 0))
            for g in record.stats.get("gaps", [])
        ]
