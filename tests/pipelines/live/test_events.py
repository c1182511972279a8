"""What a consumer of the events ends up with is what the report of the run says."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from pipelines.live.attendance import attend
from streamer.config import Config
from streamer.library import Library
from streamer.models import packs
from streamer.processing.live import Live
from streamer.processing.results import write_folder
from streamer.testing import Actor, FakeDetector, FakeEmbedder, FakeQuality, Scene, Shot
from tests.streamer.processing.live.reel import EPOCH, Reel
from tests.streamer.processing.live.test_run import one

WAIT = 20.0
# a stay is an appearance of the report: the same gap joins, and one frame is enough
RULES = {"confirm": 1, "absence": 0.5, "cooldown": 0.5}
PLACES = [(60.0, 120.0, 60.0), (160.0, 120.0, 60.0), (260.0, 120.0, 60.0)]


def swapped() -> Scene:
    """Somebody else stands where somebody stood, between two frames: one track until its end, then two."""
    return Scene((Shot(4, (Actor(1, PLACES[0], leave=2), Actor(4, PLACES[0], enter=2), Actor(7, PLACES[2]))),))


def crowd(seed: int) -> Scene:
    """People who come, go, and take each other's place."""
    chance, shots = random.Random(seed), []
    for background in range(3):
        actors = []
        for place in PLACES:
            a, b, _ = people = chance.sample(range(9), 3)
            at = chance.choice([0.8, 1.2, 1.6])
            actors += [Actor(a, place, leave=at), Actor(b, place, enter=at)] if chance.random() < 0.6 else [
                Actor(people[2], place, enter=chance.choice([0.0, 0.4]), leave=chance.choice([1.6, 2.4]))
            ]  # fmt: skip
        shots.append(Shot(2.4, tuple(actors), background=background))
    return Scene(tuple(shots))


def watched(out: Path, *reels: Reel) -> int:
    """Runs the reels to their end with a file of events beside the reports; the tracks that were split."""
    models = packs.Models(FakeDetector(), FakeEmbedder(), FakeQuality(), packs.read_pack("open"), ["detector: drawn"])
    told = attend({"presence": RULES, "sinks": [{"type": "jsonl", "path": "events.jsonl"}]}, out,
                  [r.info.name for r in reels], clock=lambda: EPOCH)  # fmt: skip
    with Library(out / "people.db", create=True) as library:
        live = Live(library, models, Config(), {r.info.name: r for r in reels}, told.observers)
        told.begin(live, library)
        with live:
            for reel in reels:
                assert reel.done.wait(WAIT)
        for camera in live.cameras:
            write_folder(library, camera.record, out / camera.name, usual=("appearances",))
        return sum(e.splits for e in live._identify._embeds.values())


def folded(events: Path) -> list[tuple[Any, ...]]:
    """A consumer that knows the table in docs/live.md and nothing else."""
    stays: dict[str, dict[str, Any]] = {}
    for line in events.read_text("utf-8").splitlines():
        told = json.loads(line)
        if told["type"] in ("enter", "update", "replace", "exit", "unknown"):
            stays[told["id"]] = told
        elif told["type"] == "retract":
            del stays[told["id"]]
    assert {s["state"] for s in stays.values()} == {"final"}
    return sorted(
        (s["camera"], s["person"], s["start"], s["end"], sorted(s["tracks"]), s["faces"]) for s in stays.values()
    )


def reported(out: Path, *cameras: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for camera in cameras:
        with (out / camera / "appearances.csv").open(newline="", encoding="utf-8") as text:
            found += [
                (r["source"], int(r["person"]), float(r["start_s"]), float(r["end_s"]),
                 [int(t) for t in r["tracks"].split()], int(r["faces"]))
                for r in csv.DictReader(text)
            ]  # fmt: skip
    return sorted(found)


def test_a_track_that_turns_out_to_be_two_peoples_is_told_as_two(tmp_path: Path) -> None:
    assert watched(tmp_path, Reel(swapped())) == 1
    told = folded(tmp_path / "events.jsonl")
    assert told == reported(tmp_path, "hall")
    assert len({person for _, person, *_ in told}) == 3


@pytest.mark.parametrize("seed", range(2))
def test_the_sum_of_the_events_is_the_report(tmp_path: Path, seed: int) -> None:
    reels = Reel(crowd(seed), crowd(seed + 10), away=1.0), Reel(crowd(seed + 20), name="yard")
    assert watched(tmp_path, *reels) > 0
    told = folded(tmp_path / "events.jsonl")
    assert told == reported(tmp_path, "hall", "yard")
    assert len(told) > 10


def undone(library: Library) -> None:
    library.undo()


def split(library: Library) -> None:
    library.split(1, [min(t for t, p in library.view.labels.items() if p == 1)])


def merged(library: Library) -> None:
    library.merge(1, 2)


def forgotten(library: Library) -> None:
    library.forget(3)


def next_run(out: Path, number: int) -> list[tuple[Any, ...]]:
    """Another camera is watched; what the report says of the first one then."""
    watched(out, Reel(one(8), name=f"yard{number}"))
    with Library(out / "people.db") as library:
        hall = next(s for s in library.store.sources() if s.name == "hall")
        write_folder(library, hall.id, out / "hall", usual=("appearances",))
    return reported(out, "hall")


def in_hall(out: Path) -> list[tuple[Any, ...]]:
    return [stay for stay in folded(out / "events.jsonl") if stay[0] == "hall"]


@pytest.mark.parametrize("words", [[merged], [split], [merged, undone], [split, merged], [forgotten]])
def test_what_is_said_between_two_runs_is_told_when_the_next_begins(tmp_path: Path, words: list[Any]) -> None:
    watched(tmp_path, Reel(crowd(3)))
    before = in_hall(tmp_path)
    for number, word in enumerate(words):
        with Library(tmp_path / "people.db") as library:
            word(library)
        assert next_run(tmp_path, number) == in_hall(tmp_path)
    assert (in_hall(tmp_path) == before) == (undone in words)


def test_a_run_after_which_nothing_changed_tells_nothing_of_it_again(tmp_path: Path) -> None:
    watched(tmp_path, Reel(crowd(4)))
    told = len((tmp_path / "events.jsonl").read_text("utf-8").splitlines())
    next_run(tmp_path, 0)
    fresh = (tmp_path / "events.jsonl").read_text("utf-8").splitlines()[told:]
    assert {json.loads(line).get("camera", "yard0") for line in fresh} == {"yard0"}
