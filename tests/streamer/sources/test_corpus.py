"""Every bad input has the outcome its row states: quickly, in one line, without the network, and without a crash."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from streamer.errors import SourceError
from streamer.sources.file import FileSource
from streamer.sources.redact import shown
from streamer.testing import FakeDetector
from tests.streamer.sources import mutants
from tests.streamer.sources.corpus import ROWS, Row, changed, encode, flips, unreadable

LIMIT_S = 20.0  # processor seconds of one row; the worst takes well under one


class Probe:
    """A listening port that counts who connects."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.connections = 0
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join(5)


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    made = Probe()
    yield made
    made.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


def build(row: Row, folder: Path, port: int) -> Path:
    path = folder / row.name
    row.make(path)
    if path.suffix in (".m3u8", ".sdp", ".mpd") or row.name == "drawing.mp4":
        path.write_text(path.read_text().replace("{port}", str(port)))
    return path


@pytest.mark.parametrize("row", ROWS, ids=lambda r: shown(r.name[:40]))
def test_each_input_has_its_stated_outcome(row: Row, folder: Path, probe: Probe) -> None:
    if row.name == "unreadable.mp4" and os.geteuid() == 0:
        pytest.skip("root may read every file: see the test below")
    path = build(row, folder, probe.port)
    begun = time.process_time()
    if row.kind == "error":
        refused(row, path)
    else:
        read(row, path)
    assert time.process_time() - begun < LIMIT_S
    assert probe.connections == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_a_file_of_somebody_else_is_refused() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "unreadable.mp4"
        unreadable(path)
        os.seteuid(65_534)
        try:
            with pytest.raises(SourceError, match=r"cannot be opened \(Permission denied\). Check its rights."):
                FileSource(path)
        finally:
            os.seteuid(0)


def refused(row: Row, path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        FileSource(path)
    told = str(caught.value)
    assert told.startswith(shown(path))
    assert row.says in told
    assert "\n" not in told
    assert len(told) < len(str(path)) + 250


def read(row: Row, path: Path) -> None:
    source = FileSource(path)
    frames = []
    for frame in source:
        frames.append((frame.index, frame.time, frame.width, frame.height))
        check_picture(frame.picture, frame.width, frame.height)
        if frame.index == 0 and row.faces:
            assert len(FakeDetector().detect([frame.image])[0]) == 2
    indexes, times, widths, heights = zip(*frames, strict=True)
    assert indexes == tuple(range(len(frames)))
    assert all(b > a for a, b in pairwise(times))
    assert times[0] == source.info.start >= 0
    assert set(zip(widths, heights, strict=True)) == {(source.info.width, source.info.height)}
    assert row.frames[0] <= len(frames) <= row.frames[1]
    stats = source.stats
    assert stats.read == stats.given + sum(stats.dropped.values()) + stats.failed
    assert stats.given == len(frames)
    if row.kind != "any":
        assert bool(stats.warnings) == (row.kind == "partial"), stats.warnings
    assert row.says in " ".join(stats.warnings)
    assert all(g.end > g.start for g in stats.gaps)


def check_picture(picture, width: int, height: int) -> None:
    luma = picture.luma()
    assert luma.ndim == 2
    assert luma.dtype == np.uint8
    assert (luma.shape[0] > luma.shape[1]) == (height > width) or abs(width - height) < 3 or width == 2 * 320
    small = picture.scaled(40, 30)
    assert small.shape == (30, 40, 3)
    assert small.flags.c_contiguous
    assert picture.nbytes > 0


def test_random_damage_never_crashes_and_always_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutants.main(200, seed=691) == 0, capsys.readouterr().out  # seeds 691 and 719 once ended in a traceback


def test_a_closed_reader_lets_every_file_go(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path, [0.0, 0.04])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(30):
        source = FileSource(path)
        next(iter(source))
        source.close()
        FileSource(path).close()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_damage_is_told_as_a_gap_between_the_frames_around_it(tmp_path: Path) -> None:
    path = tmp_path / "flipped.mp4"
    changed(flips(3000), container={"movflags": "faststart"})(path)
    source = FileSource(path)
    times = [frame.time for frame in source]
    assert source.stats.failed
    assert sum(g.frames for g in source.stats.gaps if g.reason == "damaged") == source.stats.failed
    inside = [t for t in times for g in source.stats.gaps if g.start < t < g.end]
    assert inside == []


def test_a_stretch_without_frames_is_told_and_nothing_is_followed_across(tmp_path: Path) -> None:
    path = tmp_path / "gap.mkv"
    encode(path, [0.0, 0.04, 0.08, 28_800.0, 28_800.04])
    source = FileSource(path)
    assert [frame.epoch for frame in source] == [0, 0, 0, 1, 1]
    gap = source.stats.gaps[0]
    assert (round(gap.start, 3), gap.end, gap.reason) == (0.12, 28_800.0, "no frames in the file")
    assert source.stats.warnings == []
