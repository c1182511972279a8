"""From the library to what reports are written from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from streamer.items import Gap
from streamer.processing.calibration import shown
from streamer.reports.base import FaceCard, FaceRow, NotSeen, PersonEntry, RunData, SourceEntry

FACES_PER_PERSON = 3


def run_data(library: Any, source: Any, folder: Path) -> RunData:
    """All that is known of one source, with the identities of now. `folder` is where it will be written."""
    labels = library.view.labels
    appearances = library.appearances(source.name)
    seen = {a.identity for a in appearances}
    tracks = library.store.tracks(source.id)
    people = [_entry(library, p, source, appearances, tracks) for p in library.people() if p.id in seen]
    unassigned = sum(1 for t in tracks if labels.get(t.id) is None)
    return RunData(
        title=source.name,
        sources=(_source(source, unassigned, folder),),
        people=people,
        appearances=appearances,
        rows=lambda: _rows(library.store, source, labels),
        manifest=source.manifest,
        calibration=shown(source.stats),
    )


def _rows(store: Any, source: Any, labels: Any) -> Iterator[FaceRow]:
    for r in store.iter_rows(source.id):
        yield FaceRow(source.name, r.frame, r.time, r.track, labels.get(r.track), r.box, r.score, r.kind)


def _entry(library: Any, person: Any, source: Any, appearances: Any, tracks: Any) -> PersonEntry:
    """The person as seen in this source."""
    mine = [a for a in appearances if a.identity == person.id]
    numbers = [t for a in mine for t in a.tracks]
    where = {t.id: t for t in tracks}
    cards = [
        FaceCard(jpeg, source.name, where[t].start, t, where[t].score)
        for t, _, jpeg in library.store.best_faces(numbers, FACES_PER_PERSON)
    ]
    return PersonEntry(
        person.id, person.name, sum(a.duration for a in mine), min(a.start for a in mine), max(a.end for a in mine),
        len(mine), len(numbers), cards, person.hidden,
    )  # fmt: skip


def _source(source: Any, unassigned: int, folder: Path) -> SourceEntry:
    info, stats = source.info, source.stats
    frames = stats.get("frames", {})
    live = source.kind == "live"
    video = os.path.relpath(source.path, folder.absolute()) if source.path and not live else ""
    start, duration = _watched(source) if live else (info.get("start") or 0.0, info.get("duration"))
    return SourceEntry(
        source.name, source.path, info.get("width") or 0, info.get("height") or 0, info.get("fps"),
        duration, frames.get("processed"), start, live=live, codec=info.get("codec") or "",
        video=video, cuts=stats.get("cuts", ()),
        start_timecode=info.get("timecode"),
        not_seen=NotSeen(
            gaps=[Gap(source.name, **gap) for gap in stats.get("gaps", ())],
            rejected=stats.get("rejected", {}), dropped=frames.get("dropped", {}), failed=frames.get("failed", 0),
            unassigned=unassigned, warnings=stats.get("warnings", ()),
        ),
    )  # fmt: skip


def _watched(source: Any) -> tuple[float, float]:
    """When watching a camera began, in seconds since the epoch, and how long ago the last of it was from there."""
    gaps = source.stats.get("gaps", ())
    start = min([datetime.fromisoformat(source.began).timestamp(), *(g["start"] for g in gaps)])
    return start, max([source.position or start, *(g["end"] for g in gaps)]) - start
