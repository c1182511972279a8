"""A real RTSP server, where GStreamer's is installed (see scripts/rtsp_server)."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


class Encrypted(socketserver.ThreadingTCPServer):
    """TLS in front of a server, as cameras with rtsps have it."""

    daemon_threads = True

    def __init__(self, behind: int, folder: Path) -> None:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
             "-keyout", "k.pem", "-out", "c.pem"], cwd=folder, capture_output=True, check=True,
        )  # fmt: skip
        self.behind, self.context = behind, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "c.pem", folder / "k.pem")
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        with (
            contextlib.suppress(OSError), self.context.wrap_socket(request, server_side=True) as outer,
            socket.create_connection(("127.0.0.1", self.behind)) as inner,
        ):  # fmt: skip
            outer.setblocking(False)
            while select.select([outer, inner], [], [])[0]:
                with contextlib.suppress(ssl.SSLWantReadError):
                    inner.sendall(outer.recv(65_536) or _gone())
                if select.select([inner], [], [], 0)[0]:
                    data = inner.recv(65_536) or _gone()
                    outer.setblocking(True)
                    outer.sendall(data)
                    outer.setblocking(False)


def _gone() -> bytes:
    raise OSError("one side has hung up")


def test_rtsp_over_tls(server: list[subprocess.Popen[str]], port: int, tmp_path: Path) -> None:
    with Encrypted(port, tmp_path) as front:
        threading.Thread(target=front.serve_forever, daemon=True).start()
        camera = CameraSource(parse_address(f"rtsps://bob:S3cr3t%40@127.0.0.1:{front.server_address[1]}/cam"))
        first = camera.take(WAIT)
        assert first is not None, camera.health()
        assert (first.width, camera.info.codec) == (1280, "h264")
        camera.close()
        assert camera.join(WAIT)
        front.shutdown()


def test_a_wrong_password_is_told_as_such(server: list[subprocess.Popen[str]], port: int) -> None:
    camera = CameraSource(parse_address(f"rtsp://bob:wrong@127.0.0.1:{port}/cam"), backoff=Backoff(lambda: 2.0))
    camera.start()
    while not camera.health().message:
        assert camera.take(0.05) is None
    assert camera.health().message == "user or password are not accepted (401). Check them"
    camera.close()
