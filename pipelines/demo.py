"""The demo clip: composed at run time from faces in installed packages, with its exact truth.

Nothing is copied into the project: pictures are read where pip put them and never imported as code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import numpy as np

from streamer.errors import SourceError
from streamer.evaluation import Presence, Truth, make_truth, write_truth
from streamer.geometry import area, clip, expand, iou
from streamer.items import F32, F64, U8
from streamer.models.base import Detector

WIDTH, HEIGHT = 640, 360
# package, picture, padding as a share of its width (a tight crop has no room for a detector to see a face in)
STILLS = (
    ("insightface", "data/images/Tom_Hanks_54745.png", 0.5),
    ("skimage", "data/astronaut.png", 0.0),
    ("insightface", "data/images/t1.jpg", 0.0),
)
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Still:
    """A picture and the faces in it, left to right; `people` numbers them over all stills."""

    name: str
    image: U8
    boxes: F32
    people: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Composed:
    """What was written: the clip, its truth, the label folder, and what was missing."""

    path: Path
    truth: Truth
    labels: Path
    people: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Portrait:
    """One face to be shown in a tile of the frame: cut from a still so that no neighbour's face is in it."""

    person: int
    image: U8
    box: Box  # of the face in `image`
    tile: tuple[int, int, int, int]  # x1, y1, x2, y2 of the frame


@dataclass(frozen=True, slots=True)
class Move:
    """How a shot changes from its first to its last frame: face width in pixels, shift in pixels, light."""

    width: tuple[float, float]
    shift: tuple[float, float]
    light: tuple[float, float] = (1.0, 1.0)
    away: bool = False  # goes out of the frame in the middle and comes back


@dataclass(slots=True)
class Labels:
    """Collects truth rows and the stretches they make."""

    rows: list[tuple[float, float, float, float, float, str, str]] = field(default_factory=list)
    presence: list[Presence] = field(default_factory=list)

    def add(self, time: float, person: int, box: F32) -> None:
        """A box (1, 4) as far as it is in the frame: visible from 90 % on, hard from 50 %, ignore from 10 %."""
        inside = clip(box, WIDTH, HEIGHT)
        share = float(area(inside)[0] / max(float(area(box)[0]), 1e-6))
        if share >= 0.1:
            kind = "visible" if share >= 0.9 else "hard" if share >= 0.5 else "ignore"
            x1, y1, x2, y2 = map(float, inside[0])
            self.rows.append((time, x1, y1, x2, y2, f"P{person + 1}", kind))

    def end_shot(self, start: float, step: float) -> None:
        """Turns the rows since `start` into stretches of one person and kind."""
        mine = sorted((r[5], r[0], r[6]) for r in self.rows if r[0] >= start - step / 2)
        for person, of in groupby(mine, key=lambda r: r[0]):
            for kind, run in groupby(of, key=lambda r: r[2]):
                times = [r[1] for r in run]
                self.presence.append(Presence(round(times[0], 3), round(times[-1] + step, 3), person, kind))


def compose(path: Path, detector: Detector, seconds: float = 24.0, fps: float = 25.0) -> Composed:
    """Writes an H.264 clip to `path` and its labels to `labels/` beside it.

    Shots of two seconds with cuts between them: singles, two people side by side, the whole group picture, with pans,
    zoom, light change and somebody leaving and coming back; everybody re-appears where the time allows. The detector
    finds the faces in the still pictures; truth boxes move exactly with them. SourceError where no package with a face
    is installed.
    """
    from streamer.sources.write import write_video

    stills, notes = find_stills(detector)
    labels = Labels()
    write_video(path, _frames(stills, seconds, fps, labels), fps)
    labels.rows.sort()
    truth = make_truth(path.name, labels.rows, sorted(labels.presence, key=lambda p: (p.start, p.person)))
    folder = path.parent / "labels"
    write_truth(truth, folder)
    return Composed(path, truth, folder, sum(len(s.people) for s in stills), tuple(notes))


