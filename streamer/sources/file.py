"""A video file as a source: true presentation times, displayed orientation, damage told and not fatal."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from streamer.errors import ConfigError, SourceError
from streamer.items import Frame, Gap
from streamer.sources.base import SourceInfo, SourceStats
from streamer.sources.decoding import FileDecoder, Threads, moving
from streamer.sources.inspect import regular_file
from streamer.sources.picture import Orientation, VideoPicture, converts, orientation_of
from streamer.sources.redact import shown
from streamer.sources.timestamps import RisingClock

# containers whose header states a duration that means something
_TIMED = frozenset(("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "flv", "asf", "gif"))

PAUSE_S, PAUSE_FRAMES = 2.0, 8  # longer than both without a frame is a gap: no track (0.7 s) or appearance bridges it


class FileSource:
    """The frames of a video file in displayed orientation and size; see `streamer.sources.base` for the contract.

    `start` and `end` (seconds of the file's own clock) limit what is given. `threads` is the decoder's kind of
    threading: AUTO is fastest for files. A picture of more than `max_pixels` is refused before it is decoded.
    Can be iterated once.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        name: str = "",
        threads: Threads = "AUTO",
        start: float | None = None,
        end: float | None = None,
        max_pixels: int = 64_000_000,
    ) -> None:
        self.path = regular_file(path)
        if start is not None and end is not None and end <= start:
            raise ConfigError(f"source.end {end:g} is not after source.start {start:g}: nothing lies between them.")
        self._start, self._end, self._max_pixels = start, end, max_pixels
        self.stats = SourceStats()
        self._oversized = self._lost = self._concealed = self._unshowable = 0
        self._showable: dict[tuple[object, ...], bool] = {}
        self._last: float | None = None
        self._epoch = 0  # goes up where nothing may be followed across: a gap, or a clock that began again
        self._closed = self._started = False
        self._decoder = FileDecoder(self.path, threads, max_pixels, start)
        try:
            self._decoded = self._decoder.frames()
            first = self._first()
            self._stored, self._orientation = (first.width, first.height), _orientation(first)
            self.info = self._describe(name or shown(self.path.name), first)
        except BaseException:
            self._decoder.close()
            raise
        self._clock = RisingClock(1 / (self.info.fps or 25.0))
        self._frames = self._read(first)

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def close(self) -> None:
        """Lets the file go; a reader in another thread ends at its next packet."""
        self._closed = self._decoder.ended = True
        if not self._started:
            self._decoder.close()
            return
        try:
            self._frames.close()
        except ValueError:  # it runs in another thread, and will see that it is closed
            pass

    def _first(self) -> Any:
        """The first frame, decoded when opening: what shows nothing is refused at once."""
        for frame in self._decoded:
            return frame
        why = self._decoder.damage.first or "no picture in it"
        if why.startswith("Invalid argument"):  # what FFmpeg answers to a picture over max_pixels, among others
            why = f"damaged, or more than {self._max_pixels / 1e6:g} million pixels"
        raise SourceError(
            f"{shown(self.path)}: not one picture could be decoded ({why}). Copy it again, or convert it."
        )

    def _describe(self, name: str, first: Any) -> SourceInfo:
        stream, container = self._decoder.stream, self._decoder.container
        aspect = _sample_aspect(stream)
        width, height = self._orientation.size(max(1, round(first.width * aspect)), first.height)
        self._decoder.check_size(width, height)
        return SourceInfo(
            name=name,
            uri=shown(self.path),
            width=width,
            height=height,
            fps=_rate(stream),
            duration=_duration(container, stream),
            frames=stream.frames or None,
            start=RisingClock(0).place(first.time) or 0.0,
            codec=stream.codec_context.name,
            start_timecode=_timecode(container),
            streams=len(moving(container)),
            notes=tuple(_notes(self._orientation, aspect, container, stream)),
        )

    def _read(self, first: Any) -> Generator[Frame, None, None]:
        """The generator behind `__iter__`; it alone touches the container once it has begun."""
        self._started = True
        try:
            if not self._closed:
                yield from self._given(first)
        finally:
            self._decoder.close()
            self._count()
            self._summarise()

    def _given(self, first: Any) -> Iterator[Frame]:
        for decoded in _chain(first, self._decoded):
            if self._closed:
                return
            time = self._clock.place(decoded.time)
            if time is not None and self._start is not None and time < self._start:
                continue
            if time is not None and self._end is not None and time >= self._end:
                self._refuse_empty()
                return
            if decoded.width * decoded.height > self._max_pixels:
                self._oversized += 1
            elif not self._shows(decoded):
                self._unshowable += 1
            elif time is None:
                dropped = self.stats.dropped
                dropped["time did not rise"] = dropped.get("time did not rise", 0) + 1
            else:
                yield self._frame(decoded, time)
        self._complete()

    def _shows(self, decoded: Any) -> bool:
        """Whether a frame can be converted: damaged colour properties cannot. Tried once for each set of them."""
        properties = (decoded.format.name, decoded.colorspace, decoded.color_range, decoded.width, decoded.height)
        if properties not in self._showable:
            self._showable[properties] = converts(decoded)
        return self._showable[properties]

    def _frame(self, decoded: Any, time: float) -> Frame:
        if self._decoder.damage.failed > self._lost:
            self._damaged(time)
        self._look_back(time)
        self._last = time
        self._concealed += decoded.is_corrupt
        index, info = self.stats.given, self.info
        self.stats.given += 1
        self._count()
        picture = VideoPicture(decoded, info.width, info.height, self._orientation, self._stored)
        return Frame(info.name, index, time, info.width, info.height, picture, self._epoch + self._clock.restarts)

    def _look_back(self, time: float) -> None:
        """Notes a stretch without any frame before this one."""
        interval = self._clock.interval
        if self._last is not None and time - self._last > max(PAUSE_S, PAUSE_FRAMES * interval):
            self._epoch += 1
            if not (self.stats.gaps and self.stats.gaps[-1].end == time):  # then it is damage, and told
                self.stats.gaps.append(Gap(self.info.name, self._last + interval, time, "no frames in the file"))

    def _count(self) -> None:
        stats = self.stats
        stats.failed = self._decoder.damage.failed + self._oversized + self._unshowable
        stats.read = stats.given + stats.failed + sum(stats.dropped.values())

    def _damaged(self, until: float) -> None:
        """Notes the stretch in which packets could not be decoded."""
        failed = self._decoder.damage.failed
        self._gap(until, "damaged", failed - self._lost)
        self._lost = failed

    def _gap(self, until: float, reason: str, frames: int) -> None:
        since = self.info.start if self._last is None else self._last
        if until > since:
            self.stats.gaps.append(Gap(self.info.name, since, until, reason, frames))

    def _complete(self) -> None:
        """Notices, at the end of the file, that it came before its time."""
        info, damage = self.info, self._decoder.damage
        if self._last is None:
            self._refuse_empty()
            return
        interval = self._clock.interval
        if damage.failed > self._lost:
            self._damaged(self._last + interval * (damage.failed - self._lost))
        wanted, missing = _stated_end(self._decoder.stream, info), (info.frames or 0) - damage.packets
        end = self._last + interval
        if not self._decoder.stream.duration:  # then the duration is the whole file's, sound included
            end = max(end, damage.latest)
        # half a second or 2 %: rounding, the last frame's length and sound that is a bit longer stay below
        slack = max(0.5, 2 * interval, 0.02 * (info.duration or 0.0))
        short = wanted is not None and end < wanted - slack
        # fewer packets than stated is no damage where the times fit: an edit list leaves out what was trimmed
        astray = missing > max(1, 0.02 * (info.frames or 0)) and (wanted is None or abs(end - wanted) > slack)
        if short or astray or damage.cut_off:
            told = f"{info.frames} frames" if info.frames else f"{info.duration:.1f} s" if info.duration else "more"
            self.stats.warnings.append(
                f"ends early: {self.stats.given} frames up to {self._last:.2f} s, where its header promises {told}"
            )
            self._gap(wanted or 0.0, "missing", max(missing, 0))

    def _refuse_empty(self) -> None:
        """SourceError where `start` and `end` left nothing of the pictures there are."""
        limited, last = self._start is not None or self._end is not None, self._clock.last
        if limited and last is not None and self._last is None and not self.stats.failed:
            raise SourceError(
                f"{shown(self.path)}: no picture lies between source.start and source.end; the nearest one is at "
                f"{last:.2f} s."
            )

    def _summarise(self) -> None:
        """The warnings, once, when reading has ended."""
        damage, clock = self._decoder.damage, self._clock
        told = [
            (damage.failed, "packet", f"could not be decoded (first: {damage.first})"),
            (self._oversized, "picture", "exceeded source.max_pixels"),
            (self._unshowable, "picture", "had colours that cannot be converted"),
            (damage.read_errors, "part", "of the file could not be read"),
            (self._concealed, "frame", "had damage that the decoder covered up"),
            (damage.corrupt, "packet", "came incomplete"),
            (clock.invented, "frame", "had no time stamp: times follow the frame rate"),
            (clock.restarts, "restart", "of its clock: later frames were moved behind the earlier ones"),
        ]
        self.stats.warnings.extend(f"{n} {what}{'s' * (n > 1)} {text}" for n, what, text in told if n)


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    del first  # frames are big
    yield from rest


