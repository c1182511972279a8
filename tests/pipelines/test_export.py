"""`whowhen export` and `whowhen report` on a run over drawn faces."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.cli import main
from streamer import reports
from streamer.library import Library
from streamer.reports import read
from streamer.sources import open_source
from streamer.testing import two_shots
from tests.pipelines.drawn import use_drawn_faces


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two clips of two shots each and `out`, the run over both: person 1 in all four shots, 2 in two."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        use_drawn_faces(patch.setattr)
        for name in ("one.mp4", "two.mp4"):
            scene = two_shots()
            replace(scene, name=name, first=0.0 if name == "one.mp4" else 0.4).write(folder)
        assert call("run", folder / "one.mp4", folder / "two.mp4", "-o", folder / "out", "-q") == 0
    with Library(folder / "out" / "people.db") as library:
        library.name(1, "Ann Lee")
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to write into."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def people(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_format_is_written_beside_the_report_of_each_source(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("export", run / "out", "-f", "srt") == 0
    files = [run / "out" / n / "people.srt" for n in ("one", "two")]
    assert told(capsys) == [str(f) for f in files]
    assert "Ann Lee" in files[0].read_text()


def test_a_folder_of_one_source_means_that_source(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("export", run / "out" / "two", "-f", "appearances,vtt") == 0
    assert {a["source"] for a in people(run / "out" / "two" / "appearances.csv")} == {"two.mp4"}
    assert told(capsys) == [str(run / "out" / "two" / n) for n in ("appearances.csv", "people.vtt")]


def test_the_ending_of_a_file_is_enough(run: Path) -> None:
    target = run / "x" / "ann.eaf"
    assert call("export", run / "out" / "people.db", "--source", "one.mp4", "--person", "ann", "-o", target) == 0
    assert {r.label for r in read.read_eaf(target)} == {"Ann Lee"}


def test_every_format_can_be_written_at_once_and_is_remembered_for_forgetting(run: Path) -> None:
    assert call("export", run / "out" / "one", "-f", "all", "-o", run / "all") == 0
    names = {f.filename for n, f in reports.FORMATS.items() if not f.pictures}
    names -= {"faces.parquet"} if importlib.util.find_spec("pyarrow") is None else set()
    assert names <= {p.name for p in (run / "all").iterdir()}
    with Library(run / "out" / "people.db", readonly=True) as library:
        kept = {Path(path): people for path, people in library.store.exports()}
    assert all(list(kept[run / "all" / name]) == [1, 2] for name in names)
    assert {p for p in (run / "all").rglob("*") if p.is_file()} <= set(kept)


def test_one_report_for_the_whole_library(run: Path) -> None:
    assert call("report", run / "out") == 0
    page = (run / "out" / "report.html").read_text()
    assert all(word in page for word in ("one.mp4", "two.mp4", "in 2 videos", "Ann Lee"))


def test_only_some_people_never_replace_the_whole(run: Path) -> None:
    before = (run / "out" / "one" / "people.csv").read_text()
    assert call("export", run / "out" / "one", "-f", "people", "-p", "2") == 0
    assert (run / "out" / "one" / "people.csv").read_text() == before
    assert [p["person"] for p in people(run / "out" / "one" / "selection" / "people.csv")] == ["2"]


def test_an_anonymous_export_names_nobody_and_speaks_of_the_same_people_in_all_files(run: Path) -> None:
    assert call("export", run / "out", "--anonymous", "-f", "people,json,jsonl,html,mot") == 0
    folder = run / "out" / "anonymous"
    for path in (p for p in folder.rglob("*") if p.suffix in (".csv", ".json", ".jsonl", ".html", ".txt")):
        content = path.read_text()
        assert not [w for w in ("Ann", "Lee", "one.mp4", "two.mp4", str(run)) if w in content], path
    longest = people(folder / "people.csv")[0]["person"]  # the one who is in all shots
    for name in ("one", "two"):
        rows = (folder / name / "faces.mot.txt").read_text().splitlines()
        assert sum(r.split(",")[1] == longest for r in rows) == 50


def test_a_person_to_keep_is_for_anonymous_exports(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("report", run / "out", "--keep", "1") == 2
    assert "add --anonymous" in capsys.readouterr().err


def pictures(path: Path) -> list[Any]:
    source = open_source(path)
    found = [f.image for f in source]
    source.close()
    return found


def difference(a: Path, b: Path, box: tuple[int, int, int, int], frame: int = 10) -> float:
    x1, y1, x2, y2 = box
    one, other = (pictures(p)[frame][y1:y2, x1:x2].astype(int) for p in (a, b))
    return float(np.abs(one - other).mean())


def test_videos_hide_everybody_some_or_all_but_some(run: Path) -> None:
    clip, folder = run / "one.mp4", run / "out" / "one"
    (_, first), (_, second) = two_shots().faces(0.4)
    for option, hidden in (
        ((), (True, True)),
        (("--blur-but", "ann"), (False, True)),
        (("--blur-only", 1), (True, False)),
    ):
        assert call("export", folder, "-f", "blurred", *option, "-o", run / "b.mp4") == 0
        assert tuple(difference(clip, run / "b.mp4", b) > 15 for b in (first, second)) == hidden
    assert call("export", folder, "-f", "blurred", "--anonymous", "--keep", "ann", "-o", run / "b.mp4") == 0
    assert difference(clip, run / "b.mp4", first) < 15 < difference(clip, run / "b.mp4", second)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("-f", "docx"), "docx is not a format"),
        ((), "nothing says which format"),
        (("-f", "srt,vtt", "-o", "people.srt"), "one file for 2 formats"),
        (("-o", "people.srt"), "describes one source and there are 2"),
        (("-f", "srt", "--source", "three.mp4"), "holds no source 'three.mp4'. It has: one.mp4, two.mp4"),
        (("-f", "srt", "-p", "bob"), "nobody called 'bob'"),
        (("-f", "srt", "--start-timecode", "soon"), "'soon' is no timecode"),
        (("-f", "srt", "--option", "colour=red"), "colour is not an option of format srt. Options: group"),
        (("-f", "annotated", "--anonymous"), "take the format blurred"),
        (("-f", "blurred", "--blur-but", "1", "--blur-only", "2"), "exclude each other"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(
    finished: Path, arguments: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("export", finished / "out", *arguments) == 2
    error = capsys.readouterr().err
    assert line in error
    assert len(error.splitlines()) == 1


def test_a_folder_without_a_library_says_what_to_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("export", tmp_path, "-f", "srt") == 2
    assert "no people.db there. Name the folder given to `whowhen run -o`" in capsys.readouterr().err


def test_a_start_timecode_counts_in_every_format(run: Path) -> None:
    assert call("export", run / "out" / "one", "-f", "edl,appearances", "--start-timecode", "10:00:00:00") == 0
    assert "10:00:00:00" in (run / "out" / "one" / "markers.edl").read_text()
    assert people(run / "out" / "one" / "appearances.csv")[0]["tc_in"] == "10:00:00:00"


def test_the_formats_are_listed_with_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("export", "--formats", "--json") == 0
    listed = {f["format"]: f for f in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(reports.FORMATS)
    assert listed["vtt"]["options"] == ["group"]


def test_a_changed_video_is_not_drawn_into(run: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Library(run / "out" / "people.db") as library:
        source = library.store.sources()[0]
        library.store.move_source(source.id, str(run / "one.mp4"))
    with (run / "one.mp4").open("ab") as file:
        file.write(b"more")
    assert call("export", run / "out" / "one", "-f", "blurred") == 6
    assert "has changed since it was processed" in capsys.readouterr().err
    (run / "one.mp4").unlink()
    assert call("export", run / "out" / "one", "-f", "blurred") == 6
    assert "is not there any more" in capsys.readouterr().err
