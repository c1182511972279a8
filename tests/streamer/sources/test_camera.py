"""A camera that misbehaves in every way, and the source that goes on."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamer.errors import SourceError
from streamer.sources.address import parse_address
from streamer.sources.camera import Backoff, CameraSource, Freeze
from streamer.sources.camera_feed import Feed
from streamer.sources.connection import Connection, Lost
from streamer.sources.wallclock import WallClock
from streamer.testing import Actor, Scene, Shot

WAIT = 20.0  # s: a test that waits longer has failed


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = Scene((Shot(2, (Actor(1, (80, 120, 60), (240, 120, 60)),)),))
    return scene.write(tmp_path_factory.mktemp("clip"))


class Picture:
    """Stands for a decoded frame."""

    def __init__(self, value: int = 0, size: tuple[int, int] = (64, 48)) -> None:
        self.width, self.height = size
        self.planes = [np.full(size[0] * size[1], value, np.uint8)]


class Script:
    """Connections that do what a test wrote down: each a list of pictures, then a Lost."""

    def __init__(self, *connections: Any) -> None:
        self.connections = list(connections)
        self.made = 0
        self.idle = threading.Event()

    def __call__(self, address: Any, **options: Any) -> Any:
        self.made += 1
        if not self.connections:
            self.idle.set()
            raise Lost("no more", slow=True)
        told = self.connections.pop(0)
        if isinstance(told, Exception):
            raise told
        return Connected(told)


class Connected:
    """One scripted connection."""

    paced, fps, aspect, codec = False, 25.0, 1.0, "test"

    def __init__(self, told: list[Any]) -> None:
        self.told, self.failed, self.skipped = told, 0, 0
        self.closed = False
        self.skips: list[bool] = []

    def skip(self, on: bool) -> None:
        self.skips.append(on)

    def frames(self) -> Iterator[tuple[Any, float | None]]:
        for item in self.told:
            if isinstance(item, Exception):
                raise item
            if callable(item):
                item()
                continue
            yield item
        raise Lost("the stream ended")

    def close(self) -> None:
        self.closed = True


def source(script: Callable[..., Any], **options: Any) -> CameraSource:
    return CameraSource("rtsp://hall/1", name="hall", connect=script, backoff=Backoff(lambda: -1.4), **options)


def test_waits_double_from_a_quarter_to_eight_seconds_and_begin_again_after_a_reset() -> None:
    backoff = Backoff(lambda: 0.5)
    assert [backoff.next() for _ in range(7)] == [0.25, 0.5, 1, 2, 4, 8, 8]
    backoff.reset()
    assert backoff.next() == 0.25
    assert backoff.next(slow=True) == 8
    assert 0.75 * 8 <= Backoff().next(slow=True) <= 1.25 * 8


def test_a_frozen_picture_is_noticed_and_given_twice_the_time_after_that() -> None:
    freeze = Freeze(10)
    assert [t for t in range(100, 145) if freeze.seen(b"same", float(t))] == [110, 120, 140]
    assert freeze.since == 100


def test_a_picture_that_moves_or_a_limit_of_zero_is_never_frozen() -> None:
    freeze = Freeze(10)
    assert not any(freeze.seen(bytes([t % 2]), float(t)) for t in range(100))
    assert not any(Freeze(0).seen(b"same", float(t)) for t in range(100))


def test_the_newest_frame_wins_and_the_others_are_counted() -> None:
    script = Script([(Picture(i), i / 25) for i in range(10)])
    camera = source(script)
    camera.start()
    assert script.idle.wait(WAIT)
    frame = camera.take(WAIT)
    assert frame is not None
    assert frame.index == 9
    assert camera.stats.dropped == {"a newer frame came": 9}
    assert camera.stats.read == camera.stats.given + sum(camera.stats.dropped.values())
    camera.close()


def test_each_connection_is_an_epoch_with_rising_times_and_a_gap_before_it() -> None:
    seen: list[Any] = []
    ready = threading.Semaphore(0)
    taken = threading.Semaphore(0)

    def handed() -> None:
        ready.release()
        assert taken.acquire(timeout=WAIT)

    script = Script([(Picture(1), 5.0), handed], Lost("Connection refused"), [(Picture(2), 1.0), handed])
    camera = source(script)
    camera.start()
    for _ in range(2):
        assert ready.acquire(timeout=WAIT)
        seen.append(camera.take(WAIT))
        taken.release()
    assert script.idle.wait(WAIT)
    camera.close()
    assert [f.epoch for f in seen] == [1, 2]
    assert seen[0].time < seen[1].time
    gaps = camera.new_gaps()
    assert [g.reason for g in gaps] == ["connecting", "the stream ended", "the stream ended"]
    assert (gaps[1].start, gaps[1].end) == (seen[0].time, seen[1].time)
    assert camera.new_gaps() == []
    assert camera.health().reconnects == 3


def test_why_it_is_down_is_told_without_the_password() -> None:
    script = Script(Lost("rtsp://bob:S3cr3t@hall/1 said S3cr3t"))
    camera = CameraSource("rtsp://bob:S3cr3t@hall/1", connect=script, backoff=Backoff(lambda: -1.5))
    camera.start()
    assert script.idle.wait(WAIT)
    assert "S3cr3t" not in repr(camera.health()) + repr(camera.info) + repr(camera.stats)
    camera.close()


def test_an_address_the_decoder_cannot_read_is_given_up() -> None:
    script = Script(Lost("cannot read srt", final=True))
    camera = source(script)
    camera.start()
    assert camera.join(WAIT)
    assert camera.fatal == "cannot read srt"
    assert camera.health().state == "stopped"
    camera.close()


def test_a_fault_of_the_reader_does_not_end_the_camera() -> None:
    script = Script([KeyError("x")], [(Picture(), 0.0)])
    camera = CameraSource("rtsp://hall/1", connect=script, backoff=Backoff(lambda: -1.5))
    assert camera.take(WAIT) is not None
    camera.close()


def test_closing_wakes_who_waits_and_may_happen_twice() -> None:
    camera = source(Script([(Picture(), 0.0)]))
    camera.take(WAIT)
    camera.close()
    camera.close()
    assert camera.take(WAIT) is None
    assert list(camera) == []
    assert camera.health().state == "stopped"


def test_a_decoder_that_is_behind_is_told_to_skip_until_it_is_in_time() -> None:
    now = [1000.0]
    told = [(Picture(1), 10.0), lambda: now.append(1002.0), (Picture(2), 10.04), (Picture(3), 12.0)]
    made = Connected(told)
    camera = source(lambda address, **options: made, clock=WallClock(lambda: now[-1], lambda: now[-1]))
    camera.start()
    _until(lambda: made.closed, camera)
    camera.close()
    assert made.skips == [True, False]


def test_a_decoder_told_to_skip_is_not_taken_for_stalled_between_key_frames(clip: Path) -> None:
    ticks = itertools.count(0.0, 0.2)  # s; two looks at the clock for each of 50 pictures from key frame to key frame
    with Feed(clip, speed=20.0) as feed:
        connection = Connection(parse_address(feed.url), stall=3.0, monotonic=lambda: next(ticks))
        frames = connection.frames()
        next(frames)
        connection.skip(True)
        for _ in range(3):  # the first may have been decoded before
            next(frames)
        assert connection.skipped > 50
        connection.close()


def test_a_frozen_picture_is_reported_from_when_it_froze() -> None:
    now = [1000.0]
    same = [item for i in range(8) for item in ((Picture(1), i / 1.0), lambda: now.append(now[-1] + 1.0))]
    script = Script(same, [(Picture(2), 0.0)])
    camera = source(script, frozen=5.0, clock=WallClock(lambda: now[-1], lambda: now[-1]))
    camera.start()
    assert script.idle.wait(WAIT)
    (gap,) = camera.new_gaps()
    camera.close()
    assert gap.reason == "the picture has been the same for 5 s"
    assert (gap.start, gap.end) == pytest.approx((1000.0, 1005.0), abs=0.001)


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_feed_is_read_and_found_again_after_its_server_was_killed(clip: Path, kind: Any) -> None:
    with Feed(clip, kind=kind, speed=4) as feed:
        camera = CameraSource(feed.url, name="hall", stall=2.0, backoff=Backoff(lambda: -1.4))
        first = camera.take(WAIT)
        assert first is not None
        assert (first.width, first.height) == (320, 240)
        feed.kill()
        epoch = first.epoch
        _until(lambda: camera.health().state == "down", camera)
        feed.revive()
        again = _until(lambda: camera.health().epoch > epoch and camera.take(1.0), camera)
        assert again.time > first.time
        assert again.index > first.index
        camera.close()
        assert camera.join(WAIT)


@pytest.mark.parametrize("mode", ["silent", "drip"])
def test_a_camera_without_pictures_stalls_though_it_is_connected(clip: Path, mode: Any) -> None:
    with Feed(clip, speed=4) as feed:
        camera = CameraSource(feed.url, stall=0.8, open_timeout=2.0)
        first = camera.take(WAIT)
        assert first is not None
        feed.mode = mode
        _until(lambda: camera.health().state == "stalled", camera)
        assert "0.8 s" in camera.health().message
        feed.mode = "ok"
        assert _until(lambda: camera.health().epoch > first.epoch and camera.take(1.0), camera)
        assert any("0.8 s" in g.reason for g in camera.new_gaps())
        camera.close()
        assert camera.join(WAIT)


def test_a_refusing_and_a_mute_server_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        camera = CameraSource(f"http://127.0.0.1:{port}/a", open_timeout=0.5)
        camera.start()
        _until(lambda: "no answer for 0.5 s" in camera.health().message, camera)
        camera.close()
        camera.join(WAIT)
    camera = CameraSource(f"http://127.0.0.1:{port}/a")
    camera.start()
    _until(lambda: "refused" in camera.health().message, camera)
    camera.close()


def test_an_address_of_a_file_is_refused() -> None:
    with pytest.raises(SourceError, match="is not the address of a camera"):
        CameraSource("/tmp/a.mp4")


def _until(done: Callable[[], Any], camera: CameraSource) -> Any:
    """What `done` gives once it is true, frames being taken meanwhile."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        if found := done():
            return found
        camera.take(0.02)
    raise AssertionError(f"it never came: {camera.health()}")
