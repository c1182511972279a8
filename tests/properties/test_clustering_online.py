"""Whatever happens to a clusterer, in any order: its tables agree with each other, with its log and with the user."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.clustering.events import replay
from streamer.clustering.online import OnlineClusterer
from streamer.errors import ConfigError
from streamer.items import Assigned, Dissolved, Event, Merged, Tracklet

DIMENSION, PEOPLE = 16, 7
OPTIONS = {
    "cosine": {"link": 0.5, "merge": 0.4},
    "euclid": {"link": 0.95, "merge": 1.0, "metric": "euclid"},
    "sketches": {"link": 0.5, "merge": 0.4, "flat_rows": 12},
    "store": {"link": 0.5, "merge": 0.4, "keep_vectors": False},
}


class World:
    """A clusterer, everything it ever said, and what the user told it."""

    def __init__(self, kind: str, seed: int) -> None:
        self.rng, self.noise = random.Random(seed), np.random.default_rng(seed)
        self.centres = self.noise.standard_normal((PEOPLE, DIMENSION))
        self.vectors: dict[int, np.ndarray] = {}
        options = dict(OPTIONS[kind])
        if kind == "store":
            options["vectors"] = self.read
        self.c = OnlineClusterer(DIMENSION, remerge_every=9, max_exemplars=4, **options)  # type: ignore[arg-type]
        self.log: list[Event] = []
        self.alive: list[int] = []
        self.same: set[tuple[int, int]] = set()
        self.apart: set[tuple[int, int]] = set()
        self.rivals: set[tuple[int, int]] = set()
        self.next = 1

    def read(self, numbers: list[int]) -> np.ndarray:
        return np.stack([self.vectors[n] for n in numbers])

    def drawn(self) -> Tracklet:
        x = self.centres[self.rng.randrange(PEOPLE)] / 4 + self.noise.normal(
            0, self.rng.choice([0.05, 0.12]), DIMENSION
        )
        x = (x / np.linalg.norm(x)).astype(np.float32)
        number, self.next = self.next, self.next + 1
        foes = frozenset(t for t in self.alive[-3:] if self.rng.random() < 0.25)
        self.rivals |= {(t, number) for t in foes}
        self.vectors[number] = x
        self.alive.append(number)
        return Tracklet(number, "film", 0.0, 1.0, 5, x, x[None], self.rng.choice([0.9, 0.9, 0.6, 0.1]), foes)

    def pair(self) -> tuple[int, int]:
        a, b = sorted(self.rng.sample(self.alive, 2))
        return a, b

    def step(self) -> None:
        """One thing that may happen."""
        c, kind = self.c, self.rng.randrange(12)
        if kind < 4 or len(self.alive) < 4:
            self.log += c.add([self.drawn() for _ in range(self.rng.randrange(1, 14))])
        elif kind == 4:
            self.log += c.remerge()
        elif kind == 5:
            self.log += c.finish()
        elif kind == 6:
            job = c.consolidation_job()
            self.log += c.add([self.drawn() for _ in range(3)])
            self.log += c.apply(job())
        elif kind == 7:
            self.forget(self.rng.sample(self.alive, min(len(self.alive) - 2, self.rng.randrange(1, 5))))
        elif kind == 8:
            self.say(must=self.rng.random() < 0.5)
        elif kind == 9:
            a, b = self.pair()
            self.log += c.unlink(a, b)
            for told in (self.same, self.apart, self.rivals):
                told.discard((a, b))
        elif kind == 10:
            c.retune(c.options["link"] * self.rng.choice([0.95, 1.05]), c.options["merge"])
        else:
            c.pin(self.rng.choice([n for n in c.labels().values() if n is not None] or [1]))

    def say(self, *, must: bool) -> None:
        a, b = self.pair()
        with contextlib.suppress(ConfigError):  # it contradicts what was said before: nothing changes
            self.log += (self.c.must_link if must else self.c.cannot_link)(a, b)
            (self.same if must else self.apart).add((a, b))
            (self.apart if must else self.same).discard((a, b))
            self.rivals -= {(a, b)} if must else set()

    def forget(self, tracks: list[int]) -> None:
        self.log += self.c.remove(tracks)
        self.alive = [t for t in self.alive if t not in tracks]
        for told in (self.same, self.apart, self.rivals):
            told -= {p for p in told if set(p) & set(tracks)}


@pytest.mark.parametrize("kind", sorted(OPTIONS))
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_tables_log_and_user_agree_after_every_step(kind: str, seed: int) -> None:
    world = World(kind, seed)
    for _ in range(25):
        world.step()
        check_tables(world.c)
        check_rules(world.c)
        labels = world.c.labels()
        assert replay(world.log) == labels
        assert set(labels) == set(world.alive)
        assert not list(wrong(world, labels))
    check_numbers(world.log)
    copy = OnlineClusterer.restore(world.c.state(), vectors=world.read)
    assert copy.state() == world.c.state()


def wrong(world: World, labels: dict[int, int | None]) -> Iterator[tuple[str, int, int]]:
    """Pairs that go against the user's word, or against two faces in one frame."""
    for a, b in world.same:
        if labels[a] != labels[b]:
            yield "same", a, b
    for a, b in world.apart | world.rivals:
        if labels[a] is not None and labels[a] == labels[b] and not linked(world.same, a, b):
            yield "apart", a, b


