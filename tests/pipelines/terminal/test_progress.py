"""What a run says of itself while it goes on."""

from __future__ import annotations

import io
import json

import pytest

from pipelines.terminal.progress import Progress, spoken


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(style: str, inputs: int = 1) -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    progress = Progress(style, out=out, inputs=inputs)
    first = progress.source("a.mp4")
    first.total, first.done, first.frames, first.faces, first.people, first.state = 10.0, 5.0, 125, 40, 3, "running"
    return progress, out


def test_elsewhere_than_on_a_terminal_it_is_a_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    progress, out = told("auto", inputs=2)
    monkeypatch.setattr("time.monotonic", iter([100.0, 110.0, 110.0, 110.0]).__next__)
    with progress:
        progress.tick("a.mp4", force=True)
    assert out.getvalue() == "[1/2] a.mp4: running, 50 %, 12 fps, 40 faces, 3 people, about 30 s left\n"


def test_machines_get_a_json_object_a_line() -> None:
    progress, out = told("json")
    with progress:
        progress.tick("a.mp4", force=True)
    line = json.loads(out.getvalue())
    assert (line["progress"], line["state"], line["seconds"], line["of"]) == ("a.mp4", "running", 5.0, 10.0)
    assert (line["frames"], line["faces"], line["people"], line["input"], line["inputs"]) == (125, 40, 3, 1, 1)


def test_time_left_counts_inputs_not_yet_opened_and_not_those_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    progress, _ = told("none", inputs=4)
    progress.source("b.mp4").state = "failed"
    monkeypatch.setattr("time.monotonic", lambda: 10.0)
    progress._began = 0.0
    assert progress.eta() == 2.0 * (3 * 10.0 - 5.0)  # 2 s a second of video, b.mp4 has none


def test_nothing_is_foretold_before_anything_is_known() -> None:
    assert Progress("none").eta() is None
    assert told("none")[0].sources["a.mp4"].total


def test_quiet_keeps_warnings_and_drops_notes() -> None:
    progress, out = told("none")
    progress.note("device: cpu")
    progress.tick("a.mp4", force=True)
    progress.say("a.mp4: ends early")
    assert out.getvalue() == "a.mp4: ends early\n"


def test_a_terminal_gets_bars_of_the_file_and_of_all() -> None:
    out = Terminal()
    progress = Progress(out=out, inputs=2)
    with progress:
        s = progress.source("folder/a.mp4")
        s.total, s.done, s.state = 10.0, 5.0, "running"
        progress.tick("folder/a.mp4", force=True)
    assert progress.style == "bars"
    assert "2 inputs" in out.getvalue()
    assert "a.mp4" in out.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(41.2, "41 s"), (720.0, "12 min"), (12_600.0, "3.5 h")])
def test_durations_are_said_as_people_do(seconds: float, text: str) -> None:
    assert spoken(seconds) == text
