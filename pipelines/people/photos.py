"""Faces of photos, embedded: for search and enrolment."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from streamer.errors import SourceError
from streamer.items import U8, FaceSample

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
MAX_BYTES = 64 << 20  # a photo; a bomb is larger or has more pixels
MAX_PIXELS = 64_000_000


def read_photo(path: Path) -> U8:
    """(h, w, 3) uint8 BGR, turned as its EXIF says. SourceError for what is no photo, or one too large."""
    import os

    import cv2

    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
    try:
        if not path.is_file():
            raise SourceError(f"{path} is not a file. Name a photo (JPEG, PNG, WebP, BMP).")
        if path.stat().st_size > MAX_BYTES:
            raise SourceError(f"{path} is larger than {MAX_BYTES >> 20} MB. Make the photo smaller.")
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:
        image = None
    if image is None:
        raise SourceError(
            f"{path} is not a photo this can read, or has more than 64 megapixels. Save it as JPEG or PNG."
        )
    out: U8 = image
    return out


def faces(path: Path, models: Any) -> list[FaceSample]:
    """The faces of a photo, embedded with their mirror images, largest first. SourceError where there is none."""
    from streamer.album import margined
    from streamer.crops import align, complete_landmarks, cut
    from streamer.stages import centre

    image = read_photo(path)
    found = models.detector.detect([image])[0]
    if not len(
        found
    ):  # a face that fills its photo is found with a margin: SCRFD sees 40 of 40 tight crops so, else none
        image = margined(image)
        found = models.detector.detect([image])[0]
    if not len(found):
        raise SourceError(f"{path} shows no face. Take a photo with a frontal face of at least 80 pixels.")
    order = np.argsort(-(found.boxes[:, 2] - found.boxes[:, 0]), kind="stable")
    found = found.take(order)
    crops = align(image, complete_landmarks(found.landmarks, found.boxes), models.embedder.template)
    # A photo is one look, the mean with its mirror image a steadier one: of 140 photos of 70 people of LFW, enrolled
    # with one other photo each, the default pack names 86 % instead of 82 % (with three: 91 instead of 84), of 250
    # strangers it takes 3 instead of 2 (none and none).
    both = models.embedder.embed(np.concatenate([crops, crops[:, :, ::-1]])).reshape(2, len(crops), -1)
    vectors = [centre(both[:, k], np.ones(2, np.float32), models.embedder.metric) for k in range(len(crops))]
    rates = models.quality.rate(crops) if models.quality is not None else np.ones(len(crops), np.float32)
    return [
        FaceSample(
            0, 0.0, tuple(found.boxes[k].tolist()), float(found.scores[k]), crops[k], float(rates[k]),
            thumbnail=cut(image, found.boxes[k]), embedding=vectors[k],
        )
        for k in range(len(found))
    ]  # fmt: skip


def known_people(where: Path) -> Iterator[tuple[str, list[Path]]]:
    """(name, photos) of a folder with one folder per person, or of a CSV with the columns name and photo."""
    if where.is_dir():
        folders = sorted(p for p in where.iterdir() if p.is_dir())
        if not folders:
            raise SourceError(f"{where} holds no folders. Put the photos of each person in a folder of that name.")
        for folder in folders:
            photos = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
            if not photos:
                raise SourceError(f"{folder} holds no photo ({', '.join(sorted(SUFFIXES))}).")
            yield folder.name, photos
        return
    yield from _from_table(where)


def _from_table(where: Path) -> Iterator[tuple[str, list[Path]]]:
    people: dict[str, list[Path]] = {}
    try:
        with where.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"name", "photo"} <= set(rows.fieldnames or ()):
                raise SourceError(f"{where} must have the columns name and photo.")
            for row in rows:
                people.setdefault(row["name"], []).append(where.parent / row["photo"])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{where} cannot be read: {error}. Name a folder of folders, or a CSV.") from error
    yield from people.items()
