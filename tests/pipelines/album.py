"""Folders of drawn photos, and models that read them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamer.models import packs
from streamer.testing import FakeDetector, FakeEmbedder, draw_face


def drawn_photo(path: Path, *people: int, seed: int = 0, size: int = 60) -> Path:
    """A photo with these drawn people side by side, the first in the middle and larger."""
    rng = np.random.default_rng([seed, *people])
    image = np.full((240, 320, 3), 70, np.uint8)
    for turn, person in enumerate(people):
        side = size + int(rng.integers(0, 8)) - 16 * min(1, turn)
        x, y = (130, 30) if turn == 0 else (20 + 220 * (turn - 1), 150)
        draw_face(image, (x, y, x + side, y + round(side * 1.25)), person)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def drawn_models(monkeypatch: pytest.MonkeyPatch) -> packs.Models:
    """Every pack of this process is the fakes of `streamer.testing`."""
    pack = packs.read_pack("open")
    made = packs.Models(FakeDetector(), FakeEmbedder(), None, pack, ["detector: drawn faces"])
    monkeypatch.setattr(packs, "load_pack", lambda spec: pack)
    monkeypatch.setattr(packs, "build", lambda pack, device="auto": made)
    return made
