"""Addresses of cameras: what is one, and where its password goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.errors import ConfigError, SourceError
from streamer.sources.address import holds_password, parse_address, read_secret


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "rtmp", "http", "https", "srt", "udp", "tcp"])
def test_the_schemes_of_cameras_are_taken(scheme: str) -> None:
    address = parse_address(f"{scheme}://hall/1")
    assert address.scheme == scheme
    assert "file" not in address.whitelist.split(",")


@pytest.mark.parametrize("text", ["file:///etc/passwd", "hall.mp4", "concat:a|b", "ftp://hall/1", "", "pipe:0"])
def test_anything_else_is_refused_with_what_to_give_instead(text: str) -> None:
    with pytest.raises(SourceError, match="rtsp"):
        parse_address(text)


@pytest.mark.parametrize("host", ["hall:0", "hall:99999", "hall:rtsp", "[::1]:65536"])
def test_a_port_that_is_none_is_told(host: str) -> None:
    with pytest.raises(SourceError, match=r"rtsp://\*\*\*@.*: its port is not a number from 1 to 65535"):
        parse_address(f"rtsp://bob:S3cr3t@{host}/1")
    assert parse_address("rtsp://[::1]/1").scheme == parse_address("rtsp://hall:/1").scheme == "rtsp"


def test_a_device_needs_no_scheme() -> None:
    assert parse_address("/dev/video0").scheme == "device"


def test_a_variable_is_filled_in_quoted_and_never_shown() -> None:
    address = parse_address("rtsp://bob:${HALL}@hall:554/1", environment={"HALL": "S3cr3t@/:"})
    assert address.url == "rtsp://bob:S3cr3t%40%2F%3A@hall:554/1"
    told = f"{address!r} {address.shown} {address.clean('S3cr3t@/: and S3cr3t%40%2F%3A')}"
    assert "S3cr3t" not in told


def test_a_variable_may_be_the_whole_address() -> None:
    address = parse_address("${CAM}", environment={"CAM": "rtsp://bob:S3cr3t@hall/1"})
    assert address.url == "rtsp://bob:S3cr3t@hall/1"
    assert address.shown == "rtsp://***@hall/1"
    assert address.clean("wrong: S3cr3t") == "wrong: ***"


def test_an_unset_variable_is_named() -> None:
    with pytest.raises(ConfigError, match=r"\$\{HALL\} is not set"):
        parse_address("rtsp://bob:${HALL}@hall/1", environment={})


def test_user_and_password_given_apart_replace_those_of_the_address() -> None:
    address = parse_address("rtsp://x:y@hall/1", user="bob", password="a b@")
    assert address.url == "rtsp://bob:a%20b%40@hall/1"


def test_a_password_in_plain_text_is_noticed() -> None:
    assert holds_password("rtsp://bob:S3cr3t@hall/1")
    assert holds_password("srt://hall:9000?mode=caller&passphrase=0123456789")
    assert not holds_password("srt://hall:9000?passphrase=${HALL}")
    assert not holds_password("rtsp://bob:${HALL}@hall/1")
    assert not holds_password("rtsp://hall/1")


def test_a_password_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("S3cr3t\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_secret(path)
    path.chmod(0o600)
    assert read_secret(path) == "S3cr3t"


def test_a_missing_or_empty_password_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secret(tmp_path / "none")
    path = tmp_path / "empty"
    path.touch(0o600)
    with pytest.raises(ConfigError, match="empty"):
        read_secret(path)
