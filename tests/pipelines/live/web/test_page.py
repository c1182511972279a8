"""The live page: who may talk to it, what it answers, and that slow or rude clients hold nobody up."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.live.web import app, guard, server
from pipelines.live.web.app import Page
from pipelines.live.web.server import PageServer, Serve
from streamer.errors import ConfigError, StoreError
from tests.pipelines.live.web.drawn import START, Run

pytest.importorskip("uvicorn", reason="uvicorn is not installed (extra `live`)")


class Client:
    """A browser without a page: keeps its cookie, sends the headers a page sends."""

    def __init__(self, page: PageServer) -> None:
        self.page, self.cookie = page, ""

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.page.port, timeout=20)
        sent = {k.replace("_", "-"): v for k, v in headers.items()}
        if self.cookie:
            sent.setdefault("Cookie", self.cookie)
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data

    def enter(self) -> Client:
        status, headers, _ = self.ask(f"/?token={self.page.serve.token}")
        assert status == 200
        self.cookie = headers["set-cookie"].split(";")[0]
        return self

    def post(self, what: str, told: Any, **headers: str) -> tuple[int, Any]:
        given = {"Origin": f"http://127.0.0.1:{self.page.port}", "X_Whowhen": "1"} | headers
        status, _, data = self.ask(f"/api/decide/{what}", "POST", json.dumps(told).encode(), **given)
        return status, data.decode()


@pytest.fixture
def run() -> Run:
    made = Run()
    made.health()
    made.step(1, 2)
    return made


@pytest.fixture
def page(run: Run) -> Iterator[PageServer]:
    made = PageServer(Serve(listen="127.0.0.1:0"), run.board, run.decide, list, lambda: [run.load])
    yield made
    made.close()


@pytest.fixture
def client(page: PageServer) -> Client:
    return Client(page).enter()


def test_nothing_is_told_without_the_token(page: PageServer) -> None:
    stranger = Client(page)
    for path in ("/", "/api/state", "/events", "/metrics", "/api/frame/hall", "/static/live.js", "/?token=wrong"):
        status, headers, body = stranger.ask(path)
        assert status == 401, path
        assert b"hall" not in body
        assert "set-cookie" not in headers
    assert stranger.ask("/healthz")[0] == 200
    assert stranger.ask("/readyz")[0] == 200


def test_the_token_is_long_and_the_session_is_for_this_page_alone(page: PageServer) -> None:
    assert len(page.serve.token) >= 43  # 256 bits in base64
    _, headers, _ = Client(page).ask(f"/?token={page.serve.token}")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert page.serve.token not in cookie
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_a_bearer_token_serves_scripts(page: PageServer) -> None:
    status, _, body = Client(page).ask("/metrics", Authorization=f"Bearer {page.serve.token}")
    assert status == 200
    assert b"whowhen_frames_total" in body


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "localhost.evil.example:80", ""])
def test_a_foreign_host_name_is_refused(client: Client, host: str) -> None:
    assert client.ask("/api/state", Host=host)[0] == 421
    assert client.ask("/healthz", Host=host)[0] == 421


def test_guessing_the_token_is_slowed_down(page: PageServer) -> None:
    stranger = Client(page)
    found = [stranger.ask(f"/?token={k}")[0] for k in range(guard.TRIES + 2)]
    assert found[:-3] == [401] * (guard.TRIES - 1)
    assert found[-2:] == [429, 429]
    assert stranger.ask(f"/?token={page.serve.token}")[0] == 429


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"X_Whowhen": ""}, {"Origin": "http://127.0.0.1:1"}],
)
def test_a_change_from_another_origin_is_refused(client: Client, run: Run, headers: dict[str, str]) -> None:
    given = {"Origin": f"http://127.0.0.1:{client.page.port}", "X_Whowhen": "1"} | headers
    if headers.get("X_Whowhen") == "":
        del given["X_Whowhen"]
    status, _, _ = client.ask("/api/decide/name", "POST", b'{"person": 1, "name": "Eve"}', **given)
    assert status == 403
    assert run.decided == []


def test_a_person_is_named_from_the_page(client: Client, run: Run) -> None:
    assert client.post("name", {"person": 1, "name": "Ann Lee"})[0] == 200
    assert run.decided == [("name", {"person": 1, "name": "Ann Lee"})]
    state = json.loads(client.ask("/api/state")[2])
    assert state["names"] == {"1": "Ann Lee"}
    assert {s["name"] for s in state["stays"] if s["person"] == 1} == {"Ann Lee"}
    assert client.post("undo", {})[0] == 200
    assert json.loads(client.ask("/api/state")[2])["names"] == {}


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("name", {"person": 1}), ("name", {"person": "1", "name": "x"}), ("name", {"person": True, "name": "x"}),
        ("name", {"person": -1, "name": "x"}), ("name", {"person": 1, "name": "x" * 81}), ("name", []),
        ("name", {"person": 1, "name": "x", "more": 1}), ("forget", {"person": 1}), ("undo", {"entry": 1}),
    ],
)  # fmt: skip
def test_a_change_that_is_not_one_is_refused(client: Client, run: Run, what: str, told: Any) -> None:
    assert client.post(what, told)[0] == 400
    assert run.decided == []


def test_a_body_that_is_too_long_or_no_json_is_refused(client: Client) -> None:
    given = {"Origin": f"http://127.0.0.1:{client.page.port}", "X_Whowhen": "1"}
    assert client.ask("/api/decide/name", "POST", b"{" * 10_000, **given)[0] == 400
    assert client.ask("/api/decide/name", "POST", b"x" * (guard.BODY + 1), **given)[0] == 413


def test_what_the_library_refuses_is_told_in_its_words(run: Run) -> None:
    def refuse(what: str, told: dict[str, Any]) -> dict[str, Any]:
        raise StoreError("there is no person 9.")

    page = PageServer(Serve(listen="127.0.0.1:0"), run.board, refuse)
    try:
        assert Client(page).enter().post("name", {"person": 9, "name": "x"}) == (
            409, '{"error":"there is no person 9."}',
        )  # fmt: skip
    finally:
        page.close()


def test_a_picture_comes_with_the_faces_of_its_own_moment(client: Client, run: Run) -> None:
    status, headers, body = client.ask("/api/frame/hall?after=0")
    told = json.loads(headers["whowhen-frame"])
    assert (status, body[:2], told["width"], [f["person"] for f in told["faces"]]) == (200, b"\xff\xd8", 320, [1, 2])
    assert client.ask(f"/api/frame/hall?after={told['number']}")[0] == 204
    run.step(1)
    assert client.ask(f"/api/frame/hall?after={told['number']}")[0] == 200
    assert client.ask("/api/frame/nowhere")[0] == 404
    assert client.ask("/api/frame/yard%20%3Cb%3E%26")[0] == 204
    assert client.ask("/static/..%2Fapp.py")[0] == 404


def test_ready_is_only_who_has_a_live_camera(client: Client, run: Run) -> None:
    assert client.ask("/readyz")[0] == 200
    run.health("down")
    assert client.ask("/readyz")[0] == 503
    assert client.ask("/healthz")[0] == 200


def test_metrics_are_what_prometheus_reads(client: Client) -> None:
    from prometheus_client import parser

    text = client.ask("/metrics")[2].decode()
    found = {(s.name, *sorted(s.labels.items())): s.value for f in parser.text_string_to_metric_families(text)
             for s in f.samples}  # fmt: skip
    assert found["whowhen_frames_total", ("source", "hall")] == 500
    assert found["whowhen_frames_dropped_total", ("reason", "newer frame"), ("source", "hall")] == 20
    assert found["whowhen_source_up", ("source", "hall")] == 1
    assert found["whowhen_people_present", ("source", "hall")] == 2
    assert found["whowhen_tracks_active", ("source", "yard <b>&")] == 0
    assert found["whowhen_notices_total", ("type", "enter")] == 2
    assert found["process_open_fds",] > 0


def test_metrics_tell_what_every_stage_costs(client: Client, run: Run) -> None:
    from prometheus_client import parser

    for seconds, items in ((0.004, 1), (0.3, 9)):
        run.load.note(seconds, items)
    run.load.waiting = 3
    families = {f.name: f for f in parser.text_string_to_metric_families(client.ask("/metrics")[2].decode())}
    seconds = {s.labels.get("le"): s.value for s in families["whowhen_stage_seconds"].samples}
    assert families["whowhen_stage_seconds"].type == "histogram"
    assert (seconds["0.002"], seconds["0.005"], seconds["0.5"], seconds["+Inf"]) == (0, 1, 2, 2)
    assert {s.value for s in families["whowhen_stage_batch"].samples if s.name.endswith("_sum")} == {10}
    assert [(s.labels, s.value) for s in families["whowhen_stage_waiting"].samples] == [
        ({"stage": "identify", "source": ""}, 3)
    ]


class Stream:
    """An open stream of events, read line by line."""

    def __init__(self, client: Client, query: str = "", **headers: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", client.page.port, timeout=20)
        self.connection.request("GET", f"/events{query}", headers={"Cookie": client.cookie} | headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200

    def next(self) -> tuple[str, str, dict[str, Any]]:
        """(key, type, data) of the next event."""
        key = kind = ""
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if line.startswith("id: "):
                key = line[4:]
            elif line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                return key, kind, json.loads(line[6:])

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


def test_a_consumer_resumes_without_loss_or_repeats(client: Client, run: Run) -> None:
    stream = Stream(client)
    first = [stream.next() for _ in range(3)]
    assert [kind for _, kind, _ in first] == ["begin", "enter", "enter"]
    stream.close()
    run.step(1, seconds=1.0)  # unknown, while nobody listens
    again = Stream(client, **{"Last-Event-ID": first[-1][0]})
    assert again.next()[1:2] == ("unknown",)
    run.gap()
    assert again.next()[1] == "gap"
    again.close()
    whole = Stream(client, query=f"?after={first[0][0]}")
    seqs = [int(whole.next()[0].partition("-")[2]) for _ in range(4)]
    assert seqs == [2, 3, 4, 5]
    whole.close()


def test_a_consumer_that_is_too_late_is_told_so(run: Run) -> None:
    run.board.kept.limit = 3
    for _ in range(5):
        run.gap()
    page = PageServer(Serve(listen="127.0.0.1:0"), run.board)
    client = Client(page).enter()
    stream = Stream(client, query=f"?after={run.board.book.epoch}-1")
    assert stream.next()[1] == "truncated"
    assert [stream.next()[1] for _ in range(3)] == ["gap"] * 3
    stream.close()
    page.close()


def streamed(run: Run, send: Callable[[Any], Awaitable[None]]) -> None:
    """Asks for the events with no server in between; `send` is the client's end."""
    guarded = guard.Guard(
        Page(run.board, None, list).app(), token="t" * 43, hosts=["hall"], secure=False, clock=lambda: 0.0
    )
    headers = [(b"host", b"hall"), (b"authorization", b"Bearer " + b"t" * 43)]
    scope = {"type": "http", "method": "GET", "path": "/events", "query_string": b"", "headers": headers}
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        return next(asked, None) or await asyncio.Event().wait()

    asyncio.run(guarded(scope, receive, send))


