"""What `whowhen run` makes of inputs of every kind: results, one clear line each, exit codes."""

from __future__ import annotations

import csv
import errno
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipelines.cli import main
from pipelines.file import Job, check
from streamer.errors import ConfigError
from streamer.items import F32, U8, Frame
from streamer.testing import FakeEmbedder, meeting, person_of, two_shots
from tests.pipelines.drawn import ROOT, use_drawn_faces, whowhen
from tests.streamer.sources.corpus import SCENE, changed, cut, encode, matrix, playlist, sound_only


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    use_drawn_faces(monkeypatch.setattr)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_shots().write(tmp_path_factory.mktemp("clip"))


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["run", *map(str, arguments)])
    return int(ended.value.code or 0)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("given", [["-o", ""], ["--out="], ["--library", "", "-o", "out"]])
def test_an_option_that_names_nothing_is_refused(
    clip: Path, tmp_path: Path, given: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(clip, *given) == 2
    assert "names nothing" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_bad_inputs_get_a_line_each_and_the_good_one_is_done(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {
        "missing.mp4": "does not exist",
        "empty.mp4": "is empty (0 bytes)",
        "text.mp4": "is not a video (it looks like plain text)",
        "index.mp4": "is not a video that can be read",
        "sound.mp4": "has no video stream",
        "list.mp4": "is not a video (it looks like a playlist)",
        "pipe.mp4": "is a pipe, not a file",
        "link.mp4": "does not exist",
        "empty": "holds no picture",
        "photo.jpg": "is not a picture that can be read",
    }
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("Dear diary,\n" * 99)
    changed(cut(0.6))(tmp_path / "index.mp4")
    sound_only(tmp_path / "sound.mp4")
    playlist(str(clip))(tmp_path / "list.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "empty").mkdir()
    (tmp_path / "photo.jpg").write_text("no photo\n" * 9)
    assert run(*[tmp_path / name for name in bad], clip, "-o", tmp_path / "out", "-q") == 5
    told = capsys.readouterr()
    lines = [line for line in told.err.splitlines() if line.startswith("SourceError: ")]
    assert len(lines) == len(bad)
    for line, (name, why) in zip(lines, bad.items(), strict=True):
        assert line.startswith(f"SourceError: {tmp_path / name}: {why}"), line
        assert line.endswith("."), line
    assert "Traceback" not in told.err
    assert "scene.mp4: done" in told.out
    assert {r["person"] for r in rows(tmp_path / "out" / "scene" / "faces.csv")} == {"1", "2"}
    assert sorted(p.name for p in (tmp_path / "out").iterdir() if p.is_dir()) == ["scene"]


def test_one_bad_input_alone_is_exit_code_six(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "gone.mp4", "-o", tmp_path / "out") == 6
    assert f"SourceError: {tmp_path}/gone.mp4: does not exist. Check the path.\n" in capsys.readouterr().err


def test_an_address_is_refused_without_its_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rtsp://me:S3cret@127.0.0.1/x?token=S3cret", "-o", tmp_path / "out") == 6
    told = capsys.readouterr().err
    assert "rtsp://***@127.0.0.1/x?***: is an address" in told
    assert "S3cret" not in told


def test_a_truncated_file_gives_a_partial_result_also_when_asked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(cut(0.6), container={"movflags": "faststart"})(tmp_path / "cut.mp4")
    assert run(tmp_path / "cut.mp4", "-o", tmp_path / "out", "-q") == 3
    assert "cut.mp4: ends early: " in capsys.readouterr().err
    told = json.loads((tmp_path / "out" / "cut" / "run.json").read_text())
    assert told["frames"]["read"] == told["frames"]["processed"] + told["frames"]["failed"]
    assert told["gaps"][0]["reason"] in ("missing", "damaged")
    assert "Stretches not seen" in (tmp_path / "out" / "cut" / "report.html").read_text()
    assert rows(tmp_path / "out" / "cut" / "appearances.csv")
    assert run(tmp_path / "cut.mp4", "-o", tmp_path / "out", "-q") == 3
    assert "cut.mp4: done before" in capsys.readouterr().out


def test_folders_patterns_pictures_and_moving_gifs_are_inputs(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import cv2

    videos, photos = tmp_path / "videos", tmp_path / "photos"
    (videos / "deep").mkdir(parents=True)
    photos.mkdir()
    shutil.copy(clip, videos / "deep" / "a.mp4")
    encode(videos / "b.mkv", [0.0, 0.04, 0.08])
    (videos / "notes.txt").write_text("no video")
    encode(tmp_path / "wave.gif", [k / 10 for k in range(8)], codec="gif", form="rgb8", rate=10)
    encode(tmp_path / "moving.png", [k / 10 for k in range(8)], codec="apng", form="rgb24", rate=10, kind="apng")
    for k in range(3):
        cv2.imwrite(str(photos / f"{k}.png"), SCENE.draw(0.2 * k))
    assert run(videos, photos, tmp_path / "*.gif", tmp_path / "moving.png", "-o", tmp_path / "out") == 0
    told, said = capsys.readouterr()
    done = [line.split(": ")[0] for line in told.splitlines() if ": done" in line]
    assert [Path(d).name for d in done] == ["b.mkv", "a.mp4", "photos", "wave.gif", "moving.png"]
    assert "videos: 1 file left out, no video by the ending (.txt)" in said
    assert len({r["frame"] for r in rows(tmp_path / "out" / "moving" / "faces.csv")}) == 8
    seen = {name: {r["person"] for r in rows(tmp_path / "out" / name / "faces.csv")} for name in ("a", "b", "photos")}
    assert seen == {"a": {"1", "2"}, "b": {"1", "2"}, "photos": {"1", "2"}}


def test_an_undecodable_name_is_no_obstacle(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = tmp_path / os.fsdecode(b"a\xffb.mp4")
    shutil.copy(clip, video)
    assert run(video, "-o", tmp_path / "out", "-q", "-f", "all") == 0
    assert "a b.mp4: done" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "a_b" / "run.json").read_text())["source"]["path"].endswith("a\\udcffb.mp4")
    assert run(clip, "-o", tmp_path / os.fsdecode(b"o\xff"), "-q") == 2
    assert "is not UTF-8" in capsys.readouterr().err


def test_an_empty_name_is_no_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("", "-o", tmp_path, "-q") == 6
    assert "An empty name was given" in capsys.readouterr().err


def test_further_video_streams_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encode(tmp_path / "two.mkv", second=True)
    assert run(tmp_path / "two.mkv", "-o", tmp_path, "-q") == 0
    assert "two.mkv: has 2 video streams; the first one is read, no other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("turn", "size"),
    [((0, 1, -1, 0), (240, 320)), ((-1, 0, 0, -1), (320, 240)), ((-1, 0, 0, 1), (320, 240))],
    ids=["quarter", "half", "mirrored"],
)
def test_boxes_are_in_pixels_of_the_displayed_picture(
    turn: tuple[int, int, int, int], size: tuple[int, int], tmp_path: Path
) -> None:
    changed(matrix(*turn))(tmp_path / "turned.mp4")
    assert run(tmp_path / "turned.mp4", "-o", tmp_path, "-q", "--preset", "accurate") == 0
    found = [r for r in rows(tmp_path / "turned" / "faces.csv") if r["frame"] == "0"]
    boxes = np.array([[float(r[k]) for k in ("x1", "y1", "x2", "y2")] for r in found])
    wanted = np.array([_turned(box, turn) for _, box in SCENE.faces(0.0)])
    nearest = np.abs(boxes[:, None] - wanted[None]).max(2).min(1)
    assert len(boxes) == 2
    assert nearest.max() <= 4
    told = json.loads((tmp_path / "turned" / "run.json").read_text())["source"]
    assert (told["width"], told["height"]) == size


def _turned(box: tuple[float, float, float, float], turn: tuple[int, int, int, int]) -> list[float]:
    """A box of the stored 320 x 240 picture where a display matrix puts it."""
    a, b, c, d = turn
    corners = np.array([[box[0], box[1]], [box[2], box[3]]], float) @ np.array([[a, b], [c, d]], float)
    frame = np.array([[0, 0], [320, 240]], float) @ np.array([[a, b], [c, d]], float)
    corners -= frame.min(0)
    return [*corners.min(0), *corners.max(0)]


def test_wide_pixels_give_boxes_in_the_wider_picture(tmp_path: Path) -> None:
    from fractions import Fraction

    encode(tmp_path / "wide.mp4", [0.0, 0.04, 0.08], aspect=Fraction(2, 1))
    assert run(tmp_path / "wide.mp4", "-o", tmp_path, "-q") == 0
    found = [r for r in rows(tmp_path / "wide" / "faces.csv") if r["frame"] == "0"]
    edges = sorted((float(r["x1"]), float(r["x2"])) for r in found)
    wanted = sorted((2.0 * box[0], 2.0 * box[2]) for _, box in SCENE.faces(0.0))
    assert np.abs(np.array(edges) - np.array(wanted)).max() <= 6


def test_nobody_is_there_in_a_stretch_without_frames(tmp_path: Path) -> None:
    encode(tmp_path / "gap.mkv", [5.0, 5.04, 5.08, 60.0, 60.04, 60.08])
    assert run(tmp_path / "gap.mkv", "-o", tmp_path, "-q") == 0
    spans = {(float(r["start_s"]), float(r["end_s"])) for r in rows(tmp_path / "gap" / "appearances.csv")}
    assert spans == {(5.0, 5.12), (60.0, 60.12)}
    told = json.loads((tmp_path / "gap" / "run.json").read_text())
    assert [(g["start"], g["end"]) for g in told["gaps"]] == [(5.12, 60.0)]


def test_the_same_video_twice_is_one_video(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(clip, tmp_path / "copy.mp4")
    assert run(clip, tmp_path / "copy.mp4", "-o", tmp_path / "out", "-q", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [s["state"] for s in told["sources"]] == ["done", "skipped"]
    assert [p["screen_time"] for p in told["people"]] == [2.0, 1.0]
    assert run(clip, tmp_path / "copy.mp4", "-o", tmp_path / "out", "-q", "--force", "--json") == 0
    assert [s["state"] for s in json.loads(capsys.readouterr().out)["sources"]] == ["done", "skipped"]


def test_by_force_and_with_other_options_a_video_is_done_again_in_its_place(clip: Path, tmp_path: Path) -> None:
    from streamer.library import Library

    out = tmp_path / "out"
    assert run(clip, "-o", out, "-q") == 0
    before = (out / "scene" / "people.csv").read_bytes()
    with Library(out / "people.db") as library:
        library.name(1, "Ann")
    assert run(clip, "-o", out, "-q", "--force") == 0
    assert run(clip, "-o", out, "-q", "--preset", "accurate") == 0
    after = (out / "scene" / "people.csv").read_bytes()
    assert after == before.replace(b"\n1,,", b"\n1,Ann,")
    with Library(out / "people.db") as library:
        assert [s.name for s in library.store.sources()] == ["scene.mp4"]
        assert {p.id for p in library.people()} == {1, 2}


def test_results_are_no_input_of_the_next_run(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(clip, tmp_path / "a.mp4")
    assert run(tmp_path, "-o", tmp_path / "out", "-q", "-f", "annotated") == 0
    assert (tmp_path / "out" / "a" / "annotated.mp4").exists()
    capsys.readouterr()
    assert run(tmp_path, "-o", tmp_path / "out", "-q") == 0
    assert capsys.readouterr().out.count("a.mp4: ") == 1
    assert run(tmp_path / "out", "-o", tmp_path / "out", "-q") == 6
    assert "holds nothing but results of earlier runs" in capsys.readouterr().err


def test_two_videos_of_one_name_keep_two_folders(clip: Path, tmp_path: Path) -> None:
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        encode(tmp_path / day / "a.mkv", [0.0, 0.04] if day == "monday" else [0.0, 0.04, 0.08])
        assert run(tmp_path / day / "a.mkv", "-o", tmp_path / "out", "-q") == 0
    count = [len({r["frame"] for r in rows(tmp_path / "out" / f / "faces.csv")}) for f in ("a", "a-2")]
    assert count == [2, 3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-f", "docx"], "docx is not a format"),
        (["--preset", "best"], "best is not a preset"),
        (["--device", "cray"], "cray is not a device"),
        (["--set", "stride.present=fast"], "did you mean preset?"),
        (["--config", "gone.yaml"], "gone.yaml: No such file"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(
    arguments: list[str], said: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(clip, "-o", tmp_path / "out", *arguments) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "scene").exists()


@pytest.mark.parametrize("out", ["clip", "/proc/x"])
def test_an_output_that_cannot_be_written_is_refused_before_any_work(out: str, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "clip").touch()
    assert run(clip, "-o", tmp_path / out, "-q") == 2


def test_an_output_folder_for_reading_only_is_refused_before_any_work(clip: Path) -> None:
    who = os.geteuid()
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o555)
        if who == 0:  # root may write everywhere: look as nobody
            os.seteuid(65_534)
        try:
            with pytest.raises(ConfigError, match=r"results cannot be written there \(Permission denied\)"):
                check(Job(sources=(str(clip),), out=Path(folder), library=Path(folder) / "people.db"))
        finally:
            os.seteuid(who)
            Path(folder).chmod(0o755)


def test_a_closed_pipe_is_no_error_and_a_full_disk_behind_it_is_said(clip: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as closed, open("/dev/full", "w") as full:
        to = {"capture_output": False, "stderr": subprocess.PIPE}
        shut = whowhen("run", clip, "-o", tmp_path, "-q", stdout=closed, **to)
        lost = whowhen("run", clip, "-o", tmp_path, "-q", stdout=full, **to)
    assert (shut.returncode, "Error" in shut.stderr) == (0, False)
    assert lost.returncode == 2
    assert "standard output: No space left on device." in lost.stderr
    assert "Exception" not in lost.stderr


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_caller_closed_are_no_error(closed: str, tmp_path: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m pipelines.cli models list {closed}"
    assert subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, stderr=subprocess.DEVNULL, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a file system may not be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_said_and_the_same_command_goes_on_once_there_is_room(
    small_disk: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(330_000))
    assert run(clip, "-o", small_disk / "out", "-q") == 2
    said = capsys.readouterr().err
    assert "database or disk is full" in said
    assert "Free some disk, then run the same command again." in said
    assert "Traceback" not in said
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    assert run(clip, "-o", small_disk / "out", "-q") == 0
    assert run(clip, "-o", tmp_path / "out", "-q") == 0
    for table in ("faces.csv", "appearances.csv", "people.csv"):
        assert (small_disk / "out" / "scene" / table).read_bytes() == (tmp_path / "out" / "scene" / table).read_bytes()


def test_reports_that_find_no_room_are_named_and_come_later(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("streamer.reports.atomic.os.fsync", full)
        assert run(clip, "-o", tmp_path, "-q") == 2
    said = capsys.readouterr().err
    assert f"ReportError: cannot write {tmp_path}/scene/faces.csv: No space left on device." in said
    assert run(clip, "-o", tmp_path, "-q") == 0
    assert "scene.mp4: done before" in capsys.readouterr().out
    assert (tmp_path / "scene" / "report.html").exists()


def test_a_library_of_another_model_is_refused_in_one_line(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(clip, "-o", tmp_path, "-q") == 0
    monkeypatch.setattr("tests.pipelines.drawn.FakeEmbedder", lambda: FakeEmbedder(dimension=64))
    assert run(clip, "-o", tmp_path, "-q") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"StoreError: {tmp_path}/people.db holds vectors of the model fake-32 (32 numbers, cosine)")
    assert said.count("\n") == 1


def test_vectors_that_are_no_numbers_are_counted_and_put_nobody_anywhere(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(FakeEmbedder):
        """NaN for every crop of person 1."""

        def embed(self, crops: U8) -> F32:
            rows = super().embed(crops)
            rows[[person_of(c) == 1 for c in crops]] = np.nan
            return rows

    monkeypatch.setattr("tests.pipelines.drawn.FakeEmbedder", Broken)
    assert run(clip, "-o", tmp_path, "-q") == 0
    told = json.loads((tmp_path / "scene" / "run.json").read_text())
    assert told["rejected"]["embedding not finite"] > 0
    assert {r["person"] for r in rows(tmp_path / "scene" / "faces.csv")} == {"1", ""}


def test_a_file_that_shrinks_while_it_is_read_is_a_partial_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamer.sources.file import FileSource

    path = meeting().write(tmp_path)
    whole = FileSource.__iter__

    def shrinking(source: FileSource) -> Iterator[Frame]:
        for frame in whole(source):
            if frame.index == 0:
                os.truncate(path, path.stat().st_size // 2)
            yield frame

    monkeypatch.setattr(FileSource, "__iter__", shrinking)
    assert run(path, "-o", tmp_path / "out", "-q") == 3
    assert "ends early" in capsys.readouterr().err
