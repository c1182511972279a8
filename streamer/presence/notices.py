"""What consumers of a live run are told, and how they keep book of it.

A *stay* is one person in the view of one camera, `[start, end)` on the wall clock; `end` is None while it lasts. A
notice carries a whole stay under its id and revision, so applying it is one assignment:

    enter, update, replace, exit, unknown    put the stay in the book under its id
    retract                                  strike the id from the book
    named                                    note a person's name
    merged                                   one person had two numbers: renumber what is too old to be corrected
    gap                                      a camera saw nothing for a while
    begin                                    a new epoch: stays still open from an earlier one ended when last updated

`provisional` stays rest on a guess about a track that is still followed; `final` ones on the clusterer's word. A
re-merge or a user's correction may still change them: then the same id comes again with a higher revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

BEGIN, ENTER, UPDATE, REPLACE, EXIT = "begin", "enter", "update", "replace", "exit"
RETRACT, UNKNOWN, NAMED, MERGED, GAP = "retract", "unknown", "named", "merged", "gap"
TYPES = (BEGIN, ENTER, UPDATE, REPLACE, EXIT, RETRACT, UNKNOWN, NAMED, MERGED, GAP)
SCHEMA = "whowhen-event/1"


@dataclass(frozen=True, slots=True)
class Stay:
    """One person in the view of one camera. `person` is None for a face that is not recognised yet."""

    id: str
    camera: str
    person: int | None
    start: float
    end: float | None = None
    revision: int = 1
    final: bool = False
    unknown: bool = False  # somebody without a name who stayed long enough to be worth telling
    tracks: tuple[int, ...] = ()
    faces: int = 0  # frames the person was followed in
    seen: float = 0.0  # wall clock of the last of them
    score: float = 0.0  # detector confidence and box (pixels) in it
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of the stream. `epoch` numbers the run (milliseconds of its start), `seq` counts from 1 inside it."""

    epoch: int
    seq: int
    type: str
    at: float  # wall clock at which it was known
    camera: str = ""
    stay: Stay | None = None
    name: str = ""  # of the stay's person, or the new one of `person`
    was: int | None = None  # replace, merged: the person before
    into: str = ""  # retract: the stay that holds it now
    person: int | None = None  # named, merged
    start: float | None = None  # gap
    end: float | None = None  # gap; merged: stays that ended before it are not corrected one by one
    reason: str = ""  # gap

    @property
    def key(self) -> str:
        """`epoch-seq`, the Last-Event-ID a consumer resumes with."""
        return f"{self.epoch}-{self.seq}"

    def as_dict(self) -> dict[str, Any]:
        """The notice for JSON: empty fields left out, times with milliseconds."""
        out: dict[str, Any] = {"schema": SCHEMA, "epoch": self.epoch, "seq": self.seq, "type": self.type}
        out["at"] = round(self.at, 3)
        if self.camera:
            out["camera"] = self.camera
        if self.stay is not None:
            out |= stay_dict(self.stay, self.name)
        if self.type in (NAMED, MERGED):
            out |= {"person": self.person, "name": self.name}
        if self.type == MERGED:
            out |= {"was": self.was, "end": _ms(self.end)}
        if self.type == REPLACE:
            out["was"] = self.was
        if self.into:
            out["into"] = self.into
        if self.type == GAP:
            out |= {"start": _ms(self.start), "end": _ms(self.end), "reason": self.reason}
        return out


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def stay_dict(stay: Stay, name: str) -> dict[str, Any]:
    return {
        "id": stay.id,
        "revision": stay.revision,
        "person": stay.person,
        "name": name,
        "start": _ms(stay.start),
        "end": _ms(stay.end),
        "state": "final" if stay.final else "provisional",
        "unknown": stay.unknown,
        "seen": _ms(stay.seen),
        "faces": stay.faces,
        "score": round(stay.score, 3),
        "box": None if stay.box is None else [round(v, 1) for v in stay.box],
        "tracks": list(stay.tracks),
    }


def label(person: int | None, names: Mapping[int, str]) -> str:
    """What to call a person: the name, "Person 7", or "Somebody"."""
    return "Somebody" if person is None else names.get(person) or f"Person {person}"


@dataclass(slots=True)
class Book:
    """The sum of all notices applied so far: what a consumer knows. Applying one twice changes nothing."""

    epoch: int = 0
    seq: int = 0
    stays: dict[str, Stay] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def apply(self, notice: Notice) -> bool:
        """Whether the notice was new; those at or before (epoch, seq) are repeats and left out."""
        if (notice.epoch, notice.seq) <= (self.epoch, self.seq):
            return False
        self.epoch, self.seq = notice.epoch, notice.seq
        if notice.type == BEGIN:
            self._close_open()
        elif notice.type == NAMED and notice.person is not None:
            self.names[notice.person] = notice.name
        elif notice.type == MERGED:
            self._renumber(notice)
        elif notice.type == RETRACT and notice.stay is not None:
            self.stays.pop(notice.stay.id, None)
        elif notice.stay is not None:
            self.stays[notice.stay.id] = notice.stay
            if notice.stay.person is not None and notice.name:
                self.names[notice.stay.person] = notice.name
        return True

    def apply_all(self, notices: Iterable[Notice]) -> Book:
        """Itself, after all of them."""
        for notice in notices:
            self.apply(notice)
        return self

    def present(self, camera: str | None = None) -> list[Stay]:
        """Stays that last, longest first."""
        found = [s for s in self.stays.values() if s.end is None and camera in (None, s.camera)]
        return sorted(found, key=lambda s: (s.start, s.id))

    def since(self, time: float) -> list[Stay]:
        """Stays that last or ended after `time`, by start."""
        found = [s for s in self.stays.values() if s.end is None or s.end > time]
        return sorted(found, key=lambda s: (s.start, s.id))

    def label(self, person: int | None) -> str:
        """What to call a person."""
        return label(person, self.names)

    def prune(self, before: float) -> None:
        """Forgets stays that ended before a time."""
        for key in [s.id for s in self.stays.values() if s.end is not None and s.end < before]:
            del self.stays[key]

    def _renumber(self, notice: Notice) -> None:
        """Those of earlier epochs, and those that ended too long ago; the others come by themselves."""
        for key, s in self.stays.items():
            old = not key.startswith(f"{notice.epoch}-") or (s.end is not None and s.end < (notice.end or 0.0))
            if old and s.person == notice.was:
                self.stays[key] = replace(s, person=notice.person)

    def _close_open(self) -> None:
        for s in self.present():
            self.stays[s.id] = replace(s, end=s.seen)
