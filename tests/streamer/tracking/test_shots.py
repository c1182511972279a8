from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from streamer.items import U8, Frame
from streamer.testing import Scene, Shot, two_shots
from streamer.tracking.shots import ShotDetector
from tests.streamer.tracking.drawn import BLACK, frame


def picture(seed: int, low: int = 20, high: int = 230) -> U8:
    """A picture of 9 x 16 smooth patches, its own for every seed."""
    import cv2

    patches = np.random.default_rng(seed).integers(low, high, (9, 16)).astype(np.uint8)
    return np.repeat(cv2.resize(patches, (160, 90), interpolation=cv2.INTER_CUBIC)[..., None], 3, axis=2)


def cuts(images: Iterable[U8], fps: float = 25.0) -> list[int]:
    detector = ShotDetector()
    return [i for i, image in enumerate(images) if detector.is_cut(frame(i, fps, image))]


A, B = picture(1), picture(2)


def blend(share: float) -> U8:
    return (A * (1 - share) + B * share).astype(np.uint8)


def test_a_new_picture_is_a_cut_at_its_first_frame() -> None:
    assert cuts([A] * 10 + [B] * 10 + [A] * 10) == [10, 20]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_cut_with_one_blended_frame_is_a_cut(share: float) -> None:
    """As rate conversion makes it; the grain keeps neighbours from being equal."""
    grain = np.random.default_rng(0)
    shots = [A] * 10 + [blend(share)] + [B] * 10
    noisy = [np.clip(p + grain.normal(0, 4, p.shape), 0, 255).astype(np.uint8) for p in shots]
    assert cuts(noisy) in ([10], [11])


def test_the_first_frame_is_no_cut() -> None:
    assert cuts([A]) == []


def test_two_shots_of_two_frames_are_told_apart() -> None:
    assert cuts([A, A, B, B]) == [2]


def test_a_dark_shot_after_a_dark_shot_is_a_cut() -> None:
    assert cuts([picture(1, 16, 50)] * 8 + [picture(2, 16, 50)] * 8) == [8]


def test_a_moving_camera_does_not_cut() -> None:
    wide = np.concatenate([A, B, picture(3)], axis=1)
    assert cuts(wide[:, x : x + 160] for x in range(0, 320, 10)) == []


def test_a_shaking_camera_does_not_cut() -> None:
    wide = np.concatenate([A, B], axis=1)
    at = [0, 0, 0, 0, 30, 2, 28, 0, 25, 5, 30, 0]
    assert cuts(wide[:, x : x + 160] for x in at) == []


def test_lights_going_up_do_not_cut() -> None:
    assert cuts([(A * 0.5).astype(np.uint8)] * 8 + [A] * 8) == []


def test_a_white_flash_does_not_cut() -> None:
    white = np.full_like(A, 255)
    assert cuts([A] * 8 + [white] * 2 + [A] * 8) == []


def test_a_cut_hidden_by_a_flash_is_found_when_the_picture_is_back() -> None:
    white = np.full_like(A, 255)
    assert cuts([A] * 8 + [white] * 2 + [B] * 8) == [10]


def test_a_fade_through_black_cuts_where_the_new_picture_appears() -> None:
    down = [(A * (1 - i / 10)).astype(np.uint8) for i in range(11)]
    up = [(B * (i / 10)).astype(np.uint8) for i in range(11)]
    found = cuts([A] * 8 + down + up + [B] * 8)
    assert len(found) == 1
    assert 19 <= found[0] <= 22


def test_a_fade_to_black_and_back_to_the_same_picture_does_not_cut() -> None:
    down = [(A * (1 - i / 10)).astype(np.uint8) for i in range(11)]
    assert cuts([A] * 8 + down + down[::-1] + [A] * 8) == []


def test_a_cut_to_black_is_one_cut() -> None:
    assert cuts([A] * 8 + [BLACK] * 8 + [B] * 8) == [8]


@pytest.mark.parametrize(("fps", "frames"), [(25.0, 12), (30.0, 20), (12.5, 8)])
def test_a_dissolve_is_one_cut_before_it_is_over(fps: float, frames: int) -> None:
    images = [A] * 12 + [blend(i / frames) for i in range(1, frames)] + [B] * 12
    found = cuts(images, fps)
    assert len(found) == 1
    assert 12 <= found[0] <= 12 + frames + 1


def test_a_cut_is_found_at_a_variable_frame_rate() -> None:
    times = np.cumsum([0.04, 0.2, 0.04, 0.04, 0.12, 0.04, 0.3, 0.04, 0.04, 0.2])
    detector = ShotDetector()
    images = [A] * 5 + [B] * 5
    assert [detector.is_cut(frame(i, image=images[i], time=float(t))) for i, t in enumerate(times)] == [False] * 5 + [
        True,
        *[False] * 4,
    ]


@pytest.mark.parametrize("fps", [0.5, 1.0, 2.0, 3.0])
def test_few_frames_a_second_have_their_cuts(fps: float) -> None:
    """As in time lapse, or where a starved machine takes few: the frame before the last is forgotten by then."""
    grain = np.random.default_rng(0)
    moving = [np.clip(A + grain.normal(0, 40, A.shape), 0, 255).astype(np.uint8) for _ in range(12)]
    assert cuts([*moving, *[B] * 4], fps) == [12]


def test_a_camera_that_was_away_begins_a_new_shot() -> None:
    detector = ShotDetector()
    assert [detector.is_cut(frame(i, image=A, epoch=i // 5)) for i in range(10)] == [False] * 5 + [True] + [False] * 4


def test_a_change_of_size_is_survived() -> None:
    assert cuts([A] * 4 + [np.ascontiguousarray(A.transpose(1, 0, 2))] * 4) == [4]


def test_the_cut_of_a_drawn_scene_is_found() -> None:
    scene = two_shots()
    detector = ShotDetector()
    assert [f.time for f in scene.frames() if detector.is_cut(f)] == scene.cuts


def test_one_shot_of_a_drawn_scene_has_no_cut() -> None:
    detector = ShotDetector()
    assert not any(detector.is_cut(f) for f in Scene((Shot(2.0),)).frames())


CLIPS = {"sitcom_six.mp4": 3, "stage_show.mp4": 3, "film_vfr.mp4": 2}


@pytest.mark.parametrize("clip", CLIPS)
def test_the_cuts_of_a_real_clip_are_found_and_no_others(clip: str, shared_data: Path) -> None:
    from streamer.sources.file import FileSource

    with (shared_data / "labels" / "cuts.csv").open() as table:
        true = [float(r["time_s"]) for r in csv.DictReader(table) if r["video"] == clip]
    detector = ShotDetector()
    found = [f.time for f in _frames(FileSource(shared_data / "videos" / clip)) if detector.is_cut(f)]
    assert len(true) == CLIPS[clip]
    assert found == pytest.approx(true, abs=0.07)


def test_a_shaking_crowd_has_no_cut(shared_data: Path) -> None:
    from streamer.sources.file import FileSource

    detector = ShotDetector()
    assert not any(detector.is_cut(f) for f in _frames(FileSource(shared_data / "videos" / "mall_crowd.mp4")))


def _frames(source: Iterable[Frame]) -> Iterable[Frame]:
    yield from source