def linked(same: set[tuple[int, int]], a: int, b: int) -> bool:
    """Whether the user's word, from pair to pair, makes one person of a and b."""
    seen, grown = set[int](), {a}
    while grown:
        seen |= grown
        grown = {y for p in same for x, y in (p, p[::-1]) if x in seen} - seen
    return b in seen


def check_tables(c: OnlineClusterer) -> None:
    """Every track in one exemplar at most, every exemplar with one owner, sums that are the sums of their parts."""
    ex, ids = c.exemplars, c.identities
    rows = sorted(r for slot in ids.slot_of.values() for r in ids.rows[slot])
    assert rows == list(range(len(ex)))
    for slot in ids.slot_of.values():
        mine = np.asarray(ids.rows[slot], np.int64)
        assert (ex.owner[mine] == slot).all()
        rounding = 0.0 if ex.index.exact else 1e-3 * ids.weight[slot]  # rows in half precision
        assert np.allclose(ids.sums[slot], ex.sums(mine).sum(0), atol=1e-4 + rounding)
        assert ids.weight[slot] == pytest.approx(ex.weight[mine].sum())
        assert ids.count[slot] == sum(len(ex.members[r]) for r in mine.tolist())
    for row, members in enumerate(ex.members):
        assert members
        assert (c.tracks.row[np.asarray(members)] == row).all()
    placed = sum(len(m) for m in ex.members)
    assert placed + len(c.pending) == len(c.tracks.position)


def check_rules(c: OnlineClusterer) -> None:
    """Every conflict is there once, is found where it is, and names tracks that are there."""
    rules = c.constraints
    pairs = [(a, b) for a, b in rules.pairs.tolist()]
    assert all(a < b for a, b in pairs)
    assert len(set(pairs)) == len(pairs)
    assert [rules.weight(b, a) for a, b in pairs] == rules.weights.tolist()
    assert {t for p in [*pairs, *rules.must] for t in p} <= set(c.tracks.position.values())


def check_numbers(log: list[Event]) -> None:
    """Sequence numbers rise; a number that ended is not heard of again, a new one was never heard of before."""
    assert all(a.seq < b.seq for a, b in pairwise(log))
    ended: set[int] = set()
    known: set[int] = set()
    for event in log:
        named = {getattr(event, part, None) for part in ("identity", "kept", "dropped", "old", "new")} - {None}
        assert not named & ended
        if isinstance(event, Assigned) and event.reason == "new":
            assert event.identity not in known
        match event:
            case Merged(dropped=number) | Dissolved(identity=number):
                ended.add(number)
        known |= named
