"""Taking people out for good, with a proof; retention; a person's own data as a folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from streamer.clustering import kept as stored
from streamer.clustering.base import Clusterer
from streamer.errors import StoreError
from streamer.items import F32, Assigned, Split
from streamer.ledger import Decision, Ledger, View
from streamer.library.machine import Say, restored_from, vectors_from
from streamer.library.written import Outcome, erase, numbers_of, showing
from streamer.reports.atomic import ReportError, text, write_bytes
from streamer.store import Store
from streamer.vectors import mean_direction, unit

PROBES = 16  # vectors and pictures of the person whose bytes are looked for afterwards
HEADER = 640  # bytes every JPEG has in common: tables, no picture
CHUNK = 1 << 24  # bytes of a file looked at at a time


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an erasure took away and what a search finds afterwards. Holds no name, vector or picture."""

    person: int
    at: str
    tracks: int
    removed: Mapping[str, int]  # rows by table
    decisions: int  # entries whose payload was cleared
    files_deleted: tuple[str, ...]
    files_rewritten: tuple[str, ...]  # logs, without what was about the person
    files_left: tuple[str, ...]  # show the person still: delete or write them again
    probes: int  # byte patterns of the person looked for in the library's files
    probes_found: int
    nearest_similarity: float | None  # best remaining face to the person's mean direction; None: nothing is left

    def text(self) -> str:
        """The receipt as JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def forget(
    store: Store, ledger: Ledger, view: View, person: int, *, who: str, at: str, delete_files: bool = True,
    clusterer: Clusterer | None = None, say: Say,
) -> Receipt:  # fmt: skip
    """Erases a person: tracks, vectors, pictures, events, name, exports, copies and every byte left in free pages.

    `clusterer` is the running one, if there is one; else the stored state is cleaned, and `say` told where it is of no
    use and goes.
    """
    mine = sorted(t for t, p in view.labels.items() if p == person)
    probes, centre = _probes(store, mine)
    numbers = numbers_of(store, ledger, person, mine)
    shown = showing(store, numbers)
    with store.erasing():
        removed = _erase(store, mine, at, [person], clusterer, say)
        cleared = _scrub(store, ledger, person, set(mine))
        entry = ledger.add("forget", {"person": person}, who=who, at=at)
        store.add_decision(entry.id, entry.who, entry.at, entry.kind, entry.args)
    files = erase(store, shown, numbers) if delete_files else Outcome(left=shown)
    copies, stuck = _delete_copies(store)
    return Receipt(
        person, at, len(mine), removed, cleared, (*files.deleted, *copies), tuple(files.rewritten),
        (*files.left, *stuck), len(probes), _seen(store, probes), _nearest(store, centre),
    )  # fmt: skip


def expire(
    store: Store, view: View, *, now: datetime, keep_unnamed: timedelta, say: Say,
    clusterer: Clusterer | None = None,
) -> int:  # fmt: skip
    """Erases tracks of people nobody named, and of nobody, that were last seen before `now - keep_unnamed`; how many.

    A track of a camera is seen at its own time (seconds since 1970, UTC), one of a file when the file was read (now,
    while it is). A person goes as a whole when the last sighting is too old. `now` must carry a time zone.
    """
    limit = now - keep_unnamed
    last: dict[int, datetime] = {}
    for track, when in _seen_at(store, now).items():
        person = view.labels.get(track)
        key = -track if person is None else person
        last[key] = max(when, last.get(key, when))
    kept = view.touched | set(view.names)
    old = {key for key, when in last.items() if when < limit and key not in kept}
    gone = sorted(t for t, p in view.labels.items() if (p if p is not None else -t) in old)
    if gone:
        with store.erasing():
            _clean_rollbacks(store, gone)
            _erase(store, gone, now.isoformat(), [key for key in old if key > 0], clusterer, say)
    return len(gone)


def _seen_at(store: Store, now: datetime) -> dict[int, datetime]:
    out: dict[int, datetime] = {}
    for source in store.sources():
        read = datetime.fromisoformat(source.ended or source.began) if source.ended or source.began else now
        read = now if source.status == "running" else read if read.tzinfo else read.replace(tzinfo=now.tzinfo)
        for track in store.tracks(source.id):
            out[track.id] = datetime.fromtimestamp(track.end, UTC) if source.kind == "live" else read
    return out


def _clean_rollbacks(store: Store, tracks: Sequence[int]) -> None:
    """Takes tracks out of what a half read file would be rolled back to, so that a run killed now comes to the same
    end; where that would move others too, or the state is of no use, the clusterer is made anew after a kill.
    """
    gone = set(tracks)
    try:
        for number, kept in store.rollbacks().items():
            clusterer = stored.restore(kept.state, vectors=vectors_from(store))
            events = clusterer.remove(tracks)
            if any(isinstance(e, Split) or (isinstance(e, Assigned) and e.track not in gone) for e in events):
                raise StoreError("others would move")
            store.rewrite_snapshot(number, clusterer.pages())
    except StoreError:
        store.drop_rollbacks()


def _erase(
    store: Store, tracks: Sequence[int], at: str, people: Iterable[int], clusterer: Clusterer | None, say: Say
) -> dict[str, int]:
    """Takes tracks out of the clusterer's state and of every table, inside the caller's transaction."""
    labels = store.labels()
    numbers = {i for t in tracks if (i := labels.get(t)) is not None}
    gone = set(tracks)
    staying = {i for t, i in labels.items() if t not in gone}
    links = [link for link in store.told() if not gone & {link[0], link[1]}]
    if clusterer is None:
        kept, stored = restored_from(store, say)
        clusterer = stored if kept is not None and store.last_seq() == kept.seq else None
    if clusterer is not None:
        store.record(clusterer.remove(tracks), clusterer.pages(), links)
    else:  # there is no state, or an old one that lacks later tracks: the next run builds it from what is left
        store.drop_state()
    store.bury([*people, *(numbers - staying)], at)
    enrolled = {s.id for s in store.sources(enrolled=True) if s.kind == "enrolled"}
    removed = store.remove_tracks(tracks)
    for source in sorted(enrolled):
        if not store.tracks(source):
            store.remove_source(source)
    return removed


def _scrub(store: Store, ledger: Ledger, person: int, tracks: set[int]) -> int:
    """Clears the person's names and tracks out of every entry of the log; how many entries held some."""
    aliases = ledger.facts().aliases
    cleared = 0
    for k, e in enumerate(ledger.entries):
        args: dict[str, Any] = {
            key: [t for t in value if t not in tracks] if isinstance(value, list | tuple) else value
            for key, value in e.args.items()
        }
        if e.kind == "name" and aliases.resolve(e.args["person"]) == person:
            args["name"] = ""
        if args != dict(e.args):
            ledger.entries[k] = type(e)(e.id, e.who, e.at, e.kind, args)
            store.rewrite_decision(e.id, args)
            cleared += 1
    return cleared


