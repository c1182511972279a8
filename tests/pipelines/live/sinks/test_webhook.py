"""Webhooks: signed, in order, tried again, and still there after a kill."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipelines.live.sinks import webhook
from pipelines.live.sinks.spool import Spool
from pipelines.live.sinks.webhook import Webhook, signature
from streamer.errors import ConfigError
from streamer.testing import FakeClock
from tests.pipelines.live.sinks.drawn import stream


class Receiver(ThreadingHTTPServer):
    """Answers with the statuses it was given, then 200; keeps what it took."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.tries = 0
        self.enough = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def wait(self, count: int) -> None:
        assert all(self.enough.acquire(timeout=20) for _ in range(count))


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tries += 1
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == 200:
            self.server.taken.append((dict(self.headers), body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        if status == 200:
            self.server.enough.release()

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook.Webhook, "backoff", staticmethod(lambda failures, asked=None: 0.001))


def test_notices_come_in_order_signed_and_dated(receiver: Receiver, tmp_path: Path) -> None:
    sink = Webhook(receiver.url, spool=tmp_path / "s", secret="k3y", clock=FakeClock(1_000.0))
    sink.start()
    sink.put(stream(2))
    receiver.wait(5)
    sink.close()
    assert [json.loads(b)["seq"] for _, b in receiver.taken] == [1, 2, 3, 4, 5]
    headers, body = receiver.taken[1]
    assert headers["Whowhen-Signature"] == signature("k3y", 1000, body)
    assert headers["Whowhen-Delivery"] == "9-2"
    assert json.loads(body)["type"] == "enter"


def test_a_signature_depends_on_body_time_and_secret() -> None:
    signs = {signature(*a) for a in [("k", 1, b"x"), ("k", 1, b"y"), ("k", 2, b"x"), ("l", 1, b"x")]}
    assert len(signs) == 4
    # RFC 4231-style check value made with: printf '1.{}' | openssl dgst -sha256 -hmac key
    assert signature("key", 1, b"{}").startswith("t=1,v1=1ba6b8171186efc613e8")


def test_server_errors_are_tried_again_until_it_works(receiver: Receiver, tmp_path: Path) -> None:
    receiver.statuses = [500, 503, 429]
    sink = Webhook(receiver.url, spool=tmp_path / "s")
    sink.start()
    sink.put(stream())
    receiver.wait(3)
    sink.close()
    assert [json.loads(b)["seq"] for _, b in receiver.taken] == [1, 2, 3]
    assert (receiver.tries, sink.figures().lost, sink.waiting_bytes) == (6, 0, 0)


def test_a_problem_is_not_over_when_more_is_to_be_sent(tmp_path: Path) -> None:
    sink = Webhook("http://127.0.0.1:9/", spool=tmp_path / "s")
    sink.work()
    sink.deliver(stream())
    sink.work()
    assert "cannot be reached" in sink.figures().problem
    assert sink.persist(lambda: sink.deliver(stream()))
    assert "cannot be reached" in sink.figures().problem


@pytest.mark.parametrize("status", [302, 400, 404])
def test_a_refusal_gives_the_notice_up_and_counts_it(receiver: Receiver, tmp_path: Path, status: int) -> None:
    receiver.statuses = [200, status]
    sink = Webhook(receiver.url, spool=tmp_path / "s")
    sink.start()
    sink.put(stream())
    receiver.wait(2)
    sink.close()
    assert [json.loads(b)["seq"] for _, b in receiver.taken] == [1, 3]
    assert sink.figures().lost == 1


def test_what_was_not_taken_is_sent_by_the_next_run(receiver: Receiver, tmp_path: Path) -> None:
    dead = Webhook("http://127.0.0.1:9/hook", spool=tmp_path / "s")
    dead.deliver(stream())
    dead.work()
    assert "cannot be reached" in dead.figures().problem
    dead.closed()
    sink = Webhook(receiver.url, spool=tmp_path / "s")
    sink.start()
    receiver.wait(3)
    sink.close()
    assert [json.loads(b)["seq"] for _, b in receiver.taken] == [1, 2, 3]


def test_the_spool_is_bounded_and_keeps_whole_lines(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", limit=100)
    spool.add([f"{k:019}" for k in range(10)])
    assert (spool.first(), len(spool), spool.lost) == (f"{5:019}", 100, 5)
    spool.done()
    spool.close()
    with (tmp_path / "s").open("ab") as file:
        file.write(b"half a li")
    again = Spool(tmp_path / "s", limit=100)
    assert (again.first(), len(again)) == (f"{6:019}", 80)
    again.close()


def test_blanked_lines_are_passed_over(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    spool.add(["first", "second", "third", "fourth"])
    spool.done()
    with (tmp_path / "s").open("r+b") as file:
        file.write(b"     \n      \nthird\n      ")
    assert spool.first() == "third"
    spool.done()
    assert spool.first() is None
    spool.add(["fifth"])
    spool.close()
    again = Spool(tmp_path / "s")
    assert again.first() == "fifth"
    again.close()


def test_the_spool_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.live.sinks.spool.COMPACT", 500)
    spool = Spool(tmp_path / "s", limit=1000)
    largest = 0
    for k in range(300):
        spool.add([f"{k:099}"])
        if k > 2:
            assert spool.first() == f"{k - 3:099}"
            spool.done()
        largest = max(largest, (tmp_path / "s").stat().st_size)
    assert largest <= 1500
    while spool.first() is not None:
        spool.done()
    assert (tmp_path / "s").stat().st_size <= 1100
    spool.close()


@pytest.mark.parametrize("url", ["ftp://a/b", "https://", "http://u:Pl4nted@a/", "http://a/b c", "http://a:x/"])
def test_an_address_that_cannot_be_meant_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="webhook") as caught:
        Webhook(url, spool=tmp_path / "s")
    assert "Pl4nted" not in str(caught.value)


def test_the_address_is_not_shown_where_it_may_hold_a_token(tmp_path: Path) -> None:
    sink = Webhook("http://127.0.0.1:9/api/webhook/T0ken?key=S3cret", spool=tmp_path / "s", secret="k3y")
    sink.deliver(stream())
    sink.work()
    told = f"{sink.figures()}"
    assert sink.figures().problem
    assert not any(word in told for word in ("T0ken", "S3cret", "k3y"))
    sink.closed()
