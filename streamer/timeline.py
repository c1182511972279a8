"""Who appears when, derived: a fold of events into labels, and of labelled tracks into appearances.

Nothing here is stored. Events say what the clusterer decided, `labels` is their sum, appearances are half-open
stretches [start, end) of a source's own clock. The same functions serve a file run, the live view and a later report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from streamer.aliases import Aliases
from streamer.intervals import Interval, join, together, total
from streamer.items import Appearance, Assigned, Dissolved, Event, Merged, Split

REMOVED = "removed"  # the reason of the Assigned that takes an erased track out of the labels
JOIN_GAP = 0.5  # s: bridges a blink of the detector and a hard cut, shorter than any reaction shot of the drawn scenes


class Span(Protocol):
    """What a timeline needs to know of a track. `end` is half-open: time of the last frame plus one frame period."""

    @property
    def id(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def count(self) -> int: ...
    @property
    def score(self) -> float: ...


@dataclass(slots=True)
class Timeline:
    """The running sum of a log of events: `add` them in order of `seq`, ask `labels` or `identity` at any time."""

    _raw: dict[int, int | None] = field(default_factory=dict)
    aliases: Aliases = field(default_factory=Aliases)
    seq: int = 0  # of the last event seen

    def add(self, event: Event) -> None:
        """One more event. The last Assigned or Split naming a track counts, Merged is an alias for ever."""
        match event:
            case Assigned(reason="removed", track=track):
                self._raw.pop(track, None)
            case Assigned(track=track, identity=identity):
                self._raw[track] = identity
            case Split(new=new, tracks=tracks):
                self._raw.update(dict.fromkeys(tracks, new))
            case Merged(kept=kept, dropped=dropped):
                self.aliases.merge(kept, dropped)
            case Dissolved():
                pass
        self.seq = max(self.seq, event.seq)

    def identity(self, track: int) -> int | None:
        """Who `track` is today; None for nobody and for unknown tracks."""
        raw = self._raw.get(track)
        return None if raw is None else self.aliases.resolve(raw)

    def labels(self) -> dict[int, int | None]:
        """track -> identity with aliases resolved."""
        return {t: None if i is None else self.aliases.resolve(i) for t, i in self._raw.items()}


def fold(events: Iterable[Event]) -> dict[int, int | None]:
    """track -> identity, aliases resolved; equal to `labels()` of the clusterer that wrote the events."""
    timeline = Timeline()
    for event in events:
        timeline.add(event)
    return timeline.labels()


def appearances(spans: Iterable[Span], labels: Mapping[int, int | None], *, gap: float = JOIN_GAP) -> list[Appearance]:
    """Appearances ordered by source, start and identity.

    Tracks of one identity in one source no more than `gap` seconds apart become one appearance, over cuts too: a
    person who stays on screen through a cut has not left. Unassigned tracks appear nowhere.
    """
    mine: dict[tuple[str, int], list[Span]] = {}
    for span in spans:
        identity = labels.get(span.id)
        if identity is not None:
            mine.setdefault((span.source, identity), []).append(span)
    out = [a for (source, identity), parts in mine.items() for a in _joined(source, identity, parts, gap)]
    return sorted(out, key=lambda a: (a.source, a.start, a.identity))


def _joined(source: str, identity: int, parts: list[Span], gap: float) -> Iterator[Appearance]:
    parts.sort(key=lambda s: (s.start, s.id))
    group: list[Span] = []
    end = float("-inf")
    for span in parts:
        if group and span.start - end > gap:
            yield _appearance(source, identity, group, end)
            group = []
        end = max(end, span.end) if group else span.end
        group.append(span)
    yield _appearance(source, identity, group, end)


def _appearance(source: str, identity: int, group: list[Span], end: float) -> Appearance:
    if len(group) == 1:  # most are: a third of the time of a library of 100,000 tracks
        only = group[0]
        return Appearance(source, identity, only.start, end, (only.id,), only.count, only.score)
    faces = sum(s.count for s in group)
    score = sum(s.score * s.count for s in group) / max(faces, 1)
    return Appearance(source, identity, group[0].start, end, tuple(sorted(s.id for s in group)), faces, score)


def intervals(appearances: Iterable[Appearance]) -> dict[int, dict[str, list[Interval]]]:
    """identity -> source -> joined stretches."""
    raw: dict[int, dict[str, list[Interval]]] = {}
    for a in appearances:
        raw.setdefault(a.identity, {}).setdefault(a.source, []).append((a.start, a.end))
    return {i: {s: join(parts) for s, parts in per.items()} for i, per in raw.items()}


def screen_time(appearances: Iterable[Appearance]) -> dict[int, float]:
    """identity -> seconds in the picture, overlaps counted once, summed over sources."""
    return {i: sum(total(parts) for parts in per.values()) for i, per in intervals(appearances).items()}


def first_last(appearances: Iterable[Appearance]) -> dict[int, tuple[tuple[str, float], tuple[str, float]]]:
    """identity -> (source, start) of its first and (source, end) of its last appearance, in the order given."""
    out: dict[int, tuple[tuple[str, float], tuple[str, float]]] = {}
    for a in appearances:
        first = out[a.identity][0] if a.identity in out else (a.source, a.start)
        out[a.identity] = (first, (a.source, a.end))
    return out


def copresence(appearances: Iterable[Appearance]) -> dict[tuple[int, int], float]:
    """(a, b), a < b -> seconds both are in the picture, summed over sources; pairs that never meet are left out."""
    per: dict[str, list[tuple[int, float, float]]] = {}
    for a in appearances:
        per.setdefault(a.source, []).append((a.identity, a.start, a.end))
    out: dict[tuple[int, int], float] = {}
    for spans in per.values():
        for pair, seconds in together(spans).items():
            out[pair] = out.get(pair, 0.0) + seconds
    return dict(sorted(out.items()))


@dataclass(frozen=True, slots=True)
class TimelineOptions:
    """How labelled tracks become appearances."""

    gap: float = JOIN_GAP  # seconds between two tracks of one person that still are one appearance