def _orientation(frame: Any) -> Orientation:
    from av.sidedata.sidedata import Type

    for side in frame.side_data.keys():  # noqa: SIM118 - it iterates over its values
        if side.type == Type.DISPLAYMATRIX:
            return orientation_of(bytes(side))
    return Orientation()


def _sample_aspect(stream: Any) -> float:
    """Width of a pixel over its height; 1 where the file says nothing or something absurd."""
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    value = float(aspect) if aspect else 1.0
    return value if 0.1 <= value <= 10 else 1.0


def _rate(stream: Any) -> float | None:
    """Nominal frames a second, None where the file states none or something absurd."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0.01 <= rate <= 1000:  # a frame in 100 s: the slowest time lapse; 1000: a slow-motion camera
            return float(rate)
    return None


def _duration(container: Any, stream: Any) -> float | None:
    """Seconds as the header states them, None where it only would be a guess."""
    if not _TIMED & set(container.format.name.split(",")):
        return None
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration and container.duration > 0 else None


def _stated_end(stream: Any, info: SourceInfo) -> float | None:
    """When the last frame should end, by the header; a whole file's duration may count from zero (Matroska)."""
    if info.duration is None or not stream.duration:
        return info.duration
    return info.duration + (float(stream.start_time * stream.time_base) if stream.start_time else 0.0)


def _timecode(container: Any) -> str | None:
    places = [container.metadata, *(s.metadata for s in container.streams)]
    return next((shown(m["timecode"]) for m in places if m.get("timecode")), None)


def _notes(orientation: Orientation, aspect: float, container: Any, stream: Any) -> Iterator[str]:
    if orientation.flip:
        yield "mirrored"
    if orientation.turns:
        yield f"rotated by {orientation.turns * 90} degrees"
    if aspect != 1:
        yield f"pixels are {aspect:g} times as wide as high"
    if (streams := len(moving(container))) > 1:
        yield f"stream {stream.index} of {streams} video streams"
