"""`whowhen eval` on written folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.evaluate import evaluate, score_folder
from streamer.errors import SourceError

HEAD = "source,frame,time_s,track,person,x1,y1,x2,y2,score,kind\n"


def result(folder: Path, rows: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / "faces.csv").write_text(HEAD + rows)
    return folder


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    folder = tmp_path / "labels"
    (folder / "boxes").mkdir(parents=True)
    (folder / "boxes" / "a.mp4.csv").write_text("t_s,x1,y1,x2,y2,person,kind\n0.0,0,0,40,40,P1,visible\n")
    (folder / "videos.csv").write_text("video,people_visible\na.mp4,1\ndeer.mp4,0\n")
    return folder


def test_every_source_of_a_run_is_scored_by_its_name(
    tmp_path: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result(tmp_path / "out" / "a", "videos/a.mp4,0,0.0,1,4,0,0,40,40,0.9,detected\n")
    result(tmp_path / "out" / "deer")
    result(tmp_path / "out" / "unlabelled")
    assert evaluate(tmp_path / "out", labels, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(v["video"], v["people_found"], v["recall"]) for v in told["videos"]] == [
        ("a.mp4", 1, 1.0),
        ("deer.mp4", 0, None),
    ]
    assert told["mean"]["bcubed_f"] == 1.0


def test_the_table_has_a_line_per_video_and_one_for_all(
    tmp_path: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result(tmp_path / "out" / "a", "a.mp4,0,0.0,1,4,0,0,40,40,0.9,detected\n")
    result(tmp_path / "out" / "deer")
    evaluate(tmp_path / "out", labels)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["video", "a.mp4", "deer.mp4", "mean"]
    assert lines[1].split()[1:4] == ["100.0", "100.0", "100.0"]


def test_a_single_boxes_file_fits_the_only_source(tmp_path: Path, labels: Path) -> None:
    out = result(tmp_path / "other_name", "x.mp4,0,0.0,1,4,0,0,40,40,0.9,detected\n")
    assert score_folder(out, labels / "boxes" / "a.mp4.csv")[0].recall == 1.0


def test_what_is_missing_is_told(tmp_path: Path, labels: Path) -> None:
    with pytest.raises(SourceError, match=r"no faces.csv"):
        score_folder(tmp_path / "nothing", labels)
    with pytest.raises(SourceError, match="no labels for b"):
        score_folder(result(tmp_path / "b"), labels)
    with pytest.raises(SourceError, match="no such truth"):
        score_folder(result(tmp_path / "c"), tmp_path / "none")
