"""No decision is lost: random decisions, restarts, re-clusterings, undo."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import StoreError
from streamer.ledger import Decision, Ledger, View

SEEDS, STEPS, TRACKS = 40, 250, 40  # 10,000 decisions
LEAN = 6  # seeds of every test run; the others are slow (-m slow)
Labels = dict[int, int | None]


def recluster(rng: random.Random, labels: Labels) -> Labels:
    """Another clustering: a shuffle from scratch, a merge of two clusters, or a few tracks elsewhere."""
    kind = rng.random()
    if kind < 0.3:
        people = rng.randint(1, 12)
        return {t: rng.choice([*range(1, people + 1), None]) for t in labels}
    clusters = sorted({c for c in labels.values() if c is not None}) or [1]
    if kind < 0.6:
        a, b = rng.choice(clusters), rng.choice(clusters)
        return {t: a if c == b else c for t, c in labels.items()}
    moved = set(rng.sample(sorted(labels), 5))
    return {t: rng.choice([*clusters, 90 + t]) if t in moved else c for t, c in labels.items()}


def restart(ledger: Ledger) -> Ledger:
    """The ledger as another process reads it from disk."""
    text = json.dumps([[e.id, e.who, e.at, e.kind, dict(e.args)] for e in ledger])
    return Ledger([Decision(*row) for row in json.loads(text)])


def decide(rng: random.Random, ledger: Ledger, view: View, step: int) -> None:
    """One random decision; nonsense is refused and not logged, which counts as none."""
    people = sorted(p for p, mine in view.tracks().items() if mine) or [1]
    a, b = rng.choice(people), rng.choice(people)
    mine = view.tracks().get(a, [])
    word = {"who": "u", "at": str(step)}
    match rng.choice(["name", "name", "merge", "same", "split", "not_same", "confirm", "hide", "undo"]):
        case "name":
            ledger.name(view, a, f"name {step}", **word)
        case "merge":
            ledger.merge(view, a, b, **word)
        case "same":
            ledger.merge(view, a, b, kind="same", **word)
        case "split":
            ledger.split(view, a, rng.sample(mine, min(len(mine), rng.randint(1, 3))), 1000 + step, **word)
        case "confirm":
            ledger.confirm(view, a, rng.sample(mine, min(len(mine), rng.randint(1, 3))), **word)
        case "not_same":
            ledger.not_same(view, a, b, **word)
        case "hide":
            ledger.hide(view, a, rng.random() < 0.5, **word)
        case "undo":
            ledger.undo(rng.randint(1, len(ledger.entries) or 1), **word)


def check(ledger: Ledger, view: View, labels: Labels) -> None:
    """Every decision that still stands can be seen in the view."""
    active = ledger.active()
    later: set[int] = set()  # tracks a younger merge, split or not-same speaks about
    named: dict[int, str] = {}
    aliases = ledger.facts().aliases
    for e in reversed(ledger.entries):
        keys = {"merge": ("kept_tracks", "dropped_tracks"), "same": ("kept_tracks", "dropped_tracks"),
                "split": ("tracks", "rest"), "not_same": ("a_tracks", "b_tracks")}.get(e.kind)  # fmt: skip
        if keys is not None:
            left, right = ([t for t in e.tracks(k) if t in labels] for k in keys)
            if e.id in active and not later & {*left, *right} and not _taken_back_later(ledger, e, {*left, *right}):
                people = {view.labels[t] for t in left}, {view.labels[t] for t in right}
                if e.kind in ("merge", "same"):
                    assert len(people[0] | people[1]) == 1, (e, people)
                else:
                    assert not people[0] & people[1], (e, people)
            later.update(left, right)
        elif e.kind == "name" and e.id in active and aliases.resolve(e.args["person"]) == e.args["person"]:
            named.setdefault(e.args["person"], e.args["name"])
    assert {p: view.names.get(p) for p in named} == named
    facts = ledger.facts()
    shown = set(view.labels.values())
    for person, anchors in facts.anchors.items():  # a name is not only a word: it keeps at least one of its tracks
        assert person in shown or not set(anchors) - set(facts.pins), person
    assert {t: view.labels[t] for t in facts.pins} == facts.pins
    assert set(view.labels) == set(labels)


def _taken_back_later(ledger: Ledger, e: Decision, tracks: set[int]) -> bool:
    """Whether after `e` somebody undid or redid an older word about these tracks: that is then the younger word."""
    for undo in ledger.entries:
        if undo.kind == "undo" and undo.id > e.id:
            root = undo
            while root.kind == "undo":
                root = ledger.entry(root.args["entry"])
            spoken = {t for v in root.args.values() if isinstance(v, list) for t in v}
            if root.id < e.id and tracks & spoken:
                return True
    return False


@pytest.mark.parametrize("seed", [pytest.param(s, marks=[pytest.mark.slow] if s >= LEAN else []) for s in range(SEEDS)])
def test_no_decision_is_lost(seed: int) -> None:
    rng = random.Random(seed)
    labels: Labels = {t: rng.randint(1, 10) for t in range(1, TRACKS + 1)}
    ledger = Ledger()
    view = ledger.apply(labels)
    step = refused = 0
    while len(ledger.entries) < STEPS:
        step += 1
        try:
            decide(rng, ledger, view, step)
        except StoreError:
            refused += 1
        if rng.random() < 0.1:
            labels = recluster(rng, labels)
        if rng.random() < 0.02:
            ledger = restart(ledger)
        view = ledger.apply(labels)
        if step % 10 == 0:
            check(ledger, view, labels)
    check(ledger, view, labels)
    assert refused < step / 2


@given(st.integers(0, 10**6))
def test_undoing_everything_in_reverse_gives_the_people_of_the_start(seed: int) -> None:
    rng = random.Random(seed)
    labels: Labels = {t: rng.randint(1, 4) for t in range(1, 13)}
    start = Ledger().apply(labels)
    ledger = Ledger()
    for step in range(8):
        try:
            decide(rng, ledger, ledger.apply(labels), step)
        except StoreError:
            continue
    for number in sorted(ledger.active(), reverse=True):
        if ledger.entry(number).kind != "undo":
            ledger.undo(number, who="u", at="")
    view = ledger.apply(labels)
    assert (view.labels, view.names, view.hidden) == (start.labels, start.names, start.hidden)


@given(st.integers(0, 10**6))
def test_the_view_does_not_depend_on_the_order_of_tracks(seed: int) -> None:
    rng = random.Random(seed)
    labels: Labels = {t: rng.randint(1, 4) for t in range(1, 13)}
    ledger = Ledger()
    for step in range(6):
        try:
            decide(rng, ledger, ledger.apply(labels), step)
        except StoreError:
            continue
    shuffled = list(labels.items())
    rng.shuffle(shuffled)
    assert ledger.apply(dict(shuffled)).labels == ledger.apply(labels).labels
