from __future__ import annotations

import numpy as np
import pytest

from streamer.errors import ConfigError
from streamer.items import DETECTED, F32, FaceSample, Track, TrackRows
from streamer.tracking.split import agreement, split_mixed
from tests.streamer.tracking.drawn import sample, square

PAIR = 0.3
ANNA, BERT, CARL = np.eye(128, dtype=np.float32)[:3]


def near(person: F32, seed: int, noise: float = 0.5) -> F32:
    """A look at a person: cosine about 0.8 to another look at the same."""
    off = np.random.default_rng(seed).standard_normal(128).astype(np.float32)
    off -= off @ person * person
    v = person + noise * off / np.linalg.norm(off)
    return np.asarray(v / np.linalg.norm(v), np.float32)


def track(
    samples: list[FaceSample], frames: int = 100, jump_at: int | None = None, x: float = 60.0, shift: float = 40.0
) -> Track:
    """A 40 px face at 25 frames a second; from frame `jump_at` on `shift` px further right."""
    at = np.arange(frames)
    right = np.zeros(frames) if jump_at is None else np.where(at >= jump_at, shift, 0.0)
    boxes = np.array([square(x + r, 45) for r in right], np.float32)
    rows = TrackRows(at, at / 25, boxes, np.full(frames, 0.8, np.float32), np.full(frames, DETECTED, np.uint8))
    return Track(7, "clip.mp4", rows, tuple(samples))


def looks(*people: F32, noise: float = 0.3) -> F32:
    return np.stack([near(p, i, noise) for i, p in enumerate(people)])


FIVE = [sample(t) for t in (0.2, 1.0, 2.0, 3.0, 3.8)]


def lengths(parts: list[Track]) -> list[int]:
    return [len(p.samples) for p in parts]


def test_one_person_stays_one_track() -> None:
    whole = track(FIVE)
    assert split_mixed(whole, looks(ANNA, ANNA, ANNA, ANNA, ANNA), PAIR) == [whole]


def test_two_people_one_after_the_other_are_parted_where_the_box_jumps() -> None:
    parts = split_mixed(track(FIVE, jump_at=40), looks(ANNA, ANNA, BERT, BERT, BERT), PAIR)
    assert lengths(parts) == [2, 3]
    assert [int(p.rows.frames[0]) for p in parts] == [0, 40]
    assert [int(p.rows.frames[-1]) for p in parts] == [39, 99]


def test_no_row_is_lost_or_doubled() -> None:
    parts = split_mixed(track(FIVE), looks(ANNA, ANNA, BERT, BERT, BERT), PAIR)
    assert np.concatenate([p.rows.frames for p in parts]).tolist() == list(range(100))


def test_every_sample_lies_in_its_parts_time() -> None:
    for part in split_mixed(track(FIVE, jump_at=60), looks(ANNA, ANNA, BERT, CARL, CARL), PAIR):
        for s in part.samples:
            assert part.start <= s.time <= part.end


def test_two_who_swap_and_swap_back_make_three_parts() -> None:
    parts = split_mixed(
        track([sample(t) for t in (0.2, 0.8, 1.6, 2.2, 3.0, 3.8)]), looks(ANNA, ANNA, BERT, BERT, ANNA, ANNA), PAIR
    )
    assert lengths(parts) == [2, 2, 2]


def test_three_people_make_three_parts() -> None:
    six = [sample(t) for t in (0.2, 0.8, 1.6, 2.2, 3.0, 3.8)]
    assert lengths(split_mixed(track(six), looks(ANNA, ANNA, BERT, BERT, CARL, CARL), PAIR)) == [2, 2, 2]


def test_samples_in_any_order_are_sorted_by_time() -> None:
    mixed = [FIVE[3], FIVE[0], FIVE[4], FIVE[1], FIVE[2]]
    parts = split_mixed(track(mixed), looks(BERT, ANNA, BERT, ANNA, BERT), PAIR)
    assert [[s.time for s in p.samples] for p in parts] == [[0.2, 1.0], [2.0, 3.0, 3.8]]


