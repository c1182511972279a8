"""What every source keeps: rising times and indexes, closing, accounting, errors for bad paths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from streamer.errors import SourceError
from streamer.sources import Source, open_source
from streamer.testing import SceneSource, two_shots
from tests.streamer.sources.corpus import TIMES, encode
from tests.streamer.sources.test_images import draw


def video(ending: str) -> Callable[[Path], Source]:
    def make(folder: Path) -> Source:
        encode(folder / f"a{ending}", TIMES[:20])
        return open_source(folder / f"a{ending}")

    return make


def moving(folder: Path) -> Source:
    encode(folder / "a.gif", TIMES[:20], codec="gif", form="rgb8")
    return open_source(folder / "a.gif")


def pictures(folder: Path) -> Source:
    for k in range(20):
        draw(folder / f"{k:02}.png")
    return open_source(folder)


SOURCES = {
    "mp4": video(".mp4"),
    "mkv": video(".mkv"),
    "ts": video(".ts"),
    "gif": moving,
    "pictures": pictures,
    "scene": lambda folder: SceneSource(two_shots()),
}
each = pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)


@each
def test_times_and_indexes_rise_from_the_stated_start(make: Callable[[Path], Source], tmp_path: Path) -> None:
    source = make(tmp_path)
    frames = [(f.index, f.time, f.source) for f in source]
    assert [i for i, _, _ in frames] == list(range(len(frames)))
    assert all(b[1] > a[1] for a, b in zip(frames, frames[1:], strict=False))
    assert frames[0][1] == source.info.start
    assert {s for _, _, s in frames} == {source.info.name}


@each
def test_pictures_have_the_size_their_frame_states(make: Callable[[Path], Source], tmp_path: Path) -> None:
    frame = next(iter(make(tmp_path)))
    assert frame.image.shape == (frame.height, frame.width, 3)
    assert frame.image.dtype == frame.picture.luma().dtype == "uint8"
    assert frame.picture.scaled(33, 21).shape == (21, 33, 3)
    assert frame.nbytes > 0
    assert (frame.picture.luma().shape[1] > frame.picture.luma().shape[0]) == (frame.width > frame.height)


@each
def test_what_was_read_is_accounted_for(make: Callable[[Path], Source], tmp_path: Path) -> None:
    source = make(tmp_path)
    count = sum(1 for _ in source)
    stats = source.stats
    assert (stats.read, stats.given, stats.failed, stats.dropped, stats.warnings) == (count, count, 0, {}, [])


@each
def test_closing_midway_and_twice_ends_the_frames(make: Callable[[Path], Source], tmp_path: Path) -> None:
    source = make(tmp_path)
    frames = iter(source)
    next(frames)
    source.close()
    source.close()
    assert list(frames) == []


@each
def test_a_source_may_be_closed_without_being_read(make: Callable[[Path], Source], tmp_path: Path) -> None:
    source = make(tmp_path)
    source.close()
    assert list(source) == []


@pytest.mark.parametrize("name", ["gone.mp4", "gone.png", "gone"])
def test_a_bad_path_is_a_source_error_when_opened(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=name):
        open_source(tmp_path / name)