def test_a_reader_that_takes_nothing_is_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 0.01)

    async def never(message: Any) -> None:
        run.gap()
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    with pytest.raises(guard.SlowClientError):
        streamed(run, never)
    assert run.board.listeners == 0


def test_a_reader_that_falls_far_behind_is_let_go_to_come_again(run: Run) -> None:
    taken: list[bytes] = []

    async def slow(message: Any) -> None:
        taken.append(message.get("body", b""))
        if len(taken) == 2:  # while it takes the first piece much more happens than may wait
            for _ in range(app.WAITING + 5):
                run.gap()

    streamed(run, slow)
    told = b"".join(taken)
    assert (told.count(b"event: gap"), told.count(b"event: begin")) == (app.WAITING, 1)
    assert run.board.listeners == 0


def test_who_sends_half_a_request_is_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "FIRST_BYTE", 0.1)
    page = PageServer(Serve(listen="127.0.0.1:0"), run.board)
    with socket.create_connection(("127.0.0.1", page.port), timeout=20) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert slow.recv(100) == b""
    page.close()


def test_closing_ends_open_streams(run: Run) -> None:
    page = PageServer(Serve(listen="127.0.0.1:0"), run.board)
    client = Client(page).enter()
    stream = Stream(client)
    assert stream.next()[1] == "begin"
    page.close()
    assert not page._thread.is_alive()
    stream.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"listen": "0.0.0.0:1"}, "other machines"),
        ({"listen": "[::]:1"}, "other machines"),
        ({"listen": "192.168.1.2:80"}, "other machines"),
        ({"listen": "127.0.0.1:99999"}, "is not HOST:PORT"),
        ({"tls_cert": "a.pem"}, "belong together"),
        ({"token_env": "NOPE"}, "NOPE is not set"),
        ({"token_env": "SHORT"}, "32 characters"),
    ],
)
def test_what_is_not_safe_is_not_served(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Serve(**options, environment={"SHORT": "abc"})


def test_a_port_in_use_is_told(page: PageServer, run: Run) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        PageServer(Serve(listen=f"127.0.0.1:{page.port}"), run.board)


def test_the_address_is_printed_once_with_a_token_that_nobody_chose(
    page: PageServer, capsys: pytest.CaptureFixture[str]
) -> None:
    page.announce()
    assert capsys.readouterr().err == f"Live page: http://127.0.0.1:{page.port}/?token={page.serve.token}\n"
    chosen = Serve(token_env="T", environment={"T": "x" * 40})
    assert (chosen.token, chosen.generated) == ("x" * 40, False)


def test_the_page_speaks_tls(run: Run, tmp_path: Path) -> None:
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-keyout", str(key), "-out", str(cert)], capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl cannot make a certificate")
    page = PageServer(Serve(listen="0.0.0.0:0", tls_cert=str(cert), tls_key=str(key)), run.board)
    trust = ssl.create_default_context(cafile=str(cert))
    trust.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", page.port, context=trust, timeout=20)
    connection.request("GET", f"/?token={page.serve.token}")
    answer = connection.getresponse()
    assert answer.status == 200
    assert "Secure" in str(answer.getheader("set-cookie"))
    answer.read()
    connection.close()
    page.close()
    assert START > 0
