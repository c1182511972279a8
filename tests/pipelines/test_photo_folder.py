"""`whowhen photos` on drawn photos: person folders, truth, several faces on a photo, running it again."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.photo_folder import MARK, folder_name, photos
from streamer.errors import ConfigError
from streamer.library import Library
from tests.pipelines.album import drawn_models, drawn_photo

__all__ = ["drawn_models"]
pytestmark = pytest.mark.usefixtures("drawn_models")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three of Ann, three of Bob (one with Ann beside him), one landscape."""
    for i in range(3):
        drawn_photo(tmp_path / "in" / f"ann_{i:03}.png", 3, seed=i)
    for i in range(2):
        drawn_photo(tmp_path / "in" / f"bob_{i:03}.png", 7, seed=i)
    drawn_photo(tmp_path / "in" / "bob_002.png", 7, 3)
    drawn_photo(tmp_path / "in" / "view_001.png")
    return tmp_path / "in"


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "photos.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def listed(out: Path) -> dict[str, list[str]]:
    return {d.name: sorted(p.name for p in d.iterdir()) for d in sorted((out / "people").iterdir()) if d.is_dir()}


def test_every_person_gets_a_folder_with_links_to_the_photos(folder: Path, tmp_path: Path, capsys: Any) -> None:
    assert photos(folder, tmp_path / "out", truth="names", as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["scores"]["bcubed_f"] == 1.0
    assert (told["scores"]["scored"], told["scores"]["no_face"]) == (6, 1)
    ann, bob = [f"ann_{i:03}.png" for i in range(3)], [f"bob_{i:03}.png" for i in range(3)]
    assert listed(tmp_path / "out") == {"Person 1": [*ann, "bob_002.png"], "Person 2": bob, "no face": ["view_001.png"]}
    link = tmp_path / "out" / "people" / "Person 1" / "ann_000.png"
    assert link.is_symlink()
    assert link.resolve() == (folder / "ann_000.png").resolve()
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


def test_two_faces_of_one_photo_are_never_one_person(tmp_path: Path) -> None:
    drawn_photo(tmp_path / "in" / "twins_1.png", 4, 4)  # two alike
    photos(tmp_path / "in", tmp_path / "out", quiet=True)
    assert [r["person"] for r in rows_of(tmp_path / "out")] == ["1", "2"]


def test_what_the_detector_is_not_certain_of_makes_nobody(folder: Path, tmp_path: Path, drawn_models: Any) -> None:
    drawn_models.detector.certain = 2.0  # above every score
    photos(folder, tmp_path / "out", quiet=True)
    assert {r["person"] for r in rows_of(tmp_path / "out")} == {""}


def test_the_truth_of_a_photo_is_that_of_its_main_face(folder: Path, tmp_path: Path) -> None:
    photos(folder, tmp_path / "out", truth="names", quiet=True)
    both = [(r["face"], r["person"], r["truth"]) for r in rows_of(tmp_path / "out") if r["photo"] == "bob_002.png"]
    assert both == [("1", "2", "bob"), ("2", "1", "")]


def test_run_again_nothing_is_looked_at_anew_and_names_reach_the_folders(
    folder: Path, tmp_path: Path, drawn_models: Any
) -> None:
    photos(folder, tmp_path / "out", quiet=True)
    calls = drawn_models.embedder.calls
    with Library(tmp_path / "out" / "people.db") as library:
        library.name(1, "Ann/Lee")
    photos(folder, tmp_path / "out", copy=True, at_least=4, quiet=True)
    assert drawn_models.embedder.calls == calls
    assert set(listed(tmp_path / "out")) == {"Ann_Lee (1)", "no face"}
    copied = tmp_path / "out" / "people" / "Ann_Lee (1)" / "ann_000.png"
    assert not copied.is_symlink()
    assert copied.read_bytes() == (folder / "ann_000.png").read_bytes()


def test_a_new_photo_of_a_known_person_keeps_the_number(folder: Path, tmp_path: Path) -> None:
    library = tmp_path / "people.db"
    photos(folder, tmp_path / "out", library=library, quiet=True)
    drawn_photo(tmp_path / "more" / "x.png", 7, seed=8)
    photos(tmp_path / "more", tmp_path / "out2", library=library, quiet=True)
    assert [r["person"] for r in rows_of(tmp_path / "out2")] == ["2"]


def test_folders_of_somebody_else_are_never_replaced(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "people").mkdir(parents=True)
    precious = tmp_path / "out" / "people" / "thesis.txt"
    precious.write_text("years of work")
    with pytest.raises(ConfigError, match="was not made by this command"):
        photos(folder, tmp_path / "out", quiet=True)
    assert precious.read_text() == "years of work"
    assert not (tmp_path / "out" / "people" / MARK).exists()


def test_a_damaged_photo_is_told_and_the_rest_is_done(folder: Path, tmp_path: Path, capsys: Any) -> None:
    (folder / "broken_1.jpg").write_bytes(b"\xff\xd8\xff no picture")
    assert photos(folder, tmp_path / "out", quiet=True) == 3
    told = capsys.readouterr()
    assert "broken_1.jpg" in told.err
    assert "7 faces, 2 people, 1 photos without a face" in told.out


def test_an_odd_truth_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folders, names"):
        photos(folder, tmp_path / "out", truth="stars")


@pytest.mark.parametrize(("label", "name"), [("Person 7", "Person 7"), ("Zoë", "Zoë (7)"), ("../x", "_x (7)")])
def test_folder_names_stay_inside_the_folder(label: str, name: str) -> None:
    assert folder_name(label, 7) == name


def test_by_force_the_folder_is_done_again_and_names_stay(folder: Path, tmp_path: Path, drawn_models: Any) -> None:
    photos(folder, tmp_path / "out", quiet=True)
    with Library(tmp_path / "out" / "people.db") as library:
        library.name(1, "Ann")
    calls = drawn_models.embedder.calls
    photos(folder, tmp_path / "out", force=True, quiet=True)
    assert drawn_models.embedder.calls == 2 * calls
    assert set(listed(tmp_path / "out")) == {"Ann (1)", "Person 2", "no face"}
    with Library(tmp_path / "out" / "people.db", readonly=True) as library:
        assert len(library.store.sources()) == 1


def test_forgetting_a_person_takes_its_folder_and_leaves_the_photos(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert photos(folder, out) == 0
    with Library(out / "people.db") as library:
        library.forget(1)
    assert listed(out).keys() == {"Person 2", "no face"}
    assert not (out / "photos.csv").exists()
    assert len(list(folder.iterdir())) == 7
