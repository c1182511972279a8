"""Clips of appearances: what is on them, what is kept, and what a full disk does."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.live import recording
from pipelines.live.clip import Take
from pipelines.live.recording import Record, Recorder
from pipelines.live.shelf import Shelf
from streamer.errors import ConfigError, SourceError
from streamer.presence import Notice, Presence, Rules
from streamer.sources import open_source
from streamer.sources.write import GrowingVideo, finish_video
from streamer.testing import Actor, Scene, Shot
from streamer.watching import Seen

RULES = Rules(confirm=1, absence=1.0, cooldown=1.0, update_every=0.0, unknown_after=1e9)
START = 1_700_000_000.0
FRAME = next(iter(Scene((Shot(0.2, (Actor(1, (160.0, 120.0, 60.0)),)),)).frames()))


class Film:
    """Frames and notices told to a recorder as a run would."""

    def __init__(self, recorder: Recorder, epoch: int = 7) -> None:
        self.recorder, self.presence, self.time = recorder, Presence(epoch, RULES, names={2: "Ann"}), START

    def show(self, seconds: float, *people: int, camera: str = "front door") -> None:
        for _ in range(round(seconds * 10)):
            self.time += 0.1
            faces = [Seen(p, (1.0, 1.0, 9.0, 9.0), 0.9, p) for p in people]
            told = self.presence.frame(camera, self.time, faces)
            self.recorder.notices(told)
            # one at a time, as the bounded queue would leave frames out here
            self.recorder._frame(camera, self.time, replace(FRAME, time=self.time))
            self.drain()

    def drain(self) -> None:
        while self.recorder._queue:
            item = self.recorder._queue.popleft()
            assert isinstance(item, Notice)
            self.recorder._notice(item)


def recorder(folder: Path, **options: Any) -> Recorder:
    """One whose thread has nothing to do: its steps are called in order by Film."""
    made = Recorder(Record(before=1.0, after=0.5, **options), folder, spare=0)
    made.close()
    return made


def clips(folder: Path) -> list[tuple[dict[str, Any], Path]]:
    return [(json.loads(p.with_suffix(".json").read_text()), p) for p in sorted(folder.glob("*.mp4"))]


def test_a_clip_begins_before_the_enter_and_ends_after_the_exit(tmp_path: Path) -> None:
    film = Film(recorder(tmp_path))
    film.show(3.0)
    film.show(2.0, 2)
    film.show(3.0)
    ((told, path),) = clips(tmp_path)
    assert told["start"] == pytest.approx(START + 2.1, abs=0.11)
    assert told["end"] == pytest.approx(START + 5.5, abs=0.11)
    assert (told["camera"], told["person"], told["name"], told["keep"]) == ("front door", 2, "Ann", False)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "Ann" not in path.name
    source = open_source(path)
    frames = [f.time for f in source]
    source.close()
    assert source.info.codec == "h264"
    assert len(frames) == 35
    assert frames[-1] - frames[0] == pytest.approx(3.4, abs=0.01)


def test_a_long_stay_becomes_several_clips_without_a_hole(tmp_path: Path) -> None:
    film = Film(recorder(tmp_path, longest=2.0))
    film.show(5.0, 1)
    film.show(3.0)
    found = [t for t, _ in clips(tmp_path)]
    assert [t["part"] for t in found] == [1, 2, 3, 4]
    assert all(b["start"] - a["end"] <= 0.11 for a, b in zip(found, found[1:]))


def test_only_strangers_are_recorded_when_asked_for(tmp_path: Path) -> None:
    film = Film(recorder(tmp_path, people="unknown"))
    film.show(1.0, 1, 2)
    film.show(3.0)
    assert [t["person"] for t, _ in clips(tmp_path)] == [1]


def test_an_end_of_the_run_finishes_the_clip(tmp_path: Path) -> None:
    made = Recorder(Record(before=1.0), tmp_path, spare=0)
    presence = Presence(7, RULES)
    for k in range(20):
        time = START + k / 10
        made.notices(presence.frame("hall", time, [Seen(1, (1.0, 1.0, 9.0, 9.0), 0.9, 1)]))
        made.frame("hall", time, replace(FRAME, time=time), [])
    made.close(20.0)
    assert len(clips(tmp_path)) == 1
    assert not made._thread.is_alive()


def test_memory_holds_only_the_last_seconds_while_nobody_is_there(tmp_path: Path) -> None:
    made = recorder(tmp_path)
    Film(made).show(30.0)
    assert len(made._shots["front door"]) <= 10 * (1 + recording.LATE) + 2


def shelf(folder: Path, *ages: float, keep: int = -1) -> Shelf:
    for k, age in enumerate(ages):
        (folder / f"{k}.mp4").write_bytes(b"x" * 1000)
        (folder / f"{k}.json").write_text(json.dumps({"end": START - age, "keep": k == keep}))
    return Shelf(folder)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_old_clips_go_then_the_oldest_until_they_fit(tmp_path: Path) -> None:
    found = shelf(tmp_path, 500.0, 300.0, 200.0, 100.0)
    assert [p.name for p in found.tidy(START, 400.0, 2000)] == ["0.mp4", "1.mp4"]
    assert found.size == 2000
    assert names(tmp_path) == ["2.json", "2.mp4", "3.json", "3.mp4"]


def test_what_a_person_marked_is_never_removed(tmp_path: Path) -> None:
    found = shelf(tmp_path, 500.0, 300.0, 200.0, 100.0, keep=0)
    found.mark(tmp_path / "1.mp4")
    assert [p.name for p in found.tidy(START, 1.0, 10)] == ["2.mp4", "3.mp4"]
    assert names(tmp_path) == ["0.json", "0.mp4", "1.json", "1.mp4"]


def test_a_restart_counts_what_is_there_and_sweeps_up(tmp_path: Path) -> None:
    shelf(tmp_path, 50.0, 40.0)
    (tmp_path / ".9.123-1.part.mp4").write_bytes(b"half")
    (tmp_path / "lonely.json").write_text("{}")
    (tmp_path / "bare.mp4").write_bytes(b"y" * 10)
    again = Shelf(tmp_path)
    assert again.size == 2010
    assert names(tmp_path) == ["0.json", "0.mp4", "1.json", "1.mp4", "bare.mp4"]


def test_keeping_a_stay_marks_its_clips_and_those_to_come(tmp_path: Path) -> None:
    made = recorder(tmp_path, longest=2.0)
    film = Film(made)
    film.show(3.0, 1)
    (stay,) = [s.id for s in film.presence.stays()]
    assert made.keep(stay) == 1
    assert made.keep("7-99") == 0
    film.show(3.0)
    assert [t["keep"] for t, _ in clips(tmp_path)] == [True, True, True]


def test_a_full_disk_stops_the_recording_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    made = Recorder(Record(before=1.0, after=0.5), tmp_path, spare=10**18, say=said.append)
    made.close()
    film = Film(made)
    film.show(1.0, 1)
    film.show(3.0)
    assert clips(tmp_path) == []
    assert "MB are free" in made.figures().problem
    made._spare = 0
    film.show(1.0, 1)
    film.show(3.0)
    assert len(clips(tmp_path)) == 1
    assert made.figures().problem == ""
    assert [s.partition(":")[2][:6] for s in said] == [" less ", " going"]


def film_of(folder: Path, seconds: float) -> Recorder:
    """A recorder that has written so much of a stay that lasts."""
    made = recorder(folder)
    Film(made).show(seconds, 1)
    return made


def test_a_clip_of_a_killed_run_is_there_but_for_its_newest_frame(tmp_path: Path) -> None:
    killed = film_of(tmp_path, 4.8)
    with subprocess.Popen(["true"]) as gone:
        pass
    for path in tmp_path.iterdir():  # as a process that was killed by now would have left them
        path.rename(tmp_path / path.name.replace(f".{os.getpid()}.", f".{gone.pid}."))
    assert [t.stay for t in killed._takes.values()] == ["7-1"]
    recorder(tmp_path)
    ((told, path),) = clips(tmp_path)
    assert told["end"] == pytest.approx(START + 4.7, abs=0.001)
    assert told["person"] == 1
    with closing(open_source(path)) as source:
        assert sum(1 for _ in source) >= 38
    assert names(tmp_path) == sorted([path.name, path.with_suffix(".json").name])


def test_what_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    film_of(tmp_path, 2.0)
    before = names(tmp_path)
    recorder(tmp_path)
    assert names(tmp_path) == before
    assert len(before) == 2


def test_a_stay_that_is_taken_back_leaves_no_clip(tmp_path: Path) -> None:
    made = recorder(tmp_path)
    film = Film(made)
    film.show(2.0, 1)
    made._notice(Notice(7, 99, "retract", film.time, "front door", film.presence.stays()[0]))
    assert names(tmp_path) == []


def test_a_picture_of_another_size_begins_another_clip(tmp_path: Path) -> None:
    film = Film(recorder(tmp_path, width=320))
    film.show(1.0, 1)
    film.recorder.options = replace(film.recorder.options, width=160)
    film.show(1.0, 1)
    film.show(3.0)
    found = [closing(open_source(path)) for _, path in clips(tmp_path)]
    with found[0] as big, found[1] as small:
        assert (big.info.width, small.info.width) == (320, 160)


def test_an_error_of_the_disk_ends_neither_recorder_nor_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise SourceError("No space left on device")

    monkeypatch.setattr(GrowingVideo, "add", full)
    made = Recorder(Record(before=1.0), tmp_path, spare=0)
    presence = Presence(7, RULES)
    for k in range(15):
        time = START + k / 10
        made.notices(presence.frame("hall", time, [Seen(1, (1.0, 1.0, 9.0, 9.0), 0.9, 1)]))
        made.frame("hall", time, replace(FRAME, time=time), [])
    made.close(20.0)
    assert "No space left" in made.problem
    assert list(tmp_path.iterdir()) == []


def test_a_stay_that_was_over_before_it_could_be_recorded_leaves_no_clip(tmp_path: Path) -> None:
    take = Take("7-1", "hall", 1, "", START)
    for k in range(3):
        take.add(tmp_path, 10.0, START + 5 + k / 10, FRAME.image)
    take.end = START + 2
    assert take.shelve(Shelf(tmp_path), after=0.5) is None
    assert names(tmp_path) == []


def test_a_recorder_that_is_behind_leaves_the_oldest_frames_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[float] = []
    shown, busy = threading.Event(), threading.Event()

    def slow(self: Recorder, camera: str, at: float, frame: Any) -> None:
        done.append(round(at - START, 1))
        shown.set()
        assert busy.wait(20.0)

    monkeypatch.setattr(Recorder, "_frame", slow)
    made = Recorder(Record(), tmp_path, spare=0)
    made.frame("hall", START, FRAME, [])
    assert shown.wait(20.0)  # it is busy with that one
    for k in range(1, recording.QUEUE + 11):
        made.frame("hall", START + k / 10, FRAME, [])
        made.frame("hall", START + k / 10 + 0.04, FRAME, [])  # more frames a second than are recorded
    monkeypatch.setattr(recording, "WAITED", -1.0)  # all have waited too long
    busy.set()
    made.close(20.0)
    assert made.skipped + len(done) == recording.QUEUE + 11
    assert done[-1] == (recording.QUEUE + 10) / 10
    assert made.skipped >= 10


def test_a_growing_video_lacks_no_more_when_frames_come_slowly(tmp_path: Path) -> None:
    growing = GrowingVideo(tmp_path / "a.mp4", 10.0)
    for k in range(25):  # 2.5 a second
        growing.add(0.4 * k, FRAME.image)
    # as after a kill: it was not closed
    assert finish_video(tmp_path / "a.mp4", tmp_path / "b.mp4") == pytest.approx(0.4 * 23)
    growing.close()
    assert finish_video(tmp_path / "a.mp4", tmp_path / "b.mp4") == pytest.approx(0.4 * 24)


@pytest.mark.parametrize("options", [{"people": "some"}, {"fps": 0}, {"before": -1}, {"before": 99}, {"keep_gb": 0}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="record"):
        Record(**options)
