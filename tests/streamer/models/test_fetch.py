"""Fetching from a server on this machine: resuming, refusing, pinning; and archives that want out."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from streamer.errors import ModelError
from streamer.models import catalog, fetch, packs
from streamer.models.download import Download, download
from streamer.models.unpack import unpack


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Server:
    """Serves bytes by path. `stop_after` cuts the next answer short; `ranges` off ignores Range."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.stop_after: int | None = None
        self.ranges = True
        self.redirect: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=lambda: self.http.serve_forever(poll_interval=0.01))
        self.thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.asked.append((request.path, wanted))
        if request.path in self.redirect:
            request.send_response(302)
            request.send_header("Location", self.redirect[request.path])
            request.end_headers()
            return
        data = self.files.get(request.path)
        if data is None:
            request.send_error(404, "not here")
            return
        tag = f'"{digest(data)[:8]}"'
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and self.ranges else 0
        if request.headers.get("If-Range") not in (None, tag):
            start = 0
        if start and start >= len(data):
            request.send_error(416, "nothing there")
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.send_header("Content-Length", str(len(data) - start))
        request.send_header("ETag", tag)
        request.end_headers()
        stop, self.stop_after = self.stop_after, None
        request.wfile.write(data[start:stop])

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    made = Server()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHOWHEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


DATA = bytes(range(256)) * 4000  # 1 MB


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def register(monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]) -> None:
    """Makes `tiny` the only registered pack."""
    monkeypatch.setattr(packs, "registry", lambda: {"tiny": {"name": "tiny", **told}})


def pack(server: Server, **embedder: Any) -> dict[str, Any]:
    thresholds = {"pair": 0.3, "link": 0.4, "merge": 0.35}
    return {
        "licence": "for tests",
        "origin": "drawn",
        "detector": {"family": "scrfd", "file": "det.onnx"},
        "embedder": {"family": "aligned", "file": "emb.onnx", "thresholds": thresholds, **embedder},
    }


def archived(server: Server, **members: bytes) -> dict[str, Any]:
    server.files["/tiny.zip"] = zipped({f"tiny/{k}.onnx": v for k, v in members.items()})
    return pack(server) | {"archive": {"address": f"{server.address}/tiny.zip", "size": "about 1 MB"}}


