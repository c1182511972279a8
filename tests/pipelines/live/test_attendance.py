"""The blocks of a cameras file at work: a drawn live run with page, sinks and recorder, and names given meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.live.attendance import attend
from streamer.config import Config
from streamer.errors import ConfigError, StoreError
from streamer.library import Library
from streamer.presence import Book
from streamer.processing.live import Live
from tests.streamer.processing.live.reel import EPOCH, Reel
from tests.streamer.processing.live.test_run import WAIT, models, one, pair

LOCAL = {"listen": "127.0.0.1:0"}
QUICK = {"confirm": 1, "update_every": 0, "cooldown": 2.0}


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_run_without_blocks_has_nobody_watching(tmp_path: Path) -> None:
    watching = attend({}, tmp_path, ["hall"])
    assert watching.observers == []
    watching.close()


def test_what_is_told_equals_what_the_library_holds(tmp_path: Path) -> None:
    blocks = {"presence": QUICK, "sinks": [{"type": "jsonl", "path": "events.jsonl"}], "record": {"before": 1}}
    reel = Reel(pair(), one(1))
    with Library(tmp_path / "people.db", create=True) as library:
        watching = attend(blocks, tmp_path, ["hall"], clock=lambda: EPOCH)
        live = Live(library, models(), Config(), {"hall": reel}, watching.observers)
        watching.begin(live, library)
        with live:
            assert reel.done.wait(WAIT)
        watching.close()
        held = [(a.identity, round(a.start), round(a.end)) for a in library.appearances("hall", gap=3.0)]
    told = events(tmp_path / "events.jsonl")
    assert [e["seq"] for e in told] == list(range(1, len(told) + 1))
    last = {e["id"]: e for e in told if "id" in e}
    for e in told:
        if e["type"] == "retract":
            last.pop(e["id"])
    assert sorted((e["person"], round(e["start"]), round(e["end"])) for e in last.values()) == sorted(held)
    assert all(e["state"] == "final" for e in last.values())
    assert {e["type"] for e in told} >= {"begin", "enter", "exit", "gap"}
    clips = list((tmp_path / "record").glob("*.mp4"))
    assert clips
    assert all(p.with_suffix(".json").is_file() for p in clips)
    with Library(tmp_path / "people.db") as library:
        receipt = library.forget(1)
    left = events(tmp_path / "events.jsonl")
    assert left == [e for e in told if e.get("person") != 1]
    assert len(left) < len(told)
    shown = [json.loads(p.read_text("utf-8"))["person"] for p in (tmp_path / "record").glob("*.json")]
    assert 1 not in shown
    assert len(list((tmp_path / "record").glob("*.mp4"))) == len(shown) < len(clips)
    assert set(receipt.files_rewritten) == {str(tmp_path / "events.jsonl"), str(tmp_path / "told.jsonl")}


def test_a_name_given_on_the_page_is_in_the_library_and_in_the_notices(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn", reason="uvicorn is not installed (extra `live`)")
    reel = Reel(pair(8.0))
    with Library(tmp_path / "people.db", create=True) as library:
        watching = attend({"presence": QUICK}, tmp_path, ["hall"], serve=LOCAL, clock=lambda: EPOCH)
        live = Live(library, models(), Config(), {"hall": reel}, watching.observers)
        watching.begin(live, library)
        with live:
            assert reel.done.wait(WAIT)
            left, right = sorted(p.id for p in live.decide(lambda found: found.people()))
            watching.decide("name", {"person": left, "name": "  Ann   Lee "})
            with pytest.raises(StoreError, match="no person"):
                watching.decide("name", {"person": 99, "name": "x"})
            watching.decide("name", {"person": right, "name": "Bo"})
            watching.decide("undo", {})
            watching.decide("name", {"person": right, "name": "Ann Lee"})  # it was her all along
            with pytest.raises(StoreError, match="Nothing is recorded"):
                watching.decide("keep", {"stay": "1-1"})
        assert watching.announcer is not None
        board = watching.announcer.onlookers[0]
        watching.close()
        assert [p.name for p in library.people() if p.screen_time > 0] == ["Ann Lee"]
        assert [d.kind for d in library.log()] == ["name", "name", "undo", "merge"]
    book = Book().apply_all(board.kept.since(0, 0).notices)  # type: ignore[attr-defined]
    assert {book.label(s.person) for s in book.stays.values()} == {"Ann Lee"}
    assert len(book.stays) == 1


def test_a_word_before_the_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not begun"):
        attend({}, tmp_path, []).decide("undo", {})


@pytest.mark.parametrize(
    ("blocks", "told"),
    [
        ({"presence": {"abscence": 3}}, "cams.yaml: presence: abscence is not an option .did you mean absence"),
        ({"presence": {"confirm": "two"}}, "confirm wants int"),
        ({"presence": [1]}, "wants a block of options"),
        ({"record": {"keep_day": 3}}, "cams.yaml: record: keep_day is not an option .did you mean keep_days"),
        ({"record": {"people": "some"}}, "all, named or unknown"),
        ({"serve": {"port": 80}}, "port is not an option"),
        ({"serve": {"listen": "0.0.0.0:80"}}, "other machines"),
        ({"serve": {"environment": {}}}, "environment is not an option"),
        ({"sinks": [{"type": "mqt", "host": "h"}]}, "did you mean mqtt"),
    ],
)
def test_what_does_not_fit_is_named_before_anything_runs(blocks: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told):
        attend(blocks, tmp_path, ["hall"], origin="cams.yaml")
