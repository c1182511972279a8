"""Sightings and identity events in, notices out. Pure: no clock, no I/O; equal calls give equal notices.

The stays that should be in everybody's book are a function of what is known now: the tracks, the labels that the events
add up to, and the rules. After every call that function is worked out again for the people it touches, and the
difference to what was told last becomes notices. So a consumer that applies them cannot stay wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from streamer.aliases import Aliases
from streamer.items import Assigned, Event, Gap, Merged, Split
from streamer.presence import notices as n
from streamer.presence.doubts import doubted
from streamer.presence.notices import Notice, Stay
from streamer.presence.rules import Rules
from streamer.presence.stays import Draft, Followed, Key, Stays, Told, drafts
from streamer.watching import Part, Seen

# s a tick may run ahead of frames still on their way: twice the lag a live run may have (p99 1 s)
SLACK = 2.0
PATIENCE = 30.0  # s after its end in which a track may still get an identity; embedding and assigning take about 1 s
EARLY = 1000  # tracks whose events came before their first sighting


@dataclass(slots=True)
class Presence:
    """The running fold of one run over all its cameras. Every method returns the notices it makes, in order.

    Times are wall clock; per camera they do not fall. `epoch` numbers the run and is larger than that of every earlier
    one, e.g. milliseconds of its start. `certain` is the score of the detector that somebody must reach in two looks to
    be told.
    """

    epoch: int
    rules: Rules = field(default_factory=Rules)
    names: dict[int, str] = field(default_factory=dict)
    certain: float = 0.0
    seq: int = 0
    _tracks: dict[int, Followed] = field(default_factory=dict)
    _groups: dict[Key, dict[int, Followed]] = field(default_factory=dict)
    _now: dict[str, float] = field(default_factory=dict)  # camera -> its clock
    _merged: Aliases = field(default_factory=Aliases)
    _pins: dict[int, int] = field(default_factory=dict)
    _aliases: dict[int, int] = field(default_factory=dict)
    _early: dict[int, int | None] = field(default_factory=dict)
    _waiting: deque[tuple[float, int]] = field(default_factory=deque)  # ended tracks without an identity yet
    held: set[Key] = field(default_factory=set)  # newcomers not told of, who may be somebody else
    _closing: bool = False
    _pruned: float = 0.0
    _begun: bool = False  # what the library held before the run has been told
    _stays: Stays = field(init=False)

    def __post_init__(self) -> None:
        self._stays = Stays(self.epoch, self.rules, self._notice)

    # ------------------------------------------------------------------ what is told to it
    def begin(self, at: float) -> list[Notice]:
        """The first notice of the epoch."""
        return [self._notice(n.BEGIN, at)]

    def recall(
        self, told: Iterable[Stay], parts: Mapping[str, Sequence[Part]], labels: Mapping[int, int | None]
    ) -> None:
        """What earlier runs told, and their tracks at each camera as the library holds them now, with the clusterer's
        labels. The first `corrected` sends the difference."""
        for camera, found in parts.items():
            for p in found:
                t = self._followed(camera, p.track, p.start)
                t.start, t.last, t.until, t.count, t.score, t.box = p.start, p.last, p.end, p.faces, p.score, p.box
                t.looks, t.ended, t.assigned, t.identity = p.looks, True, True, labels.get(p.track)
                t.past = True
                self._now[camera] = max(p.last, self._now.get(camera, p.last))
        for stay in told:
            members = [self._tracks[number] for number in stay.tracks if number in self._tracks]
            self._stays.recall(replace(stay, end=stay.seen if stay.end is None else stay.end), members)

    def frame(self, camera: str, time: float, seen: Sequence[Seen]) -> list[Notice]:
        """Faces followed in one frame of a camera."""
        self._now[camera] = max(time, self._now.get(camera, time))
        dirty: set[Key] = set()
        for face in seen:
            dirty |= self._sight(camera, time, face)
        return self._settle(dirty | self._overdue(camera) | self.held, time)

    def ended(self, camera: str, track: int, end: float) -> list[Notice]:
        """A track is over. One that was never seen is not told."""
        t = self._tracks.get(track)
        if t is None or t.ended:
            return []
        t.last = max(end, t.start)
        self._over(t)
        return self._settle({t.key} if t.key else set(), self._now[t.camera])

    def kept(self, camera: str, parts: Sequence[Part], at: float) -> list[Notice]:
        """A track that ended as the library holds it; parts that were never seen by themselves are tracks from now."""
        dirty: set[Key] = set()
        for p in parts:
            t = self._followed(camera, p.track, p.start)
            t.start, t.last, t.until, t.count = p.start, p.last, p.end, p.faces
            t.look(p.score, p.box)
            t.looks = p.looks
            self._now[camera] = max(p.last, self._now.get(camera, p.last))
            self._over(t)
            dirty |= self._place(t)
            dirty |= set() if t.key is None else {t.key}
        return self._settle(dirty, at)

    def identities(self, events: Iterable[Event], at: float) -> list[Notice]:
        """The clusterer's events in order of `seq`."""
        touched: set[int] = set()
        dirty: set[Key] = set()
        merged: list[tuple[int, int]] = []
        for event in events:
            match event:
                case Assigned(track=track, identity=identity, reason=reason):
                    self._doubt(event)
                    self._label(track, identity, removed=reason == "removed")
                    touched.add(track)
                case Split(new=new, tracks=tracks):
                    for track in tracks:
                        self._label(track, new)
                    touched |= set(tracks)
                case Merged(kept=kept, dropped=dropped):
                    self._merged.merge(kept, dropped)
                    merged.append((kept, dropped))
                    for t in self._tracks.values():
                        dirty |= self._place(t)
        return self._settle(dirty | self._relabel(touched), at) + self._merges(merged, at)

    def corrected(
        self, names: Mapping[int, str], pins: Mapping[int, int], aliases: Mapping[int, int], at: float
    ) -> list[Notice]:
        """What the user said: the names, tracks held at a person, and numbers another person answers for."""
        changed = {p for p in names.keys() | self.names.keys() if names.get(p, "") != self.names.get(p, "")}
        merged = [(p, i) for i, p in sorted(aliases.items()) if self._aliases.get(i) != p] if self._begun else []
        recalled = set() if self._begun else self._stays.keys()
        self.names, self._pins, self._aliases, self._begun = dict(names), dict(pins), dict(aliases), True
        out = [self._notice(n.NAMED, at, person=p, name=names.get(p, "")) for p in sorted(changed)]
        out += self._settle(self._relabel(self._tracks) | recalled | {k for k in self._groups if k[1] in changed}, at)
        return out + self._merges(merged, at)

    def gap(self, camera: str, gap: Gap, at: float) -> list[Notice]:
        """A stretch of a camera that was not seen."""
        told = self._notice(n.GAP, at, camera=camera, start=gap.start, end=gap.end, reason=gap.reason)
        return [told, *self.tick(at)]

    def tick(self, now: float) -> list[Notice]:
        """Time has passed; call it now and then, so that people leave also where no frames come."""
        dirty: set[Key] = set()
        for camera in self._now:
            self._now[camera] = max(self._now[camera], now - SLACK)
            dirty |= self._overdue(camera)
        dirty |= self._give_up(now)
        out = self._settle(dirty | self.held, now)
        if now - self._pruned > min(60.0, self.rules.remember):
            self._prune(now)
        return out

    def close(self, at: float) -> list[Notice]:
        """The run is over: everybody leaves with their last frame, tracks without an identity are nobody's."""
        for t in self._tracks.values():
            t.ended = t.assigned = True
        self._closing = True
        self._now = dict.fromkeys(self._now, float("inf"))
        return self._settle(self._relabel(self._tracks), at)

    def stays(self) -> list[Stay]:
        """Every stay that is remembered as it was last told, by start."""
        return sorted((t.stay for t in self._stays.told.values()), key=lambda s: (s.start, s.id))

    # ------------------------------------------------------------------ tracks and their people
    def _sight(self, camera: str, time: float, face: Seen) -> set[Key]:
        t = self._followed(camera, face.track, time)
        if t.ended:
            return set()
        t.last, t.count = max(t.last, time), t.count + 1
        t.look(face.score, face.box)
        t.guess = t.guess if face.identity is None else face.identity
        dirty = self._place(t)
        if t.told is not None:
            t.told.last = max(t.told.last, t.last)
        if t.key is not None and self._due(t.told, time):
            dirty.add(t.key)
        return dirty

    def _followed(self, camera: str, track: int, at: float) -> Followed:
        """A track, new if it was never told."""
        t = self._tracks.get(track)
        if t is None:
            t = self._tracks[track] = Followed(track, camera, at, at)
            if track in self._early:
                self._label(track, self._early.pop(track))
        return t

    def _over(self, t: Followed) -> None:
        if not t.ended and not t.assigned:
            self._waiting.append((t.last + PATIENCE, t.number))
        t.ended = True

    def _due(self, told: Told | None, time: float) -> bool:
        """Whether a sighting changes what should be told."""
        if told is None or told.stay.end is not None:
            return True
        if 0 < self.rules.update_every <= time - told.said:
            return True
        return not (told.stay.unknown or told.hushed) and self._stranger(told.key) and (
            time - told.stay.start >= self.rules.unknown_after
        )  # fmt: skip

    def _stranger(self, key: Key) -> bool:
        return key[1] >= 0 and not self.names.get(key[1])

    def _label(self, track: int, identity: int | None, *, removed: bool = False) -> None:
        t = self._tracks.get(track)
        if t is not None:
            t.assigned, t.identity = True, identity
            t.guess = None if removed else t.guess
        elif not removed:
            self._early[track] = identity
            while len(self._early) > EARLY:
                del self._early[next(iter(self._early))]

    def _doubt(self, event: Assigned) -> None:
        """Remembers for whom an identity was made, and whose it nearly was."""
        t = self._tracks.get(event.track)
        if t is not None and event.identity != t.identity:
            t.fresh = event.reason == "new"
            t.rival = event.runner_up if t.fresh else None

    def _person(self, t: Followed) -> int | None:
        if t.number in self._pins:
            return self._pins[t.number]
        identity = t.identity if t.assigned else t.guess
        if identity is None:
            return None
        identity = self._merged.resolve(identity)
        return self._aliases.get(identity, identity)

    def _place(self, t: Followed) -> set[Key]:
        """Puts a track with its person; the groups that changed."""
        person = self._person(t)
        key: Key | None = None if person is None else (t.camera, person)
        if key is None and self.rules.somebody and not t.assigned:
            key = (t.camera, -t.number)
        if key == t.key:
            return set()
        changed = {k for k in (key, t.key) if k is not None}
        self._leave(t)
        if key is not None:
            self._groups.setdefault(key, {})[t.number] = t
        t.key = key
        return changed

    def _leave(self, t: Followed) -> None:
        if t.key is not None:
            del self._groups[t.key][t.number]
            if not self._groups[t.key]:
                del self._groups[t.key]

    def _relabel(self, tracks: Iterable[int]) -> set[Key]:
        """The groups whose stays may differ after news about these tracks."""
        dirty: set[Key] = set()
        for number in tracks:
            t = self._tracks.get(number)
            if t is not None:
                dirty |= self._place(t)
                if t.key is not None:
                    dirty.add(t.key)
        return dirty

    def _overdue(self, camera: str) -> set[Key]:
        """Groups of stays that last although nobody was seen for longer than `absence`."""
        before = self._now[camera] - self.rules.absence
        return {t.key for t in self._stays.open.get(camera, {}).values() if t.last < before}

    def _give_up(self, now: float) -> set[Key]:
        """Ended tracks that were given no identity for long are nobody's."""
        dirty: set[Key] = set()
        while self._waiting and self._waiting[0][0] < now:
            t = self._tracks.get(self._waiting.popleft()[1])
            if t is not None and not t.assigned:
                t.guess = None
                t.assigned = True
                dirty |= self._place(t)
        return dirty

    # ------------------------------------------------------------------ what is said
    def _settle(self, dirty: set[Key], at: float) -> list[Notice]:
        if not dirty:
            return []
        groups = {k: self._drafts(k) for k in sorted(dirty)}
        return self._stays.settle(groups, self._now, self.names, at)

    def _drafts(self, key: Key) -> list[Draft]:
        """The stays of a group as they should be told, without those that wait because they may be somebody else's."""
        found = drafts(key, self._groups.get(key, {}).values(), self.rules, self._stranger(key), self.certain)
        self.held.discard(key)
        if self._closing:
            return found
        sure = [d for d in found if not self._doubted(d)]
        if len(sure) < len(found):
            self.held.add(key)
        return sure

    def _doubted(self, draft: Draft) -> bool:
        camera = draft.key[0]
        rivals = {
            self._aliases.get(r := self._merged.resolve(t.rival), r) for t in draft.members if t.rival is not None
        }
        present = self._stays.open.get(camera, {}).values()
        return doubted(draft, present, rivals, self._now[camera], self.rules.absence)

    def _merges(self, merged: Iterable[tuple[int, int]], at: float) -> list[Notice]:
        """For what consumers hold of earlier runs, or for longer than is remembered here: one word for each number."""
        out = []
        for kept, dropped in merged:
            person = self._merged.resolve(kept)
            person = self._aliases.get(person, person)
            name, before = self.names.get(person, ""), at - self.rules.remember
            out.append(self._notice(n.MERGED, at, person=person, was=dropped, name=name, end=before))
        return out

    def _notice(self, kind: str, at: float, **fields: Any) -> Notice:
        self.seq += 1
        return Notice(self.epoch, self.seq, kind, at, **fields)

    def _prune(self, now: float) -> None:
        """Forgets what ended longer ago than `remember`; it can no longer be corrected."""
        self._pruned = now
        before = now - self.rules.remember
        for told in [t for t in self._stays.told.values() if t.stay.end is not None and t.last < before]:
            self._stays.drop(told)
            for t in told.members:
                t.told = None
        for t in [t for t in self._tracks.values() if t.told is None and t.last < before]:
            self._leave(t)
            del self._tracks[t.number]