def _delete_copies(store: Store) -> tuple[list[str], list[str]]:
    deleted: list[str] = []
    left: list[str] = []
    for path in store.copies():
        try:
            Path(path).unlink()
            deleted.append(path)
        except OSError:
            left.append(path)
    return deleted, left


def _probes(store: Store, tracks: Sequence[int]) -> tuple[list[bytes], F32 | None]:
    """Byte patterns only this person's data has, and its mean direction."""
    found: list[bytes] = []
    vectors: list[F32] = []
    for track in tracks:
        rows = store.vectors(track)
        vectors.append(rows)
        if len(found) < PROBES:
            found += [v.astype("<f2").tobytes()[:64] for v in rows]
            pictures = [store.thumbnail(track, s.number) for s in store.samples(track)]
            found += [p[-64:] for p in pictures if p is not None and len(p) > HEADER + 64]
    stacked = np.concatenate(vectors) if vectors else np.zeros((0, 1), np.float32)
    return found[: 2 * PROBES], mean_direction(stacked) if len(stacked) else None


def _seen(store: Store, probes: Sequence[bytes]) -> int:
    """How many of the patterns are still somewhere in the library's files."""
    found: set[bytes] = set()
    for path in sorted(store.path.parent.glob(store.path.name + "*")):
        if not path.is_file():
            continue
        with path.open("rb") as file:
            tail = b""
            while block := file.read(CHUNK):
                found |= {p for p in probes if p not in found and p in tail + block}
                tail = block[-64:]
    return len(found)


def _nearest(store: Store, centre: F32 | None) -> float | None:
    """Cosine of the nearest remaining track to a direction."""
    if centre is None:
        return None
    _, vectors = store.track_vectors()
    return float((unit(vectors) @ centre).max()) if len(vectors) else None


def export_person(
    store: Store, view: View, person: int, folder: Path, *, log: Iterable[Decision], at: str
) -> list[Path]:
    """The files written: person.json, appearances.csv and the pictures, everything held about a person."""
    mine = sorted(t for t, p in view.labels.items() if p == person)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = _pictures(store, mine, folder)
        tracks = [store.track(t)._asdict() | {"samples": [s._asdict() for s in store.samples(t)]} for t in mine]
        about = {
            "person": person, "name": view.names.get(person, ""), "written": at, "model": store.model(),
            "vectors_kept": sum(len(store.vectors(t)) for t in mine), "tracks": tracks,
            "decisions": [asdict(e) for e in entries_about(view, person, log)],
        }  # fmt: skip
        page = folder / "person.json"
        write_bytes(page, (json.dumps(about, indent=2, ensure_ascii=False, default=str) + "\n").encode())
        table = folder / "appearances.csv"
        with text(table) as file:
            out = csv.writer(file)
            out.writerow(["source", "start_s", "end_s", "track", "faces", "score"])
            for t in (store.track(t) for t in mine):
                out.writerow([t.source, f"{t.start:.3f}", f"{t.end:.3f}", t.id, t.count, f"{t.score:.3f}"])
    except (OSError, ReportError) as error:
        raise StoreError(f"{folder} cannot be written: {error}. Name another folder.") from error
    files += [page, table]
    for path in files:
        store.add_export(str(path.resolve()), [person], at)
    return files


def entries_about(view: View, person: int, log: Iterable[Decision]) -> list[Decision]:
    """Entries of the log about a person, under any number it ever had, and those that took such entries back."""
    found: dict[int, Decision] = {}
    for e in log:
        numbers = {view.resolve(int(e.args[k])) for k in ("person", "kept", "dropped", "a", "b", "new") if k in e.args}
        if person in numbers or (e.kind == "undo" and e.args["entry"] in found):
            found[e.id] = e
    return list(found.values())


def _pictures(store: Store, tracks: Sequence[int], folder: Path) -> list[Path]:
    files: list[Path] = []
    for track in tracks:
        for sample in store.samples(track):
            data = store.thumbnail(track, sample.number)
            if data is not None:
                files.append(folder / f"track-{track}-{sample.number}.jpg")
                write_bytes(files[-1], data)
    return files
