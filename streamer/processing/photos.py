"""A folder of photos into a library: every face is a track of one frame, faces of one photo are different people."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from streamer import __version__
from streamer.album import Look, Photo, looks
from streamer.config import Config
from streamer.crops import align, complete_landmarks, cut, head_pose, rate_face, sharpness
from streamer.items import DETECTED, F32, FaceSample, Track, TrackRows
from streamer.library import Library
from streamer.models.base import certain_score
from streamer.processing.base import Listener, Silent, SourceProgress
from streamer.processing.choosing import chosen, maker
from streamer.processing.file import now
from streamer.processing.manifest import installed
from streamer.stages import Assign, Embed, Embedded, Outcome, centre

SECONDS = 1.0  # a photo's place on the time axis, the same as of a folder of pictures read as a source
MIN_WIDTH = 20.0  # pixels; what is narrower is counted as rejected


class PhotoWorker:
    """One library, one set of models, for folders of photos.

    A fresh library gets the model's thresholds for photos; one that holds videos already keeps its own. The vector of
    a face is the mean of its crop's and its mirror image's: a photo is one look where a track has several. `force`
    looks again at a folder that has not changed: the new record takes the place of the old one, decisions move along.
    """

    def __init__(
        self, library: Library, models: Any, config: Config, listener: Listener | None = None, *, force: bool = False
    ) -> None:
        self.library, self.models, self.config, self.force = library, models, config, force
        self.listener: Listener = listener or Silent()
        self.store = library.store
        library.say = self.listener.say
        e = models.embedder
        self.store.check_model(e.model, e.dimension, e.metric, e.template)
        for name in self.store.discard_unfinished():
            self.listener.say(f"{name}: an interrupted run is begun again")
        self.clusterer = library.clusterer(
            maker(chosen(self.store, config), e, merge=e.thresholds.merge_photos, keep_vectors=True)
        )
        self.digest = f"photos-{config.digest()}-{e.model}-{models.detector.name}"

    def folder(self, folder: Path, photos: Sequence[Photo]) -> tuple[int, list[str]]:
        """The number of the folder's record in the store, and what could not be read.

        StoreError, ModelError; whatever ends this early leaves the library as it was.
        """
        content = listing_digest(photos)
        known = self.store.find_source(content, self.digest)
        if known is not None and known.status in ("done", "partial") and not self.force:
            self.listener.say(f"{folder}: nothing has changed; faces are not looked for again")
            return known.id, list(known.stats.get("warnings", ()))
        try:
            record, failed = self._photos(folder, photos, content)
        except BaseException:
            self.store.discard_unfinished()
            raise
        if known is not None and known.status in ("done", "partial"):
            self.library.refresh()
            self.library.replace(known.id, record, self.clusterer)
        return record, failed

    def _photos(self, folder: Path, photos: Sequence[Photo], content: str) -> tuple[int, list[str]]:
        name = folder.resolve().name or "photos"
        shown, began = self.listener.source(name), time.process_time()
        shown.total, shown.state = len(photos) * SECONDS, "running"
        record = self._begin(name, folder, len(photos), content)
        certain = certain_score(self.models.detector)
        embed = Embed(self.models.embedder, None, self.store.next_track(), certain)
        assign = Assign(self.clusterer)
        failed: list[str] = []
        rejected: dict[str, int] = {}
        waiting: list[Track] = []
        for look in looks(photos, self.models.detector, failed):
            waiting += tracks_of(look, name, self.models.embedder.template, rejected)
            shown.done, shown.frames = (look.number + 1) * SECONDS, look.number + 1
            shown.faces += len(look.faces)
            self.listener.tick(name)
            if len(waiting) >= embed.batch:
                shown.tracks += self._assigned(record, embed, assign, waiting)
        shown.tracks += self._assigned(record, embed, assign, waiting)
        for outcome in assign.flush():
            self._record(record, outcome)
        shown.people = len({i for i in self.clusterer.labels().values() if i is not None})
        stats = {
            "frames": {
                "read": len(photos), "processed": len(photos) - len(failed), "dropped": {}, "failed": len(failed)
            },
            "faces_detected": shown.faces,
            "faces_embedded": embed.embedded,
            "rejected": {**rejected, **embed.rejected},
            "warnings": failed,
            "cpu_seconds": round(time.process_time() - began, 3),
        }  # fmt: skip
        self._finish(record, folder, content, stats, shown)
        return record, failed

    def _begin(self, name: str, folder: Path, count: int, content: str) -> int:
        info = {"width": 0, "height": 0, "fps": 1 / SECONDS, "duration": count * SECONDS, "start": 0.0}
        record = self.store.begin_source(
            name, path=str(folder.absolute()), content_hash=content, config=self.digest, period=SECONDS,
            info={**info, "codec": "pictures", "frames": count}, at=now(), state=self.clusterer.pages(),
        )  # fmt: skip
        return int(record.id)

    def _assigned(self, record: int, embed: Embed, assign: Assign, waiting: list[Track]) -> int:
        """Embeds, assigns and records what waits; how many tracks."""
        count = len(waiting)
        if count:
            embedded = [mirrored(e, self.models.embedder) for e in embed.process(waiting)]
            for outcome in assign.process(embedded):
                self._record(record, outcome)
            waiting.clear()
        return count

    def _record(self, number: int, outcome: Outcome) -> None:
        tracks = [e.track for e in outcome.tracks]
        lets = [e.tracklet for e in outcome.tracks if e.tracklet is not None]
        self.store.add_tracks(
            number, tracks, outcome.events, vectors={t.id: t.embedding for t in lets},
            cannot_links=[(t.id, other) for t in lets for other in t.cannot_link],
            position=max((t.end for t in tracks), default=None),
        )  # fmt: skip

    def _finish(self, record: int, folder: Path, content: str, stats: dict[str, Any], shown: SourceProgress) -> None:
        from streamer.models.packs import describe

        shown.state = "partial" if stats["warnings"] else "done"
        told = {
            "whowhen": __version__,
            "packages": installed(),
            "source": {"path": str(folder), "codec": "pictures", "content": content},
            "models": describe(self.models.pack),
            "model_id": self.models.embedder.model,
            "devices": self.models.devices,
            **stats,
        }
        self.store.finish_source(
            record, state=self.clusterer.pages(), status=shown.state, stats=stats, manifest=told, at=now()
        )
        for warning in stats["warnings"]:
            self.listener.say(f"passed over {warning}")
        self.listener.tick(shown.name, force=True)


def listing_digest(photos: Sequence[Photo]) -> str:
    """What stands for the content of a set of photos: paths, sizes and times of change."""
    listing = []
    for p in photos:
        stat = p.path.stat()
        listing.append((str(p.path.resolve()), stat.st_size, stat.st_mtime_ns))
    return hashlib.sha256(repr(listing).encode()).hexdigest()


def tracks_of(look: Look, source: str, template: str, rejected: dict[str, int]) -> list[Track]:
    """A track for every usable face of a photo, largest first; the others are counted by reason."""
    points = complete_landmarks(look.faces.landmarks, look.faces.boxes)
    poses = head_pose(points)
    out: list[Track] = []
    for i, box in enumerate(look.faces.boxes):
        crop = align(look.image, points[i], template)[0]
        width, score = float(box[2] - box[0]), float(look.faces.scores[i])
        rating = rate_face(width, poses[i], float(sharpness(crop[None])[0]), score, min_width=MIN_WIDTH, max_turn=90.0)
        if rating.reason:
            rejected[rating.reason] = rejected.get(rating.reason, 0) + 1
            continue
        out.append(_track(look, source, i, crop, rating.value, poses[i], len(out) + 1))
    return out


def _track(look: Look, source: str, i: int, crop: Any, quality: float, pose: F32, number: int) -> Track:
    time_at, box = look.number * SECONDS, look.faces.boxes[i]
    x1, y1, x2, y2, score = (float(v) for v in (*box, look.faces.scores[i]))
    yaw, pitch, roll = (float(v) for v in pose)
    sample = FaceSample(
        look.number, time_at, (x1, y1, x2, y2), score, crop, quality, (yaw, pitch, roll), cut(look.image, box)
    )
    rows = TrackRows(
        np.array([look.number], np.int64),
        np.array([time_at], np.float64),
        np.asarray(box, np.float32)[None],
        np.array([score], np.float32),
        np.array([DETECTED], np.uint8),
    )
    return Track(number, source, rows, (sample,), shot=look.number)


def mirrored(embedded: Embedded, embedder: Any) -> Embedded:
    """The same with the mirror image of the crop as a second look."""
    let = embedded.tracklet
    if let is None:
        return embedded
    crops = np.ascontiguousarray(np.stack([s.crop[:, ::-1] for s in embedded.track.samples]))
    both = np.concatenate([let.exemplars, embedder.embed(crops)])
    middle = centre(both, np.ones(len(both), np.float32), embedder.metric)
    return replace(embedded, tracklet=replace(let, embedding=middle, exemplars=both))
