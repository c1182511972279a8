"""What flows through the pipeline. All of it is frozen and checked once, when made.

Times are seconds of the source's own clock (pts x time base), boxes are pixels `x1, y1, x2, y2` of the
displayed frame (rotation and sample aspect applied), embeddings are float32 rows. Tracks and identities
are positive integers; a track number is unique inside a library, an identity is never used twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]
U8: TypeAlias = NDArray[np.uint8]


class Picture(Protocol):
    """The pixels of one frame, converted only when somebody looks.

    `luma()` gives (h, w) uint8 brightness at any size that is cheap (used for cuts and motion);
    `bgr()` gives (h, w, 3) uint8 in displayed orientation; `scaled(w, h)` the same resized, without a detour
    over the full size where the decoder can do it. `nbytes` is what keeping the picture costs.
    """

    @property
    def nbytes(self) -> int: ...
    def luma(self) -> U8: ...
    def bgr(self) -> U8: ...
    def scaled(self, width: int, height: int) -> U8: ...


@dataclass(frozen=True, slots=True)
class ArrayPicture:
    """A picture that is already an array (h, w, 3) uint8 BGR: photos, drawn scenes, tests."""

    array: U8

    @property
    def nbytes(self) -> int:
        return int(self.array.nbytes)

    def bgr(self) -> U8:
        return self.array

    def luma(self) -> U8:
        step = max(1, self.array.shape[1] // 160)
        small = self.array[::step, ::step].astype(np.uint16)
        return ((small[..., 0] * 29 + small[..., 1] * 150 + small[..., 2] * 77) >> 8).astype(np.uint8)

    def scaled(self, width: int, height: int) -> U8:
        import cv2

        if (width, height) == (self.array.shape[1], self.array.shape[0]):
            return self.array
        out: U8 = cv2.resize(self.array, (width, height), interpolation=cv2.INTER_LINEAR)
        return out


@dataclass(slots=True)
class OncePicture:
    """A picture of displayed `size` (w, h) while it is looked at: what was converted last is not converted again.

    Where the detector takes frames in their own size, cutting faces out of them costs no second conversion.
    """

    picture: Picture
    size: tuple[int, int]
    _last: tuple[tuple[int, int], U8] | None = None

    @property
    def nbytes(self) -> int:
        return self.picture.nbytes

    def luma(self) -> U8:
        return self.picture.luma()

    def bgr(self) -> U8:
        return self.scaled(*self.size)

    def scaled(self, width: int, height: int) -> U8:
        if self._last is None or self._last[0] != (width, height):
            self._last = (width, height), self.picture.scaled(width, height)
        return self._last[1]


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame. `index` counts decoded frames from 0; `time` is never index / fps."""

    source: str
    index: int
    time: float
    width: int
    height: int
    picture: Picture
    epoch: int = 0  # another number: nothing is followed across (a new connection, a gap in a file)

    @property
    def image(self) -> U8:
        """(h, w, 3) uint8 BGR."""
        return self.picture.bgr()

    @property
    def nbytes(self) -> int:
        return self.picture.nbytes


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a frame to look for faces in: `box` in displayed pixels, `shrink` times as fine as the whole frame."""

    box: tuple[float, float, float, float]
    shrink: float = 1.0


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of one frame as columns; all arrays share the first axis n (0 is fine)."""

    boxes: F32  # (n, 4)
    scores: F32  # (n,) detector confidence 0..1
    # (n, 5, 2): left eye, right eye, nose, left and right mouth corner as seen in the image; NaN where there are none
    landmarks: F32

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,) or self.landmarks.shape != (n, 5, 2):
            raise ValueError(f"columns do not fit: {self.boxes.shape} {self.scores.shape} {self.landmarks.shape}")

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def none(cls) -> Faces:
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))

    def take(self, rows: NDArray[Any]) -> Faces:
        """The chosen rows (index array or mask) in that order."""
        return Faces(self.boxes[rows], self.scores[rows], self.landmarks[rows])


@dataclass(frozen=True, slots=True)
class FaceSample:
    """One look at a face: the aligned crop an embedder takes, what it was cut from, and how good it is."""

    frame: int
    time: float
    box: tuple[float, float, float, float]
    score: float
    crop: U8  # (s, s, 3) uint8 BGR, aligned to the pack's template
    quality: float  # 0..1, the higher the better
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)  # yaw, pitch, roll in degrees
    thumbnail: U8 | None = None  # loose, unaligned cut for people to look at, (h, w, 3) uint8 BGR
    embedding: F32 | None = None  # (d,) unit or raw as the pack's metric wants


