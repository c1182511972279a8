"""Events as table rows, and the labels they add up to, kept in the tables as a cache."""

from __future__ import annotations

import json
import math
import sqlite3
from typing import Any

from streamer.errors import StoreError
from streamer.items import Assigned, Dissolved, Event, Merged, Split


def _nan(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def event_row(event: Event) -> tuple[Any, ...]:
    """The columns of table `events`; NaN is NULL."""
    match event:
        case Assigned():
            other = (event.runner_up, _nan(event.runner_up_distance))
            return (
                event.seq,
                "assigned",
                event.track,
                event.identity,
                None,
                _nan(event.distance),
                *other,
                None,
                event.reason,
            )
        case Merged():
            return (
                event.seq,
                "merged",
                None,
                event.kept,
                event.dropped,
                _nan(event.distance),
                None,
                None,
                None,
                event.reason,
            )
        case Split():
            tracks = json.dumps(list(event.tracks))
            return (event.seq, "split", None, event.identity, event.new, None, None, None, tracks, event.reason)
        case Dissolved():
            return (event.seq, "dissolved", None, event.identity, None, None, None, None, None, event.reason)


def event_of(row: tuple[Any, ...]) -> Event:
    """The inverse of `event_row`."""
    seq, kind, track, identity, other, distance, runner_up, runner_up_distance, tracks, reason = row
    if kind == "assigned":
        return Assigned(seq, track, identity, _number(distance), runner_up, _number(runner_up_distance), reason)
    if kind == "merged":
        return Merged(seq, identity, other, _number(distance), reason)
    if kind == "split":
        return Split(seq, identity, other, tuple(json.loads(tracks)), reason)
    if kind == "dissolved":
        return Dissolved(seq, identity, reason)
    raise StoreError(f"event {seq} is of the unknown kind {kind!r}.")


def relabel(sql: sqlite3.Connection, event: Event) -> None:
    """Carries one event over to `tracks.identity` and `aliases` (the fold of streamer.timeline, a row at a time)."""
    match event:
        case Assigned():
            sql.execute("UPDATE tracks SET identity = ? WHERE id = ?", (event.identity, event.track))
        case Split():
            sql.executemany("UPDATE tracks SET identity = ? WHERE id = ?", [(event.new, t) for t in event.tracks])
        case Merged():
            kept = resolve(sql, event.kept)
            dropped = resolve(sql, event.dropped)
            if kept != dropped:
                sql.execute("INSERT INTO aliases VALUES (?, ?)", (dropped, kept))
        case Dissolved():
            pass


def resolve(sql: sqlite3.Connection, identity: int) -> int:
    """The identity that answers for `identity` today."""
    while row := sql.execute("SELECT kept FROM aliases WHERE dropped = ?", (identity,)).fetchone():
        identity = int(row[0])
    return identity
