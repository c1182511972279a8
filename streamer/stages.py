"""The components as stages: follow (detect and track), embed, cluster. One page of glue, no clock, no threads.

    Frame --> [Follow] --Track--> [Embed] --Embedded--> [Assign] --Outcome--> store

Detection is wanted on few frames and embedding on few faces of a track, so embedding sits behind tracking.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from streamer.clustering.base import Clusterer
from streamer.clustering.calibrate import SelfCalibration
from streamer.crops import align, complete_landmarks, cut, head_pose, rate_face, sharpness
from streamer.items import F32, Event, Faces, FaceSample, Frame, OncePicture, Track, Tracklet
from streamer.models.base import Detector, Embedder, PartDetector, Quality
from streamer.tracking.base import Following, ShotDetector, Stride, Tracker
from streamer.tracking.relations import Relations
from streamer.tracking.split import split_mixed
from streamer.tracking.stride import RecallCheck
from streamer.vectors import mean_direction, weighted_mean

# A track shorter than this (s), none of whose faces is rated above this part of the bar, is no evidence of somebody:
# blinks at the backs of heads and at patterns. 13 of the 144 tracks of eleven labelled clips are such; 3 of them show a
# labelled person, in 18 boxes of kind `hard`.
BRIEF, WORTHLESS = 1.0, 0.2
UNCLEAR = "never clearly a face"
GATE = 0.3  # the clusterer's: below it a track may join somebody but makes nobody


@dataclass(slots=True)
class Follow:
    """Frames in, finished tracks out: cuts, the detector where it is due, tracks, and crops of their best faces.

    `batch` frames are searched for cuts one after the other: code and decoder stay in the caches of the processor.
    A detector that takes parts is shown only the part of a frame that the stride wants. With `check`, it also looks at
    a few frames where it was not due; those faces are only compared with the tracks, to tell what looking rarely cost.
    """

    detector: Detector
    template: str
    tracker: Tracker
    shots: ShotDetector
    stride: Stride
    check: RecallCheck | None = None
    batch: int = 1
    name: str = "follow"
    frames: int = 0
    looks: int = 0
    faces: int = 0
    cuts: list[float] = field(default_factory=list)
    _parts: PartDetector | None = field(init=False)

    def __post_init__(self) -> None:
        detector = self.detector
        # asked once: a check against a protocol looks at every name of it, 0.02 ms and ten times that in cold caches
        self._parts = detector if isinstance(detector, PartDetector) and detector.takes_parts else None

    def process(self, items: Sequence[Frame]) -> Iterator[Track]:
        """The tracks that ended with these frames."""
        for frame, is_cut in zip(items, [self.shots.is_cut(frame) for frame in items], strict=True):
            if is_cut:
                self.cuts.append(frame.time)
                yield from self._ended(self.tracker.cut())
            self.frames += 1
            following = self.tracker.following()
            due = self.stride.due(frame, is_cut, following)
            seen = replace(frame, picture=OncePicture(frame.picture, (frame.width, frame.height))) if due else frame
            found = self._look(seen, is_cut, following) if due else None
            yield from self._ended(self.tracker.update(frame, found))
            if found is not None:
                self._sample(seen, found)
            elif self.check is not None and self.check.wants(frame):
                self.check.note(frame, self._detect(frame))

    def flush(self) -> list[Track]:
        return self._ended(self.tracker.flush())

    def _ended(self, tracks: list[Track]) -> list[Track]:
        if self.check is not None:
            self.check.add(tracks)
        return tracks

    def _look(self, frame: Frame, is_cut: bool, following: Following) -> Faces:
        found, detector = None, self._parts
        if detector is not None:
            across = detector.input_size(frame.width, frame.height)[0]
            if part := self.stride.part(frame, is_cut, following, across):
                found = detector.detect_part(frame.picture, (frame.width, frame.height), part)
        found = self._detect(frame) if found is None else found
        self.looks += 1
        self.faces += len(found)
        return found

    def _detect(self, frame: Frame) -> Faces:
        return self.detector.detect_pictures([frame.picture], [(frame.width, frame.height)])[0]

    def _sample(self, frame: Frame, faces: Faces) -> None:
        """Cuts a face out only where it would be among the best of its track, were it sharp."""
        if not len(faces):
            return
        points = complete_landmarks(faces.landmarks, faces.boxes)
        poses = head_pose(points)
        widths = faces.boxes[:, 2] - faces.boxes[:, 0]
        hopes = [rate_face(w, p, 1.0, s).value for w, p, s in zip(widths.tolist(), poses, faces.scores.tolist())]
        chosen = self.tracker.wanted(hopes)
        if not len(chosen):
            return
        image = frame.image
        crops = align(image, points[chosen], self.template)
        for i, crop, sharp in zip(chosen.tolist(), crops, sharpness(crops).tolist()):
            box, score = faces.boxes[i], float(faces.scores[i])
            quality = rate_face(float(widths[i]), poses[i], sharp, score).value
            x1, y1, x2, y2, yaw, pitch, roll = (float(v) for v in (*box, *poses[i]))
            where, pose, face = (x1, y1, x2, y2), (yaw, pitch, roll), cut(image, box)
            self.tracker.keep(i, FaceSample(frame.index, frame.time, where, score, crop, quality, pose, face))


@dataclass(frozen=True, slots=True)
class Embedded:
    """A finished track with the vectors of its best faces; `tracklet` is None when no face could be used."""

    track: Track
    tracklet: Tracklet | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the clusterer said about a batch of tracks."""

    tracks: tuple[Embedded, ...]
    events: tuple[Event, ...]


