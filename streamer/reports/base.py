"""What a report is made of, and the contract of a report.

Everything here is frozen and knows nothing of the store: whoever has a run or a library fills a `RunData` once, and
every format writes from it. Times are seconds of the source's own clock, boxes `x1, y1, x2, y2` in pixels of the
displayed frame.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from streamer.errors import ConfigError
from streamer.intervals import together
from streamer.items import Appearance, Gap

Box = tuple[float, float, float, float]


class FaceRow(NamedTuple):
    """One face in one decoded frame. A named tuple, not a dataclass: a two-hour film has half a million of them."""

    source: str
    frame: int
    time: float
    track: int
    person: int | None
    box: Box
    score: float
    kind: int  # items.DETECTED or items.TRACKED


@dataclass(frozen=True, slots=True)
class FaceCard:
    """A picture of a face to look at, and where it was. `place` is the face in it, as parts 0..1 of its sides."""

    jpeg: bytes = field(repr=False)
    source: str = ""
    time: float = 0.0
    track: int = 0
    score: float = 0.0
    place: Box = (0.22, 0.22, 0.78, 0.78)  # where a cut with 40 % around the face has it


@dataclass(frozen=True, slots=True)
class PersonEntry:
    """One person. `first` and `last` are seconds in the first and the last of `sources`; `faces` come best first.

    `moments` are more pictures, one per track at most: what somebody looked like at another time.
    """

    id: int
    name: str = ""
    screen_time: float = 0.0
    first: float = 0.0
    last: float = 0.0
    appearances: int = 0
    tracks: int = 0
    faces: Sequence[FaceCard] = field(default=(), repr=False)
    hidden: bool = False
    unsure: bool = False
    reason: str = ""  # why unsure
    moments: Sequence[FaceCard] = field(default=(), repr=False)

    @property
    def label(self) -> str:
        """The name, or "Person 7" for somebody nobody has named."""
        return self.name.strip() or f"Person {self.id}"

    @property
    def thumbnail(self) -> bytes | None:
        return self.faces[0].jpeg if self.faces else None


@dataclass(frozen=True, slots=True)
class NotSeen:
    """What a run did not see in one source. `gaps` also holds the stretches that could not be decoded."""

    gaps: Sequence[Gap] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)  # faces, by reason
    dropped: Mapping[str, int] = field(default_factory=dict)  # frames, by reason
    failed: int = 0  # frames that could not be decoded
    unassigned: int = 0  # tracks that belong to nobody
    checked: int = 0  # faces in frames the detector was made to look at only to see what looking rarely costs
    found: int = 0  # of them: faces a track shows
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Stride:
    """From `start` to `end` the detector looked at one frame in `every`; infinite where it never looked."""

    start: float
    end: float
    every: float


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One video or camera. `name` is its unique label in this report, `path` where it is (credentials taken out)."""

    name: str
    path: str = ""
    width: int = 0
    height: int = 0
    fps: float | None = None  # nominal
    duration: float | None = None
    frames: int | None = None  # decoded
    start: float = 0.0  # first presentation time
    start_timecode: str | None = None  # as the container states it
    live: bool = False
    codec: str = ""
    video: str = ""  # path of a playable file relative to the report, "" where there is none
    cuts: Sequence[float] = ()
    not_seen: NotSeen = field(default_factory=NotSeen)
    strides: Sequence[Stride] = ()

    @property
    def end(self) -> float:
        return self.start + (self.duration or 0.0)


