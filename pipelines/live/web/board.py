"""What the live page shows: newest pictures, health, who is here; and who listens to the stream of notices."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from streamer.crops import encode_jpeg
from streamer.items import U8, Frame
from streamer.presence import Book, Kept, Notice
from streamer.presence.kept import Missed
from streamer.watching import LIVE, Health, Seen

HOUR = 3600.0  # s of stays the page shows
WIDTH = 960  # px of a tile at most: two of them fill a screen
QUALITY = 78
FACE = 120  # px of a small face
FACES = 500  # small faces kept
GAPS = 200
NEWS = 40  # notices a page begins with
BETTER = 1.15  # a face this much wider replaces the one that is kept


@dataclass(slots=True)
class Tile:
    """The newest frame of a camera. `number` counts frames; `jpeg` is made when somebody looks."""

    number: int = 0
    time: float = 0.0
    frame: Frame | None = None
    seen: tuple[Seen, ...] = ()
    jpeg: bytes = b""
    encoded: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


Listener = Callable[[str, str, dict[str, Any]], None]  # (kind, key, data); called with the board locked


class Board:
    """An onlooker of a live run. Every method may be called from any thread."""

    def __init__(
        self, cameras: Sequence[str] = (), *, keep: int = 10_000, clock: Callable[[], float] = time.time
    ) -> None:
        self.clock = clock
        self.kept = Kept(keep)
        self.book = Book()
        self.tiles: dict[str, Tile] = {c: Tile() for c in cameras}
        self.healths: dict[str, Health] = {}
        self.gaps: deque[dict[str, Any]] = deque(maxlen=GAPS)
        self.told: Counter[str] = Counter()
        self.open = True
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._stay_of: dict[int, str] = {}  # track -> stay
        self._faces: dict[str, tuple[float, bytes]] = {}  # stay -> width, JPEG
        self._wanted: dict[str, tuple[Frame, tuple[Seen, ...]]] = {}  # camera -> frame to cut small faces from
        self._work = threading.Condition()
        self._cutter = threading.Thread(target=self._cut_faces, name="board-faces", daemon=True)
        self._cutter.start()

    # ------------------------------------------------------------------ Onlooker
    def frame(self, camera: str, time: float, frame: Frame, seen: Sequence[Seen]) -> None:
        with self._lock:
            tile = self.tiles.setdefault(camera, Tile())
            tile.number, tile.time, tile.frame, tile.seen = tile.number + 1, time, frame, tuple(seen)
            better = any(self._better(s) for s in seen)
        if better:
            with self._work:
                self._wanted[camera] = (frame, tuple(seen))
                self._work.notify()

    def notices(self, notices: Sequence[Notice]) -> None:
        with self._lock:
            self.kept.add(notices)
            for n in notices:
                self.book.apply(n)
                self.told[n.type] += 1
                self._note(n)
                data = n.as_dict()
                for tell in list(self._listeners):
                    tell(n.type, n.key, data)
            self.book.prune(self.clock() - HOUR)

    def health(self, health: Health) -> None:
        with self._lock:
            self.healths[health.camera] = health
            self.tiles.setdefault(health.camera, Tile())
            told = health_dict(health)
            for tell in list(self._listeners):
                tell("health", "", told)

    def close(self) -> None:
        self.open = False
        with self._work:
            self._work.notify()

    # ------------------------------------------------------------------ for the page
    def listen(self, tell: Listener, epoch: int, seq: int) -> Missed:
        """What was missed since (epoch, seq); everything later goes to `tell`, nothing is lost or doubled between."""
        with self._lock:
            self._listeners.append(tell)
            return self.kept.since(epoch, seq)

    def leave(self, tell: Listener) -> None:
        with self._lock:
            if tell in self._listeners:
                self._listeners.remove(tell)

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def state(self) -> dict[str, Any]:
        """Everything a page needs to begin with."""
        from streamer.presence.notices import stay_dict

        with self._lock:
            now = self.clock()
            stays = [
                stay_dict(s, self.book.names.get(s.person or 0, "")) | {"camera": s.camera}
                for s in self.book.since(now - HOUR)
            ]
            return {
                "now": now,
                "key": f"{self.book.epoch}-{self.book.seq}",
                "cameras": sorted(self.tiles),
                "stays": stays,
                "names": {str(k): v for k, v in self.book.names.items() if v},
                "health": [health_dict(h) for h in self.healths.values()],
                "news": [n.as_dict() for n in self.kept.last(NEWS)],
                "gaps": [g for g in self.gaps if g["end"] > now - HOUR],
            }

    def picture(self, camera: str, after: int) -> tuple[int, bytes, list[dict[str, Any]], tuple[int, int]] | None:
        """(number, JPEG, faces, size) of a camera's newest frame; None when `after` is the newest.

        KeyError for a camera that is not there.
        """
        with self._lock:
            tile = self.tiles[camera]
            number, frame, seen = tile.number, tile.frame, tile.seen
            if frame is None or number == after:
                return None
            faces = [self._face(s) for s in seen]
        with tile.lock:
            if tile.encoded != number:
                tile.jpeg, tile.encoded = encoded(frame), number
            return number, tile.jpeg, faces, (frame.width, frame.height)

    def face(self, stay: str) -> bytes | None:
        """JPEG of the best small face of a stay."""
        found = self._faces.get(stay)
        return None if found is None else found[1]

    def ready(self) -> bool:
        """Whether at least one camera is live."""
        return any(h.state == LIVE for h in list(self.healths.values()))

    # ------------------------------------------------------------------ small faces
    def _note(self, n: Notice) -> None:
        if n.type == "gap":
            self.gaps.append({"camera": n.camera, "start": n.start, "end": n.end, "reason": n.reason})
        elif n.stay is not None:
            for track in n.stay.tracks:
                if n.type != "retract":
                    self._stay_of[track] = n.stay.id
            if n.type == "retract":
                face = self._faces.pop(n.stay.id, None)
                if face is not None and n.into:
                    self._faces.setdefault(n.into, face)
        while len(self._stay_of) > 20 * FACES:
            del self._stay_of[next(iter(self._stay_of))]

    def _face(self, s: Seen) -> dict[str, Any]:
        stay = self.book.stays.get(self._stay_of.get(s.track, ""))
        person = s.identity if stay is None else stay.person
        return {
            "box": [round(v, 1) for v in s.box],
            "person": person,
            "name": "" if person is None else self.book.names.get(person, ""),
            "stay": "" if stay is None else stay.id,
        }

    def _better(self, s: Seen) -> bool:
        stay = self._stay_of.get(s.track)
        return stay is not None and s.box[2] - s.box[0] > BETTER * self._faces.get(stay, (0.0, b""))[0]

    def _cut_faces(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._wanted or not self.open)
                if not self.open:
                    return
                camera, (frame, seen) = self._wanted.popitem()
            del camera
            image = frame.image
            for s in seen:
                stay = self._stay_of.get(s.track)
                if stay is None or not self._better(s):
                    continue
                data = small_face(image, s.box)
                with self._lock:
                    if data:
                        self._faces[stay] = (s.box[2] - s.box[0], data)
                    while len(self._faces) > FACES:
                        del self._faces[next(iter(self._faces))]


def health_dict(health: Health) -> dict[str, Any]:
    """A camera's health for JSON."""
    told = asdict(health)
    told["dropped"] = sum(health.dropped.values())
    return told | {"fps": round(health.fps, 1), "frame_age": round(health.frame_age, 3)}


def encoded(frame: Frame) -> bytes:
    """The frame as JPEG, at most WIDTH wide."""
    width = min(WIDTH, frame.width)
    height = max(1, round(frame.height * width / frame.width))
    return encode_jpeg(frame.picture.scaled(width, height), QUALITY)


def small_face(image: U8, box: tuple[float, float, float, float]) -> bytes:
    """A square cut around a face as JPEG; empty when the box lies outside."""
    import cv2

    x1, y1, x2, y2 = box
    half = 0.75 * max(x2 - x1, y2 - y1)
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = max(0, int(cx - half)), max(0, int(cy - half))
    cut = image[top : max(0, int(cy + half)), left : max(0, int(cx + half))]
    if min(cut.shape[:2]) < 4:
        return b""
    side = min(cut.shape[:2])
    y, x = (cut.shape[0] - side) // 2, (cut.shape[1] - side) // 2
    return encode_jpeg(cv2.resize(cut[y : y + side, x : x + side], (FACE, FACE), interpolation=cv2.INTER_AREA))
