"""The cameras file: what it may hold, and where its passwords may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.live.cameras import apply_options, read_cameras
from streamer.config import load
from streamer.errors import ConfigError, SourceError

BLOCKS = ("options", "sinks")


def written(folder: Path, text: str, mode: int = 0o644) -> list[str]:
    path = folder / "cameras.yaml"
    path.write_text(text)
    path.chmod(mode)
    return [str(path)]


def test_a_file_names_cameras_in_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALL", "S3cr3t")
    text = (
        "cameras:\n  hall: rtsp://bob:${HALL}@10.0.0.1/1\n  door: {url: /dev/video0, stall: 5, frozen: 0}\nsinks: []\n"
    )
    found = read_cameras(written(tmp_path, text), BLOCKS)
    hall, door = found.cameras
    assert (hall.name, hall.address.url) == ("hall", "rtsp://bob:S3cr3t@10.0.0.1/1")
    assert (door.name, dict(door.options)) == ("door", {"stall": 5, "frozen": 0})
    assert found.blocks == {"sinks": []}
    assert "S3cr3t" not in repr(found)


def test_a_password_file_belongs_to_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("p w\n")
    (tmp_path / "secret").chmod(0o600)
    text = "cameras:\n  hall: {url: 'rtsp://10.0.0.1/1', user: bob, password_file: secret}\n"
    (hall,) = read_cameras(written(tmp_path, text), BLOCKS).cameras
    assert hall.address.url == "rtsp://bob:p%20w@10.0.0.1/1"


def test_a_plain_password_needs_a_private_file(tmp_path: Path) -> None:
    text = "cameras:\n  hall: rtsp://bob:S3cr3t@10.0.0.1/1\n"
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        read_cameras(written(tmp_path, text), BLOCKS)
    assert "S3cr3t" not in str(caught.value)
    assert read_cameras(written(tmp_path, text, 0o600), BLOCKS).cameras[0].address.secrets == ("S3cr3t",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cameras: []\n", "wants a list"),
        ("camera:\n  a: rtsp://h/1\n", "did you mean cameras"),
        ("cameras:\n  a: {url: 'rtsp://h/1', stal: 3}\n", "did you mean stall"),
        ("cameras:\n  a: {url: 'rtsp://h/1', stall: soon}\n", "stall wants a number"),
        ("cameras:\n  a: {url: 'rtsp://h/1', transport: pigeon}\n", "tcp or udp"),
        ("cameras:\n  a: {stall: 3}\n", "wants an address"),
        ("cameras:\n  ../a: rtsp://h/1\n", "a name is made of"),
        ("cameras:\n  a: rtsp://b:${NOT_SET_ANYWHERE}@h/1\n", "NOT_SET_ANYWHERE"),
        ("cameras:\n  a: rtsp://h/1\n  a: rtsp://h/2\n", "given twice"),
        ("cameras: [\n", "not valid YAML"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        read_cameras(written(tmp_path, text), BLOCKS)


def test_addresses_get_names_of_their_own() -> None:
    found = read_cameras(["rtsp://b:pw@10.0.0.1:554/a/1?x=y", "rtsp://10.0.0.1:554/a/1", "/dev/video0"], BLOCKS)
    assert [c.name for c in found.cameras] == ["10.0.0.1:554-a-1", "10.0.0.1:554-a-1-2", "dev-video0"]


def test_a_video_file_is_no_camera() -> None:
    with pytest.raises(SourceError, match="is not the address of a camera"):
        read_cameras(["clip.mp4"], BLOCKS)
    with pytest.raises(ConfigError, match="No camera was given"):
        read_cameras([], BLOCKS)


def test_options_of_the_file_stand_before_presets_and_behind_the_command_line() -> None:
    config = load("fast", settings=("stride.preset=accurate",), environment={})
    apply_options(config, {"stride": {"preset": "balanced"}, "tracker": {"gap": 2.0}}, "cameras.yaml")
    assert config.component("stride")["preset"] == "accurate"
    assert config.component("tracker")["gap"] == 2.0
    with pytest.raises(ConfigError, match="tracker.gapp"):
        apply_options(config, {"tracker": {"gapp": 2.0}}, "cameras.yaml")


def test_the_example_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = Path(__file__).resolve().parents[3] / "configs" / "examples" / "cameras.yaml"
    monkeypatch.setenv("HALL_PASSWORD", "a")
    (tmp_path / "door.secret").write_text("b\n")
    (tmp_path / "door.secret").chmod(0o600)
    found = read_cameras(written(tmp_path, example.read_text()), (*BLOCKS, "presence", "record", "serve"))
    assert [c.name for c in found.cameras] == ["hall", "door", "desk"]
    apply_options(load(environment={}), found.blocks["options"], "example")