def centre(embeddings: F32, weights: F32, metric: str) -> F32:
    """The one vector (d,) that stands for faces (n, d) with weights (n,)."""
    weights = np.maximum(weights, 1e-3)
    return mean_direction(embeddings, weights) if metric == "cosine" else weighted_mean(embeddings, weights)


@dataclass(slots=True)
class Embed:
    """Tracks in, embedded tracks out: rates and embeds the best faces of several tracks in one batch, splits mixed
    tracks, and names for every tracklet the earlier ones it shares a frame with and those it goes on from.

    `first_id` is the library's next track number; numbers are given in order, so equal input gives equal numbers.
    A track that never reaches the detector's score `certain` makes nobody, however long it is; it may join somebody.
    """

    embedder: Embedder
    quality: Quality | None
    first_id: int
    certain: float = 0.0
    batch: int = 16
    name: str = "embed"
    rejected: dict[str, int] = field(default_factory=dict)
    embedded: int = 0
    splits: int = 0
    relations: Relations = field(init=False)

    def __post_init__(self) -> None:
        self.relations = Relations(self.embedder.thresholds.pair, self.embedder.metric)

    def process(self, items: Sequence[Track]) -> Iterator[Embedded]:
        """One `Embedded` per track, in order; more where a mixed track is split."""
        crops = [s.crop for t in items for s in t.samples]
        if not crops:
            yield from (Embedded(self._renumber(t), None) for t in items)
            return
        stack = np.stack(crops)
        vectors = self.embedder.embed(stack)
        rates = self.quality.rate(stack) if self.quality is not None else None
        self.embedded += len(crops)
        at = 0
        for track in items:
            stop = at + len(track.samples)
            yield from self._finish(track, vectors[at:stop], None if rates is None else rates[at:stop])
            at = stop

    def flush(self) -> Iterable[Embedded]:
        return ()

    def _finish(self, track: Track, vectors: F32, rates: F32 | None) -> Iterator[Embedded]:
        if not len(vectors):
            self._count("no usable face")
            yield Embedded(self._renumber(track), None)
            return
        samples = tuple(
            replace(s, embedding=v, quality=self._graded(s.quality, None if rates is None else float(rates[i])))
            for i, (s, v) in enumerate(zip(track.samples, vectors, strict=True))
        )
        track = replace(track, samples=samples)
        parts = self._parts(track, vectors)
        self.splits += len(parts) - 1
        for part in parts:
            yield self._related(self._renumber(part))

    def _parts(self, track: Track, vectors: F32) -> list[Track]:
        """The track, cut where its faces are two people's."""
        bars = self.embedder.thresholds
        return split_mixed(track, vectors, bars.pair, self.embedder.metric, bars.strangers)

    def _graded(self, geometric: float, rate: float | None) -> float:
        """0..1, the gate for faces that are hardly usable: gated all, people seen once and badly were lost (mean
        B-cubed F of four labelled videos 0.87 against 0.97). Below it is what shows no face at all."""
        if rate is None or self.quality is None:
            return max(GATE, geometric)
        bar = self.quality.reject_below
        return float(np.clip(GATE + 2 * (rate - bar), GATE if rate >= WORTHLESS * bar else GATE / 2, 1.0))

    def _renumber(self, track: Track) -> Track:
        number, self.first_id = self.first_id, self.first_id + 1
        return replace(track, number=number)

    def _related(self, track: Track) -> Embedded:
        """The track and what the clusterer is told of it."""
        kept = [s for s in track.samples if s.embedding is not None and np.isfinite(s.embedding).all()]
        if not kept:
            self._count("embedding not finite")
            return Embedded(track, None)
        vectors = np.stack([s.embedding for s in kept if s.embedding is not None])
        weights = np.array([s.quality for s in kept], np.float32)
        best = float(weights.max())
        if track.end - track.start >= BRIEF:
            best = max(GATE, best)
        if float(track.rows.scores.max()) < self.certain:
            if not track.open:
                self._count(UNCLEAR)
            best = min(best, GATE / 2)
        related = self.relations.add(track, vectors, weak=best < GATE)
        track = related.track
        tracklet = Tracklet(
            id=track.number,
            source=track.source,
            start=track.start,
            end=track.end,
            count=len(track.rows),
            embedding=centre(vectors, weights, self.embedder.metric),
            exemplars=vectors,
            quality=best,
            cannot_link=related.cannot,
            must_link=related.must,
            model=self.embedder.model,
        )
        return Embedded(track, tracklet)

    def _count(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1


@dataclass(slots=True)
class Assign:
    """Embedded tracks in, outcomes out: the clusterer behind the stage contract.

    With a `calibration` the last word is spoken at the thresholds that the source's own pairs lead to.
    """

    clusterer: Clusterer
    calibration: SelfCalibration | None = None
    batch: int = 64
    name: str = "cluster"

    def process(self, items: Sequence[Embedded]) -> Iterator[Outcome]:
        tracklets = [i.tracklet for i in items if i.tracklet is not None]
        if self.calibration is not None:
            self.calibration.see(tracklets)
        yield Outcome(tuple(items), tuple(self.clusterer.add(tracklets)))

    def flush(self) -> Iterator[Outcome]:
        if self.calibration is not None:
            found = self.calibration.result()
            self.clusterer.retune(found.link, found.merge)
        yield Outcome((), tuple(self.clusterer.finish()))