def test_a_download_has_the_bytes_and_the_hash_and_leaves_no_part(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = DATA
    seen: list[tuple[int, int | None]] = []
    found = download(
        Download(f"{server.address}/a", tmp_path / "a", digest(DATA), len(DATA)), lambda *p: seen.append(p)
    )
    assert found == digest(DATA)
    assert (tmp_path / "a").read_bytes() == DATA
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert seen[-1] == (len(DATA), len(DATA))


def test_a_stopped_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.files["/a"], server.stop_after = DATA, 400_000
    wanted = Download(f"{server.address}/a", tmp_path / "a", digest(DATA))
    with pytest.raises(ModelError, match=r"stopped at 400000 of 1024000 bytes. Run the same command to go on"):
        download(wanted)
    assert not (tmp_path / "a").exists()
    download(wanted)
    assert server.asked == [("/a", None), ("/a", "bytes=400000-")]
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(server: Server, tmp_path: Path) -> None:
    server.files["/a"], server.stop_after = DATA, 400_000
    wanted = Download(f"{server.address}/a", tmp_path / "a")
    with pytest.raises(ModelError):
        download(wanted)
    server.files["/a"] = DATA[::-1]
    download(wanted)
    assert (tmp_path / "a").read_bytes() == DATA[::-1]


def test_a_server_without_ranges_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    server.files["/a"], server.stop_after, server.ranges = DATA, 400_000, False
    wanted = Download(f"{server.address}/a", tmp_path / "a", digest(DATA))
    with pytest.raises(ModelError):
        download(wanted)
    download(wanted)
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    server.files["/a"], server.stop_after = DATA, 400_000
    wanted = Download(f"{server.address}/a", tmp_path / "a", digest(DATA[:300_000]))
    with pytest.raises(ModelError):
        download(wanted)
    server.files["/a"] = DATA[:300_000]
    (tmp_path / "a.part.etag").write_text(f"{server.address}/a\n")
    download(wanted)
    assert (tmp_path / "a").read_bytes() == DATA[:300_000]


def test_a_wrong_hash_throws_the_part_away_and_keeps_what_was_there(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = DATA
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(ModelError, match=f"expected SHA-256 {'0' * 64}, found {digest(DATA)}"):
        download(Download(f"{server.address}/a", tmp_path / "a", "0" * 64))
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_another_size_than_stated_is_refused_before_a_byte_is_taken(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = DATA
    with pytest.raises(ModelError, match="has 1024000 bytes, 5 are expected"):
        download(Download(f"{server.address}/a", tmp_path / "a", None, 5))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "address", ["http://example.org/a", "ftp://127.0.0.1/a", "file:///etc/passwd", "http://127.0.0.1.example.org/a"]
)
def test_only_https_is_fetched(tmp_path: Path, address: str) -> None:
    with pytest.raises(ModelError, match="by https only"):
        download(Download(address, tmp_path / "a"))


def test_a_redirect_to_plain_http_is_not_followed(server: Server, tmp_path: Path) -> None:
    server.redirect["/a"] = "http://example.org/a"
    with pytest.raises(ModelError, match=r"example.org/a: models are fetched by https only"):
        download(Download(f"{server.address}/a", tmp_path / "a"))


def test_offline_is_one_line_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    closed = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    address = f"http://127.0.0.1:{closed.server_port}/a"
    closed.server_close()
    with pytest.raises(ModelError, match=r"127.0.0.1 cannot be reached .*whowhen models import DIR$") as caught:
        download(Download(address, tmp_path / "a"))
    assert "\n" not in str(caught.value)


def test_a_missing_page_is_one_line(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the server says 404"):
        download(Download(f"{server.address}/none", tmp_path / "a"))


def test_the_plan_names_licence_size_address_and_target(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, archived(server, det=b"d", emb=b"e"))
    told = str(fetch.plan("tiny"))
    for part in ("for tests", "about 1 MB", f"{server.address}/tiny.zip", str(packs.packs_folder() / "tiny")):
        assert part in told
    assert "not stated by the publisher for det.onnx, emb.onnx: pinned" in told


def test_nothing_is_fetched_without_a_yes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, archived(server, det=b"d", emb=b"e"))
    with pytest.raises(ModelError, match="was not fetched"):
        fetch.fetch("tiny")
    with pytest.raises(ModelError, match="was not fetched"):
        fetch.fetch("tiny", ask=lambda plan: "licence" not in plan)
    assert server.asked == []


def test_a_pack_without_stated_hashes_is_pinned_at_its_first_fetch(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, archived(server, det=b"d", emb=b"e", genderage=b"never wanted"))
    got = fetch.fetch("tiny", yes=True)
    assert got.new
    assert got.pinned["det.onnx"] == digest(b"d")
    assert sorted(p.name for p in packs.packs_folder().joinpath("tiny").iterdir()) == [".lock", "det.onnx", "emb.onnx"]
    assert packs.load_pack("tiny").embedder.files[0].sha256 == digest(b"e")
    again = fetch.fetch("tiny", yes=True)
    assert (again.new, again.pinned) == (False, {})
    assert len(server.asked) == 1


def test_a_second_fetch_of_other_bytes_is_refused_and_says_how_to_trust_them(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, archived(server, det=b"d", emb=b"e"))
    fetch.fetch("tiny", yes=True)
    (packs.packs_folder() / "tiny" / "emb.onnx").unlink()
    archived(server, det=b"d", emb=b"changed")
    with pytest.raises(ModelError, match="is not the expected file"):
        fetch.fetch("tiny", yes=True)
    assert not (packs.packs_folder() / "tiny" / "emb.onnx").exists()


def test_a_changed_file_is_refused_by_load_and_brought_back_by_fetch(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, archived(server, det=b"d", emb=b"e"))
    fetch.fetch("tiny", yes=True)
    (packs.packs_folder() / "tiny" / "emb.onnx").write_bytes(b"x")
    with pytest.raises(ModelError, match="expected SHA-256"):
        packs.load_pack("tiny")
    fetch.fetch("tiny", yes=True)
    assert packs.load_pack("tiny").name == "tiny"


def test_files_with_their_own_addresses_are_checked_against_the_stated_hash(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = pack(server, address=f"{server.address}/e", sha256=digest(b"e"), size=1)
    told["detector"] |= {"address": f"{server.address}/d", "sha256": digest(b"d"), "size": 1}
    register(monkeypatch, told)
    server.files |= {"/e": b"e", "/d": b"x"}
    with pytest.raises(ModelError, match="is not the expected file"):
        fetch.fetch("tiny", yes=True)
    server.files["/d"] = b"d"
    assert fetch.fetch("tiny", yes=True).pinned == {}
    assert not packs.pins_file("tiny").exists()


def test_the_embedded_pack_is_not_fetched() -> None:
    with pytest.raises(ModelError, match="made from installed packages"):
        fetch.plan("open")


def test_a_second_fetch_at_the_same_time_is_told_to_wait(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fcntl")
    register(monkeypatch, archived(server, det=b"d", emb=b"e"))
    folder = packs.packs_folder() / "tiny"
    with fetch.alone(folder), pytest.raises(ModelError, match="being fetched by another process"):
        fetch.fetch("tiny", yes=True)


def link(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zipped({"a.onnx": b"1", "../evil": b"2"}), "leads out of it"),
        (zipped({"a.onnx": b"1", "/evil": b"2"}), "leads out of it"),
        (zipped({"a.onnx": b"1", "C:/evil": b"2"}), "leads out of it"),
        (zipped({"a.onnx": bytes(2_000_000)}), "would grow 100 times"),
        (zipped({"x/a.onnx": b"1", "y/a.onnx": b"2"}), "a.onnx is there 2 times"),
        (zipped({"b.onnx": b"1"}), "a.onnx is not in it"),
        (zipped({str(i): b"" for i in range(1001)}), "more than a model pack can"),
        (link("a.onnx"), "holds a link"),
        (b"PK\x03\x04 and no more", "not a sound zip archive"),
    ],
)
def test_a_hostile_or_damaged_archive_writes_nothing(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(ModelError, match=message):
        unpack(tmp_path / "a.zip", ["a.onnx"], tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_a_member_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.onnx": b"some weights that are long enough"}))
    data[40] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(ModelError, match="not a sound zip archive"):
        unpack(tmp_path / "a.zip", ["a.onnx"], tmp_path / "out")
    assert not (tmp_path / "out" / "a.onnx").exists()


@pytest.mark.parametrize("packed", [True, False])
def test_a_registered_pack_is_imported_from_a_folder(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, packed: bool
) -> None:
    register(monkeypatch, archived(server, det=b"d", emb=b"e"))
    stick = tmp_path / "stick"
    stick.mkdir()
    if packed:
        (stick / "tiny.zip").write_bytes(server.files["/tiny.zip"])
    else:
        (stick / "det.onnx").write_bytes(b"d")
        (stick / "emb.onnx").write_bytes(b"e")
    got = catalog.import_pack(stick)
    assert got.pinned["emb.onnx"] == digest(b"e")
    assert packs.load_pack("tiny").name == "tiny"
    assert server.asked == []
    assert sorted(p.name for p in stick.iterdir()) == (["tiny.zip"] if packed else ["det.onnx", "emb.onnx"])
