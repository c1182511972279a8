"""Drawn scenes with known truth and fakes of every model: public, for tests, the demo and benchmarks.

A drawn face is an ellipse of its person's own hue with eyes, nose and mouth, on a grey background. `FakeDetector` finds
it by colour and `FakeEmbedder` knows the person by the hue of the crop, so that a whole pipeline runs without a
model, on arrays as well as on encoded video.

>>> scene = two_shots()
>>> [len(f) for f in FakeDetector().detect([scene.draw(0.0), scene.draw(1.5)])]
[2, 1]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamer.evaluation import Presence, Truth, make_truth, write_truth
from streamer.items import F32, U8, ArrayPicture, Faces, Frame, Picture
from streamer.models.base import Thresholds
from streamer.sources.base import SourceInfo, SourceStats
from streamer.vectors import unit

PEOPLE = 9  # hues 20 degrees (of 180) apart: 4:2:0 chroma moves a hue by less than 5
HUE_STEP = 180 // PEOPLE
# five points as shares of the box, close to where the ArcFace template has them in a tight box
POINTS = np.array([(0.31, 0.42), (0.69, 0.42), (0.50, 0.63), (0.35, 0.81), (0.65, 0.81)], np.float32)


@dataclass(frozen=True, slots=True)
class Actor:
    """A person (0..8) going in a straight line: `begin` and `end` are (centre x, centre y, face width) in pixels.

    On screen from `enter` to `leave` seconds of the shot (default: all of it).
    """

    person: int
    begin: tuple[float, float, float]
    end: tuple[float, float, float] | None = None
    enter: float = 0.0
    leave: float = float("inf")

    def box(self, share: float) -> tuple[int, int, int, int]:
        """Where the face is after `share` (0..1) of the shot; whole pixels, a quarter higher than wide."""
        a, b = np.array(self.begin), np.array(self.end or self.begin)
        x, y, width = a + (b - a) * share
        left, top = round(x - width / 2), round(y - width * 0.625)
        return left, top, left + round(width), top + round(width * 1.25)


@dataclass(frozen=True, slots=True)
class Shot:
    """Seconds of one camera: actors before a background of its own brightness and pattern."""

    seconds: float
    actors: tuple[Actor, ...] = ()
    background: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """Shots one after the other. Actors later in a shot are drawn over earlier ones."""

    shots: tuple[Shot, ...]
    fps: float = 25.0
    width: int = 320
    height: int = 240
    first: float = 0.0  # time of the first frame
    name: str = "scene.mp4"

    @property
    def seconds(self) -> float:
        return sum(s.seconds for s in self.shots)

    @property
    def times(self) -> list[float]:
        """Presentation time of every frame."""
        return [self.first + i / self.fps for i in range(round(self.seconds * self.fps))]

    @property
    def cuts(self) -> list[float]:
        """Times at which a new shot begins."""
        ends = np.cumsum([s.seconds for s in self.shots])[:-1]
        return [self.first + float(e) for e in ends]

    def faces(self, time: float) -> list[tuple[int, tuple[int, int, int, int]]]:
        """(person, box) of everybody on screen, in drawing order."""
        shot, at = self._shot(time)
        there = [a for a in shot.actors if a.enter <= at < a.leave]
        return [(a.person, a.box(at / shot.seconds)) for a in there]

    def draw(self, time: float) -> U8:
        """The frame at `time`, (height, width, 3) uint8 BGR."""
        shot, _ = self._shot(time)
        image = _background(self.width, self.height, shot.background)
        for person, box in self.faces(time):
            draw_face(image, box, person)
        return image

    def frames(self) -> Iterator[Frame]:
        """Every frame in memory."""
        for index, time in enumerate(self.times):
            picture = ArrayPicture(self.draw(time))
            yield Frame(self.name, index, time, self.width, self.height, picture)

    def truth(self, every: int = 1) -> Truth:
        """The boxes of every `every`-th frame (kind visible, person P<number>) and who is there when."""
        rows = [
            (time, float(x1), float(y1), float(x2), float(y2), f"P{person}", "visible")
            for time in self.times[::every]
            for person, (x1, y1, x2, y2) in self.faces(time)
        ]
        return make_truth(self.name, rows, self._presence())

    def write(self, folder: Path, every: int = 1) -> Path:
        """Path of the encoded clip in `folder`; its truth is written to `folder/labels`."""
        from streamer.sources.write import write_video

        folder.mkdir(parents=True, exist_ok=True)
        write_video(folder / self.name, ((t, self.draw(t)) for t in self.times), self.fps)
        write_truth(self.truth(every), folder / "labels")
        return folder / self.name

    def _shot(self, time: float) -> tuple[Shot, float]:
        """The shot on screen and the seconds since it began."""
        at = time - self.first + 1e-9
        for shot in self.shots[:-1]:
            if at < shot.seconds:
                return shot, at
            at -= shot.seconds
        return self.shots[-1], at

    def _presence(self) -> list[Presence]:
        out = []
        start = self.first
        for shot in self.shots:
            for a in shot.actors:
                out.append(Presence(start + a.enter, start + min(a.leave, shot.seconds), f"P{a.person}"))
            start += shot.seconds
        return out


def two_shots() -> Scene:
    """Two seconds: persons 0 and 1 together, then a cut to person 0 alone somewhere else."""
    first = Shot(1.0, (Actor(0, (80, 110, 56), (110, 110, 60)), Actor(1, (230, 120, 60))), background=0)
    return Scene((first, Shot(1.0, (Actor(0, (200, 120, 72), (180, 120, 80)),), background=3)))


def meeting() -> Scene:
    """Eight seconds, four people, five shots: re-entries, two- and three-person shots, an empty one."""
    wide = (Actor(0, (60, 120, 48), (76, 120, 48)), Actor(1, (160, 116, 50)), Actor(2, (260, 124, 46), (250, 120, 46)))
    return Scene(
        (
            Shot(2.0, wide, background=0),
            Shot(1.5, (Actor(1, (150, 120, 90), (170, 120, 96)),), background=2),
            Shot(0.5, (), background=4),
            Shot(2.0, (Actor(3, (100, 118, 64), enter=0.4), Actor(0, (240, 122, 60), (220, 122, 60))), background=1),
            Shot(2.0, (*wide[:2], Actor(3, (256, 120, 52), leave=1.4)), background=0),
        ),
        name="meeting.mp4",
    )


def draw_face(image: U8, box: tuple[int, int, int, int], person: int) -> None:
    """Draws a face that fills `box` into `image`."""
    import cv2

    x1, y1, x2, y2 = box
    skin, dark = _colour(person, 210), _colour(person, 120)
    width, height = x2 - x1, y2 - y1
    # centre and axes in 1/16 pixel so that the ellipse touches all four sides
    centre = ((x1 + x2 - 1) * 8, (y1 + y2 - 1) * 8)
    axes = ((width - 1) * 8, (height - 1) * 8)
    cv2.ellipse(image, centre, axes, 0, 0, 360, skin, -1, cv2.LINE_8, 4)
    for x, y in landmarks_of(np.array([box], np.float32))[0, :3].round().astype(int).tolist():
        cv2.circle(image, (x, y), max(1, width // 14), dark, -1)
    mouth = landmarks_of(np.array([box], np.float32))[0, 3:].round().astype(int).tolist()
    cv2.line(image, mouth[0], mouth[1], dark, max(1, width // 20))


def landmarks_of(boxes: F32) -> F32:
    """(n, 4) boxes of drawn faces -> (n, 5, 2) their five points."""
    size = (boxes[:, 2:] - boxes[:, :2])[:, None]
    return np.asarray(boxes[:, None, :2] + POINTS * size, np.float32)


def person_of(crop: U8) -> int | None:
    """The person drawn in most of the coloured pixels of a crop; None where less than a tenth is coloured."""
    import cv2

    hsv = cv2.cvtColor(crop, cv2.COLOR_BGR2HSV)
    coloured = (hsv[..., 1] > 110) & (hsv[..., 2] > 60)
    if coloured.mean() < 0.1:
        return None
    people = _nearest_person(hsv[..., 0][coloured])
    return int(np.bincount(people, minlength=PEOPLE).argmax())


class FakeDetector:
    """Finds drawn faces by colour, within a pixel on arrays and about two on encoded video. `calls` counts pictures."""

    name = "fake"
    score = 0.5

    def __init__(self, smallest: int = 12) -> None:
        self.smallest = smallest
        self.calls = 0

    def detect(self, images: Sequence[U8]) -> list[Faces]:
        """The drawn faces of each image, left to right."""
        self.calls += len(images)
        return [self._faces(image) for image in images]

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def detect_pictures(self, pictures: Sequence[Picture], sizes: Sequence[tuple[int, int]]) -> list[Faces]:
        return self.detect([p.bgr() for p in pictures])

    def _faces(self, image: U8) -> Faces:
        boxes = np.array(sorted(self._boxes(image)), np.float32).reshape(-1, 4)
        return Faces(boxes, np.full(len(boxes), 0.9, np.float32), landmarks_of(boxes))

    def _boxes(self, image: U8) -> Iterator[tuple[int, int, int, int]]:
        import cv2

        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        coloured = (hsv[..., 1] > 110) & (hsv[..., 2] > 60)
        people = np.where(coloured, _nearest_person(hsv[..., 0]), -1)
        for person in np.unique(people[coloured]):
            _, _, stats, _ = cv2.connectedComponentsWithStats((people == person).astype(np.uint8))
            for x, y, w, h, _area in stats[1:].tolist():
                if w >= self.smallest and h >= self.smallest:
                    yield x, y, x + w, y + h


class FakeEmbedder:
    """A unit vector per person drawn in the crop, plus noise that depends on the pixels alone.

    `noise` is the length of the noise beside the person's unit vector: at 0.3 two crops of one person have a cosine of
    about 0.92. A crop without a drawn face gets a vector of its own. `calls` counts crops.
    """

    metric = "cosine"
    template = "arcface-112"
    crop_size = 112
    preferred_batch = 8
    thresholds = Thresholds(pair=0.5, link=0.6, merge=0.5)

    def __init__(self, dimension: int = 32, noise: float = 0.3, seed: int = 0) -> None:
        self.model = f"fake-{dimension}"
        self.dimension = dimension
        self.noise = noise
        self.calls = 0
        self.centres = _orthogonal(PEOPLE, dimension, seed)

    def embed(self, crops: U8) -> F32:
        """(n, s, s, 3) uint8 BGR -> (n, dimension) unit rows."""
        self.calls += len(crops)
        rows = [self._vector(crop) for crop in crops]
        return np.array(rows, np.float32).reshape(-1, self.dimension)

    def _vector(self, crop: U8) -> F32:
        noise = unit(np.random.default_rng(_seed(crop)).standard_normal(self.dimension))
        person = person_of(crop)
        return noise if person is None else unit(self.centres[person] + self.noise * noise)


class FakeQuality:
    """Every crop is as good as `value` says."""

    def __init__(self, value: float = 0.9, reject_below: float = 0.0) -> None:
        self.value, self.reject_below = value, reject_below

    def rate(self, crops: U8) -> F32:
        return np.full(len(crops), self.value, np.float32)


class FakeClock:
    """A clock that stands still until it is told otherwise; calling it gives the time, `sleep` moves it."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class SceneSource:
    """A scene as a Source, without a file. `close` ends it, also midway."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.stats = SourceStats()
        self.closed = False
        times = scene.times
        self.info = SourceInfo(
            name=scene.name,
            uri=scene.name,
            width=scene.width,
            height=scene.height,
            fps=scene.fps,
            duration=scene.seconds,
            frames=len(times),
            start=scene.first,
        )

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.scene.frames():
            if self.closed:
                return
            self.stats.read += 1
            self.stats.given += 1
            yield frame

    def close(self) -> None:
        self.closed = True


def _colour(person: int, value: int) -> tuple[int, int, int]:
    import cv2

    if not 0 <= person < PEOPLE:
        raise ValueError(f"person {person}: drawn people are 0..{PEOPLE - 1}")
    pixel = cv2.cvtColor(np.array([[[person * HUE_STEP, 230, value]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0]
    return int(pixel[0]), int(pixel[1]), int(pixel[2])


def _nearest_person(hue: U8) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return ((hue.astype(np.int64) + HUE_STEP // 2) // HUE_STEP) % PEOPLE


def _background(width: int, height: int, number: int) -> U8:
    """Grey stripes and noise that differ from number to number, the same in every frame of a shot."""
    rng = np.random.default_rng(number)
    level = 40 + 37 * number % 160
    stripes = np.where((np.arange(width) // (12 + 7 * (number % 4))) % 2, 24, 0)
    grey = level + stripes[None, :] + rng.integers(0, 12, (height, width))
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def _orthogonal(count: int, dimension: int, seed: int) -> F32:
    """Unit rows at right angles where the dimension allows, else random directions."""
    raw = np.random.default_rng(seed).standard_normal((dimension, max(count, 1)))
    if dimension >= count:
        raw = np.linalg.qr(raw)[0]
    return unit(raw.T[:count])


def _seed(crop: U8) -> int:
    import zlib

    return zlib.crc32(np.ascontiguousarray(crop).tobytes())
