"""No decision is lost in a real library: files, restarts, re-clusterings, rebuilds and another model in between."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamer.clustering.dbscan import DBSCANClusterer
from streamer.clustering.online import OnlineClusterer
from streamer.errors import StoreError
from streamer.library import Library
from streamer.vectors import unit
from tests.streamer.library import town
from tests.streamer.library.town import make, opened, run
from tests.streamer.store.scene import DIMENSION, MODEL

from .test_ledger import check

STEPS = 250  # decisions in one library; 40 libraries are the 10,000


class Pixels:
    """Another model: a face is its colours."""

    model, dimension, metric, template = "pixels-3", 3, "cosine", ""

    def embed(self, crops: Any) -> Any:
        return unit(crops.reshape(len(crops), -1, 3).mean(1) + 1.0)


def decide(rng: random.Random, library: Library, step: int) -> None:
    """One random decision; nonsense is a StoreError."""
    people = sorted(p for p, mine in library.view.tracks().items() if mine) or [1]
    a, b = rng.choice(people), rng.choice(people)
    mine = library.tracks(a)
    some = rng.sample(mine, min(len(mine), rng.randint(1, 3)))
    words: list[Callable[[], Any]] = [
        lambda: library.name(a, f"name {step}"),
        lambda: library.name(a, f"name {step}"),
        lambda: library.merge(a, b),
        lambda: library.same(a, b),
        lambda: library.split(a, some),
        lambda: library.not_same(a, b),
        lambda: library.confirm(a, some),
        lambda: library.hide(a, rng.random() < 0.5),
        lambda: library.undo(rng.randint(1, len(library.log()) or 1)),
    ]
    rng.choice(words)()


def disturb(rng: random.Random, library: Library, step: int) -> Library:
    """What the machine does between two decisions; the library, which may be another object now."""
    match rng.choice(["file", "file", "restart", "recluster", "rebuild"]):
        case "file":
            people = [rng.randint(1, 9) for _ in range(rng.randint(2, 8))]
            run(library, people, f"file {step}", step=rng.choice([5, 20]))
        case "restart":
            path = library.store.path
            library.close()
            library = opened(path)
        case "recluster":
            bar = rng.uniform(-0.2, 0.9)
            library.apply(library.what_if(lambda: make(link=max(bar, 0.2), merge=bar)))
        case "rebuild":
            library.store.drop_state()
            library.clusterer(make)
    return library


def standing(library: Library) -> tuple[dict[int, str], frozenset[int], dict[int, int]]:
    """What the user has said that the machine must leave alone."""
    return dict(library.view.names), library.view.hidden, dict(library.ledger.facts().pins)


def live(path: Path, seed: int, decisions: int) -> int:
    """Random decisions with a machine at work; checks that none is lost. How many were made."""
    rng = random.Random(seed)
    library = opened(path)
    run(library, [1, 2, 3, 1, 2, 4, 5, 1], "first")
    step = 0
    while len(library.log()) < decisions:
        step += 1
        try:
            decide(rng, library, step)
        except StoreError:
            continue
        if rng.random() < 0.1:
            before = standing(library)
            named = {p for p, mine in library.view.tracks().items() if mine and p in library.view.names}
            library = disturb(rng, library, step)
            assert standing(library) == before
            assert named <= {p for p, mine in library.view.tracks().items() if mine}  # nobody with a name vanished
            check(library.ledger, library.view, library.store.labels())
    before = standing(library)
    library.migrate(Pixels(), lambda: OnlineClusterer(3, model="pixels-3", keep_vectors=False, min_tracks=1))
    assert standing(library) == before
    check(library.ledger, library.view, library.store.labels())
    assert library.store.verify() == []
    log = library.log()
    library.close()
    with opened_again(path) as again:
        assert again.log() == log
        assert standing(again) == before
    return len(log)


def opened_again(path: Path) -> Library:
    return Library(path, readonly=True)


def test_no_decision_is_lost_in_a_library(tmp_path: Path) -> None:
    assert live(tmp_path / "people.db", 1, 60) >= 60


def test_none_is_lost_over_dbscan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dbscan(link: float = 0.42, merge: float = 0.31) -> DBSCANClusterer:
        return DBSCANClusterer(DIMENSION, link=link, model=MODEL, min_samples=1)

    monkeypatch.setattr(town, "make", dbscan)
    monkeypatch.setitem(globals(), "make", dbscan)
    assert live(tmp_path / "people.db", 2, 60) >= 60


@pytest.mark.slow  # 10,000 decisions
@pytest.mark.parametrize("seed", range(40))
def test_no_decision_of_ten_thousand_is_lost(tmp_path: Path, seed: int) -> None:
    assert live(tmp_path / "people.db", 100 + seed, STEPS) >= STEPS


def test_the_other_model_tells_some_people_apart() -> None:
    rows = Pixels().embed(np.stack([np.full((4, 4, 3), c, np.uint8) for c in ((9, 0, 0), (0, 9, 0))]))
    assert float(rows[0] @ rows[1]) < 0.5
