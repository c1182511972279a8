"""From pictures to network input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamer.errors import ModelError
from streamer.models.pixels import Pixels, three

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 6, 3), dtype=np.uint8)


def by_hand(pixels: Pixels) -> np.ndarray:
    ordered = IMAGES[..., ::-1] if pixels.colour == "rgb" else IMAGES
    out = (ordered.astype(np.float64) - pixels.mean) / pixels.std
    return out if pixels.layout == "nhwc" else out.transpose(0, 3, 1, 2)


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_batch_is_x_minus_mean_over_std_in_the_networks_order(colour: Any, layout: Any) -> None:
    pixels = Pixels((122.8, 117.0, 104.3), (256.0, 128.0, 127.5), colour, layout)
    out = pixels.batch(IMAGES)
    assert out.dtype == np.float32
    assert np.allclose(out, by_hand(pixels), atol=1e-5)


def test_writing_one_picture_leaves_the_padding_as_black_pictures_have_it() -> None:
    pixels = Pixels((122.8, 117.0, 104.3), (256.0, 128.0, 127.5), "rgb")
    blob = pixels.empty(1, 32, 32)
    pixels.write(IMAGES[0], blob[0])
    padded = np.zeros((1, 32, 32, 3), np.uint8)
    padded[0, :8, :6] = IMAGES[0]
    assert np.allclose(blob, pixels.batch(padded), atol=1e-5)


def test_wrong_words_and_numbers_are_refused() -> None:
    assert three(127.5, "mean") == (127.5, 127.5, 127.5)
    for bad in ([1.0, 2.0], [1.0, float("nan"), 2.0]):
        with pytest.raises(ModelError, match="mean: one number or three"):
            three(bad, "mean")
    with pytest.raises(ModelError, match="write rgb or bgr"):
        Pixels(colour="RGB")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="must not be 0"):
        Pixels(std=(1.0, 0.0, 1.0))
