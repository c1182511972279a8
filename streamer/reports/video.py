"""Videos to hand on: boxes with names, or faces made unrecognisable. H.264 in MP4, every frame at its own time, no
sound.

Sound is left out on purpose: a voice identifies a person as well as a face does. The frames come from whoever can read
the source (`frames`: a call that gives them once more, in order); this module decodes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from streamer.errors import ConfigError
from streamer.items import U8, Frame
from streamer.reports.atomic import ReportError, replacing
from streamer.reports.base import Box, RunData
from streamer.reports.boxes import Path as Track
from streamer.reports.boxes import by_track
from streamer.reports.drawing import GREY, PALETTE, ascii_name, hide, named_box

Frames = Callable[[], Iterable[Frame]]
TIME_BASE = Fraction(1, 90_000)  # every usual rate to 6 microseconds; exact for 24, 25, 30, 50, 60 and 29.97


class AnnotatedVideo:
    """annotated.mp4: a box and a name on every face; a thin box where the face was followed, not detected."""

    def __init__(self, frames: Frames | None = None, crf: int = 23) -> None:
        self.frames, self.crf = _needed(frames), crf

    def write(self, data: RunData, path: Path) -> None:
        data.only_source("annotated video")
        tracks, labels = Alive(by_track(data.rows()), hold=0), data.labels()

        def draw(frame: Frame) -> U8:
            image = np.ascontiguousarray(frame.image).copy()
            for track, i, box in tracks.at(frame.index):
                known = track.person is not None
                name = ascii_name(labels.get(track.person or 0, ""), track.person or 0) if known else ""
                colour = PALETTE[(track.person or 0) % len(PALETTE)] if known else GREY
                named_box(image, box, name, colour, i is not None and bool(track.detected[i]))
            return image

        encode(path, ((frame.time, draw(frame)) for frame in self.frames()), self.crf)


class BlurredVideo:
    """blurred.mp4: faces hidden for good, by `blur`: "all"; "but" those of `people`; "only" those of `people`.

    Faces given to nobody are hidden in "all" and "but". The box is grown by 20 % on every side. Where a track pauses
    its box moves in a straight line, and it stays `hold` seconds before the first and after the last look, so that
    frames the detector missed are covered too. `cells` 0 paints grey instead of a mosaic. What was never found cannot
    be hidden.
    """

    def __init__(
        self,
        frames: Frames | None = None,
        blur: str = "all",
        people: Collection[int] = (),
        hold: float = 0.4,
        cells: int = 4,
        crf: int = 23,
    ) -> None:
        if blur not in ("all", "but", "only"):
            raise ConfigError(f"blur {blur!r} is none of all, but, only.")
        if blur != "all" and not people:
            raise ConfigError(f"blur {blur!r} needs people: their numbers.")
        self.frames, self.blur, self.people = _needed(frames), blur, frozenset(people)
        self.hold, self.cells, self.crf = hold, cells, crf

    def hidden(self, person: int | None) -> bool:
        """Whether a face of this person is hidden."""
        if self.blur == "all":
            return True
        return (person in self.people) == (self.blur == "only")

    def write(self, data: RunData, path: Path) -> None:
        source = data.only_source("blurred video")
        mine = [t for t in by_track(data.rows()) if self.hidden(t.person)]
        tracks = Alive(mine, hold=round(self.hold * (source.fps or 25.0)))

        def draw(frame: Frame) -> U8:
            image = np.ascontiguousarray(frame.image).copy()
            for _, _, box in tracks.at(frame.index):
                hide(image, box, self.cells)
            return image

        encode(path, ((frame.time, draw(frame)) for frame in self.frames()), self.crf)


def _needed(frames: Frames | None) -> Frames:
    if frames is None:
        raise ConfigError("this format draws into the video: it needs `frames`, and the source must still be there.")
    return frames


class Alive:
    """Which tracks have a box in a frame. Frames are asked for in rising order."""

    def __init__(self, tracks: list[Track], hold: int) -> None:
        self.hold = hold
        self.waiting = sorted(tracks, key=lambda t: (-t.frames[0], -t.track))
        self.here: list[Track] = []

    def at(self, frame: int) -> Iterator[tuple[Track, int | None, Box]]:
        """(track, its row or None where it pauses or is held, box), in order of track numbers."""
        while self.waiting and self.waiting[-1].frames[0] - self.hold <= frame:
            self.here.append(self.waiting.pop())
        self.here = [t for t in self.here if t.frames[-1] + self.hold >= frame]
        for track in sorted(self.here, key=lambda t: t.track):
            i = bisect_right(track.frames, frame) - 1
            if i >= 0 and track.frames[i] == frame:
                yield track, i, track.box(i)
            else:
                yield track, None, between(track, i, frame)


def between(track: Track, i: int, frame: int) -> Box:
    """The box between row `i` and the next, in proportion; the first or last one outside the track."""
    if i < 0 or i + 1 >= len(track):
        return track.box(max(0, i))
    share = (frame - track.frames[i]) / (track.frames[i + 1] - track.frames[i])
    a, b, c, d = (p + (q - p) * share for p, q in zip(track.box(i), track.box(i + 1), strict=True))
    return a, b, c, d


def encode(path: Path, pictures: Iterable[tuple[float, U8]], crf: int = 23) -> None:
    """An MP4 of (seconds, picture); all pictures have the size of the first, an odd side is repeated by a pixel."""
    import av

    with replacing(path) as part:
        try:
            with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as out:
                _fill(out, pictures, crf)
        except av.FFmpegError as error:
            raise ReportError(f"cannot write {path}: {error}.") from error


def _fill(out: Any, pictures: Iterable[tuple[float, U8]], crf: int) -> None:
    import av

    stream = None
    for seconds, image in pictures:
        image = np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")
        if stream is None:
            stream = out.add_stream("libx264", rate=Fraction(30))
            stream.height, stream.width = image.shape[:2]
            stream.pix_fmt, stream.time_base = "yuv420p", TIME_BASE
            stream.codec_context.time_base = TIME_BASE
            stream.options = {"crf": str(crf), "preset": "veryfast"}
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = round(Fraction(seconds).limit_denominator(1_000_000) / TIME_BASE), TIME_BASE
        out.mux(stream.encode(frame))
    if stream is None:
        raise ReportError("the video has no frame to draw into.")
    out.mux(stream.encode(None))
