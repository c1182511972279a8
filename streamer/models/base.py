"""Contracts of the models. Inputs may be empty; a batch gives what one-by-one gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from streamer.items import F32, U8, Faces, Picture, Region


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Similarity bars of one embedder, in its own metric (cosine: similarity; euclid: distance).

    `pair` accepts two photos as one person, `link` an online nearest-neighbour link, `merge` an average-linkage merge.
    Those two are for tracks, whose vectors are means of several looks. Single photos scatter more: `photo_merge` takes
    the place of `merge` there. None: as for tracks. `strangers` is what two strangers have in the mean: 0 where vectors
    are centred (cosine).
    """

    pair: float
    link: float
    merge: float
    photo_merge: float | None = None
    strangers: float = 0.0

    @property
    def merge_photos(self) -> float:
        """The bar of an average-linkage merge of single photos."""
        return self.merge if self.photo_merge is None else self.photo_merge


class Detector(Protocol):
    """Finds faces. `detect` takes full-size BGR images (h, w, 3) uint8 of any sizes and answers in their pixels."""

    name: str
    score: float  # a face has at least this score; weaker ones, where a detector reports them, are only hints

    def detect(self, images: Sequence[U8]) -> list[Faces]: ...
    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """(w, h) the network wants for a frame of this size: a caller may hand `detect_scaled` pictures of it."""
        ...

    def detect_pictures(self, pictures: Sequence[Picture], sizes: Sequence[tuple[int, int]]) -> list[Faces]:
        """Like `detect`, from lazy pictures with their displayed (w, h); looks at no more pixels than needed."""
        ...


@runtime_checkable
class PartDetector(Detector, Protocol):
    """A detector that can be shown a part of a frame, for less. Optional: others are always shown whole frames."""

    @property
    def takes_parts(self) -> bool:
        """Whether that is worth it on this device."""
        ...

    def detect_part(self, picture: Picture, size: tuple[int, int], part: Region) -> Faces:
        """The faces in a part of a picture, in pixels of its displayed (w, h); those its edge cuts are left out."""
        ...


def sure_score(detector: Detector) -> float:
    """The score from which a face seen in a single look counts: the detector's own `sure`, else a tenth of the way from
    its `score` to 1."""
    own = getattr(detector, "sure", None)
    return detector.score + 0.1 * (1 - detector.score) if own is None else float(own)


def certain_score(detector: Detector) -> float:
    """The score a track must reach in one of its looks to make somebody: the detector's own `certain`, else none."""
    return float(getattr(detector, "certain", 0.0))


class Embedder(Protocol):
    """Aligned crops in, vectors out. `model` is the id stored with every vector (name + hash prefix)."""

    model: str
    dimension: int
    metric: str  # "cosine" or "euclid"
    template: str  # name of the alignment template, see streamer.crops
    crop_size: int
    thresholds: Thresholds
    preferred_batch: int

    def embed(self, crops: U8) -> F32:
        """(n, s, s, 3) uint8 BGR -> (n, d) float32; unit rows for cosine, raw rows for euclid."""
        ...


class Quality(Protocol):
    """How usable aligned crops are: (n, s, s, 3) uint8 BGR -> (n,) 0..1; below `reject_below` a face is no evidence."""

    reject_below: float

    def rate(self, crops: U8) -> F32: ...
