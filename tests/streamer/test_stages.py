"""What the stages make of tracks: which of them may be somebody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamer.items import DETECTED, FaceSample, Track, TrackRows
from streamer.stages import GATE, UNCLEAR, Embed
from streamer.testing import FakeEmbedder, FakeQuality


def track(score: float, *, still_open: bool = False) -> Track:
    """Two seconds of a face whose best look the detector gives `score`."""
    n = 50
    scores = np.full(n, score - 0.1, np.float32)
    scores[n // 2] = score
    box = np.tile(np.array([10, 10, 50, 50], np.float32), (n, 1))
    rows = TrackRows(np.arange(n), np.arange(n) / 25, box, scores, np.full(n, DETECTED, np.uint8))
    crop = np.random.default_rng(1).integers(0, 255, (112, 112, 3), np.uint8)
    return Track(1, "clip.mp4", rows, (FaceSample(25, 1.0, (10, 10, 50, 50), score, crop, 0.8),), still_open)


@pytest.mark.parametrize(("score", "founds"), [(0.90, False), (0.96, True)])
def test_a_track_the_detector_is_never_certain_of_makes_nobody(score: float, founds: bool) -> None:
    embed = Embed(FakeEmbedder(), FakeQuality(0.9), 1, certain=0.95)
    (out,) = embed.process([track(score)])
    assert out.tracklet is not None
    assert (out.tracklet.quality >= GATE) is founds
    assert embed.rejected == ({} if founds else {UNCLEAR: 1})


def test_an_open_track_may_still_become_a_face_and_is_not_counted() -> None:
    embed = Embed(FakeEmbedder(), FakeQuality(0.9), 1, certain=0.95)
    (early,) = embed.process([track(0.9, still_open=True)])
    (late,) = embed.process([replace(track(0.97), number=1)])
    assert early.tracklet is not None
    assert late.tracklet is not None
    assert early.tracklet.quality < GATE <= late.tracklet.quality
    assert embed.rejected == {}
