"""The file of what everybody was told."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.live.told import ToldLog, epoch_of
from streamer.presence import Notice, Stay

STAY = Stay(
    "7-1", "hall", 3, 10.0, 12.000000001, tracks=(4, 5), faces=9, seen=11.9, score=0.9, box=(1.0, 2.0, 3.0, 4.0)
)


def kept(path: Path, *notices: Notice) -> ToldLog:
    log = ToldLog(path, lambda text: None)
    for notice in notices:
        log.keep([notice], list)
    return log


def test_the_last_word_on_a_stay_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    open_stay = Stay("7-2", "hall", None, 11.0)
    log = kept(
        tmp_path / "told.jsonl", Notice(7, 1, "begin", 1.0), Notice(7, 2, "enter", 1.0, stay=open_stay),
        Notice(7, 3, "enter", 1.0, stay=Stay("7-1", "hall", 2, 10.0)), Notice(7, 4, "exit", 1.0, stay=STAY),
    )  # fmt: skip
    assert log.read(0.0) == [STAY, open_stay]
    assert log.read(20.0) == [open_stay]
    assert (tmp_path / "told.jsonl").stat().st_mode & 0o077 == 0
    assert epoch_of(STAY) == 7


def test_what_is_taken_back_and_lines_that_are_none_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    log = kept(path, Notice(7, 1, "enter", 1.0, stay=STAY), Notice(7, 2, "retract", 1.0, stay=STAY))
    assert log.read(0.0) == []
    log.keep([Notice(7, 3, "enter", 1.0, stay=STAY)], list)
    with path.open("a") as text:
        text.write('[]\n{"id": 3}\n{"tracks": [1], "x": 1}\n' + json.dumps({"id": "7-9"})[:-3])
    assert log.read(0.0) == [STAY]


def test_a_file_that_has_grown_is_written_anew(tmp_path: Path) -> None:
    log = kept(tmp_path / "told.jsonl", *[Notice(7, k, "update", 1.0, stay=STAY) for k in range(5)])
    log.rewrite([STAY])
    assert len((tmp_path / "told.jsonl").read_text().splitlines()) == 1
    assert log.read(0.0) == [STAY]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["told.jsonl"]


def test_a_disk_that_cannot_be_written_is_told_of_once(tmp_path: Path) -> None:
    said: list[str] = []
    log = ToldLog(tmp_path / "gone" / "told.jsonl", said.append)
    for _ in range(2):
        log.keep([Notice(7, 1, "enter", 1.0, stay=STAY)], list)
    assert len(said) == 1
    assert "what changes until the next run is not told" in said[0]
    assert log.read(0.0) == []
