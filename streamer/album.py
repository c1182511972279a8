"""Folders of photos: which pictures there are, who is on them by their names, and their faces, embedded.

Names come from sub-folders (`ann/1.jpg`) or from file names with a number (`ann_001.jpg`); see `Truth`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from streamer.errors import ConfigError, SourceError
from streamer.items import F32, U8, Faces
from streamer.vectors import unit

Truth = Literal["auto", "none", "folders", "names"]
_NUMBERED = re.compile(r"^(?P<name>.*\D)[ _.-]*\d+$")  # ann_001, Ann Lee 12, bob-3
CHUNK = 32  # crops embedded together


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture file, and who it is said to show ("" where nothing says so)."""

    path: Path
    person: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """The faces found on one photo, largest first."""

    number: int
    photo: Photo
    image: U8
    faces: Faces

    @property
    def main(self) -> int | None:
        """The row of the face the photo is about, None where there is none."""
        return central(self.faces.boxes, self.image.shape[1], self.image.shape[0])


def photos_of(folder: Path, truth: Truth = "auto") -> list[Photo]:
    """The pictures of a folder and its sub-folders by path, with their people.

    `folders`: the name of the folder a picture lies in; `names`: the file's name before its number; `auto`: folders
    where every picture lies in a sub-folder, else names. SourceError where there are no pictures.
    """
    from streamer.sources.images import PICTURES

    if truth not in get_args(Truth):
        raise ConfigError(f"truth {truth!r} is not known. Choose {', '.join(get_args(Truth))}.")
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder. Give a folder of pictures.")
    found = sorted(p for p in folder.rglob("*") if _is_picture(p, folder, PICTURES))
    if not found:
        raise SourceError(f"{folder} holds no pictures. Endings looked for: {' '.join(sorted(PICTURES))}.")
    if truth == "auto":
        truth = "folders" if all(p.parent != folder for p in found) else "names"
    return [Photo(p, _person(p, folder, truth)) for p in found]


def labelled(folder: Path, at_least: int = 2, truth: Truth = "auto") -> list[Photo]:
    """The photos of everybody with `at_least` of them. ConfigError where nobody has so many."""
    photos = photos_of(folder, truth)
    counts: dict[str, int] = {}
    for photo in photos:
        counts[photo.person] = counts.get(photo.person, 0) + 1
    kept = [p for p in photos if p.person and counts[p.person] >= at_least]
    if not kept:
        raise ConfigError(
            f"{folder}: nobody has {at_least} photos. Sort them into a folder per person, or name them name_001.jpg."
        )
    return kept


def _is_picture(path: Path, folder: Path, endings: Iterable[str]) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in endings and not hidden and path.is_file()


def _person(path: Path, folder: Path, truth: Truth) -> str:
    if truth == "folders":
        return "" if path.parent == folder else path.parent.name
    if truth == "names":
        match = _NUMBERED.match(path.stem)
        return match["name"].strip(" _.-") if match else ""
    return ""


def central(boxes: ArrayLike, width: int, height: int) -> int | None:
    """Whom a photo of this size is about: of the boxes (n, 4) at least half as wide as the widest the one nearest to
    the middle. None where there is none."""
    b = np.asarray(boxes, np.float32).reshape(-1, 4)
    if not len(b):
        return None
    wide = b[:, 2] - b[:, 0]
    away = np.linalg.norm((b[:, :2] + b[:, 2:] - np.array([width, height], np.float32)) / 2, axis=1)
    return int(np.where(wide >= wide.max() / 2, away, np.inf).argmin())


def looks(photos: Sequence[Photo], detector: Any, failed: list[str]) -> Iterator[Look]:
    """The faces of each photo in turn; one that cannot be read is named in `failed` and passed over.

    A face that fills its photo is looked for with a margin, and may reach outside the image.
    """
    from streamer.sources.images import read_image

    for number, photo in enumerate(photos):
        try:
            image = read_image(photo.path)
        except SourceError as error:
            failed.append(str(error))
            continue
        found = detector.detect([image])[0]
        if not len(found):
            found = _with_margin(image, detector)
        found = distinct(found)
        yield Look(number, photo, image, found.take(np.argsort(found.boxes[:, 0] - found.boxes[:, 2], kind="stable")))


