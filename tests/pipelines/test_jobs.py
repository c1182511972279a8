"""Several files at once give what one after the other gives."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.cli import main
from streamer.items import ArrayPicture
from streamer.processing.reading import SharedDetector, needs_sharing
from streamer.testing import FakeDetector, two_shots


def whowhen(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    told = capsys.readouterr()
    return int(end.value.code or 0), told.out, told.err


@pytest.fixture
def videos(shared_data: Path, tmp_path: Path) -> list[Path]:
    """Four clips, a text that is none, and a copy of the first."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("hall_three", "headpose_one", "headpose_pair", "headpose_two"):
        shutil.copy(shared_data / "videos" / f"{name}.gif", folder)
    (folder / "i_am_no_video.mp4").write_text("hello, I am a text\n" * 50)
    shutil.copy(folder / "hall_three.gif", folder / "z_copy.gif")
    return sorted(folder.iterdir())


def test_files_read_side_by_side_give_the_same_people_and_rows(
    videos: list[Path], shared_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outs = [tmp_path / "one", tmp_path / "three"]
    for out, jobs in zip(outs, (1, 3), strict=True):
        code, _, err = whowhen(capsys, "run", *videos, "-o", out, "-m", shared_models, "-q", "--jobs", jobs)
        assert code == 5
        assert "is not a video" in err
    for table in ("faces.csv", "appearances.csv", "people.csv"):
        found = [{p.relative_to(o): p.read_bytes() for p in o.rglob(table)} for o in outs]
        assert len(found[0]) == 5
        assert found[0] == found[1]


def test_every_file_keeps_its_own_counts(
    videos: list[Path], shared_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whowhen(capsys, "run", *videos, "-o", tmp_path, "-m", shared_models, "-q", "-j", 4)
    frames = {p.parent.name: json.loads(p.read_text())["frames"] for p in tmp_path.rglob("run.json")}
    assert {n: f["processed"] for n, f in frames.items()} == {
        "hall_three": 41, "headpose_one": 23, "headpose_pair": 56, "headpose_two": 62, "z_copy": 41,
    }  # fmt: skip
    stages = json.loads((tmp_path / "headpose_two" / "run.json").read_text())["stages"]
    assert {"source", "follow", "embed", "cluster"} <= set(stages)


def test_the_throughput_of_all_is_told(
    shared_data: Path, shared_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [shared_data / "videos" / f"headpose_{n}.gif" for n in ("one", "two")]
    _, _, err = whowhen(capsys, "run", *clips, "-o", tmp_path, "-m", shared_models, "-j", 2)
    assert "85 frames of 2 inputs in" in err


def test_a_shared_detector_answers_every_caller_as_alone() -> None:
    frames = [f.image for f in two_shots().frames()][::5]
    alone = FakeDetector()
    expected = [alone.detect([f])[0].boxes.tolist() for f in frames]
    assert any(expected)
    shared = SharedDetector(FakeDetector())
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda f: shared.detect_pictures([ArrayPicture(f)], [(320, 240)])[0].boxes.tolist(), frames)
        )
    shared.close()
    assert found == expected


class _Session:
    def __init__(self, on_cpu: bool) -> None:
        self.on_cpu = on_cpu


def test_only_sessions_of_the_processor_run_side_by_side() -> None:
    detector = FakeDetector()
    assert needs_sharing(detector)
    detector.sessions = (_Session(True), _Session(True))  # type: ignore[attr-defined]
    assert not needs_sharing(detector)
    detector.sessions = (_Session(True), _Session(False))  # type: ignore[attr-defined]
    assert needs_sharing(detector)
