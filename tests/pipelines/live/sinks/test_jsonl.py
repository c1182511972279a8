"""JSON lines survive a kill, a full disk and rotation."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.live.sinks import jsonl
from pipelines.live.sinks.jsonl import JsonLines
from streamer.errors import ConfigError
from tests.pipelines.live.sinks.drawn import stream


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_notice_becomes_a_line_of_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "events.jsonl"
    sink = JsonLines(str(path))
    sink.start()
    sink.put(stream(2))
    sink.close()
    assert [line["type"] for line in written(path)] == ["begin", "enter", "exit", "enter", "exit"]
    assert written(path)[1]["name"] == "Ann Lee"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (sink.figures().sent, sink.figures().lost, sink.figures().problem) == (5, 0, "")


def test_the_half_line_of_a_killed_run_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"seq":1}\n{"seq":2,"ty')
    sink = JsonLines(str(path))
    sink.deliver(stream())
    sink.closed()
    assert [line.get("seq") for line in written(path)] == [1, 1, 2, 3]


def test_old_files_are_kept_and_the_oldest_goes(tmp_path: Path) -> None:
    sink = JsonLines(str(tmp_path / "e"), rotate_mb=0.0005, keep=2)
    for epoch in range(1, 6):
        sink.deliver(stream(epoch=epoch))
    sink.closed()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["e", "e.1", "e.2"]
    assert [written(tmp_path / n)[0]["epoch"] for n in ("e", "e.1", "e.2")] == [5, 4, 3]


def test_a_full_disk_leaves_no_half_batch_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = JsonLines(str(tmp_path / "e"))
    sink.deliver(stream(epoch=1))
    real, full = os.write, [True]

    def write(file: int, data: Any) -> int:
        if full[0]:
            real(file, bytes(data)[:20])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data)

    monkeypatch.setattr(jsonl.os, "write", write)
    with pytest.raises(OSError, match="No space"):
        sink.deliver(stream(epoch=2))
    full[0] = False
    sink.deliver(stream(epoch=2))
    assert [line["epoch"] for line in written(tmp_path / "e")] == [1, 1, 1, 2, 2, 2]
    sink.closed()


def test_only_the_chosen_types_and_cameras_are_written(tmp_path: Path) -> None:
    sink = JsonLines(str(tmp_path / "e"), types=["exit"], cameras=["hall"])
    sink.start()
    sink.put(stream(2) + stream(1, camera="yard"))
    sink.close()
    assert [(line["type"], line["camera"]) for line in written(tmp_path / "e")] == [("exit", "hall")] * 2


def test_a_full_queue_drops_the_oldest_and_says_so(tmp_path: Path) -> None:
    sink = JsonLines(str(tmp_path / "e"), limit=3)
    sink.put(stream(4))
    sink.start()
    sink.close()
    assert [line["seq"] for line in written(tmp_path / "e")] == [7, 8, 9]
    assert sink.figures().lost == 6


def test_standard_output_takes_lines(capsys: pytest.CaptureFixture[str]) -> None:
    sink = JsonLines("-")
    sink.deliver(stream())
    sink.closed()
    assert [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()] == [1, 2, 3]


def test_a_path_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        JsonLines(str(tmp_path / "file" / "below"))
