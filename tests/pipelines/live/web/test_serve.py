"""`whowhen watch --serve` as a process: what its page answers while a camera runs."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.sources.camera_feed import Feed
from streamer.testing import Actor, Scene, Shot
from tests.pipelines.drawn import COMMAND, ROOT

pytest.importorskip("uvicorn", reason="uvicorn is not installed (extra `live`)")
WAIT = 60.0  # s: an answer that takes longer has failed


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Feed]:
    """A camera that shows two people for ever."""
    scene = Scene((Shot(4, (Actor(1, (70, 120, 60), (110, 120, 60)), Actor(4, (230, 120, 60)))),))
    with Feed(scene.write(tmp_path / "clip")) as one:
        yield one


@pytest.fixture
def running(feed: Feed, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command with its page on a free port."""
    command = [*COMMAND, "watch", feed.url, "--listen", "127.0.0.1:0", "-o", str(tmp_path / "out")]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def ask(address: str, token: str = "") -> tuple[int, Any]:
    """Status and open answer."""
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        answer = urllib.request.urlopen(request, timeout=WAIT)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer


def read(address: str, token: str = "") -> tuple[int, str]:
    status, answer = ask(address, token)
    with answer:
        return status, answer.read().decode()


def test_the_page_of_a_running_watch_tells_who_is_there(running: subprocess.Popen[str]) -> None:
    assert running.stderr is not None
    line = next(line for line in running.stderr if line.startswith("Live page: "))
    address, token = line.split()[-1].split("?token=")
    told = {}
    _, events = ask(f"{address}events", token)
    with events:
        while set(told) < {1, 2}:
            text = events.readline().decode()
            assert text, "the stream ended"
            if text.startswith("data: ") and (notice := json.loads(text[6:])).get("type") == "enter":
                told[notice["person"]] = notice
    assert read(f"{address}healthz")[0] == read(f"{address}readyz")[0] == 200
    assert read(f"{address}metrics")[0] == 401
    assert 'whowhen_stage_seconds_bucket{le="0.001",source="",stage="identify"}' in read(f"{address}metrics", token)[1]
    assert "<title>" in read(f"{address}?token={token}")[1]
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=WAIT)
    assert running.returncode == 143, said
    assert token not in said