def find_stills(detector: Detector) -> tuple[list[Still], list[str]]:
    """Pictures with faces from installed packages, and a note for each that is missing or shows none."""
    import cv2

    stills: list[Still] = []
    notes: list[str] = []
    people = 0
    for package, name, padding in STILLS:
        file = _package_file(package, name)
        image = cv2.imread(str(file)) if file else None
        if image is None:
            notes.append(f"{package} is not installed (or has no {name}): the demo goes without its faces.")
            continue
        pad = round(image.shape[1] * padding)
        image = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REPLICATE) if pad else image
        found = detector.detect([image])[0].boxes
        if not len(found):
            notes.append(f"No face was found in {package}/{name}.")
            continue
        found = found[np.argsort(found[:, 0], kind="stable")]
        stills.append(Still(name, image, found, tuple(range(people, people + len(found)))))
        people += len(found)
    if not stills:
        raise SourceError(
            "no picture with a face is installed to make the demo clip of. Install one: pip install scikit-image, or "
            "give your own video: whowhen run VIDEO -o OUT."
        )
    return stills, notes


def _package_file(package: str, name: str) -> Path | None:
    """A file inside an installed package, found without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.origin:
        return None
    path = Path(spec.origin).parent / name
    return path if path.is_file() else None


def _frames(stills: Sequence[Still], seconds: float, fps: float, labels: Labels) -> Iterator[tuple[float, U8]]:
    """Every frame of every shot; fills `labels` on the way."""
    shots = max(1, round(seconds / 2))
    frames = round(seconds * fps)
    casts = _casts(stills, shots)
    for number, cast in enumerate(casts):
        first, last = round(number * frames / shots), round((number + 1) * frames / shots)
        draw = _shot(stills, cast, number)
        for index in range(first, last):
            image, boxes = draw((index - first) / max(1, last - first - 1))
            for person, box in boxes:
                labels.add(index / fps, person, box)
            yield index / fps, image
        labels.end_shot(first / fps, 1 / fps)


def _casts(stills: Sequence[Still], shots: int) -> list[tuple[int, ...] | Still]:
    """Who is in each shot: of every four a single, a pair, a single and the group (a single where there is none)."""
    people = [p for s in stills for p in s.people]
    group = next((s for s in stills if len(s.people) > 2), None)
    at = 0
    casts: list[tuple[int, ...] | Still] = []
    for number in range(shots):
        if number % 4 == 3 and group is not None:
            casts.append(group)
            continue
        count = 2 if number % 4 == 1 and len(people) > 1 else 1
        casts.append(tuple(people[(at + k) % len(people)] for k in range(count)))
        at += count
    return casts


def _shot(
    stills: Sequence[Still], cast: tuple[int, ...] | Still, number: int
) -> Callable[[float], tuple[U8, list[tuple[int, F32]]]]:
    """A function that draws the shot at 0..1 of its length: the frame, and (person, box (1, 4)) of everybody in it."""
    if isinstance(cast, Still):
        return lambda share: _draw_group(cast, share, number)
    slots = [(0, 0, WIDTH, HEIGHT)] if len(cast) == 1 else [(0, 0, WIDTH // 2, HEIGHT), (WIDTH // 2, 0, WIDTH, HEIGHT)]
    portraits = [_portrait(stills, person, slot) for person, slot in zip(cast, slots)]
    background = _background(portraits)
    sign = 1 if number % 2 else -1
    near, far = (132.0, 96.0) if len(cast) == 1 else (100.0, 84.0)
    move = Move(
        width=(far, near) if number % 2 else (near, far),
        shift=(-40.0 * sign, 40.0 * sign),
        light=(0.7, 1.15) if number % 3 == 2 else (1.0, 1.0),
        away=len(cast) == 1 and number % 8 == 4,
    )
    return lambda share: _draw_portraits(portraits, background, move, share)


def _portrait(stills: Sequence[Still], person: int, tile: tuple[int, int, int, int]) -> Portrait:
    """The face with as much around it, up to 1.3 face sizes on each side, as shows nobody else's face."""
    still = next(s for s in stills if person in s.people)
    which = still.people.index(person)
    box = still.boxes[which : which + 1]
    others = np.delete(still.boxes, which, axis=0)
    for factor in (3.6, 3.0, 2.6, 2.2, 1.9, 1.6, 1.4):
        window = clip(expand(box, factor), still.image.shape[1], still.image.shape[0]).round()
        if not len(others) or iou(window, others).max() == 0:
            break
    x1, y1, x2, y2 = window[0].astype(int).tolist()
    face = box[0] - [x1, y1, x1, y1]
    return Portrait(person, still.image[y1:y2, x1:x2], tuple(map(float, face)), tile)  # type: ignore[arg-type]