def margined(image: U8) -> U8:
    """The image with half its size of grey on every side."""
    import cv2

    h, w = image.shape[0] // 2, image.shape[1] // 2
    out: U8 = cv2.copyMakeBorder(image, h, h, w, w, cv2.BORDER_CONSTANT, value=(127, 127, 127))
    return out


def _with_margin(image: U8, detector: Any) -> Faces:
    found = detector.detect([margined(image)])[0]
    shift = np.array([image.shape[1] // 2, image.shape[0] // 2], np.float32)
    return Faces(found.boxes - np.tile(shift, 2), found.scores, found.landmarks - shift)


def distinct(faces: Faces) -> Faces:
    """The faces without those found twice: of two boxes inside each other by 0.7 the surer one, order kept."""
    keep: list[int] = []
    size = (faces.boxes[:, 2:] - faces.boxes[:, :2]).prod(1)
    for i in np.argsort(-faces.scores, kind="stable"):
        mine, others = faces.boxes[i], faces.boxes[keep]
        sides = np.minimum(mine[2:], others[:, 2:]) - np.maximum(mine[:2], others[:, :2])
        inside = np.maximum(sides, 0).prod(1) / np.maximum(np.minimum(size[keep], size[i]), 1e-6)
        if not (inside > 0.7).any():
            keep.append(int(i))
    return faces.take(np.array(sorted(keep), np.intp))


@dataclass(frozen=True, slots=True)
class Portraits:
    """The main faces of labelled photos, embedded: rows (n, d), who, from which file, where in it (n, 4)."""

    rows: F32
    people: tuple[str, ...]
    paths: tuple[str, ...]
    boxes: F32
    missed: tuple[str, ...]  # photos without a face
    failed: tuple[str, ...]  # photos that cannot be read


def portraits(
    photos: Sequence[Photo], models: Any, told: Callable[[int], None] | None = None, *, mirror: bool = False
) -> Portraits:
    """The main face of every photo, embedded in batches. `told` hears how many photos are done.

    `mirror`: the vector is the mean of the crop's and its mirror image's.
    """
    from streamer.crops import align, complete_landmarks

    failed: list[str] = []
    missed: list[str] = []
    kept: list[tuple[Photo, F32]] = []
    crops: list[U8] = []
    rows: list[F32] = []
    for look in looks(photos, models.detector, failed):
        if told:
            told(look.number + 1)
        at = look.main
        if at is None:
            missed.append(str(look.photo.path))
            continue
        points = complete_landmarks(look.faces.landmarks[at], look.faces.boxes[at])
        crops.append(align(look.image, points, models.embedder.template)[0])
        kept.append((look.photo, look.faces.boxes[at]))
        if len(crops) == CHUNK:
            rows.append(embedded(np.stack(crops), models.embedder, mirror))
            crops.clear()
    if crops:
        rows.append(embedded(np.stack(crops), models.embedder, mirror))
    return Portraits(
        np.concatenate(rows) if rows else np.zeros((0, models.embedder.dimension), np.float32),
        tuple(p.person for p, _ in kept),
        tuple(str(p.path) for p, _ in kept),
        np.array([b for _, b in kept], np.float32).reshape(-1, 4),
        tuple(missed),
        tuple(failed),
    )


def embedded(crops: U8, embedder: Any, mirror: bool) -> F32:
    """(n, s, s, 3) -> (n, d) vectors, with `mirror` the mean with those of the mirror images."""
    rows: F32 = embedder.embed(crops)
    if not mirror:
        return rows
    both = rows + embedder.embed(np.ascontiguousarray(crops[:, :, ::-1]))
    return np.asarray(unit(both) if embedder.metric == "cosine" else both / 2, np.float32)


def save_portraits(path: Path, found: Portraits, model: str, metric: str) -> None:
    """An embedding file every `whowhen lab` command reads. ReportError where it cannot be written."""
    from streamer.reports.atomic import replacing

    with replacing(path) as part:
        np.savez_compressed(
            part,
            embeddings=found.rows,
            identity=np.array(found.people),
            path=np.array([str(Path(p).absolute()) for p in found.paths]),
            box=found.boxes,
            model=np.array(model),
            metric=np.array(metric),
        )
