"""One clip: in the making while a stay lasts, then on the shelf. What a killed run left is made one, too.

record/FOLDER/.20261125-143002-hall-7-1.PID.open.mp4    grows; lacks its newest frame at most, whatever happens
              20261125-143002-hall-7-1.mp4              an ordinary file, once the stay is over or a run starts anew
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.live.shelf import Shelf, described, remove
from streamer.errors import SourceError, StreamerError
from streamer.items import U8
from streamer.reports.atomic import alive, replacing
from streamer.sources.write import GrowingVideo, finish_video


@dataclass(slots=True)
class Take:
    """A clip in the making: everything of a camera from `start` to `end` (inf while the stay lasts)."""

    stay: str
    camera: str
    person: int | None
    name: str
    start: float
    end: float = math.inf
    part: int = 1
    begin: float = 0.0  # time of the first frame
    last: float = -math.inf  # of the last
    size: tuple[int, ...] = ()
    film: GrowingVideo | None = None
    path: Path = Path()  # of the clip to be
    keep: bool = False  # a person marked it

    @property
    def growing(self) -> Path:
        """Where it is while it grows."""
        return self.path.with_name(f".{self.path.stem}.{os.getpid()}.open.mp4")

    def add(self, folder: Path, fps: float, time: float, image: U8) -> None:
        """One more frame; the first begins the file. StreamerError where it cannot be written."""
        film = self.film or self._begun(folder, fps, time, image)
        film.add(time - self.begin, image)
        self.last = time

    def _begun(self, folder: Path, fps: float, time: float, image: U8) -> GrowingVideo:
        self.begin, self.size = time, image.shape
        self.path = folder / _file_name(self)
        try:
            os.close(os.open(self.growing, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
            described(self.growing.with_suffix(".json"), self.told())
        except OSError as error:
            raise StreamerError(f"{folder} cannot be written ({error.strerror})") from error
        self.film = GrowingVideo(self.growing, fps)
        return self.film

    def told(self) -> dict[str, Any]:
        """What stands beside the clip."""
        return {
            "camera": self.camera, "person": self.person, "name": self.name, "stay": self.stay, "part": self.part,
            "start": round(self.begin, 3), "end": round(self.last, 3), "keep": self.keep,
        }  # fmt: skip

    def shelve(self, shelf: Shelf, after: float) -> float | None:
        """When the clip ends that was made of it, `after` seconds after the stay at most; None where there is none."""
        if self.film is None:
            return None
        self.film.close()
        if self.film.frames < 2 or self.end + after <= self.begin:  # the stay was over before a frame could be taken
            self.drop()
            return None
        return _shelved(shelf, self.growing, self.path, self.told(), self.end + after)

    def drop(self) -> None:
        """Nobody wants what was written of it."""
        if self.film is not None:
            with contextlib.suppress(StreamerError):
                self.film.close()
            remove(self.growing)


def adopt(shelf: Shelf) -> list[float]:
    """Makes clips of what runs were writing that are no more; when each ends."""
    ends = []
    for growing in sorted(shelf.folder.glob(".*.open.mp4")):
        stem, process = growing.name[1:].removesuffix(".open.mp4").rsplit(".", 1)
        if process.isdigit() and alive(process):
            continue
        try:
            told = json.loads(growing.with_suffix(".json").read_text("utf-8"))
            told["start"] = float(told["start"])
            ends.append(_shelved(shelf, growing, shelf.folder / f"{stem}.mp4", told, math.inf))
        except (SourceError, ValueError, KeyError, TypeError, FileNotFoundError):
            remove(growing)  # killed within its first frames
    return ends


def _shelved(shelf: Shelf, growing: Path, path: Path, told: dict[str, Any], until: float) -> float:
    # what is written replaces a name only when it is whole; a kill leaves the growing file for the next start
    with replacing(path) as part:
        end = float(told["start"] + finish_video(growing, part, until - told["start"]))
    described(path.with_suffix(".json"), told | {"end": round(end, 3)})
    remove(growing)
    shelf.add(path)
    return end


def _file_name(take: Take) -> str:
    """Never made from a person's name: numbers and what is safe of the camera's."""
    when = datetime.fromtimestamp(take.begin, UTC).strftime("%Y%m%d-%H%M%S")
    camera = re.sub(r"[^\w-]+", "_", take.camera, flags=re.ASCII).strip("_")[:40] or "camera"
    return f"{when}-{camera}-{re.sub(r'[^0-9-]', '', take.stay)}-{take.part}.mp4"
