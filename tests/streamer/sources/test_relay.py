"""SRT by way of a child: a fake one, and a real sender where ffmpeg has libsrt."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamer.errors import SourceError
from streamer.sources import relay
from streamer.sources.address import parse_address
from streamer.sources.camera import Backoff, CameraSource
from streamer.sources.connection import Connection, Lost
from streamer.sources.relay import LACKING, SILENT, UNCALLED, Relay, find_program, script
from streamer.testing import Actor, Scene, Shot

WORD = "it's 4 S3cr3t&+%"
ENVIRONMENT = {"WORD": WORD}
HERE = parse_address("srt://127.0.0.1:9?mode=caller&passphrase=${WORD}", environment=ENVIRONMENT)
WAIT = 20.0


@contextmanager
def started(program: str, *command: str, stall: float = 5.0) -> Iterator[Relay]:
    running = Relay(HERE, program, stall, command=command)
    try:
        yield running
    finally:
        running.close()


def told(*command: str) -> str:
    with started("/bin/sh", "-c", *command) as child:
        while child.read(100):
            pass
        child.close()
        return child.trouble()


def drained(child: Relay) -> bytes:
    out = b""
    while data := child.read(4096):
        out += data
    return out


def test_the_address_reaches_the_child_over_its_standard_input_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", WORD)
    with started("/bin/sh", "-c", "cat; cat /proc/self/environ; read more") as child:
        said = child.read(4096)
        seen = Path(f"/proc/{child.pid}/cmdline").read_bytes() + Path(f"/proc/{child.pid}/environ").read_bytes()
        assert b"option passphrase 'it'\\''s 4 S3cr3t&+%'" in said
        assert b"S3cr3t" not in seen + drained(child)
    assert b"PATH=" in seen


def test_the_script_names_the_stream_and_ends_an_orphan() -> None:
    assert script(HERE, 3.0).splitlines() == [
        "ffconcat version 1.0",
        "file 'srt://127.0.0.1:9?mode=caller&timeout=6000000'",
        "option analyzeduration 500000",
        "option probesize 500000",
        "option passphrase 'it'\\''s 4 S3cr3t&+%'",
    ]
    assert "timeout=7'" in script(parse_address("srt://h:9?timeout=7"), 3.0)


def test_bytes_come_as_they_are_and_end_with_the_child() -> None:
    with started("/bin/sh", "-c", "printf abc; cat >/dev/null") as child:
        assert (drained(child), child.late) == (b"abc", False)


def test_what_takes_too_long_is_over() -> None:
    with started("/bin/sh", "-c", "exec sleep 600") as child:
        child.allow(0.05)
        assert (child.read(100), child.late) == (b"", True)
        pid = child.pid
    assert not Path(f"/proc/{pid}").exists()  # ended and waited for


def test_a_child_that_complains_at_length_is_not_held_up() -> None:
    with started("/bin/sh", "-c", "head -c 300000 /dev/zero >&2; echo last words >&2; printf x") as child:
        assert drained(child) == b"x"
        child.close()
        assert len(child._said) <= relay.KEPT


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("[srt @ 0x1] Connection to srt://h failed: Input/output error", SILENT),
        ("Stream map '0:v:0' matches no streams.", "there is no video in it that can be decoded"),
        (f"wrong option {WORD}", "wrong option ***"),
    ],
)
def test_why_it_ended_is_told_without_the_address(said: str, words: str) -> None:
    assert told('cat >/dev/null; echo "$0" >&2', said) == words


def test_no_descriptor_is_left() -> None:
    def held() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = held()
    for _ in range(5):
        with started("/bin/cat") as child:
            child.read(10)
    assert held() == before


def test_the_child_dies_with_a_parent_that_is_killed() -> None:
    code = (
        "import sys; from streamer.sources.relay import Relay; from streamer.sources.address import parse_address\n"
        "r = Relay(parse_address('srt://h:9'), '/bin/sh', 9.0, command=['-c', 'echo up; exec sleep 600'])\n"
        "r.read(9); print(r.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    with parent:
        assert parent.stdout is not None
        watched = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    assert select.select([watched], [], [], WAIT)[0]
    os.close(watched)


def test_without_a_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.sources.connection.find_program", lambda: None)
    with pytest.raises(Lost) as lost:
        Connection(HERE)
    assert (lost.value.reason, lost.value.final) == (LACKING, True)


def test_a_program_without_srt_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain, able = tmp_path / "plain", tmp_path / "able"
    plain.write_text("#!/bin/sh\necho 'Input:\n  file\nOutput:\n  srt'\n")
    able.write_text("#!/bin/sh\necho 'Input:\n  file\n  srt\nOutput:\n  file'\n")
    for program in (plain, able):
        program.chmod(0o700)
    monkeypatch.setattr(shutil, "which", lambda name: str(plain))
    monkeypatch.setattr(relay, "_packaged", lambda: str(able))
    assert find_program.__wrapped__() == str(able)
    monkeypatch.setattr(relay, "_packaged", lambda: None)
    assert find_program.__wrapped__() is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("srt://h:9?passphrase=short", "an SRT passphrase has 10 to 79 characters"),
        ("srt://h:9?x=a\nb", "control characters"),
    ],
)
def test_what_srt_cannot_take_is_refused(text: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        parse_address(text)


def test_a_password_of_the_cameras_file_is_the_passphrase() -> None:
    address = parse_address("srt://h:9?mode=listener", password="0123456789")
    assert "0123456789" not in repr(address) + address.clean("srt://h:9?streamid=0123456789 has 0123456789")
    assert (address.passphrase, address.url, address.listens) == ("0123456789", "srt://h:9?mode=listener", True)
    with pytest.raises(SourceError, match="SRT knows no user"):
        parse_address("srt://h:9", user="bob", password="0123456789")


# ---------------------------------------------------------------------------- with a real sender
@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_program() is None:
        pytest.skip("no ffmpeg with libsrt is installed (pip install imageio-ffmpeg, or apt-get install ffmpeg)")
    scene = Scene((Shot(2, (Actor(1, (80, 120, 60), (240, 120, 60)),)),))
    return scene.write(tmp_path_factory.mktemp("clip"))


@contextmanager
def sending(clip: Path, port: int, mode: str) -> Iterator[None]:
    """A camera that sends the clip over and over."""
    command = [str(find_program()), "-loglevel", "quiet", "-re", "-stream_loop", "-1", "-i", str(clip), "-map", "0:v"]
    url = f"srt://127.0.0.1:{port}?mode={mode}&passphrase=0123456789&connect_timeout=20000"
    process = subprocess.Popen([*command, "-c", "copy", "-f", "mpegts", url], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def children() -> list[str]:
    mine = Path(f"/proc/self/task/{os.getpid()}/children").parent.parent
    return [pid for task in mine.iterdir() for pid in (task / "children").read_text().split()]


def test_a_real_sender_that_is_killed_and_comes_back(clip: Path) -> None:
    port = free_port()
    url = f"srt://127.0.0.1:{port}?passphrase=0123456789"
    camera = CameraSource(url, stall=1.0, backoff=Backoff(lambda: -1.4))
    with sending(clip, port, "listener"):
        first = camera.take(WAIT)
        assert first is not None, camera.health()
        assert (first.width, first.height, camera.info.codec) == (320, 240, "h264")
    while camera.take(0.2) is not None or camera.live:
        pass
    assert camera.health().state in ("stalled", "down")
    with sending(clip, port, "listener"):
        again = camera.take(WAIT)
        assert again is not None, camera.health()
        assert (again.epoch, again.time > first.time) == (2, True)
        camera.close()
        assert camera.join(WAIT)
    assert children() == []


def test_a_camera_that_calls_is_listened_for(clip: Path) -> None:
    port = free_port()
    address = parse_address(f"srt://127.0.0.1:{port}?mode=listener", password="0123456789")
    camera = CameraSource(address, open_timeout=0.5)
    camera.start()
    while not camera.health().message:
        assert camera.take(0.05) is None
    assert camera.health().message == UNCALLED
    camera.close()
    camera.join(WAIT)
    camera = CameraSource(address)
    with sending(clip, port, "caller"):
        frame = camera.take(WAIT)
        assert frame is not None, camera.health()
        assert frame.width == 320
        camera.close()
        assert camera.join(WAIT)


def test_a_wrong_passphrase_is_told(clip: Path) -> None:
    port = free_port()
    with sending(clip, port, "listener"):
        camera = CameraSource(f"srt://127.0.0.1:{port}?passphrase=another-one")
        camera.start()
        while not camera.health().message:
            assert camera.take(0.05) is None
        assert camera.health().message == SILENT
        camera.close()
        assert camera.join(WAIT)
