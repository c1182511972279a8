"""The drawn scenes and fakes do what they say: on arrays and on encoded video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamer.evaluation import read_truth
from streamer.geometry import iou
from streamer.testing import (
    PEOPLE,
    Actor,
    FakeClock,
    FakeDetector,
    FakeEmbedder,
    Scene,
    SceneSource,
    Shot,
    draw_face,
    meeting,
    person_of,
    two_shots,
)


def cut(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    import cv2

    x1, y1, x2, y2 = box.astype(int)
    return cv2.resize(image[y1:y2, x1:x2], (112, 112))


@pytest.mark.parametrize("scene", [two_shots(), meeting()], ids=["two_shots", "meeting"])
def test_the_fake_detector_finds_exactly_the_drawn_faces(scene: Scene) -> None:
    for time in scene.times[::10]:
        truth = np.array(sorted(box for _, box in scene.faces(time)), np.float32).reshape(-1, 4)
        (found,) = FakeDetector().detect([scene.draw(time)])
        assert len(found) == len(truth)
        np.testing.assert_allclose(found.boxes, truth, atol=1)


def test_every_person_is_known_by_the_crop() -> None:
    for person in range(PEOPLE):
        image = np.full((80, 80, 3), 90, np.uint8)
        draw_face(image, (10, 10, 60, 72), person)
        assert person_of(image) == person
    assert person_of(np.full((80, 80, 3), 90, np.uint8)) is None


def test_embeddings_tell_people_apart_and_depend_on_pixels_alone() -> None:
    image = np.full((112, 112, 3), 90, np.uint8)
    crops = []
    for person, shift in ((0, 0), (0, 3), (1, 0)):
        crop = image.copy()
        draw_face(crop, (10 + shift, 0, 100 + shift, 112), person)
        crops.append(crop)
    embedder = FakeEmbedder()
    vectors = embedder.embed(np.array(crops))
    again = np.concatenate([FakeEmbedder().embed(c[None]) for c in np.array(crops)])
    np.testing.assert_array_equal(vectors, again)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    same, other = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert other < 0.5 < embedder.thresholds.link < same < 1
    assert embedder.embed(np.zeros((0, 112, 112, 3), np.uint8)).shape == (0, 32)


def test_an_encoded_scene_keeps_its_faces_times_and_truth(tmp_path: Path) -> None:
    import av

    scene = meeting()
    path = scene.write(tmp_path, every=5)
    detector, embedder = FakeDetector(), FakeEmbedder(noise=0.0)
    with av.open(str(path)) as container:
        decoded = [(float(f.time), f.to_ndarray(format="bgr24")) for f in container.decode(video=0)]
    assert [t for t, _ in decoded] == pytest.approx(scene.times)
    for time, image in decoded[::20]:
        wanted = scene.faces(time + 1e-4)
        (found,) = detector.detect([image])
        assert len(found) == len(wanted)
        for person, box in wanted:
            best = int(iou([box], found.boxes).argmax())
            assert iou([box], found.boxes)[0, best] > 0.85
            np.testing.assert_allclose(
                embedder.embed(cut(image, found.boxes[best])[None])[0], embedder.centres[person], atol=1e-6
            )
    assert len(read_truth(tmp_path / "labels").times) == len(scene.truth(every=5).times) > 0


def test_a_scene_is_a_source_that_can_be_closed_midway() -> None:
    source = SceneSource(two_shots())
    times = []
    for frame in source:
        times.append(frame.time)
        if frame.index == 4:
            source.close()
    assert len(times) == 5
    assert times == sorted(times)
    assert (source.stats.read, source.info.frames) == (5, 50)


def test_actors_enter_and_leave_and_shots_cut() -> None:
    shot = Shot(1.0, (Actor(2, (100, 100, 40), enter=0.2, leave=0.6),))
    scene = Scene((shot, Shot(1.0)), first=0.5)
    assert [len(scene.faces(0.5 + t)) for t in (0.0, 0.2, 0.56, 0.6, 1.2)] == [0, 1, 1, 0, 0]
    assert scene.cuts == [1.5]
    assert [(p.start, p.end) for p in scene.truth().presence] == [(0.7, 1.1)]


def test_the_fake_clock_moves_when_told() -> None:
    clock = FakeClock(10.0)
    clock.sleep(2.5)
    assert clock() == 12.5
