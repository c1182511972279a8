"""What FileSource gives for sound files: times, orientation, aspect, ranges, pictures."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamer.errors import ConfigError, SourceError
from streamer.items import U8
from streamer.sources.file import FileSource
from streamer.sources.picture import Orientation, orientation_of
from tests.streamer.sources.corpus import (
    SCENE,
    SLOW_THEN_FAST,
    TIMES,
    changed,
    encode,
    matrix,
    sizes_change,
    two_recordings,
)


def close(a: U8, b: U8) -> bool:
    """Whether two pictures are the same but for what coding loses."""
    return a.shape == b.shape and float(np.abs(a.astype(int) - b.astype(int)).mean()) < 6


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts", ".mov"])
def test_times_are_those_that_were_written(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"vfr{ending}"
    encode(path, SLOW_THEN_FAST)
    source = FileSource(path)
    start = source.info.start  # transport streams begin with the encoder's delay, the others at zero
    assert [f.time - start for f in source] == pytest.approx(SLOW_THEN_FAST, abs=0.0011)
    assert start == 0 or ending == ".ts"


def test_a_first_time_that_is_not_zero_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    encode(path, [t + 5 for t in TIMES])
    source = FileSource(path)
    assert (source.info.start, next(iter(source)).time) == (5.0, 5.0)


def test_the_decoder_is_flushed_so_that_the_last_frames_come(tmp_path: Path) -> None:
    path = tmp_path / "b.mp4"
    encode(path, options={"bf": "3"}, sound=True)
    assert [f.index for f in FileSource(path)] == list(range(50))


# how a drawn picture must look once a file asks to have it turned
TURNS = {
    (1, 0, 0, 1): lambda a: a,
    (0, 1, -1, 0): lambda a: np.rot90(a, -1),  # a quarter turn clockwise, as phones held upright write it
    (-1, 0, 0, -1): lambda a: a[::-1, ::-1],
    (0, -1, 1, 0): lambda a: np.rot90(a, 1),
    (-1, 0, 0, 1): lambda a: a[:, ::-1],
    (1, 0, 0, -1): lambda a: a[::-1],
    (0, 1, 1, 0): lambda a: a.transpose(1, 0, 2),
}


@pytest.mark.parametrize("form", TURNS, ids=str)
def test_pictures_are_turned_and_mirrored_as_the_file_asks(form: tuple[int, int, int, int], tmp_path: Path) -> None:
    path = tmp_path / "turned.mp4"
    changed(matrix(*form), times=[0.0, 0.04])(path)
    source = FileSource(path)
    frame = next(iter(source))
    wanted = TURNS[form](SCENE.draw(0.0))
    assert close(frame.image, wanted)
    assert (frame.height, frame.width) == wanted.shape[:2] == (source.info.height, source.info.width)
    assert close(frame.picture.scaled(frame.width // 2, frame.height // 2), wanted[::2, ::2]) or form != (1, 0, 0, 1)
    luma = frame.picture.luma()
    grey = wanted[::2, ::2].mean(axis=2)
    assert luma.shape == grey.shape
    assert np.corrcoef(luma.ravel(), grey.ravel())[0, 1] > 0.8


def test_the_display_matrix_is_read_to_the_nearest_quarter_turn() -> None:
    def stored(a: float, b: float, c: float, d: float) -> bytes:
        values = [a, b, 0, c, d, 0, 0, 0, 16384]
        return np.array([round(v * 65536) for v in values], np.int32).tobytes()

    assert orientation_of(stored(0.05, 0.99, -0.99, 0.05)) == Orientation(1)
    assert orientation_of(stored(0, 0, 0, 0)) == Orientation()
    assert orientation_of(b"short") == Orientation()
    assert orientation_of(stored(2, 0, 0, -2)) == Orientation(2, True)


def test_wide_pixels_widen_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    encode(path, [0.0], aspect=Fraction(2, 1))
    source = FileSource(path)
    frame = next(iter(source))
    assert (frame.width, frame.height) == (640, 240)
    assert frame.image.shape == (240, 640, 3)
    assert close(frame.image[:, ::2], SCENE.draw(0.0))
    assert source.info.notes == ("pixels are 2 times as wide as high",)


def test_a_stream_that_changes_its_size_keeps_the_size_it_began_with(tmp_path: Path) -> None:
    path = tmp_path / "a.h264"
    sizes_change(path)
    shapes = {(f.image.shape, f.picture.luma().shape, f.width, f.height) for f in FileSource(path)}
    assert shapes == {((240, 320, 3), (120, 160), 320, 240)}


def test_missing_times_follow_the_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.h264"
    encode(path, kind="h264")
    source = FileSource(path)
    assert [f.time for f in source] == pytest.approx(TIMES)
    assert source.stats.warnings == ["50 frames had no time stamp: times follow the frame rate"]


def test_a_second_recording_in_the_file_comes_behind_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    two_recordings(path)
    source = FileSource(path)
    times = [f.time for f in source]
    assert times[-1] - times[0] == pytest.approx(len(times) / 25 - 0.04, abs=0.01)


def test_a_range_gives_the_same_frames_as_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path, options={"bf": "2"})
    every = [(f.time, f.image.tobytes()) for f in FileSource(path)]
    part = FileSource(path, start=0.9, end=1.5)
    found = [(f.time, f.image.tobytes()) for f in part]
    assert found == [(t, i) for t, i in every if 0.9 <= t < 1.5]
    assert part.stats.read == part.stats.given == 15
    assert part.stats.warnings == []


@pytest.mark.parametrize("threads", ["AUTO", "FRAME", "SLICE", "NONE"])
def test_the_kind_of_threads_changes_nothing(threads: str, tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp4"

    def damage(data: bytearray) -> bytearray:
        for at in range(len(data) // 2, len(data), 97):
            data[at] ^= 0x55
        return data

    changed(damage, container={"movflags": "faststart"})(path)
    source = FileSource(path, threads=threads)  # type: ignore[arg-type]
    reference = FileSource(path, threads="NONE")
    assert [(f.time, f.image.tobytes()) for f in source] == [(f.time, f.image.tobytes()) for f in reference]
    assert source.stats == reference.stats
    assert source.stats.failed > 0


def test_more_pixels_than_allowed_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path, [0.0])
    with pytest.raises(SourceError, match="pictures of 320 x 240 are more than 0.05 million pixels"):
        FileSource(path, max_pixels=50_000)


def test_closing_midway_ends_the_reading_and_closing_twice_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path)
    source = FileSource(path)
    frames = iter(source)
    kept = next(frames)
    source.close()
    source.close()
    assert list(frames) == []
    assert (source.stats.given, source.stats.warnings) == (1, [])
    assert close(kept.image, SCENE.draw(0.0))  # a picture outlives its source


def test_another_thread_may_close_a_source_that_is_being_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path)
    for after in range(1, 12, 2):
        source = FileSource(path)
        reached, seen = threading.Event(), 0
        closer = threading.Thread(target=lambda s=source, r=reached: (r.wait(5), s.close()))
        closer.start()
        for seen, _ in enumerate(source, 1):
            if seen == after:
                reached.set()
        closer.join()
        assert after <= seen <= 50


@pytest.mark.parametrize("size", [(160, 120), (213, 161), (299, 90), (401, 301)])
def test_a_picture_in_another_size_shows_the_same(size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path, [0.0])
    picture = next(iter(FileSource(path))).picture
    assert close(picture.scaled(*size), cv2.resize(SCENE.draw(0.0), size, interpolation=cv2.INTER_AREA))


def test_pictures_keep_their_planes_until_somebody_looks(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path, [0.0])
    picture = next(iter(FileSource(path))).picture
    assert 320 * 240 * 1.5 <= picture.nbytes <= 320 * 240 * 1.5 * 1.6  # rows are padded
    assert picture.luma().base is not None  # a view of the decoder's own plane
    assert close(picture.scaled(320, 240), SCENE.draw(0.0))


def test_the_labelled_videos_give_every_frame_at_its_time(shared_data: Path) -> None:
    import csv

    with (shared_data / "labels" / "videos.csv").open() as file:
        stated = {row["video"]: int(row["frames"]) for row in csv.DictReader(file)}
    for name in ("stage_show.mp4", "headpose_one.gif", "film_vfr.mp4"):
        source = FileSource(shared_data / "videos" / name)
        assert sum(1 for _ in source) == stated[name]
        assert source.stats.warnings == []


@pytest.mark.parametrize(("limits", "nearest"), [({"start": 60.0}, "1.96"), ({"end": 0.0}, "0.00")])
def test_limits_that_leave_no_picture_are_told(limits: dict[str, float], nearest: str, tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4")
    source = FileSource(tmp_path / "a.mp4", **limits)
    with pytest.raises(SourceError, match=rf"no picture lies .* the nearest one is at {nearest} s"):
        list(source)


def test_an_end_before_the_start_is_refused(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4")
    with pytest.raises(ConfigError, match="source.end 1 is not after source.start 2"):
        FileSource(tmp_path / "a.mp4", start=2.0, end=1.0)
