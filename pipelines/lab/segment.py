"""K-means image segmentation: every pixel takes the mean colour of its cluster."""

from __future__ import annotations

import numpy as np

from streamer.errors import ConfigError
from streamer.items import U8

SAMPLED = 20_000  # pixels the centres are found on; more moved no centre by a grey level on the LFW photos tried


def segmented(image: U8, k: int, seed: int = 0) -> U8:
    """(h, w, 3) uint8 in at most k colours: k-means (Lloyd, k-means++ starts) on the pixels' BGR values."""
    from sklearn.cluster import KMeans

    if k < 1:
        raise ConfigError(f"K is {k}. It is the number of colours, at least 1.")
    pixels = image.reshape(-1, 3).astype(np.float32)
    colours = len(np.unique(image.reshape(-1, 3), axis=0))
    if colours <= k:
        return image.copy()
    rng = np.random.default_rng(seed)
    some = pixels if len(pixels) <= SAMPLED else pixels[rng.choice(len(pixels), SAMPLED, replace=False)]
    some = some if len(np.unique(some, axis=0)) > k else np.unique(pixels, axis=0)
    found = KMeans(k, n_init=3, random_state=seed).fit(some)
    centres = np.clip(np.rint(found.cluster_centers_), 0, 255).astype(np.uint8)
    out: U8 = centres[found.predict(pixels)].reshape(image.shape)
    return out