def test_a_head_that_turns_away_does_not_split() -> None:
    """Faces in profile agree with nobody, but there is only one and it is turned."""
    five = [*FIVE[:2], sample(2.0, yaw=55), *FIVE[3:]]
    assert lengths(split_mixed(track(five, jump_at=50), looks(ANNA, ANNA, BERT, ANNA, ANNA), PAIR)) == [5]


def test_a_slow_change_of_pose_does_not_split() -> None:
    """Neighbours agree although the ends do not."""
    angles = np.linspace(0, np.radians(100), 5)
    turning = np.stack([np.cos(a) * ANNA + np.sin(a) * BERT for a in angles])
    assert lengths(split_mixed(track(FIVE), turning, PAIR)) == [5]


def test_one_bad_look_does_not_split() -> None:
    five = [*FIVE[:2], sample(2.0, quality=0.1), *FIVE[3:]]
    assert lengths(split_mixed(track(five), looks(ANNA, ANNA, BERT, ANNA, ANNA), PAIR)) == [5]


def test_one_bad_look_beside_a_jump_splits() -> None:
    five = [sample(0.2, quality=0.1), *FIVE[1:]]
    assert lengths(split_mixed(track(five, jump_at=15), looks(BERT, ANNA, ANNA, ANNA, ANNA), PAIR)) == [1, 4]


def test_two_looks_at_two_strangers_split() -> None:
    assert lengths(split_mixed(track([FIVE[0], FIVE[4]]), looks(ANNA, BERT), PAIR)) == [1, 1]


def test_two_looks_that_only_half_agree_do_not_split() -> None:
    half = np.stack([ANNA, 0.2 * ANNA + np.sqrt(1 - 0.04) * BERT])
    assert lengths(split_mixed(track([FIVE[0], FIVE[4]], jump_at=50), half, PAIR)) == [2]


@pytest.mark.parametrize("count", [0, 1])
def test_a_track_with_less_than_two_faces_stays(count: int) -> None:
    whole = track(FIVE[:count])
    assert split_mixed(whole, np.zeros((count, 128), np.float32), PAIR) == [whole]


def test_embeddings_must_fit_the_samples() -> None:
    with pytest.raises(ValueError, match="1 embeddings for 5 samples"):
        split_mixed(track(FIVE), np.zeros((1, 128)), PAIR)


def test_euclidean_models_split_by_their_own_bar() -> None:
    """dlib: the bar is a distance of 0.6, strangers are 0.84 and more apart."""
    a, b = np.zeros(128), np.full(128, 0.9 / np.sqrt(128))
    jitter = np.random.default_rng(0).standard_normal((5, 128)) * 0.015
    parts = split_mixed(track(FIVE), np.stack([a, a, b, b, b]) + jitter, 0.6, metric="euclid")
    assert lengths(parts) == [2, 3]


def test_agreement_is_one_at_the_bar_of_a_pair() -> None:
    at_bar = np.array([[1.0, 0.0], [PAIR, np.sqrt(1 - PAIR**2)]])
    assert agreement(at_bar[:1], at_bar[1:], PAIR)[0, 0] == pytest.approx(1.0)
    assert agreement([[0.0, 0.0]], [[0.6, 0.0]], 0.6, "euclid")[0, 0] == pytest.approx(1.0)
    assert agreement([[0.0, 0.0]], [[0.84, 0.0]], 0.6, "euclid")[0, 0] == pytest.approx(0.0)


def test_models_whose_strangers_are_alike_split_by_what_they_have_in_common() -> None:
    """As dlib's vectors: a large part is the same in all faces."""
    common = np.eye(128, dtype=np.float32)[9]
    lifted = looks(ANNA, ANNA, BERT, BERT, BERT) + 2.5 * common
    lifted /= np.linalg.norm(lifted, axis=1, keepdims=True)
    stranger, same = float(lifted[0] @ lifted[2]), float(lifted[0] @ lifted[1])
    pair = stranger + 0.3 * (same - stranger)
    whole = track(FIVE, jump_at=40)
    assert split_mixed(whole, lifted, pair) == [whole]
    assert lengths(split_mixed(whole, lifted, pair, strangers=stranger)) == [2, 3]


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ConfigError, match="cosine or euclid"):
        agreement(ANNA, BERT, PAIR, "manhattan")
