"""The demo clip, made of drawn pictures in place of the installed ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines import demo
from streamer.errors import SourceError
from streamer.evaluation import read_truth
from streamer.geometry import iou
from streamer.testing import FakeDetector, draw_face


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a group of four and a single."""
    import cv2

    single, group = (np.full((300, w, 3), 120, np.uint8) for w in (300, 640))
    draw_face(single, (110, 90, 190, 190), 0)
    for k in range(4):
        draw_face(group, (40 + 150 * k, 100, 120 + 150 * k, 200), k + 1)
    for name, image in (("single.png", single), ("group.png", group)):
        cv2.imwrite(str(tmp_path / name), image)
    monkeypatch.setattr(demo, "STILLS", (("p", "single.png", 0.0), ("p", "group.png", 0.0), ("q", "none.png", 0.0)))
    monkeypatch.setattr(demo, "_package_file", lambda package, name: tmp_path / name if package == "p" else None)
    return tmp_path


def test_the_clip_shows_what_its_truth_says(pictures: Path) -> None:
    import av

    made = demo.compose(pictures / "demo.mp4", FakeDetector(), seconds=24, fps=5)
    assert (made.people, len(made.notes)) == (5, 1)
    assert {p.person for p in made.truth.presence} == {f"P{k}" for k in range(1, 6)}
    with av.open(str(made.path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        frames = [(float(f.time), f.to_ndarray(format="bgr24")) for f in container.decode(video=0)]
    assert len(frames) == 120
    checked = 0
    for time, image in frames[::3]:
        here = np.flatnonzero((np.abs(made.truth.times - time) < 1e-3) & (np.array(made.truth.kinds) == "visible"))
        found = FakeDetector().detect([image])[0].boxes
        if len(here):
            assert iou(made.truth.boxes[here], found).max(axis=1).min() > 0.8
            checked += len(here)
    assert checked > 40


def test_everybody_comes_back_and_somebody_leaves_the_picture(pictures: Path) -> None:
    truth = demo.compose(pictures / "demo.mp4", FakeDetector(), seconds=24, fps=5).truth
    for person in {p.person for p in truth.presence}:
        assert len([p for p in truth.presence if p.person == person and p.kind == "visible"]) > 1
    assert {"hard", "visible"} <= set(truth.kinds)
    assert read_truth(pictures / "labels").presence == truth.presence


def test_without_any_picture_the_error_says_what_to_install(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_package_file", lambda package, name: None)
    with pytest.raises(SourceError, match="pip install scikit-image"):
        demo.compose(pictures / "demo.mp4", FakeDetector())
