"""A library moved to another embedding model: from its kept crops, and from the videos where crops were not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from streamer.crops import align, complete_landmarks
from streamer.errors import StoreError
from streamer.geometry import iou
from streamer.items import F32, U8, Faces, Frame
from streamer.library import Library
from streamer.processing.file import content_digest
from streamer.store import SampleRecord, SourceRecord

SAME_FACE = 0.5  # IoU from which a face found again is the one that was stored, as detectors are scored
BATCH = 64  # crops embedded at a time


def reembed(
    library: Library,
    models: Any,
    make: Callable[[], Any],
    told: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Moves the library to the embedder of `models`; how many faces were embedded. Ids and decisions stay.

    Until the last moment the library is as it was; a killed move goes on where it stopped. `told` hears how many of how
    many faces are done. StoreError when a video that is needed is gone or has changed.
    """
    store, embedder = library.store, models.embedder
    have = store.model()
    if have is None or have[0] == embedder.model:
        return 0
    total, before = store.count_vectors(), store.staged(embedder.model)
    sources = {t.id: s for s in store.sources(enrolled=True) for t in store.tracks(s.id)}
    missing = store.without_crop(embedder.model)
    for number, faces in groupby(missing, key=lambda f: sources[f.track].id):
        for keys, crops in _from_video(store.source(number), list(faces), models):
            store.stage_vectors(embedder.model, keys, embedder.embed(crops))
            told(store.staged(embedder.model), total)
    filmed = store.staged(embedder.model) - before
    return filmed + library.migrate(embedder, make, told)


def _from_video(
    source: SourceRecord, faces: Sequence[SampleRecord], models: Any
) -> Iterator[tuple[list[tuple[int, int]], U8]]:
    """((track, number) of up to BATCH faces, their crops aligned for the model), read from the video again."""
    from streamer.sources import open_source

    path = Path(source.path)
    if not source.path or not path.exists() or content_digest(path) != source.hash:
        raise StoreError(
            f"no crops were kept of {len(faces)} faces of {source.name}, and {source.path or 'its photos'} "
            "is gone or has changed. Put it back, or run with a new --library."
        )
    wanted: dict[int, list[SampleRecord]] = {}
    for face in faces:
        wanted.setdefault(face.frame, []).append(face)
    keys: list[tuple[int, int]] = []
    crops: list[U8] = []
    with closing(open_source(path)) as video:
        for frame in video:
            for face in wanted.pop(frame.index, ()):
                keys.append((face.track, face.number))
                crops.append(_crop(frame, face, models))
            if len(keys) >= BATCH or (keys and not wanted):
                yield keys, np.stack(crops)
                keys, crops = [], []
            if not wanted:
                break
    if wanted:
        raise StoreError(f"{path} ended before frame {min(wanted)}, in which faces were seen. Is it the same file?")


def _crop(frame: Frame, face: SampleRecord, models: Any) -> U8:
    """The face as the embedder wants it: by the landmarks of the face found there, or by the stored box."""
    image, box = frame.image, np.array([face.box], np.float32)
    landmarks: F32 = complete_landmarks(np.full((1, 5, 2), np.nan, np.float32), box)
    found: Faces = models.detector.detect([image])[0]
    if len(found):
        near = iou(box, found.boxes)[0]
        if near.max() >= SAME_FACE:
            best = found.take(np.array([int(near.argmax())]))
            landmarks = complete_landmarks(best.landmarks, best.boxes)
    crop: U8 = align(image, landmarks, models.embedder.template)[0]
    return crop
