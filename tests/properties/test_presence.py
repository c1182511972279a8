"""Whatever happens in whatever order, a consumer that applies the notices ends up with the timeline."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.items import Assigned, Event, Gap, Merged, Split
from streamer.presence import Book, Kept, Notice, Presence, Rules
from streamer.timeline import Timeline, appearances, fold
from streamer.watching import Part, Seen

CAMERAS = ("hall", "yard")
FRAME = 0.04


@dataclass(frozen=True)
class Span:
    id: int
    source: str
    start: float
    end: float
    count: int
    score: float = 1.0


@dataclass
class World:
    """A live run as its oracle sees it: tracks, events, corrections."""

    rules: Rules
    presence: Presence = field(init=False)
    book: Book = field(default_factory=Book)
    late: Book = field(default_factory=Book)  # of a consumer that is away most of the time
    kept: Kept = field(default_factory=Kept)
    told: list[Notice] = field(default_factory=list)
    now: float = 1000.0
    clocks: dict[str, float] = field(default_factory=lambda: dict.fromkeys(CAMERAS, 1000.0))
    seen: dict[int, list[float]] = field(default_factory=dict)
    camera: dict[int, str] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)
    stored: dict[int, Part] = field(default_factory=dict)
    over: dict[int, float] = field(default_factory=dict)  # when tracks ended, as it was told first
    events: list[Event] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    pins: dict[int, int] = field(default_factory=dict)
    aliases: dict[int, int] = field(default_factory=dict)
    guesses: dict[int, int] = field(default_factory=dict)
    nobody: set[int] = field(default_factory=set)  # ended long ago without an identity
    identities: int = 3

    def __post_init__(self) -> None:
        self.presence = Presence(7, self.rules)
        self.take(self.presence.begin(self.now))

    def take(self, notices: list[Notice]) -> None:
        self.told += notices
        self.kept.add(notices)
        self.book.apply_all(notices)

    def event(self, make: Event) -> None:
        self.events.append(make)
        self.take(self.presence.identities([make], self.now))

    def frame(self, data: st.DataObject, camera: str) -> None:
        self.clocks[camera] = self.now
        open_here = [t for t, c in self.camera.items() if c == camera and t not in self.ends]
        left_out = data.draw(st.sampled_from([None, *open_here]))
        chosen = [t for t in open_here if t != left_out]
        if not open_here or data.draw(st.integers(0, 3)) == 0:
            new = len(self.camera) + 1
            self.camera[new] = camera
            chosen.append(new)
        guess = st.sampled_from([1, 2, None])
        faces = [Seen(t, (0.0, 0.0, 9.0, 9.0), 0.9, data.draw(guess)) for t in chosen]
        for face in faces:
            self.seen.setdefault(face.track, []).append(self.now)
            self.guesses |= {} if face.identity is None else {face.track: face.identity}
        self.take(self.presence.frame(camera, self.now, faces))

    def end(self, data: st.DataObject) -> None:
        running = [t for t in self.camera if t not in self.ends]
        if running:
            t = data.draw(st.sampled_from(running))
            self.ends[t] = self.over[t] = self.seen[t][-1]
            self.take(self.presence.ended(self.camera[t], t, self.ends[t]))

    def keep(self, data: st.DataObject) -> None:
        """An ended track is kept, maybe as two: then the second part is told here first."""
        ended = [t for t in self.ends if t not in self.stored]
        if not ended:
            return
        t = data.draw(st.sampled_from(ended))
        times, camera = self.seen[t], self.camera[t]
        at = data.draw(st.integers(1, len(times)))
        halves = {t: times[:at]} | ({len(self.camera) + 1: times[at:]} if at < len(times) else {})
        parts = [Part(k, h[0], h[-1], h[-1] + FRAME, len(h), 0.9, (0.0, 0.0, 9.0, 9.0)) for k, h in halves.items()]
        for p in parts:
            self.seen[p.track], self.camera[p.track], self.ends[p.track] = halves[p.track], camera, p.end
            self.stored[p.track] = p
            self.over.setdefault(p.track, p.last)
        self.take(self.presence.kept(camera, parts, self.now))

    def assign(self, data: st.DataObject) -> None:
        if self.camera:
            t = data.draw(st.sampled_from(sorted(self.camera)))
            identity = data.draw(st.one_of(st.none(), st.integers(1, self.identities)))
            rival = data.draw(st.one_of(st.none(), st.integers(1, self.identities)))
            reason = data.draw(st.sampled_from(["new", "nearest"]))
            self.event(Assigned(len(self.events) + 1, t, identity, 0.1, rival, reason=reason))

    def merge(self, data: st.DataObject) -> None:
        kept, dropped = sorted(data.draw(st.lists(st.integers(1, self.identities), min_size=2, max_size=2)))
        if kept != dropped:
            self.event(Merged(len(self.events) + 1, kept, dropped, 0.2))

    def split(self, data: st.DataObject) -> None:
        if self.camera:
            self.identities += 1
            tracks = data.draw(st.lists(st.sampled_from(sorted(self.camera)), min_size=1, unique=True))
            self.event(Split(len(self.events) + 1, 1, self.identities, tuple(tracks)))

    def correct(self, data: st.DataObject) -> None:
        person = st.integers(1, self.identities)
        self.names = data.draw(st.dictionaries(person, st.sampled_from(["", "Ann", "Bo"]), max_size=2))
        self.pins = data.draw(st.dictionaries(st.integers(1, 6), person, max_size=2))
        self.aliases = data.draw(st.dictionaries(person, st.integers(50, 52), max_size=2))
        self.take(self.presence.corrected(self.names, self.pins, self.aliases, self.now))

    def resume(self) -> None:
        missed = self.kept.since(self.late.epoch, self.late.seq)
        assert not missed.truncated
        assert all(self.late.apply(m) for m in missed.notices)  # nothing twice

    def wait(self, data: st.DataObject) -> None:
        self.now += data.draw(st.sampled_from([5.0, 40.0]))
        known = fold(self.events)
        self.nobody |= {t for t, end in self.over.items() if t not in known and end + 30 < self.now}
        self.take(self.presence.tick(self.now))

    def guessed(self) -> dict[int, int | None]:
        """The labels as of now: the clusterer's word, else the last guess."""
        folded = Timeline()
        for event in self.events:
            folded.add(event)
        guesses = {t: folded.aliases.resolve(g) for t, g in self.guesses.items() if t not in self.nobody}
        return guesses | folded.labels()

    def timeline(self, labels: dict[int, int | None]) -> list[tuple[str, int, float, float, tuple[int, ...]]]:
        """The truth: appearances folded from these labels."""
        spans = [Span(t, c, self.seen[t][0], self.ends.get(t, self.seen[t][-1]), len(self.seen[t]))
                 for t, c in self.camera.items()]  # fmt: skip
        people = {t: None if (i := labels.get(t)) is None else self.aliases.get(i, i) for t in self.camera} | {
            t: p for t, p in self.pins.items() if t in self.camera
        }
        found = appearances(spans, people, gap=self.rules.join)
        return sorted((a.source, a.identity, a.start, a.end, a.tracks) for a in found if a.faces >= self.rules.confirm)


