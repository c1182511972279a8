"""The main job, end to end."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.evaluate import score_folder

COLUMNS = ["source", "frame", "time_s", "track", "person", "x1", "y1", "x2", "y2", "score", "kind"]


def whowhen(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def sitcom(shared_data: Path, shared_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sitcom")
    done = whowhen("run", shared_data / "videos" / "sitcom_six.mp4", "-o", out, "-m", shared_models, "-q")
    assert done.returncode == 0, done.stderr
    return out


def test_people_are_told_apart_and_never_twice_in_a_frame(sitcom: Path, shared_data: Path) -> None:
    score = score_folder(sitcom, shared_data / "labels")[0].as_dict()
    assert score["bcubed_f"] >= 0.85
    assert score["recall"] >= 0.97
    assert score["violations"] == 0


def test_counts_add_up(sitcom: Path) -> None:
    frames = json.loads((sitcom / "sitcom_six" / "run.json").read_text())["frames"]
    assert frames["read"] == frames["processed"] + sum(frames["dropped"].values()) + frames["failed"]


def test_the_tables_have_the_columns_promised(sitcom: Path) -> None:
    with (sitcom / "sitcom_six" / "faces.csv").open(newline="") as lines:
        assert next(csv.reader(lines)) == [
            "source",
            "frame",
            "time_s",
            "track",
            "person",
            "x1",
            "y1",
            "x2",
            "y2",
            "score",
            "kind",
        ]


def test_a_finished_file_is_skipped(sitcom: Path, shared_data: Path, shared_models: Path) -> None:
    before = (sitcom / "sitcom_six" / "faces.csv").read_bytes()
    again = whowhen("run", shared_data / "videos" / "sitcom_six.mp4", "-o", sitcom, "-m", shared_models, "-q")
    assert again.returncode == 0
    assert "done before" in again.stdout
    assert (sitcom / "sitcom_six" / "faces.csv").read_bytes() == before


def test_one_thread_gives_the_same_result(sitcom: Path, shared_data: Path, shared_models: Path, tmp_path: Path) -> None:
    video = shared_data / "videos" / "sitcom_six.mp4"
    assert whowhen("run", video, "-o", tmp_path, "-m", shared_models, "-q", "--inline").returncode == 0
    mine, theirs = (p / "sitcom_six" / "faces.csv" for p in (tmp_path, sitcom))
    assert mine.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: None, "does not exist"),
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: p.write_text("hello, I am a text\n" * 50), "is not a video"),
        (lambda p: p.write_text("#EXTM3U\nhttp://127.0.0.1:9/x.ts\n"), "is not a video"),
    ],
)
def test_bad_input_is_one_clear_line_and_code_six(tmp_path: Path, shared_models: Path, make: object, said: str) -> None:
    video = tmp_path / "clip.mp4"
    make(video)  # type: ignore[operator]
    done = whowhen("run", video, "-o", tmp_path / "out", "-m", shared_models, "-q")
    assert done.returncode == 6, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_other_inputs_are_done_when_one_fails(tmp_path: Path, shared_data: Path, shared_models: Path) -> None:
    good = shared_data / "videos" / "headpose_one.gif"
    done = whowhen("run", tmp_path / "none.mp4", good, "-o", tmp_path / "out", "-m", shared_models, "-q")
    assert done.returncode == 5
    assert "1 person:" in done.stdout


def test_the_same_people_keep_their_number_across_files(tmp_path: Path, shared_data: Path, shared_models: Path) -> None:
    names = [shared_data / "videos" / f"headpose_{n}.gif" for n in ("pair", "one", "two")]
    done = whowhen("run", *names, "-o", tmp_path, "-m", shared_models, "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["people"]) == 2


def test_a_misspelt_option_is_named_with_code_two(tmp_path: Path) -> None:
    done = whowhen("run", "x.mp4", "-o", tmp_path, "--set", "clusterer.lnk=0.3")
    assert done.returncode == 2
    assert "did you mean link?" in done.stderr


def test_help_answers() -> None:
    done = whowhen("--help")
    assert done.returncode == 0
    assert "Who appears when" in done.stdout
