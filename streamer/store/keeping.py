"""Decisions, what the clusterer was told, files written, tombstones - and taking things out for good."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from streamer.store.base import StorePart
from streamer.store.records import DecisionRecord

Link = tuple[int, int, bool]  # track, track, True: must-link, False: cannot-link


class Keeping(StorePart):
    """The part of a store that people change."""

    def add_decision(self, decision: int, who: str, at: str, kind: str, args: Mapping[str, Any]) -> None:
        """Appends an entry of the ledger; it is on disk when this returns."""
        with self._db.write() as sql:
            text = json.dumps(dict(args), ensure_ascii=False)
            sql.execute("INSERT INTO decisions VALUES (?, ?, ?, ?, ?)", (decision, who, at, kind, text))

    def decisions(self) -> list[DecisionRecord]:
        """The whole ledger, oldest first. Tracks that were replaced by a new run over their source appear under their
        new number."""
        moved = dict(self._db.rows("SELECT track, successor FROM successors"))
        found = self._db.rows("SELECT id, who, at, kind, args FROM decisions ORDER BY id")
        return [DecisionRecord(i, who, at, kind, _follow(json.loads(args), moved)) for i, who, at, kind, args in found]

    def rewrite_decision(self, decision: int, args: Mapping[str, Any]) -> None:
        """Replaces the payload of an entry: erasure is the one thing that may."""
        with self._db.write() as sql:
            sql.execute(
                "UPDATE decisions SET args = ? WHERE id = ?", (json.dumps(dict(args), ensure_ascii=False), decision)
            )

    def settings(self) -> dict[str, Any]:
        """The clusterer's options that this library was set to, by name; what a model's pack says is not in it."""
        return {name: json.loads(value) for name, value in self._db.rows("SELECT name, value FROM settings")}

    def keep_settings(self, settings: Mapping[str, Any]) -> None:
        """Puts these in the place of all settings; values are plain JSON."""
        with self._db.write() as sql:
            sql.execute("DELETE FROM settings")
            sql.executemany("INSERT INTO settings VALUES (?, ?)", [(k, json.dumps(v)) for k, v in settings.items()])

    def told(self) -> set[Link]:
        """Constraints the clusterer of the newest snapshot knows."""
        return {(a, b, bool(must)) for a, b, must in self._db.rows("SELECT a, b, must FROM told")}

    def succeed(self, successors: Mapping[int, int]) -> None:
        """Decisions about a replaced track speak about its successor from now on."""
        with self._db.write() as sql:
            for old, new in sorted(successors.items()):
                sql.execute("UPDATE successors SET successor = ? WHERE successor = ?", (new, old))
                sql.execute("INSERT OR REPLACE INTO successors VALUES (?, ?)", (old, new))

    def last_identity(self, after: int = 0) -> int:
        """The highest number any person ever had; of the events only those after `after` are looked at."""
        row = self._db.one(
            "SELECT max(coalesce(max(identity), 0), coalesce(max(other), 0), "
            "coalesce((SELECT max(identity) FROM tombstones), 0)) FROM events WHERE seq > ?",
            (after,),
        )
        split = [d.args.get("new", 0) for d in self.decisions() if d.kind == "split"]
        return max(int(n) for n in [row[0] if row else 0, *split])

    def numbers_of(self, tracks: Iterable[int]) -> set[int]:
        """Every identity these tracks ever had, and those that were merged into."""
        mine, found = set(tracks), set[int]()
        for track in sorted(mine):
            rows = self._db.rows("SELECT identity FROM events WHERE track = ? AND identity IS NOT NULL", (track,))
            found |= {r[0] for r in rows}
        for old, new, text in self._db.rows("SELECT identity, other, tracks FROM events WHERE kind = 'split'"):
            if mine & set(json.loads(text)):
                found |= {old, new}
        up = self.aliases()
        for number in list(found):
            while (number := up.get(number, 0)) and number not in found:
                found.add(number)
        return found

    def aliases(self) -> dict[int, int]:
        """dropped -> kept, as the clusterer merged them (one step)."""
        return dict(self._db.rows("SELECT dropped, kept FROM aliases ORDER BY dropped"))

    def add_export(self, path: str, people: Iterable[int], at: str) -> None:
        """Remembers a file that was written and whom it shows, so that erasure can find it."""
        with self._db.write() as sql:
            sql.execute("INSERT OR REPLACE INTO exports VALUES (?, ?, ?)", (path, json.dumps(sorted(set(people))), at))

    def exports(self) -> list[tuple[str, list[int]]]:
        """(path, people shown) of every file written."""
        return [
            (path, json.loads(people))
            for path, people in self._db.rows("SELECT path, people FROM exports ORDER BY path")
        ]

    def remove_export(self, path: str) -> None:
        """Forgets a file that is gone."""
        with self._db.write() as sql:
            sql.execute("DELETE FROM exports WHERE path = ?", (path,))

    def bury(self, identities: Iterable[int], at: str) -> None:
        """Tombstones: these numbers are never given to anybody again."""
        with self._db.write() as sql:
            sql.executemany(
                "INSERT OR IGNORE INTO tombstones VALUES (?, ?)", [(i, at) for i in sorted(set(identities))]
            )

    def buried(self) -> list[int]:
        """Numbers of people who were erased."""
        return [r[0] for r in self._db.rows("SELECT identity FROM tombstones ORDER BY identity")]

    def remove_tracks(self, tracks: Sequence[int]) -> dict[str, int]:
        """Deletes tracks with all that hangs on them; how many rows by table. `shred` makes it final."""
        gone = [(t,) for t in sorted(set(tracks))]
        counts: dict[str, int] = {}
        with self._db.write() as sql:
            for table in ("track_rows", "track_vectors", "samples", "vectors", "pictures"):
                counts[table] = sql.executemany(f"DELETE FROM {table} WHERE track = ?", gone).rowcount  # noqa: S608
            counts["cannot_links"] = sql.executemany("DELETE FROM cannot_links WHERE a = ?", gone).rowcount
            counts["cannot_links"] += sql.executemany("DELETE FROM cannot_links WHERE b = ?", gone).rowcount
            counts["events"] = sql.executemany("DELETE FROM events WHERE track = ?", gone).rowcount
            counts["successors"] = sql.executemany("DELETE FROM successors WHERE successor = ?", gone).rowcount
            sql.executemany("DELETE FROM told WHERE a = ?", gone)
            sql.executemany("DELETE FROM told WHERE b = ?", gone)
            counts["tracks"] = sql.executemany("DELETE FROM tracks WHERE id = ?", gone).rowcount
            self._thin_splits({t[0] for t in gone})
        return counts

    def transaction(self) -> AbstractContextManager[object]:
        """Several changes that are all made or none."""
        return self._db.write()

    def rename_source(self, number: int, name: str) -> None:
        """Gives a source another name. StoreError when it is taken."""
        with self._db.write() as sql:
            sql.execute("UPDATE sources SET name = ? WHERE id = ?", (name, number))

    def move_source(self, number: int, path: str) -> None:
        """The source's file lies elsewhere now."""
        with self._db.write() as sql:
            sql.execute("UPDATE sources SET path = ? WHERE id = ?", (path, number))

    def remove_source(self, number: int) -> None:
        """Deletes a source that has no tracks any more (see `remove_tracks`)."""
        with self._db.write() as sql:
            sql.execute("DELETE FROM sources WHERE id = ?", (number,))

    @contextmanager
    def erasing(self) -> Iterator[None]:
        """One transaction that removes for good. When it is through the file is rewritten without free pages and the
        write-ahead log emptied; a process that dies in between leaves a note, and the next to open the store does it.
        """
        with self._db.write() as sql:
            sql.execute("INSERT OR REPLACE INTO counters VALUES ('shred', 1)")
            yield
        self.shred()

    def shred(self) -> None:
        """Finishes an erasure: see `erasing`. A rewrite that fails is repeated at the next start."""
        self._db.shred()
        with self._db.write() as sql:
            sql.execute("DELETE FROM counters WHERE name = 'shred'")

    def unshredded(self) -> bool:
        """Whether an erasure was cut off before the file was rewritten."""
        return self._db.one("SELECT 1 FROM counters WHERE name = 'shred'") is not None

    def copies(self) -> list[str]:
        """Copies of this library that lie beside it (made before an upgrade)."""
        return sorted(str(p) for p in self.path.parent.glob(f"{self.path.name}.v*.bak"))

    def backup(self, target: Any) -> None:
        """A consistent copy of the library, also during a run."""
        from pathlib import Path

        self._db.copy_to(Path(target))

    def verify(self) -> list[str]:
        """What is wrong with the file; an empty list when nothing is. Reads all of it."""
        from streamer.errors import StoreError

        wrong = [r[0] for r in self._db.rows("PRAGMA integrity_check") if r[0] != "ok"]
        wrong += [f"foreign key: {r}" for r in self._db.rows("PRAGMA foreign_key_check")]
        try:
            self.state()
        except StoreError as error:
            wrong.append(str(error))
        return wrong

    def _thin_splits(self, gone: set[int]) -> None:
        for seq, text in self._db.rows("SELECT seq, tracks FROM events WHERE kind = 'split'"):
            tracks = json.loads(text)
            if gone & set(tracks):
                stay = json.dumps([t for t in tracks if t not in gone])
                self._db.connection.execute("UPDATE events SET tracks = ? WHERE seq = ?", (stay, seq))


def _follow(args: dict[str, Any], moved: Mapping[int, int]) -> dict[str, Any]:
    """The payload with replaced tracks under their new number."""
    if not moved:
        return args
    return {k: sorted({moved.get(t, t) for t in v}) if isinstance(v, list) else v for k, v in args.items()}