@dataclass(frozen=True, slots=True)
class UnsurePair:
    """Two people who may be one: what a look at them would settle."""

    a: int
    b: int
    similarity: float
    seconds: float = 0.0  # screen time the answer moves
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How genuine and impostor pairs compare here: counts per bin of similarity, and the thresholds used."""

    edges: Sequence[float]  # (n + 1,) ascending
    genuine: Sequence[float]  # (n,) pairs out of one track
    impostor: Sequence[float]  # (n,) pairs that share a frame
    thresholds: Mapping[str, float] = field(default_factory=dict)
    metric: str = "cosine similarity"
    note: str = ""


def _no_rows() -> Iterator[FaceRow]:
    return iter(())


@dataclass(frozen=True, slots=True)
class RunData:
    """A run over one source, or a library over many: all that any format writes.

    `rows` gives a new iterator at each call, ordered by source (as in `sources`), frame and track; it is streamed,
    never held. `appearances` are ordered by source, start and person. `manifest` is the content of run.json.
    `copresence` maps (a, b), a < b, to seconds both are in the picture; leave it None to have it derived from the
    appearances.
    """

    title: str
    sources: Sequence[SourceEntry]
    people: Sequence[PersonEntry] = ()
    appearances: Sequence[Appearance] = ()
    rows: Callable[[], Iterator[FaceRow]] = _no_rows
    manifest: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None
    unsure: Sequence[UnsurePair] = ()
    copresence: Mapping[tuple[int, int], float] | None = None
    anonymous: bool = False

    def source(self, name: str) -> SourceEntry:
        """The source of that name; one with nothing known where an appearance names a source nobody listed."""
        return next((s for s in self.sources if s.name == name), SourceEntry(name))

    def person(self, number: int) -> PersonEntry:
        """The person of that number; a bare entry where an appearance names somebody nobody listed."""
        return next((p for p in self.people if p.id == number), PersonEntry(number))

    def labels(self) -> dict[int, str]:
        """person -> what to call them, for everybody listed or appearing."""
        known = {a.identity: f"Person {a.identity}" for a in self.appearances}
        return known | {p.id: p.label for p in self.people}

    def shown(self) -> list[PersonEntry]:
        """The people who are not hidden, longest screen time first; ties by number."""
        return sorted((p for p in self.people if not p.hidden), key=lambda p: (-p.screen_time, p.id))

    def shown_appearances(self) -> list[Appearance]:
        """Appearances of people who are not hidden."""
        hidden = {p.id for p in self.people if p.hidden}
        return [a for a in self.appearances if a.identity not in hidden]

    def for_source(self, name: str) -> RunData:
        """The part of one source; people stay as they are, those who do not appear in it are left out."""
        mine = tuple(a for a in self.appearances if a.source == name)
        seen = {a.identity for a in mine}
        return replace(
            self,
            title=name,
            sources=tuple(s for s in self.sources if s.name == name),
            people=tuple(p for p in self.people if p.id in seen),
            appearances=mine,
            rows=lambda: (r for r in self.rows() if r.source == name),
            copresence=None,
        )

    def for_people(self, people: Collection[int]) -> RunData:
        """The part of these people: their appearances and rows, and pairs of two of them. Sources stay as they are."""
        pairs = self.copresence
        return replace(
            self,
            people=tuple(p for p in self.people if p.id in people),
            appearances=tuple(a for a in self.appearances if a.identity in people),
            rows=lambda: (r for r in self.rows() if r.person in people),
            unsure=tuple(u for u in self.unsure if u.a in people and u.b in people),
            copresence=None if pairs is None else {k: v for k, v in pairs.items() if set(k) <= set(people)},
        )

    def only_source(self, form: str) -> SourceEntry:
        """The one source. ConfigError where there are several and the format can hold only one."""
        if len(self.sources) != 1:
            raise ConfigError(f"{form} describes one source, not {len(self.sources)}. Write one file per source.")
        return self.sources[0]


class Report(Protocol):
    """One format. Options are keyword arguments of the constructor; `write` never leaves half a file behind.

    The same data gives the same bytes. No faces, no people or one frame are ordinary cases.
    """

    def write(self, data: RunData, path: Path) -> None: ...


def by_source(appearances: Iterable[Appearance]) -> dict[str, list[Appearance]]:
    """Appearances grouped by source, order kept."""
    out: dict[str, list[Appearance]] = {}
    for a in appearances:
        out.setdefault(a.source, []).append(a)
    return out


def by_person(appearances: Iterable[Appearance]) -> dict[int, list[Appearance]]:
    """Appearances grouped by person, order kept."""
    out: dict[int, list[Appearance]] = {}
    for a in appearances:
        out.setdefault(a.identity, []).append(a)
    return out


def copresence(appearances: Iterable[Appearance]) -> dict[tuple[int, int], float]:
    """(a, b), a < b -> seconds both are in the picture, summed over sources."""
    out: dict[tuple[int, int], float] = {}
    for mine in by_source(appearances).values():
        for pair, seconds in together((a.identity, a.start, a.end) for a in mine).items():
            out[pair] = out.get(pair, 0.0) + seconds
    return dict(sorted(out.items()))
