"""A run that is told to end, killed, or not alone: what is finished is kept, and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipelines.terminal.interruption import Interruption
from streamer.testing import meeting, two_shots
from tests.pipelines.drawn import COMMAND, ROOT, whowhen

END_S = 60.0  # the promise is 10 s; a loaded machine may take longer, a hung one for ever


class Ended:
    """Stands in for the end of the process, and knows its exit codes."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.called = threading.Event()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self.called.set()


def asked(stop: Interruption, number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)
    assert stop._asked.wait(END_S)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_signal_asks_and_the_second_ends(number: int, code: int) -> None:
    ended = Ended()
    with Interruption(grace=1e6, end=ended) as stop:
        assert (stop.is_set(), stop.left) == (False, float("inf"))
        asked(stop, number)
        assert 0 < stop.left <= 1e6
        assert (stop.is_set(), stop.code, ended.codes) == (True, code, [])
        os.kill(os.getpid(), number)
        assert ended.called.wait(END_S)
    assert ended.codes == [code]


def test_a_run_that_does_not_end_is_ended() -> None:
    ended = Ended()
    with Interruption(grace=0.01, end=ended) as stop:
        asked(stop)
        assert ended.called.wait(END_S)
    assert ended.codes == [143]


def test_handlers_are_given_back_and_what_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        inside = signal.getsignal(signal.SIGINT)
        with Interruption(end=Ended()) as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            asked(stop)
            assert stop.code == 143
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) == inside
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    return [two_shots().write(tmp_path), meeting().write(tmp_path)]


def hanging(*arguments: object) -> subprocess.Popen[str]:
    """The command, once its source meeting.mp4 hangs in a read."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "WHOWHEN_TEST_HANG": "meeting.mp4"},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "hangs\n"
    return process


def test_a_signal_in_a_hung_read_keeps_what_is_finished_and_the_next_run_does_the_rest(
    videos: list[Path], tmp_path: Path
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    process = hanging("run", *videos, "-o", out, "-q")
    busy = whowhen("run", videos[0], "-o", out, "-q")
    assert busy.returncode == 2
    assert f"people.db is in use by pid {process.pid}. Wait for it to end" in busy.stderr
    process.send_signal(signal.SIGTERM)
    told, said = process.communicate(timeout=END_S)
    assert process.returncode == 143
    assert "scene.mp4: done" in told
    assert "meeting.mp4: interrupted" in told
    assert "1 of 2 inputs are finished and kept" in said
    assert "Traceback" not in said
    assert (out / "scene" / "report.html").exists()
    assert whowhen("run", *videos, "-o", out, "-q").returncode == 0
    assert whowhen("run", *videos, "-o", whole, "-q").returncode == 0
    for name in ("scene", "meeting"):
        for table in ("faces.csv", "appearances.csv", "people.csv"):
            assert (out / name / table).read_bytes() == (whole / name / table).read_bytes()


def test_a_second_ctrl_c_ends_at_once(videos: list[Path], tmp_path: Path) -> None:
    process = hanging("run", videos[1], "-o", tmp_path / "out", "-q")
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline().startswith("Interrupted: ")
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=END_S)[1]
    assert process.returncode == 130
    assert said == "Ended at once. What was finished is kept; the same command goes on from there.\n"


def test_runs_killed_at_random_moments_give_the_unbroken_result(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "tests.pipelines.killed", str(tmp_path), "4", "11"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=280, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
