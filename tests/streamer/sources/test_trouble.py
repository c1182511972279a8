"""What a person is told of a camera that cannot be reached."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from streamer.sources.address import parse_address
from streamer.sources.connection import Connection, Lost
from streamer.sources.trouble import cause


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the code in the path."""

    def do_GET(self) -> None:
        code = int(self.path.strip("/"))
        self.send_response(code)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def told(url: str) -> Lost:
    with pytest.raises(Lost) as lost:
        Connection(parse_address(url))
    assert "S3cr3t" not in lost.value.reason
    assert "127.0.0.1" not in lost.value.reason
    return lost.value


@pytest.mark.parametrize(
    ("path", "words", "slow"),
    [
        (401, "user or password are not accepted (401). Check them", True),
        (403, "user or password are not accepted (403). Check them", True),
        (404, "there is nothing at this path (404). Check the part of the address behind the host", False),
        (503, "its server answers with an error of its own (5xx)", False),
        (200, "what it sends is no video that can be read", False),
    ],
)
def test_an_answer_that_is_no_video(port: int, path: int, words: str, slow: bool) -> None:
    lost = told(f"http://bob:S3cr3t@127.0.0.1:{port}/{path}")
    assert (lost.reason, lost.slow, lost.final) == (words, slow, False)


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "rtmp", "tcp"])
def test_a_port_nobody_listens_at(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    lost = told(f"{scheme}://bob:S3cr3t@127.0.0.1:{port}/1")
    assert lost.reason == "connection refused: nothing listens there. Is it on, and is the port right?"


@pytest.mark.parametrize("scheme", ["rtsp", "http", "rtmp"])
def test_a_name_nobody_knows(scheme: str) -> None:
    assert told(f"{scheme}://nohost.invalid/1").reason.startswith("its host name is not known. Check the address")


def test_a_plain_port_asked_for_tls(port: int) -> None:
    lost = told(f"https://127.0.0.1:{port}/200")
    assert lost.reason == "no encrypted connection came about, or it broke. Is it the port for TLS?"


def test_an_error_of_the_system_is_put_in_words() -> None:
    device = parse_address("/dev/video7")
    assert cause(PermissionError(13, "Permission denied", "/dev/video7"), device).startswith(
        "this user may not open it"
    )
    assert cause(OSError(16, "Device or resource busy"), device) == "another program is using it"
    assert cause(OSError(5, "Input/output error"), parse_address("tcp://127.0.0.1:9")) == "the connection broke"
