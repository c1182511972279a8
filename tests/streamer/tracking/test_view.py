"""Whole frames and parts of them: what the detector is shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from streamer.items import Frame, Region
from streamer.tracking.base import Following
from streamer.tracking.stride import StrideController
from streamer.tracking.view import Views
from tests.streamer.tracking.drawn import frame

WIDE = np.zeros((720, 1280, 3), np.uint8)


def at(time: float) -> Frame:
    return frame(round(time * 25), image=WIDE, time=time)


def followed(*boxes: tuple[float, float, float, float], born: int = 0, lost: int = 0) -> Following:
    n = len(boxes)
    return Following(
        np.arange(1, n + 1),
        np.array(boxes, np.float32),
        np.zeros(n, np.float32),
        np.full(n, 5),
        np.zeros(n),
        born,
        lost,
    )


def settled() -> Views:
    """Two whole looks have found the same faces, at 0 and 0.2 s."""
    views = Views(0.6)
    assert views.part(at(0.0), True, followed(), 640) is None
    assert views.part(at(0.2), False, followed(SMALL), 640) is None
    return views


SMALL = (600.0, 300.0, 696.0, 396.0)  # 48 pixels wide in a network that is shown 640 of 1280
LARGE = (500.0, 200.0, 800.0, 500.0)


def test_a_small_face_is_looked_at_as_fine_as_ever_with_its_width_around_it() -> None:
    assert settled().part(at(0.4), False, followed(SMALL), 640) == Region((504.0, 204.0, 792.0, 492.0), 1.0)


def test_a_large_face_is_looked_at_coarsely() -> None:
    part = settled().part(at(0.4), False, followed(LARGE), 640)
    assert part is not None
    assert part.shrink == 0.375  # 150 pixels in the network, 56 then
    assert part.box == (200.0, 0.0, 1100.0, 720.0)


def test_the_smallest_face_says_how_fine() -> None:
    part = settled().part(at(0.4), False, followed(LARGE, SMALL), 640)
    assert part == Region((200.0, 0.0, 1100.0, 720.0), 1.0)


def test_what_would_be_nearly_all_of_the_frame_is_all_of_it() -> None:
    corners = followed((0.0, 0.0, 60.0, 60.0), (1220.0, 660.0, 1280.0, 720.0))
    assert settled().part(at(0.4), False, corners, 640) is None


def test_whole_frames_come_every_so_often_and_when_a_face_is_lost_or_new() -> None:
    views, one = settled(), followed(SMALL)
    shown = [views.part(at(t), False, one, 640) is None for t in (0.4, 0.6, 0.8, 1.0, 1.2, 1.4)]
    assert shown == [False, False, True, False, False, True]
    assert views.part(at(1.6), False, replace(one, lost=1), 640) is None
    assert views.part(at(1.8), False, replace(one, born=1), 640) is None
    assert views.part(at(2.0), False, followed(), 640) is None
    assert views.parts == 4


def test_a_picture_that_changes_elsewhere_is_looked_at_as_a_whole() -> None:
    views, one = settled(), followed(SMALL)

    def shown(picture: np.ndarray, time: float) -> Region | None:
        return views.part(frame(round(time * 25), image=picture, time=time), False, one, 640)

    near, grain, visitor = WIDE.copy(), WIDE.copy(), WIDE.copy()
    near[250:450, 550:750] = 255  # where the face is followed anyway
    grain[::7, ::5] = 60
    visitor[400:720, :180] = 120
    assert shown(near, 0.4) is not None
    assert shown(grain, 0.5) is not None
    assert shown(visitor, 0.6) is None
    assert shown(visitor, 0.8) is not None  # that is how the whole frame looks now
    assert shown(np.roll(visitor, 200, 1), 1.0) is None


def test_a_new_shot_is_looked_at_twice_as_a_whole() -> None:
    views, one = settled(), followed(SMALL)
    assert views.part(at(0.3), True, followed(), 640) is None
    assert views.part(at(0.5), False, one, 640) is None
    assert views.part(at(0.7), False, one, 640) is not None


def test_where_people_come_and_go_and_where_every_frame_is_due_frames_are_whole() -> None:
    def parts(stride: StrideController, seen: Following) -> int:
        for i in range(100):
            if stride.due(at(i / 25), i == 0, seen):
                stride.part(at(i / 25), i == 0, seen, 640)
        return int(stride.told()["parts"])

    assert parts(StrideController(), followed(SMALL)) > 5
    assert parts(StrideController(), replace(followed(SMALL), lives=(1, 1, 2, 1))) == 0
    assert parts(StrideController(preset="accurate"), followed(SMALL)) == 0
