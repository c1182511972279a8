from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from streamer import reports
from streamer.items import Appearance
from streamer.reports.atomic import ReportError
from streamer.reports.base import RunData
from streamer.reports.read import read_appearances, read_faces
from tests.streamer.reports.drawn import HOSTILE, drawn_run, hostile_run, one_frame, source


def test_faces_csv_has_exactly_these_columns_and_rows(tmp_path: Path) -> None:
    lines = reports.write("faces", drawn_run(), tmp_path / "faces.csv").read_text().splitlines()
    assert lines[0] == "source,frame,time_s,track,person,x1,y1,x2,y2,score,kind"
    assert lines[1] == "drawn.mp4,25,1.000,11,1,36.2,40.0,66.2,76.0,0.875,tracked"
    assert lines[2].endswith(",0.875,detected")
    assert len(lines) == 1 + 75 + 75 + 38 + 50


def test_a_face_given_to_nobody_has_an_empty_person(tmp_path: Path) -> None:
    reports.write("faces", one_frame(), tmp_path / "faces.csv")
    assert (tmp_path / "faces.csv").read_text().splitlines()[1] == (
        "still.png,0,0.000,1,,4.0,5.0,20.0,25.0,0.500,detected"
    )


def test_faces_read_back_are_the_rows_written(tmp_path: Path) -> None:
    data = drawn_run()
    path = reports.write("faces", data, tmp_path / "faces.csv")
    back, sent = list(read_faces(path)), list(data.rows())
    assert [(r.frame, r.track, r.person, r.kind) for r in back] == [(r.frame, r.track, r.person, r.kind) for r in sent]
    assert all(abs(a - b) < 0.051 for r, s in zip(back, sent, strict=True) for a, b in zip(r.box, s.box, strict=True))


def test_appearances_csv_has_exactly_these_columns_and_timecodes(tmp_path: Path) -> None:
    lines = reports.write("appearances", drawn_run(), tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "source,person,name,start_s,end_s,duration_s,tc_in,tc_out,tracks,faces,score"
    assert lines[3] == "drawn.mp4,3,Bo,13.000,14.520,1.520,00:00:13:00,00:00:14:13,13 14,38,0.420"


def test_timecodes_are_those_of_the_source(tmp_path: Path) -> None:
    film = source(fps=29.97, start=0.852, start_timecode="10:00:00;00")
    looks = (Appearance(film.name, 1, 60.912, 61.5, (1,), 18, 0.9),)
    path = reports.write("appearances", RunData("x", (film,), appearances=looks), tmp_path / "a.csv")
    row = next(csv.DictReader(path.read_text().splitlines()))
    # 60.060 s after the first frame = 1800 frames: drop-frame leaves out 10:01:00;00 and ;01
    assert (row["tc_in"], row["start_s"]) == ("10:01:00;02", "60.912")


def test_without_a_frame_rate_the_timecode_is_a_clock(tmp_path: Path) -> None:
    film = source(fps=None, start=1.0)
    looks = (Appearance(film.name, 1, 62.25, 63.0, (1,), 18, 0.9),)
    path = reports.write("appearances", RunData("x", (film,), appearances=looks), tmp_path / "a.csv")
    assert next(csv.DictReader(path.read_text().splitlines()))["tc_in"] == "00:01:01.250"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"fps": 12.5}, "00:01:01.250"),  # 12 numbers a second would be 2.5 s ahead after a minute
        ({"fps": 16.05}, "00:01:01.250"),
        ({"fps": 23.976}, "00:01:01:05"),
        ({"live": True, "start": 1_700_000_000.0, "fps": 25.0}, "2023-11-14T22:14:21.250Z"),
    ],
)
def test_timecode_is_written_where_it_counts_and_cameras_have_the_time_of_day(
    changes: dict[str, Any], text: str, tmp_path: Path
) -> None:
    film = source(**{"start": 0.0, **changes})
    looks = (Appearance(film.name, 1, film.start + 61.25, film.start + 63.0, (1,), 18, 0.9),)
    path = reports.write("appearances", RunData("x", (film,), appearances=looks), tmp_path / "a.csv")
    assert next(csv.DictReader(path.read_text().splitlines()))["tc_in"] == text


def test_hostile_names_are_inert_in_every_cell_and_read_back(tmp_path: Path) -> None:
    for name in ("faces", "appearances", "people"):
        path = reports.write(name, hostile_run(), tmp_path)
        for row in csv.reader(path.read_text().splitlines()):
            assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)
        assert not any(ord(c) < 32 and c != "\n" for c in path.read_text())
    names = [n for _, n in read_appearances(tmp_path / "appearances.csv")]
    assert names[:4] == list(HOSTILE[:4])
    assert names[4:] == ["two lines", HOSTILE[5], "[31mred [0m"]


def test_people_csv_is_ordered_by_screen_time_and_names_pictures_that_exist(tmp_path: Path) -> None:
    path = reports.write("people", drawn_run(), tmp_path)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert path.read_text().startswith("person,name,screen_time_s,first_s,last_s,appearances,tracks,thumbnail\n")
    assert [(r["person"], r["screen_time_s"]) for r in rows] == [("1", "5.000"), ("2", "3.000"), ("3", "1.520")]
    assert all((tmp_path / r["thumbnail"]).read_bytes()[:2] == b"\xff\xd8" for r in rows)


def test_pictures_of_people_who_are_gone_are_removed(tmp_path: Path) -> None:
    reports.write("people", drawn_run(), tmp_path)
    reports.write("people", drawn_run(names=("Ann Lee",)), tmp_path)
    assert [p.name for p in (tmp_path / "faces").iterdir()] == ["person_1.jpg"]


def test_run_json_is_the_manifest_without_nan(tmp_path: Path) -> None:
    data = drawn_run(manifest={"fps": float("nan"), "paths": (Path("/a"),), "devices": {"cpu"}})
    assert json.loads(reports.write("run", data, tmp_path).read_text()) == {
        "fps": None,
        "paths": ["/a"],
        "devices": ["cpu"],
    }


def test_a_damaged_row_is_named_by_its_line(tmp_path: Path) -> None:
    path = reports.write("faces", one_frame(), tmp_path / "faces.csv")
    path.write_text(path.read_text().replace("detected", "guessed"))
    with pytest.raises(ReportError, match="line 2"):
        list(read_faces(path))


def test_another_table_is_refused_by_its_missing_columns(tmp_path: Path) -> None:
    path = reports.write("people", drawn_run(), tmp_path)
    with pytest.raises(ReportError, match="has no column"):
        read_appearances(path)


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ReportError, match=r"cannot write .*faces\.csv: (File exists|Not a directory)\. Choose another folder"
    ):
        reports.write("faces", drawn_run(), tmp_path / "file" / "faces.csv")
