"""The Python API: `streamer.process`, what a `Result` answers, and `streamer.open`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import streamer
from streamer.errors import ConfigError, SourceError
from streamer.models import packs
from streamer.testing import FakeDetector, FakeEmbedder, FakeQuality, two_shots

from .live.reel import Reel
from .live.test_run import pair


def models() -> packs.Models:
    return packs.Models(FakeDetector(), FakeEmbedder(), FakeQuality(), packs.read_pack("open"), ["detector: drawn"])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_shots().write(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def found(clip: Path) -> Iterator[streamer.Result]:
    with streamer.process(clip, models=models()) as result:
        yield result


def test_people_appearances_and_tracks_are_what_was_drawn(found: streamer.Result) -> None:
    assert [(p.label, round(p.screen_time, 2)) for p in found.people] == [("Person 1", 2.0), ("Person 2", 1.0)]
    assert [(a.identity, a.start, round(a.end, 2)) for a in found.appearances] == [(1, 0.0, 2.0), (2, 0.0, 1.0)]
    assert [(t.person, t.start, round(t.end, 2)) for t in found.tracks] == [(1, 0.0, 1.0), (2, 0.0, 1.0), (1, 1.0, 2.0)]
    assert {p: round(s, 2) for p, s in found.copresence.items()} == {(1, 2): 1.0}
    assert [round(c, 2) for c in found.sources[0].cuts] == [1.0]
    assert found.manifest["frames"]["processed"] == 50


def test_frames_come_with_their_faces_one_by_one(found: streamer.Result) -> None:
    pairs = found.frames()
    frame, faces = next(pairs)
    assert frame.image.shape == (240, 320, 3)
    assert [f.person for f in faces] == [1, 2]
    rest = list(pairs)
    assert [f.index for f, _ in rest] == list(range(1, 50))
    assert [len(faces) for _, faces in rest] == [2] * 24 + [1] * 25


def test_frames_of_a_video_that_is_gone_are_refused(clip: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(clip.read_bytes())
    with streamer.process(copy, models=models()) as result:
        copy.unlink()
        with pytest.raises(SourceError, match=r"copy\.mp4 is not there any more"):
            next(result.frames())


def test_tables_have_one_length_and_known_columns(found: streamer.Result) -> None:
    for table, rows in (("appearances", 2), ("people", 2), ("tracks", 3), ("faces", 75)):
        assert {len(c) for c in found.columns(table).values()} == {rows}
    assert found.columns("people")["name"] == ["Person 1", "Person 2"]
    with pytest.raises(ConfigError, match="'shots' is no table of a result. Tables: appearances, people"):
        found.columns("shots")


def test_pandas_gets_the_tables(found: streamer.Result) -> None:
    pytest.importorskip("pandas", reason="pandas (extra `frames`) is not installed")
    frame = found.to_pandas("faces")
    assert len(frame) == 75
    assert frame.groupby("person").size().to_dict() == {1: 50, 2: 25}


def test_polars_gets_the_tables(found: streamer.Result) -> None:
    pytest.importorskip("polars", reason="polars (extra `frames`) is not installed")
    assert found.to_polars().get_column("duration_s").round(2).to_list() == [2.0, 1.0]


def test_pyannote_gets_an_annotation(found: streamer.Result) -> None:
    pytest.importorskip("pyannote.core", reason="pyannote.core (extra `eval`) is not installed")
    annotation = found.to_pyannote()
    assert annotation.label_duration("Person 1") == pytest.approx(2.0)
    assert annotation.uri == "scene.mp4"


def test_what_is_not_installed_is_named_with_its_extra(found: streamer.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"this needs pandas: pip install 'whowhen\[frames\]'"):
        found.to_pandas()


def test_the_ending_of_a_file_is_its_format(found: streamer.Result, tmp_path: Path) -> None:
    assert found.save(tmp_path / "a.srt").read_text().startswith("1\n")
    assert found.save(tmp_path / "a.vtt", group=True).read_text().startswith("WEBVTT")
    assert found.report(tmp_path / "a.html").read_text().startswith("<!doctype html>")
    assert found.save(tmp_path / "a.mp4", "blurred", hide_but=[1]).stat().st_size > 1000
    with pytest.raises(ConfigError, match=r"no format is known by the ending of a\.docx"):
        found.save(tmp_path / "a.docx")


def test_only_some_people_are_saved(found: streamer.Result, tmp_path: Path) -> None:
    rows = found.save(tmp_path / "people.csv", people=[2]).read_text().splitlines()
    assert [r.split(",")[0] for r in rows] == ["person", "2"]


def test_names_given_later_show_after_a_refresh(clip: Path, tmp_path: Path) -> None:
    with streamer.Library(tmp_path / "people.db", create=True) as library:
        result = streamer.process(clip, library=library, models=models())
        library.name(1, "Ann <Lee>")
        assert result.people[0].label == "Person 1" or result.people[0].label == "Ann <Lee>"
        result.refresh()
        assert result.people[0].label == "Ann <Lee>"
        page = result._repr_html_()
        assert "Ann &lt;Lee&gt;" in page
        assert page.count("<rect") == 4  # a rail and a bar for each of two
        assert repr(result) == "<Result of scene.mp4: 2 people, 2 appearances>"


def test_what_a_library_holds_is_not_done_again_unless_by_force(clip: Path, tmp_path: Path) -> None:
    library = tmp_path / "people.db"
    with streamer.process(clip, library=library, models=models()) as first:
        number = first.library.store.sources()[0].id
    with streamer.process(clip, library=library, models=models()) as again:
        assert again.library.store.sources()[0].id == number
    with streamer.process(clip, library=library, models=models(), force=True) as forced:
        assert [s.id for s in forced.library.store.sources()] == [number + 1]
        assert len(forced.people) == 2


def test_a_whole_library_is_a_result_too(clip: Path, tmp_path: Path) -> None:
    streamer.process(clip, library=tmp_path / "people.db", models=models()).close()
    with streamer.Library(tmp_path / "people.db", readonly=True) as library:
        everything = streamer.Result(library)
        assert [s.name for s in everything.sources] == ["scene.mp4"]
        assert len(everything.people) == 2


def test_a_source_that_fails_is_a_problem_beside_others_and_an_error_alone(clip: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    with streamer.process(clip, bad, models=models()) as result:
        assert list(result.problems) == [str(bad)]
        assert isinstance(result.problems[str(bad)], SourceError)
        assert len(result.people) == 2
    with pytest.raises(SourceError, match="looks like plain text"):
        streamer.process(bad, models=models())


def test_several_sources_at_a_time_give_what_one_after_the_other_gives(clip: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    clips = [clip, bad]
    for n in range(2):
        clips.append(tmp_path / f"copy{n}.mp4")
        clips[-1].write_bytes(clip.read_bytes() + bytes(n + 1))  # another content, the same pictures

    def told(jobs: int) -> tuple[Any, ...]:
        with streamer.process(*clips, models=models(), jobs=jobs) as result:
            tracks = [(t.source, t.id, t.person, t.start, t.end) for t in result.tracks]
            return [s.name for s in result.sources], tracks, list(result.problems)

    one = told(1)
    assert told(3) == one
    assert one[0] == ["scene.mp4", "copy0.mp4", "copy1.mp4"]
    with pytest.raises(ConfigError, match="jobs 0: 1 or more"):
        streamer.process(clip, models=models(), jobs=0)


def test_without_a_library_nothing_stays_behind(clip: Path) -> None:
    result = streamer.process(clip, models=models())
    place = Path(result.library.store.path)
    assert place.is_file()
    result.close()
    result.close()
    assert not place.parent.exists()


def test_a_setting_that_does_not_exist_is_refused(clip: Path) -> None:
    with pytest.raises(ConfigError, match=r"tracker\.gop is not an option"):
        streamer.process(clip, models=models(), settings={"tracker.gop": 1})


def test_a_session_tells_who_comes_and_goes_and_has_a_result() -> None:
    reel = Reel(pair())
    with streamer.open(reel, models=models()) as session:
        people = set()
        for notice in session:
            if notice.stay is not None and notice.stay.person is not None:
                people.add(notice.stay.person)
            if len(people) == 2:
                break
        assert reel.done.wait(20)
        session.stop()
        left = {n.stay.person for n in session if n.type == "exit" and n.stay is not None}
        assert people == {1, 2}
        assert left <= people
        result = session.result()
        assert [p.id for p in result.people] == [1, 2]
        assert result.sources[0].live


def test_a_session_may_be_closed_unused_and_begins_with_the_first_look_at_it() -> None:
    streamer.open(Reel(pair()), models=models()).close()
    session = streamer.open(Reel(pair()), models=models())
    assert next(iter(session)) is not None
    assert session.live.running
    session.close()


def test_a_person_prints_without_its_pictures(clip: Path) -> None:
    with streamer.process(clip, models=models()) as result:
        person = result.people[0]
    assert person.faces[0].jpeg
    assert "jpeg" not in repr(person) + repr(person.faces[0])


def test_a_session_needs_a_camera_and_a_real_address() -> None:
    with pytest.raises(ConfigError, match="no camera was given"):
        streamer.open(models=models())
    with pytest.raises(SourceError):
        streamer.open("ftp://hall/1", models=models())


def test_importing_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import time, sys; a = time.process_time(); import streamer; b = time.process_time() - a;"
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'sklearn', 'av', 'faiss', 'hdbscan', 'scipy'} & set(sys.modules);"
        "print(sorted(heavy), b <= 0.15)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] True"


def test_the_main_job_is_found_without_cv2_or_onnxruntime_loaded() -> None:
    code = (
        "import sys, streamer; streamer.process, streamer.open, streamer.Library, streamer.Result;"
        "print(sorted({'cv2', 'onnxruntime', 'sklearn', 'hdbscan'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", streamer.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(streamer, name) is not None
    assert name in dir(streamer)


def test_a_misspelt_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'proces'"):
        _: Any = streamer.proces  # type: ignore[attr-defined]
