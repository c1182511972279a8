"""What many cameras share: looks that wait together go through one call, and no face is embedded twice."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from streamer.flow.batcher import Batcher
from streamer.flow.stats import Load
from streamer.items import F32, U8, Faces, Picture, Region, Track
from streamer.models.base import PartDetector
from streamer.stages import Embed

REMEMBERED = 1024  # crops whose vector is kept: those of 100 open tracks, 2 kB each


Look: TypeAlias = tuple[Picture, tuple[int, int], Region | None]  # a picture, its displayed size, a part of it or all


class SharedDetector:
    """A detector several threads may use; what waits together is looked at together, `batch` pictures at most."""

    def __init__(self, detector: Any, batch: int) -> None:
        self.name, self.score = detector.name, detector.score
        self.detect, self.input_size = detector.detect, detector.input_size
        self.takes_parts = isinstance(detector, PartDetector) and detector.takes_parts
        self._detector = detector
        self._batcher: Batcher[Look, Faces] = Batcher(self._look, batch=batch, name="detect")

    def detect_pictures(self, pictures: Sequence[Picture], sizes: Sequence[tuple[int, int]]) -> list[Faces]:
        """See streamer.models.base; waits for its turn."""
        return self._batcher.submit_many([(p, s, None) for p, s in zip(pictures, sizes, strict=True)])

    def detect_part(self, picture: Picture, size: tuple[int, int], part: Region) -> Faces:
        """See streamer.models.base; waits for its turn."""
        return self._batcher.submit((picture, size, part))

    def _look(self, looks: list[Look]) -> list[Faces]:
        """Whole pictures in one call, parts one by one: each has a shape of its own."""
        whole = [(p, s) for p, s, part in looks if part is None]
        found = iter(self._detector.detect_pictures([p for p, _ in whole], [s for _, s in whole]) if whole else [])
        return [next(found) if part is None else self._detector.detect_part(p, s, part) for p, s, part in looks]

    def load(self) -> Load:
        """What its calls cost, how many pictures they held, and how many wait."""
        return self._batcher.load()

    def close(self) -> None:
        """Ends its thread."""
        self._batcher.close()


class Remembered:
    """A function of aligned crops (n, s, s, 3), a row each, that asks again only for crops not seen lately."""

    def __init__(self, function: Callable[[U8], F32], size: int = REMEMBERED) -> None:
        self._function, self._size = function, size
        self._rows: OrderedDict[bytes, Any] = OrderedDict()
        self.asked = 0

    def __call__(self, crops: U8) -> F32:
        keys = [hashlib.blake2b(crop.tobytes(), digest_size=16).digest() for crop in crops]
        fresh = list({key: i for i, key in enumerate(keys) if key not in self._rows}.items())
        if fresh:
            found = self._function(crops[[i for _, i in fresh]])
            self._rows.update((key, row) for (key, _), row in zip(fresh, found, strict=True))
            self.asked += len(fresh)
        out = np.stack([self._rows[key] for key in keys])
        for key in keys:
            self._rows.move_to_end(key)
        while len(self._rows) > self._size:
            self._rows.popitem(last=False)
        return out


class RememberingEmbedder:
    """An embedder for open tracks, which come again and again with most of their faces."""

    def __init__(self, embedder: Any) -> None:
        self.model, self.dimension, self.metric = embedder.model, embedder.dimension, embedder.metric
        self.template, self.crop_size = embedder.template, embedder.crop_size
        self.thresholds, self.preferred_batch = embedder.thresholds, embedder.preferred_batch
        self.embed = Remembered(embedder.embed)


class RememberingQuality:
    """The same for the rating of crops."""

    def __init__(self, quality: Any) -> None:
        self.reject_below = quality.reject_below
        self.rate = Remembered(quality.rate)


class Numbers:
    """Track numbers of the library, given to several threads."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            number, self._next = self._next, self._next + 1
            return number


class GrowingEmbed(Embed):
    """Embeds tracks of one camera that bear their library number already and may come again while they are open.

    Only a track that ended is split, its first part keeps the number.
    """

    def __init__(self, embedder: Any, quality: Any, numbers: Numbers, certain: float = 0.0) -> None:
        super().__init__(embedder, quality, 0, certain)
        self._numbers = numbers
        self._first_part = True

    def _parts(self, track: Track, vectors: F32) -> list[Track]:
        self._first_part = True
        return [track] if track.open else super()._parts(track, vectors)

    def _renumber(self, track: Track) -> Track:
        from dataclasses import replace

        if not track.samples or self._first_part:
            self._first_part = False
            return track
        return replace(track, number=self._numbers())


class Vectors:
    """Track numbers -> (n, d) their vectors: those of the last `size` tracks from memory, older ones from the store.

    The clusterer asks for tracks that are not in the store yet.
    """

    def __init__(self, read: Callable[[Sequence[int]], F32], size: int = 2048) -> None:
        self._read, self._size = read, size
        self._recent: OrderedDict[int, F32] = OrderedDict()

    def keep(self, track: int, vector: F32) -> None:
        """The newest vector of a track."""
        self._recent[track] = vector
        self._recent.move_to_end(track)
        while len(self._recent) > self._size:
            self._recent.popitem(last=False)

    def __call__(self, tracks: Sequence[int]) -> F32:
        old = [t for t in tracks if t not in self._recent]
        read = dict(zip(old, self._read(old), strict=True)) if old else {}
        return np.stack([self._recent[t] if t in self._recent else read[t] for t in tracks])


def warm(crops: Iterable[U8], embedder: RememberingEmbedder, quality: RememberingQuality | None) -> None:
    """Embeds and rates crops of several cameras in one call; those that ask after this find them remembered."""
    stack = list(crops)
    if stack:
        embedder.embed(np.stack(stack))
        if quality is not None:
            quality.rate(np.stack(stack))
