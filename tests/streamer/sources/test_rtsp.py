"""A real RTSP server, where GStreamer's is installed (see scripts/rtsp_server)."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.sources.address import parse_address
from streamer.sources.camera import Backoff, CameraSource

SERVER = Path(__file__).resolve().parents[3] / "scripts" / "rtsp_server"
PYTHON = "/usr/bin/python3"
NEEDS = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
WAIT = 20.0


@pytest.fixture(scope="module")
def port() -> int:
    if not Path(PYTHON).exists() or subprocess.run([PYTHON, "-c", NEEDS], capture_output=True, check=False).returncode:
        pytest.skip("GStreamer's RTSP server is not installed (packages: scripts/rtsp_server --help)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def serve(port: int) -> subprocess.Popen[str]:
    command = [PYTHON, str(SERVER), "test", "--port", str(port), "--user", "bob", "--password-env", "CAMPW"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "CAMPW": "S3cr3t@"})
    assert process.stdout is not None
    assert process.stdout.readline().startswith("rtsp://")
    return process


@pytest.fixture
def server(port: int) -> Iterator[list[subprocess.Popen[str]]]:
    running = [serve(port)]
    yield running
    for process in running:
        process.kill()
        process.communicate()


def test_rtsp_with_a_password_survives_its_server(server: list[subprocess.Popen[str]], port: int) -> None:
    address = parse_address(f"rtsp://127.0.0.1:{port}/cam", user="bob", password="S3cr3t@")
    camera = CameraSource(address, name="hall", backoff=Backoff(lambda: -1.4))
    first = camera.take(WAIT)
    assert first is not None, camera.health()
    assert (first.width, first.height, camera.info.codec) == (1280, 720, "h264")
    server[0].kill()
    server[0].wait()
    while camera.take(0.2) is not None or camera.live:
        pass
    server.append(serve(port))
    again = camera.take(WAIT)
    assert again is not None, camera.health()
    assert (again.epoch, again.time > first.time) == (2, True)
    camera.close()
    assert camera.join(WAIT)


def test_a_wrong_password_is_told_as_such(server: list[subprocess.Popen[str]], port: int) -> None:
    camera = CameraSource(parse_address(f"rtsp://bob:wrong@127.0.0.1:{port}/cam"), backoff=Backoff(lambda: 2.0))
    camera.start()
    while not camera.health().message:
        assert camera.take(0.05) is None
    assert camera.health().message == "user or password are not accepted"
    camera.close()
