"""Thresholds from a video's own pairs."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.clustering.calibrate import KEPT, Evidence, Gathering, SelfCalibration, calibrate, evidence
from streamer.errors import ConfigError
from streamer.items import Tracklet
from tests.streamer.clustering.drawn import centres, looks, unit

PACK = {"link": 0.42, "merge": 0.31}


def pairs(tracks: int = 40) -> Evidence:
    """An ArcFace-like video: halves of a track at cosine 0.85, strangers at 0.05 with spread 0.15."""
    rng = np.random.default_rng(2)
    return Evidence(np.minimum(rng.normal(0.85, 0.08, 60), 0.99), rng.normal(0.05, 0.15, 80), tracks)


def test_values_between_the_two_edges_stay_as_they_are() -> None:
    found = calibrate(pairs(), **PACK)
    assert (found.link, found.merge, found.fell_back) == (0.42, 0.31, False)
    assert "agree" in found.reason
    assert found.false_merge <= 0.05


def test_too_loose_values_are_tightened_until_the_budget_of_wrong_merges_is_kept() -> None:
    loose = calibrate(pairs(100_000), link=0.15, merge=0.05)
    assert loose.false_merge == pytest.approx(0.05, abs=0.01)
    assert loose.merge == pytest.approx(np.quantile(pairs().impostor, 0.95), abs=1e-3)
    assert "tightened" in loose.reason
    stricter = calibrate(pairs(100_000), link=0.15, merge=0.05, budget=0.01)
    assert stricter.merge > loose.merge


def test_too_strict_values_are_loosened_to_where_different_people_still_are_far_away() -> None:
    strict = calibrate(pairs(), link=0.90, merge=0.88)
    assert 0.5 < strict.merge < 0.7
    assert strict.false_merge == 0.0
    assert "loosened" in strict.reason


def test_loosening_asks_for_more_evidence_than_tightening() -> None:
    few, many = (calibrate(pairs(n), link=0.60, merge=0.55) for n in (10, 1000))
    assert (few.link, few.merge) == (0.60, 0.55)
    assert many.merge < 0.54


def test_the_link_bar_keeps_its_distance_from_the_merge_bar() -> None:
    for link, merge in ((0.15, 0.05), (0.90, 0.86)):
        found = calibrate(pairs(), link=link, merge=merge)
        assert found.link - found.merge == pytest.approx(link - merge)


def test_a_bar_is_never_moved_to_where_nobody_could_join() -> None:
    """The link bar of a pack whose merge bar is far looser has no room to be tightened as much."""
    found = calibrate(pairs(), link=0.95, merge=-0.5)
    assert found.link < 1.0


def test_thin_evidence_moves_them_less() -> None:
    thin, thick = calibrate(pairs(4), link=0.15, merge=0.05), calibrate(pairs(400), link=0.15, merge=0.05)
    assert 0.05 < thin.merge < thick.merge
    assert thin.trust == pytest.approx(1 / 3)


def test_with_hardly_any_pairs_the_packs_values_are_used_and_it_says_so() -> None:
    found = calibrate(Evidence(np.array([0.9] * 3), np.array([0.1]), 2), **PACK)
    assert (found.link, found.merge, found.fell_back, found.trust) == (0.42, 0.31, True, 0.0)
    assert "too few" in found.reason


def test_a_mirror_among_the_impostors_is_left_out() -> None:
    clean = pairs()
    mirrored = Evidence(clean.genuine, np.r_[clean.impostor, 0.97, 0.96], clean.tracks)
    assert calibrate(mirrored, **PACK).impostor == 80


def test_the_same_video_in_a_shrunken_space_gives_the_shrunken_thresholds() -> None:
    """Strangers at cosine 0.84 instead of 0: cos -> 0.84 + 0.16 cos."""
    wide = calibrate(pairs(), link=0.15, merge=0.05)
    shrunk = Evidence(0.84 + 0.16 * pairs().genuine, 0.84 + 0.16 * pairs().impostor, 40)
    narrow = calibrate(shrunk, link=0.84 + 0.16 * 0.15, merge=0.84 + 0.16 * 0.05)
    assert (narrow.link, narrow.merge) == pytest.approx((0.84 + 0.16 * wide.link, 0.84 + 0.16 * wide.merge))


def test_euclidean_distances_are_calibrated_as_distances() -> None:
    cosine = pairs()
    far = Evidence(np.sqrt(2 - 2 * cosine.genuine), np.sqrt(2 - 2 * cosine.impostor), 40)
    found = calibrate(far, link=float(np.sqrt(2 - 2 * 0.15)), merge=float(np.sqrt(2 - 2 * 0.05)), metric="euclid")
    expected = calibrate(cosine, link=0.15, merge=0.05)
    assert found.merge == pytest.approx(np.sqrt(2 - 2 * expected.merge))


def test_curves_run_from_all_refused_to_all_taken() -> None:
    curve = calibrate(pairs(), **PACK).curve
    assert curve.threshold[0] > curve.threshold[-1]
    assert (curve.false_merge[0], curve.false_merge[-1]) == (0.0, 1.0)
    assert curve.false_split[-1] == 0.0


def test_evidence_comes_from_halves_of_tracks_and_tracks_in_one_frame() -> None:
    x = [looks(c, 6, 0.9, n) for n, c in enumerate(centres(3))]
    tracks = [
        Tracklet(n + 1, "film", 0.0, 1.0, 6, unit(v.mean(0)), v, 0.9, frozenset({n} if n else ()))
        for n, v in enumerate(x)
    ]
    found = evidence(tracks)
    assert (len(found.genuine), len(found.impostor), found.tracks) == (3, 2, 3)
    assert found.genuine.min() > 0.8
    assert found.impostor.max() < 0.5


def test_a_genuine_pair_is_the_beginning_and_the_end_of_a_track_not_neighbours_in_time() -> None:
    a, b = np.eye(2, dtype=np.float32)
    turned = np.stack([a, a, b, b])
    track = Tracklet(1, "film", 0.0, 4.0, 4, unit(turned.mean(0)), turned, 0.9)
    assert evidence([track]).genuine.tolist() == pytest.approx([0.0])


def test_a_budget_that_is_no_share_is_refused() -> None:
    with pytest.raises(ConfigError, match="budget"):
        calibrate(pairs(), **PACK, budget=1.0)


def test_tracks_that_come_in_batches_give_the_same_evidence() -> None:
    x = [looks(c, 6, 0.9, n) for n, c in enumerate(centres(5))]
    tracks = [
        Tracklet(n + 1, "film", 0.0, 1.0, 6, unit(v.mean(0)), v, 0.9, frozenset({n} if n else ()))
        for n, v in enumerate(x)
    ]
    gathering = Gathering()
    for t in tracks:
        gathering.see([t])
    assert gathering.evidence().impostor.tolist() == evidence(tracks).impostor.tolist()
    assert gathering.evidence().genuine.tolist() == evidence(tracks).genuine.tolist()


def test_what_is_stored_of_a_source_gives_nearly_the_same_thresholds() -> None:
    rng = np.random.default_rng(4)
    many = Evidence(rng.normal(0.95, 0.02, 3000), rng.normal(0.03, 0.08, 5000), 200)
    told = many.plain()
    assert len(told["impostor"]) == KEPT
    again = calibrate(Evidence.of([told]), link=0.15, merge=0.05)
    assert again.merge == pytest.approx(calibrate(many, link=0.15, merge=0.05).merge, abs=0.002)


def test_sources_put_together_are_more_evidence() -> None:
    one = pairs(20)
    both = Evidence.of([one.plain(), one.plain()])
    assert (len(both.impostor), both.tracks) == (160, 40)
    assert (one + one).tracks == 40


def test_earlier_sources_speak_before_this_one_has_shown_anything() -> None:
    known = SelfCalibration(link=0.15, merge=0.05, metric="cosine", before=pairs(40))
    assert known.result().merge > 0.2
    assert SelfCalibration(link=0.15, merge=0.05, metric="cosine").result().merge == 0.05


def test_switched_off_the_given_values_stand_and_the_curves_are_still_told() -> None:
    off = SelfCalibration(link=0.15, merge=0.05, metric="cosine", enabled=False, before=pairs(40)).result()
    assert (off.link, off.merge, off.fell_back) == (0.15, 0.05, True)
    assert len(off.curve.threshold) > 0
