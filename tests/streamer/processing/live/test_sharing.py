"""One detector for many cameras: whole pictures in one call, parts as the tracker asks for them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from streamer.items import ArrayPicture, Faces, Region
from streamer.models.base import PartDetector
from streamer.processing.live.sharing import SharedDetector
from streamer.testing import FakeDetector

PICTURE = ArrayPicture(np.zeros((48, 64, 3), np.uint8))


class Parts:
    """A detector that writes down what it is asked, and waits at its first call."""

    name, score, takes_parts = "parts", 0.5, True

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.entered, self.go = threading.Event(), threading.Event()

    def detect(self, images: Any) -> list[Faces]:
        return [Faces.none() for _ in images]

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def detect_pictures(self, pictures: Any, sizes: Any) -> list[Faces]:
        self.entered.set()
        assert self.go.wait(20)
        self.asked.append(list(sizes))
        return [_face(width) for width, _ in sizes]

    def detect_part(self, picture: Any, size: tuple[int, int], part: Region) -> Faces:
        self.asked.append(part)
        return _face(1000 + size[0])


def _face(x: float) -> Faces:
    return Faces(np.array([[x, 0, x + 9, 9]], np.float32), np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))


def test_everybody_gets_their_own_answer_and_whole_pictures_go_together() -> None:
    inner = Parts()
    answers: dict[object, float] = {}
    part = Region((0.0, 0.0, 32.0, 24.0))
    shared = SharedDetector(inner, 8)

    def whole(width: int) -> None:
        answers[width] = shared.detect_pictures([PICTURE], [(width, 48)])[0].boxes[0, 0]

    def piece() -> None:
        answers["part"] = shared.detect_part(PICTURE, (64, 48), part).boxes[0, 0]

    first = threading.Thread(target=whole, args=(1,))
    first.start()
    assert inner.entered.wait(20)
    others = [threading.Thread(target=whole, args=(w,)) for w in (2, 3)] + [threading.Thread(target=piece)]
    for t in others:
        t.start()
    while shared.load().waiting < 3:
        threading.Event().wait(0.001)
    inner.go.set()
    for t in [first, *others]:
        t.join(20)
    shared.close()
    assert answers == {1: 1.0, 2: 2.0, 3: 3.0, "part": 1064.0}
    assert [sorted(inner.asked[0]), sorted(inner.asked[1]), inner.asked[2]] == [[(1, 48)], [(2, 48), (3, 48)], part]


def test_a_detector_that_takes_no_parts_is_asked_for_none() -> None:
    shared = SharedDetector(FakeDetector(), 1)
    assert isinstance(shared, PartDetector)
    assert not shared.takes_parts
    shared.close()
