"""From what a user writes to sources: folders, globs, duplicates, addresses, folder names."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.errors import SourceError
from streamer.sources import expand, open_source, stem
from streamer.sources.file import FileSource
from streamer.sources.images import ImageFolder
from streamer.sources.redact import redact, shown
from tests.streamer.sources.corpus import encode
from tests.streamer.sources.test_images import draw


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def names(folder: Path, found: list[Path]) -> list[str]:
    return [str(p.relative_to(folder)) for p in found]


def test_a_folder_gives_its_videos_recursively_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.MP4", "a.mkv", "sub/c.gif", ".hidden/d.mp4", "e.txt", ".f.mp4", "poster.jpg")
    assert names(tmp_path, expand([tmp_path])) == ["a.mkv", "b.MP4", "sub/c.gif"]


def test_a_folder_of_pictures_only_is_one_source(tmp_path: Path) -> None:
    touch(tmp_path, "party/1.jpg", "party/2.png", "trip/3.webp", "readme.txt")
    assert names(tmp_path, expand([tmp_path])) == ["party", "trip"]


def test_globs_are_expanded_and_files_named_twice_come_once(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "a.mp4", "deep/er/c.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    found = expand([tmp_path / "b.mp4", f"{tmp_path}/*.mp4", f"{tmp_path}/**/c.mp4", tmp_path])
    assert names(tmp_path, found) == ["b.mp4", "a.mp4", "deep/er/c.mp4"]


def test_a_name_that_looks_like_a_pattern_but_exists_is_a_file(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].mp4", "a1.mp4")
    assert names(tmp_path, expand([tmp_path / "a[1].mp4"])) == ["a[1].mp4"]


def test_a_missing_file_among_others_is_kept_and_fails_when_opened(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    found = expand([tmp_path / "gone.mp4", tmp_path / "a.mp4"])
    assert names(tmp_path, found) == ["gone.mp4", "a.mp4"]
    with pytest.raises(SourceError, match="does not exist"):
        open_source(found[0])


@pytest.mark.parametrize(
    ("spec", "says"),
    [("gone.mp4", "does not exist"), ("*.mp4", "matches no file"), ("", "holds no video and no picture")],
)
def test_nothing_found_at_all_is_an_error(spec: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=says):
        expand([tmp_path / spec])


@pytest.mark.parametrize("use", [lambda s: expand([s]), open_source, FileSource])
def test_an_address_is_refused_with_a_hint_and_without_its_password(use) -> None:
    with pytest.raises(SourceError, match="Use `whowhen watch`") as caught:
        use("rtsp://bob:S3cret@hall/1?token=T0ken")
    assert "S3cret" not in str(caught.value)
    assert "T0ken" not in str(caught.value)


def test_sources_are_opened_by_kind_and_options_reach_those_who_have_them(tmp_path: Path) -> None:
    encode(tmp_path / "v" / "a.mp4") if (tmp_path / "v").mkdir() else encode(tmp_path / "v" / "a.mp4", [0.0])
    (tmp_path / "p").mkdir()
    draw(tmp_path / "p" / "1.png")
    assert isinstance(open_source(tmp_path / "v" / "a.mp4", threads="NONE", seconds=2.0), FileSource)
    pictures = open_source(tmp_path / "p", threads="NONE", seconds=2.0)
    assert isinstance(pictures, ImageFolder)
    assert pictures.info.fps == 0.5
    assert isinstance(open_source(tmp_path / "p" / "1.png"), ImageFolder)
    with pytest.raises(SourceError, match="is a folder of videos"):
        open_source(tmp_path / "v")


def test_stems_are_safe_and_unique() -> None:
    taken: set[str] = set()
    given = ["a.mp4", "x/a.mov", "A.mkv", "-rf.mp4", "..mp4", "a\nb.mp4", "名前.mp4", "x" * 300 + ".mp4", "c:d|e.mp4"]
    made = [stem(g, taken) for g in given]
    assert made == ["a", "a-2", "A-3", "rf", "source", "a_b", "名前", "x" * 80, "c_d_e"]
    assert taken == set(made)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("rtsp://bob:S3cret@hall:554/1", "rtsp://***@hall:554/1"),
        ("rtsp://bob:S3c@ret@hall/1", "rtsp://***@hall/1"),
        ("http://cam/v.ts?user=a&pwd=S3cret", "http://cam/v.ts?***"),
        ("[Errno 111] refused: 'rtmp://u:S3cret@h/app'", "[Errno 111] refused: 'rtmp://***@h/app'"),
        ("srt://h:9000?passphrase=S3cret", "srt://h:9000?***"),
        ("password: S3cret", "password: ***"),
        ("Authorization: Basic S3cret", "Authorization: ***"),
        ("no secrets in C:/video.mp4 or a@b", "no secrets in C:/video.mp4 or a@b"),
    ],
)
def test_redacted_text_holds_no_secret(text: str, safe: str) -> None:
    assert redact(text) == safe
    assert "S3c" not in safe


def test_known_secrets_are_taken_out_wherever_they_stand() -> None:
    assert redact("camera hunter2 says hunter2!", "hunter2", "") == "camera *** says ***!"


def test_shown_text_is_one_harmless_line() -> None:
    assert shown("a\nb\x1b[31m\u202ec") == "a\\nb\\x1b[31m\\u202ec"
    assert shown("plain 名前") == "plain 名前"
