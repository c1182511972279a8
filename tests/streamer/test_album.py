"""Folders of photos: who is on them by their names, whom a photo is about, faces found twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamer import album
from streamer.errors import ConfigError, SourceError
from streamer.items import Faces
from streamer.testing import FakeDetector
from tests.pipelines.album import drawn_models, drawn_photo

__all__ = ["drawn_models"]


def faces(*boxes: tuple[float, float, float, float], scores: tuple[float, ...] = ()) -> Faces:
    n = len(boxes)
    told = np.array(scores or np.linspace(0.9, 0.5, n), np.float32)
    return Faces(np.array(boxes, np.float32).reshape(-1, 4), told, np.zeros((n, 5, 2), np.float32))


@pytest.mark.parametrize(
    ("name", "person"),
    [("ann_001", "ann"), ("Ann Lee 12", "Ann Lee"), ("bob-3", "bob"), ("eve", ""), ("2024", ""), ("x1_02", "x1")],
)
def test_names_of_files_tell_people(tmp_path: Path, name: str, person: str) -> None:
    (tmp_path / f"{name}.jpg").touch()
    assert album.photos_of(tmp_path) == [album.Photo(tmp_path / f"{name}.jpg", person)]


def test_folders_tell_people_where_every_photo_lies_in_one(tmp_path: Path) -> None:
    for path in ("ann/1.jpg", "bob/2.png", "bob/.hidden.png", "bob/notes.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    assert [p.person for p in album.photos_of(tmp_path)] == ["ann", "bob"]
    assert [p.person for p in album.photos_of(tmp_path, "none")] == ["", ""]
    (tmp_path / "cid_1.jpg").touch()
    assert [p.person for p in album.photos_of(tmp_path)] == ["", "", "cid"]
    assert [p.person for p in album.photos_of(tmp_path, "folders")] == ["ann", "bob", ""]


def test_people_with_too_few_photos_are_left_out(tmp_path: Path) -> None:
    for name in ("ann_1", "ann_2", "bob_1"):
        (tmp_path / f"{name}.jpg").touch()
    assert {p.person for p in album.labelled(tmp_path)} == {"ann"}
    with pytest.raises(ConfigError, match="nobody has 3 photos"):
        album.labelled(tmp_path, 3)


def test_what_is_no_folder_of_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no pictures"):
        album.photos_of(tmp_path)
    with pytest.raises(SourceError, match="not a folder"):
        album.photos_of(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="auto, none, folders, names"):
        album.photos_of(tmp_path, "stars")  # type: ignore[arg-type]


def test_a_photo_is_about_the_face_in_its_middle_unless_that_is_small() -> None:
    left, middle, tiny = (0, 40, 50, 90), (70, 40, 110, 90), (95, 45, 105, 55)
    assert album.central([left, middle, tiny], 200, 100) == 1
    assert album.central([left, tiny], 200, 100) == 0
    assert album.central([], 200, 100) is None


def test_of_a_face_found_twice_the_surer_box_stays() -> None:
    found = faces((0, 0, 100, 100), (10, 10, 60, 60), (90, 0, 190, 100), scores=(0.6, 0.9, 0.7))
    assert album.distinct(found).boxes.tolist() == [[10, 10, 60, 60], [90, 0, 190, 100]]
    assert len(album.distinct(Faces.none())) == 0


def test_a_face_that_fills_its_photo_is_found_with_a_margin(tmp_path: Path) -> None:
    class OnlyWithRoom(FakeDetector):
        def detect(self, images):  # type: ignore[no-untyped-def]
            return [super(OnlyWithRoom, self).detect([i])[0] if i.shape[0] > 240 else Faces.none() for i in images]

    path = drawn_photo(tmp_path / "ann_1.png", 3)
    plain = next(album.looks([album.Photo(path)], FakeDetector(), []))
    roomy = next(album.looks([album.Photo(path)], OnlyWithRoom(), []))
    np.testing.assert_allclose(roomy.faces.boxes, plain.faces.boxes)
    np.testing.assert_allclose(roomy.faces.landmarks, plain.faces.landmarks, atol=1e-3)


def test_portraits_are_of_main_faces_and_say_what_is_missing(tmp_path: Path, drawn_models: object) -> None:
    drawn_photo(tmp_path / "ann_1.png", 3, 5)
    drawn_photo(tmp_path / "ann_2.png", 3)
    drawn_photo(tmp_path / "bob_1.png")
    (tmp_path / "bob_2.png").write_bytes(b"no picture")
    found = album.portraits(album.photos_of(tmp_path), drawn_models)
    assert found.people == ("ann", "ann")
    assert float(found.rows[0] @ found.rows[1]) > 0.8
    assert [Path(p).name for p in found.missed] == ["bob_1.png"]
    assert len(found.failed) == 1
    assert "bob_2.png" in found.failed[0]
