"""What a person at the terminal hears of sinks."""

from __future__ import annotations

import pytest

from pipelines.live import job
from pipelines.live.job import Console
from pipelines.live.sinks import Figures


def told(problem: str = "", lost: int = 0) -> list[Figures]:
    return [Figures("mqtt hall", 5, lost, 2, problem)]


def test_a_sink_that_cannot_deliver_is_told_once_and_so_is_the_end_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "SAY_EVERY", 0.0)
    console = Console()
    for problem in ("", "mqtt hall is not connected", "mqtt hall is not connected", "No space left", "", ""):
        console.sinks(told(problem))
    assert capsys.readouterr().err.splitlines() == [
        "mqtt hall is not connected. Trying again; events wait.",
        "mqtt hall: No space left. Trying again; events wait.",
        "mqtt hall: delivers again",
    ]


def test_a_sink_that_goes_to_and_fro_does_not_flood_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    for _ in range(100):
        console.sinks(told("mqtt hall is not connected"))
        console.sinks(told())
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_was_never_delivered_is_counted_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    Console().lost([*told(), *told("mqtt hall is not connected", lost=1)])
    assert capsys.readouterr().err == "mqtt hall: 1 event was not delivered. mqtt hall is not connected\n"
    Console(quiet=True).lost(told(lost=3))
    assert capsys.readouterr().err == ""
