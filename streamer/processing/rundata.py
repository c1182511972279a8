"""From the library to what reports are written from: one source of it, some, or all."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamer import __version__
from streamer.crops import place_in_cut
from streamer.items import Appearance
from streamer.library import Library
from streamer.processing.calibration import shown
from streamer.processing.doubts import doubts
from streamer.reports.base import (
    FaceCard,
    FaceRow,
    NotSeen,
    PersonEntry,
    RunData,
    SourceEntry,
    Stride,
    by_person,
    by_source,
    copresence,
)
from streamer.reports.timecode import Rate
from streamer.store import SourceRecord, TrackRecord

FACES_PER_PERSON = 5
MOST_PICTURED = 200  # people who get pictures, those with most screen time: as many as a report has cards
MOST_MOMENTS = 1500  # appearances that get a picture of their own, the longest: what fits into 5 MB


def run_data(library: Library, source: SourceRecord, folder: Path) -> RunData:
    """All that is known of one source, with the identities of now. `folder` is where it will be written."""
    return library_data(library, folder, [source], source.name)


def library_data(
    library: Library, folder: Path, sources: Sequence[SourceRecord] | None = None, title: str = ""
) -> RunData:
    """All that is known of the sources, those of the whole library when None, with the identities of now."""
    chosen = library.store.sources() if sources is None else list(sources)
    labels, tracks = library.view.labels, {t.id: t for s in chosen for t in library.store.tracks(s.id)}
    appearances = appearances_in(library, chosen)
    sizes = {s.name: (s.info.get("width") or 0, s.info.get("height") or 0) for s in chosen}
    people = _Pictures(library, tracks, sizes).people(appearances)
    nobodys = Counter(t.source for t in tracks.values() if labels.get(t.id) is None)
    found = doubts(library, people, by_person(appearances), tracks, [s.manifest for s in chosen])
    return RunData(
        title=title or Path(library.store.path).stem,
        sources=tuple(_source(library, s, nobodys[s.name], folder) for s in chosen),
        people=tuple(replace(p, unsure=p.id in found.strays, reason=found.strays.get(p.id, "")) for p in people),
        appearances=tuple(appearances),
        rows=lambda: _rows(library.store, chosen, labels),
        manifest=_manifest(chosen, library),
        calibration=shown(*(s.stats for s in chosen)),
        unsure=found.pairs,
        copresence=copresence(appearances),
    )


def appearances_in(library: Library, sources: Sequence[SourceRecord]) -> list[Appearance]:
    """The appearances in these sources, in their order; the library is asked once, however many they are."""
    if len(sources) == 1:
        return library.appearances(sources[0].name)
    found = by_source(library.appearances())
    return [a for s in sources for a in found.get(s.name, ())]


def _manifest(sources: Sequence[SourceRecord], library: Library) -> Mapping[str, Any]:
    if len(sources) == 1:
        return sources[0].manifest
    return {
        "whowhen": __version__,
        "library": Path(library.store.path).name,
        "runs": {s.name: s.manifest for s in sources},
    }


def _rows(store: Any, sources: Sequence[SourceRecord], labels: Mapping[int, int | None]) -> Iterator[FaceRow]:
    for source in sources:
        for r in store.iter_rows(source.id):
            yield FaceRow(source.name, r.frame, r.time, r.track, labels.get(r.track), r.box, r.score, r.kind)


class _Pictures:
    """People with their best faces, and pictures of their longest appearances."""

    def __init__(self, library: Library, tracks: Mapping[int, TrackRecord], sizes: Mapping[str, tuple[int, int]]):
        self.library, self.tracks, self.sizes = library, tracks, sizes

    def people(self, appearances: Sequence[Appearance]) -> list[PersonEntry]:
        """Everybody who appears, longest screen time first."""
        mine, view = by_person(appearances), self.library.view
        made = [self._entry(p, view.names.get(p, ""), p in view.hidden, some) for p, some in mine.items()]
        made.sort(key=lambda e: (-e.screen_time, e.id))
        longest = sorted(appearances, key=lambda a: (-a.duration, a.source, a.start, a.identity))[:MOST_MOMENTS]
        wanted: dict[int, list[int]] = {}
        for a in longest:
            wanted.setdefault(a.identity, []).append(max(a.tracks, key=lambda t: (self.tracks[t].quality, -t)))
        return [
            replace(e, faces=self._faces([t for a in mine[e.id] for t in a.tracks]), moments=self._each(wanted, e.id))
            if i < MOST_PICTURED
            else e
            for i, e in enumerate(made)
        ]

    @staticmethod
    def _entry(person: int, name: str, hidden: bool, mine: Sequence[Appearance]) -> PersonEntry:
        seconds, last = sum(a.duration for a in mine), max(a.end for a in mine if a.source == mine[-1].source)
        tracks = sum(len(a.tracks) for a in mine)
        return PersonEntry(person, name, seconds, mine[0].start, last, len(mine), tracks, hidden=hidden)

    def _faces(self, tracks: Sequence[int]) -> tuple[FaceCard, ...]:
        found = self.library.store.best_faces(tracks, FACES_PER_PERSON)
        return tuple(self._card(track, number, jpeg) for track, number, jpeg in found)

    def _each(self, wanted: Mapping[int, list[int]], person: int) -> tuple[FaceCard, ...]:
        found = [f for t in wanted.get(person, ()) for f in self.library.store.best_faces([t], 1)]
        return tuple(self._card(track, number, jpeg) for track, number, jpeg in found)

    def _card(self, track: int, number: int, jpeg: bytes) -> FaceCard:
        where = self.tracks[track]
        sample = next(s for s in self.library.store.samples(track) if s.number == number)
        width, height = self.sizes.get(where.source, (0, 0))
        card = FaceCard(jpeg, where.source, sample.time, track, sample.score)
        return replace(card, place=place_in_cut(sample.box, width, height)) if width and height else card


def _source(library: Library, source: SourceRecord, unassigned: int, folder: Path) -> SourceEntry:
    info, stats = source.info, source.stats
    frames, check = stats.get("frames", {}), stats.get("stride", {}).get("check") or {}
    live = source.kind == "live"
    start, duration = _watched(source) if live else (info.get("start") or 0.0, info.get("duration"))
    return SourceEntry(
        source.name,
        source.path,
        info.get("width") or 0,
        info.get("height") or 0,
        info.get("fps"),
        duration,
        frames.get("processed"),
        start,
        start_timecode=_time_of_day(start, info.get("fps")) if live else info.get("timecode"),
        live=live,
        codec=info.get("codec") or "",
        video=_video(source, folder),
        cuts=stats.get("cuts", ()),
        not_seen=NotSeen(
            gaps=library.store.gaps(source.id),
            rejected=stats.get("rejected", {}),
            dropped=frames.get("dropped", {}),
            failed=frames.get("failed", 0),
            unassigned=unassigned,
            checked=check.get("faces", 0),
            found=round((check.get("recall") or 0.0) * check.get("faces", 0)),
            warnings=stats.get("warnings", ()),
        ),
        strides=_strides(stats.get("stride", {})),
    )


def _time_of_day(start: float, fps: float | None) -> str:
    """The timecode a camera begins with: the time of day in UTC. Frames 0 and 1 do not exist in every minute."""
    second = datetime.fromtimestamp(start, UTC)
    frame = max(2, int(start % 1 * (fps or 25.0)))
    return f"{second:%H:%M:%S}{';' if Rate.near(fps).drop else ':'}{frame:02d}"


def _watched(source: SourceRecord) -> tuple[float, float]:
    """When watching a camera began, in seconds since the epoch, and how long ago the last of it was from there."""
    gaps = source.stats.get("gaps", ())
    start = min([datetime.fromisoformat(source.began).timestamp(), *(g["start"] for g in gaps)])
    return start, max([source.position or start, *(g["end"] for g in gaps)]) - start


def _video(source: SourceRecord, folder: Path) -> str:
    """The path of the file from `folder`; none for cameras."""
    return os.path.relpath(source.path, folder.absolute()) if source.path and source.kind == "file" else ""


def _strides(told: Mapping[str, Any]) -> tuple[Stride, ...]:
    """How often the detector looked, over time."""
    return tuple(
        Stride(w["start"], w["end"], w["frames"] / w["looks"] if w["looks"] else float("inf"))
        for w in told.get("windows", ())
    )