DETECTED, TRACKED = 1, 0


@dataclass(frozen=True, slots=True)
class TrackRows:
    """Where a track was in every decoded frame it was alive in, ascending in frame."""

    frames: I64  # (n,)
    times: F64  # (n,)
    boxes: F32  # (n, 4)
    scores: F32  # (n,)
    kinds: U8  # (n,) DETECTED or TRACKED

    def __len__(self) -> int:
        return len(self.frames)

    def between(self, first: int, last: int) -> TrackRows:
        """Rows with first <= frame <= last."""
        m = (self.frames >= first) & (self.frames <= last)
        return TrackRows(self.frames[m], self.times[m], self.boxes[m], self.scores[m], self.kinds[m])


@dataclass(frozen=True, slots=True)
class Track:
    """One person through one shot, as the tracker closed it: rows and a few best faces, not yet embedded."""

    number: int  # unique inside its source, from 1 in order of closing
    source: str
    rows: TrackRows
    samples: tuple[FaceSample, ...]
    open: bool = False  # True while the track still grows (live)
    shot: int = 0

    @property
    def start(self) -> float:
        return float(self.rows.times[0])

    @property
    def end(self) -> float:
        return float(self.rows.times[-1])

    @property
    def nbytes(self) -> int:
        """What keeping it costs: its rows, and the pictures of its best faces."""
        pictures = sum(s.crop.nbytes + (0 if s.thumbnail is None else s.thumbnail.nbytes) for s in self.samples)
        return 37 * len(self.rows) + pictures


@dataclass(frozen=True, slots=True)
class Tracklet:
    """A track as the clusterer sees it.

    `embedding` (d,) is the quality-weighted mean direction of its faces, `exemplars` (k, d) the faces
    themselves. `cannot_link` names earlier tracklets that share a frame with this one, `must_link` those known to be
    the same face (a continued track, a user's pin). Embeddings must be finite and, for cosine, of unit length.
    """

    id: int
    source: str
    start: float
    end: float
    count: int  # frames alive
    embedding: F32
    exemplars: F32
    quality: float = 1.0  # 0..1; below the clusterer's gate it may join but never seeds or moves an identity
    cannot_link: frozenset[int] = frozenset()
    must_link: frozenset[int] = frozenset()
    model: str = ""

    def __post_init__(self) -> None:
        if self.embedding.ndim != 1 or self.exemplars.ndim != 2 or self.exemplars.shape[1] != len(self.embedding):
            raise ValueError(f"embedding {self.embedding.shape} and exemplars {self.exemplars.shape} do not fit")
        if not np.isfinite(self.embedding).all() or not np.isfinite(self.exemplars).all():
            raise ValueError(f"tracklet {self.id}: embedding holds NaN or infinity")


@dataclass(frozen=True, slots=True)
class Assigned:
    """`track` now belongs to `identity` (None: to nobody yet). The last Assigned of a track counts."""

    seq: int
    track: int
    identity: int | None
    distance: float  # to the identity, in the metric's own distance (cosine: 1 - cos); NaN for a new identity
    runner_up: int | None = None  # next best identity and its distance: why not the other one
    runner_up_distance: float = float("nan")
    reason: str = "new"  # new | nearest | gate | retry | remerge | consolidate | user | ...


@dataclass(frozen=True, slots=True)
class Merged:
    """Identity `dropped` is from now on an alias of `kept` (the older, or the named one)."""

    seq: int
    kept: int
    dropped: int
    distance: float
    reason: str = "remerge"


@dataclass(frozen=True, slots=True)
class Split:
    """`tracks` left `identity` and form the new identity `new`."""

    seq: int
    identity: int
    new: int
    tracks: tuple[int, ...]
    reason: str = "consolidate"


@dataclass(frozen=True, slots=True)
class Dissolved:
    """`identity` has no tracks any more (forgotten or emptied); its number is never used again."""

    seq: int
    identity: int
    reason: str = "empty"


Event: TypeAlias = Assigned | Merged | Split | Dissolved


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a source that was not seen: dropped, undecodable, or the camera was away."""

    source: str
    start: float
    end: float
    reason: str
    frames: int = 0


@dataclass(frozen=True, slots=True)
class Appearance:
    """One identity, one stretch [start, end) of one source."""

    source: str
    identity: int
    start: float
    end: float
    tracks: tuple[int, ...]
    faces: int  # frames in which it was alive
    score: float  # mean detector confidence

    @property
    def duration(self) -> float:
        return self.end - self.start