def _background(portraits: Sequence[Portrait]) -> U8:
    """The tiles filled with the portraits blurred until nobody is to be seen."""
    import cv2

    canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for p in portraits:
        x1, y1, x2, y2 = p.tile
        tiny = cv2.resize(p.image, (3, 3), interpolation=cv2.INTER_AREA)
        canvas[y1:y2, x1:x2] = cv2.resize(tiny, (x2 - x1, y2 - y1), interpolation=cv2.INTER_CUBIC)
    return canvas


def _draw_portraits(
    portraits: Sequence[Portrait], background: U8, move: Move, share: float
) -> tuple[U8, list[tuple[int, F32]]]:
    frame = background.copy()
    boxes: list[tuple[int, F32]] = []
    for p in portraits:
        x1, y1, x2, y2 = p.tile
        matrix = _placement(p, move, share)
        frame[y1:y2, x1:x2] = _pasted(frame[y1:y2, x1:x2], p.image, matrix)
        boxes.append((p.person, _moved(np.array([p.box], np.float32), matrix) + np.array([x1, y1, x1, y1], np.float32)))
    return _lit(frame, move.light, share), boxes


def _placement(p: Portrait, move: Move, share: float) -> F64:
    """(2, 3) affine from the portrait into its tile."""
    x1, y1, x2, y2 = p.box
    scale = _between(move.width, share) / (x2 - x1)
    shift = _between(move.shift, share)
    if move.away:  # out by the right edge and back: gone in the middle third
        shift += (WIDTH / 2 + 120) * min(1.0, 1.5 * (1 - abs(2 * share - 1)))
    width, height = p.tile[2] - p.tile[0], p.tile[3] - p.tile[1]
    return np.array(
        [[scale, 0, width / 2 + shift - scale * (x1 + x2) / 2], [0, scale, height / 2 - scale * (y1 + y2) / 2]]
    )


def _draw_group(still: Still, share: float, number: int) -> tuple[U8, list[tuple[int, F32]]]:
    """The whole picture, panned and zoomed by a tenth, as much of it as fills the frame around the faces."""
    import cv2

    height, width = still.image.shape[:2]
    fit = max(WIDTH / width, HEIGHT / height) * (1 + 0.1 * (share if number % 8 == 3 else 1 - share))
    middle = float((still.boxes[:, 1] + still.boxes[:, 3]).mean() / 2)
    dx = WIDTH / 2 - fit * width / 2 + (share - 0.5) * (fit * width - WIDTH) * 0.8
    dy = float(np.clip(HEIGHT / 2 - fit * middle, HEIGHT - fit * height, 0))
    matrix = np.array([[fit, 0, dx], [0, fit, dy]])
    frame = np.asarray(cv2.warpAffine(still.image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA), np.uint8)
    boxes = _moved(still.boxes, matrix)
    return frame, [(person, boxes[i : i + 1]) for i, person in enumerate(still.people)]


def _pasted(tile: U8, image: U8, matrix: F64) -> U8:
    """`image` placed over `tile`, its edge feathered over a few pixels."""
    import cv2

    size = (tile.shape[1], tile.shape[0])
    mask = np.zeros(image.shape[:2], np.float32)
    mask[2:-2, 2:-2] = 1
    alpha = cv2.warpAffine(mask, matrix, size)[..., None]
    placed = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(tile * (1 - alpha) + placed * alpha, np.uint8)


def _moved(boxes: F32, matrix: F64) -> F32:
    """(n, 4) boxes under a scale and shift."""
    scale, dx, dy = matrix[0, 0], matrix[0, 2], matrix[1, 2]
    return np.asarray(boxes * scale + [dx, dy, dx, dy], np.float32)


def _lit(frame: U8, light: tuple[float, float], share: float) -> U8:
    import cv2

    gain = _between(light, share)
    return frame if gain == 1 else np.asarray(cv2.convertScaleAbs(frame, alpha=gain), np.uint8)


def _between(ends: tuple[float, ...], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share