def booked(book: Book) -> list[tuple[str, int, float, float, tuple[int, ...]]]:
    assert all(s.person is not None and s.end is not None for s in book.stays.values())
    return sorted(
        (s.camera, s.person or 0, s.start, s.end or 0.0, tuple(sorted(s.tracks))) for s in book.stays.values()
    )


STEPS = (
    *["frame"] * 8,
    "end",
    "end",
    "keep",
    "keep",
    "assign",
    "assign",
    "merge",
    "split",
    "correct",
    "wait",
    "resume",
)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.booleans(), st.integers(1, 3))
def test_the_book_of_a_consumer_is_the_timeline_of_the_final_labels(
    data: st.DataObject, somebody: bool, confirm: int
) -> None:
    world = World(Rules(confirm=confirm, absence=2.0, cooldown=4.0, update_every=5.0, somebody=somebody))
    for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=8, max_size=40)):
        world.now += data.draw(st.sampled_from([0.2, 0.2, 1.0, 3.0]))
        if step == "frame":
            world.frame(data, data.draw(st.sampled_from(CAMERAS)))
        elif step == "resume":
            world.resume()
        else:
            getattr(world, step)(data)
        consistent(world)
    for number in world.camera:
        if data.draw(st.booleans()):
            world.event(Assigned(len(world.events) + 1, number, data.draw(st.integers(1, 2)), 0.1))
    world.take(world.presence.close(world.now))
    world.resume()
    assert booked(world.book) == world.timeline(fold(world.events))
    assert booked(world.late) == world.timeline(fold(world.events))
    assert world.late.names == world.book.names
    lawful(world.told)


def consistent(world: World) -> None:
    """The book equals what was told, and nobody is at one camera twice at a time. Newcomers may be held back."""
    held = world.presence.held
    assert {s.id: s for s in world.presence.stays()} == world.book.stays
    told = [s for s in world.book.stays.values() if s.person is not None]
    as_known = {(c, i, start, tracks) for c, i, start, _, tracks in world.timeline(world.guessed())}
    as_told = {(s.camera, s.person or 0, s.start, tuple(sorted(s.tracks))) for s in told}
    assert as_told <= as_known
    assert {(c, i) for c, i, *_ in as_known - as_told} <= held
    here = [(s.camera, s.person) for s in world.book.present() if s.person is not None]
    assert len(here) == len(set(here))


def lawful(told: list[Notice]) -> None:
    """Numbers run on, an id begins with an enter, its revisions count up, and it never comes back after a retract."""
    assert [n.seq for n in told] == list(range(1, len(told) + 1))
    revisions: dict[str, int] = {}
    gone: set[str] = set()
    for n in told:
        if n.stay is None:
            continue
        assert n.stay.id not in gone
        assert n.stay.revision == revisions.get(n.stay.id, 0) + 1
        assert (n.type == "enter") == (n.stay.revision == 1)
        revisions[n.stay.id] = n.stay.revision
        if n.type == "retract":
            gone.add(n.stay.id)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 30))
def test_a_consumer_gets_what_it_missed_or_is_told_that_it_is_too_old(told: int, at: int, limit: int) -> None:
    kept = Kept(limit)
    presence = Presence(3)
    kept.add([n for i in range(told) for n in presence.gap("hall", Gap("hall", i, i + 1, "away"), float(i))])
    missed = kept.since(3, at)
    assert missed.truncated == (told - at > limit)
    assert [n.seq for n in missed.notices] == list(range(max(at, told - limit) + 1, told + 1))
    assert kept.since(2, at).truncated == (told > limit)
