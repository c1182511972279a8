"""A video file, decoded by PyAV with true presentation times.

The file cannot make us open the network or another file (protocol and format white lists), damage is passed over,
counted and told, and pictures stay as decoded until somebody looks.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from streamer.errors import SourceError
from streamer.items import Frame, Gap
from streamer.sources.base import SourceInfo, SourceStats
from streamer.sources.inspect import guess_content, regular_file
from streamer.sources.picture import Orientation, VideoPicture, orientation_of
from streamer.sources.redact import shown
from streamer.sources.timestamps import RisingClock

Threads: TypeAlias = Literal["AUTO", "FRAME", "SLICE", "NONE"]

# demuxers that read the one file they are given: no playlists, scripts, picture sequences or devices
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,vc1,flv,"
    "live_flv,ogg,asf,mxf,nut,dv,rm,wtv,yuv4mpegpipe,mjpeg,mjpeg_2000,dirac,cavsvideo,h261,h263,nsv,roq,bink,smk"
)
# containers whose header states a duration that means something
_TIMED = frozenset(("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "flv", "asf", "gif"))
FIRST_PICTURE_PACKETS = 300  # packets that may fail before the first picture; damage later is passed over without limit
READ_ERRORS = 100  # in a row, after which a demuxer is given up


@dataclass(slots=True)
class _Damage:
    """What went wrong while reading."""

    packets: int = 0  # video packets that were read
    read_errors: int = 0
    failed: int = 0
    first: str = ""  # the first decoder error and where
    corrupt: int = 0
    oversized: int = 0
    latest: float = -math.inf  # end of any stream's last packet, seconds


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
        self._shown = shown(path)
        self._start, self._end, self._max_pixels = start, end, max_pixels
        self.stats = SourceStats()
        self._damage = _Damage()
        self._closed = self._started = False
        self._container = self._open()
        try:
            self._stream = self._choose(threads)
            self._pending, first = self._first_picture()
            self.info = self._describe(name or shown(self.path.name), first)
        except BaseException:
            self._container.close()
            raise
        self._frames = self._read()

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def close(self) -> None:
        """Lets the file go; a reader in another thread ends at its next frame."""
        self._closed = True
        if not self._started:
            self._container.close()
            return
        try:
            self._frames.close()
        except ValueError:  # it runs in another thread, and will see that it is closed
            pass

    def _open(self) -> Any:
        import av

        options = {
            "protocol_whitelist": "file",
            "format_whitelist": FORMATS,
            "max_streams": "100",
            "probesize": "5000000",
            "max_pixels": str(self._max_pixels),
        }
        try:
            # `file:` and an absolute path: no name can be taken for a protocol or a number pattern
            return av.open("file:" + os.path.abspath(self.path), options=options, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(self._unreadable(error)) from error

    def _unreadable(self, error: Exception) -> str:
        content = guess_content(self.path)
        if content:
            return f"{self._shown}: is not a video (it looks like {content}). Give a video file."
        return (
            f"{self._shown}: is not a video that can be read ({_reason(error)}). It may be incomplete or damaged: "
            "copy it again, or convert it with another program."
        )

    def _choose(self, threads: Threads) -> Any:
        """The first video stream that is no cover picture, set up for decoding."""
        from av.stream import Disposition

        streams = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise SourceError(f"{self._shown}: has no video stream. Give a file with moving pictures.")
        stream = streams[0]
        if stream.codec_context is None:
            raise SourceError(f"{self._shown}: its video format has no decoder here. Convert it, for example to H.264.")
        self._check_size(stream.codec_context.width, stream.codec_context.height)
        stream.codec_context.options = {"max_pixels": str(self._max_pixels)}
        if threads != "NONE":
            stream.thread_type = threads
        else:
            stream.codec_context.thread_count = 1
        return stream

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise SourceError(
                f"{self._shown}: pictures of {width} x {height} are more than {self._max_pixels / 1e6:g} million "
                "pixels. Scale it down, or raise source.max_pixels."
            )

    def _first_picture(self) -> tuple[Iterator[Any], Any]:
        """Decoded frames with the first one put back, and the first one."""
        if self._start is not None and self._start > 0 and self._stream.time_base:
            self._seek(self._start)
        decoded = self._decoded()
        for first in decoded:
            return _chain(first, decoded), first
        why = self._damage.first or "no picture in it"
        if self._damage.read_errors and not self._damage.first:
            why = "it cannot be read"
        raise SourceError(f"{self._shown}: not one picture could be decoded ({why}). Copy it again, or convert it.")

    def _seek(self, time: float) -> None:
        """Goes to the key frame at or before `time`; a file that cannot seek is read from its beginning."""
        import av

        try:
            self._container.seek(int(time / self._stream.time_base), stream=self._stream, backward=True)
        except (av.FFmpegError, OSError, OverflowError):
            pass

    def _describe(self, name: str, first: Any) -> SourceInfo:
        stream, notes = self._stream, []
        self._check_size(first.width, first.height)
        self._orientation = _orientation(first)
        self._stored = first.width, first.height
        aspect = _sample_aspect(stream)
        if not self._orientation.plain:
            turned = f"rotated by {self._orientation.turns * 90} degrees" if self._orientation.turns else ""
            notes.append(" and ".join(filter(None, ["mirrored" if self._orientation.flip else "", turned])))
        if aspect != 1:
            notes.append(f"pixels are {aspect:g} times as wide as high")
        width, height = self._orientation.size(max(1, round(first.width * aspect)), first.height)
        self._check_size(width, height)
        if len(self._container.streams.video) > 1:
            notes.append(f"video stream {stream.index} of {len(self._container.streams)} streams")
        fps = _rate(stream)
        self._clock = RisingClock(1 / (fps or 25.0))
        return SourceInfo(
            name=name,
            uri=str(self.path),
            width=width,
            height=height,
            fps=fps,
            duration=_duration(self._container, stream),
            frames=stream.frames or None,
            start=RisingClock(0).place(first.time) or 0.0,
            codec=stream.codec_context.name,
            start_timecode=_timecode(self._container),
            notes=tuple(notes),
        )

    def _read(self) -> Generator[Frame, None, None]:
        """The generator behind `__iter__`; it alone touches the container once it has begun."""
        self._started = True
        try:
            if not self._closed:
                yield from self._given()
        finally:
            self._container.close()
            self._summarise()

    def _given(self) -> Iterator[Frame]:
        lost = self.stats.failed  # packets lost before the first picture
        for decoded in self._pending:
            if self._closed:
                return
            time = self._clock.place(decoded.time)
            if time is not None and self._start is not None and time < self._start:
                continue
            if time is not None and self._end is not None and time >= self._end:
                self._closed = True
                return
            self.stats.read += 1
            if decoded.width * decoded.height > self._max_pixels:
                self.stats.failed += 1
                self._damage.oversized += 1
            elif time is None:
                dropped = self.stats.dropped
                dropped["time did not rise"] = dropped.get("time did not rise", 0) + 1
            else:
                if self.stats.failed > lost:
                    self._gap(time, "damaged", self.stats.failed - lost)
                    lost = self.stats.failed
                self._last = time
                self.stats.given += 1
                self._damage.corrupt += decoded.is_corrupt
                yield self._frame(decoded, time)
        self._complete(lost)

    _last: float | None = None

    def _frame(self, decoded: Any, time: float) -> Frame:
        info = self.info
        picture = VideoPicture(decoded, info.width, info.height, self._orientation, self._stored)
        return Frame(info.name, self.stats.given - 1, time, info.width, info.height, picture)

    def _decoded(self) -> Iterator[Any]:
        """Every picture that can be had; what cannot be decoded is counted."""
        import av

        errors = (av.FFmpegError, OSError, ValueError)
        decode = self._stream.codec_context.decode
        for packet in self._packets():
            try:
                frames = decode(packet)
            except av.EOFError:
                return
            except errors as error:
                self._failed(packet, error)
                if not self.stats.given and not self._started and self.stats.failed >= FIRST_PICTURE_PACKETS:
                    return
                continue
            yield from frames

    def _packets(self) -> Iterator[Any]:
        """The video packets, the last one empty to flush the decoder; bad stretches of the file are read over."""
        import av

        in_a_row = 0
        wanted, damage = self._stream.index, self._damage
        # all streams are demuxed: sound that ends on time tells a short picture from a cut-off file
        packets = self._container.demux()
        while in_a_row < READ_ERRORS and not (self._closed and self._started):
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError, ValueError):
                in_a_row += 1
                damage.read_errors += 1
                packets = self._container.demux()
                continue
            in_a_row = 0
            # an empty packet flushes the decoder; its own stream_index is always 0
            if (packet.stream_index if packet.size else packet.stream.index) == wanted:
                damage.packets += packet.size > 0
                yield packet
            if packet.pts is not None and packet.time_base:
                damage.latest = max(damage.latest, float((packet.pts + (packet.duration or 0)) * packet.time_base))

    def _failed(self, packet: Any, error: Exception) -> None:
        self.stats.read += 1
        self.stats.failed += 1
        if not self._damage.first:
            at = (
                ""
                if packet.pts is None or not packet.time_base
                else f" at {float(packet.pts * packet.time_base):.2f} s"
            )
            self._damage.first = _reason(error) + at

    def _gap(self, until: float, reason: str, frames: int) -> None:
        since = self.info.start if self._last is None else self._last
        if until > since:
            self.stats.gaps.append(Gap(self.info.name, since, until, reason, frames))

    def _complete(self, lost: int) -> None:
        """Notices, at the end, that the file ended before its time."""
        if self._last is None:
            return
        info, interval = self.info, 1 / (self.info.fps or 25.0)
        end = max(self._last + interval, self._damage.latest if self._duration_is_of_all else -math.inf)
        wanted = None if info.duration is None else self._begins + info.duration
        # half a second or 2 %: sound, rounding and the last frame's length differ by less in sound files
        short = wanted is not None and end < wanted - max(0.5, 2 * interval, 0.02 * (info.duration or 0))
        missing = (info.frames or 0) - self._damage.packets
        if short or (wanted is None and missing > 1):
            told = f"{info.frames} frames" if info.frames else f"{info.duration:.1f} s"
            self.stats.warnings.append(
                f"ends early: {self.stats.given} frames up to {self._last:.2f} s, where its header states {told}"
            )
            self._gap(max(wanted or 0.0, self._last), "missing", max(missing, 0))
        elif self.stats.failed > lost:
            self._gap(self._last + interval * (self.stats.failed - lost), "damaged", self.stats.failed - lost)

    def _summarise(self) -> None:
        """The warnings, once, when reading has ended."""
        damage, clock, stats = self._damage, self._clock, self.stats
        told = [
            (stats.failed - damage.oversized, "packets could not be decoded (first: {0})", damage.first),
            (damage.oversized, "pictures were larger than source.max_pixels allows", ""),
            (damage.read_errors, "stretches of the file could not be read", ""),
            (damage.corrupt, "frames are damaged but were shown", ""),
            (clock.invented, "frames had no time stamp: times follow the frame rate", ""),
            (clock.restarts, "times its clock began again: later frames were moved behind the earlier ones", ""),
        ]
        stats.warnings.extend(f"{count} {text.format(detail)}" for count, text, detail in told if count > 0)

    @property
    def _duration_is_of_all(self) -> bool:
        """Whether `info.duration` is the whole file's, not the video stream's own."""
        return not self._stream.duration

    @property
    def _begins(self) -> float:
        """Where the stated duration begins to count."""
        start = self._stream.start_time
        return float(start * self._stream.time_base) if start and self._stream.time_base else 0.0


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    del first  # frames are big
    yield from rest


def _reason(error: Exception) -> str:
    return shown(getattr(error, "strerror", None) or error)


def _orientation(frame: Any) -> Orientation:
    from av.sidedata.sidedata import Type

    for side in frame.side_data.keys():  # noqa: SIM118 - the mapping iterates over its values
        if side.type == Type.DISPLAYMATRIX:
            return orientation_of(bytes(side))
    return Orientation()


def _sample_aspect(stream: Any) -> float:
    """Width of a pixel over its height; 1 where the file says nothing or something absurd."""
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    value = float(aspect) if aspect else 1.0
    return value if 0.1 <= value <= 10 else 1.0


def _rate(stream: Any) -> float | None:
    """Nominal frames a second, None where the file states none or more than 1000."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= 1000:
            return float(rate)
    return None


def _duration(container: Any, stream: Any) -> float | None:
    """Seconds as the header states them, None where it only would be a guess."""
    if not _TIMED & set(container.format.name.split(",")):
        return None
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration and container.duration > 0 else None


def _timecode(container: Any) -> str | None:
    places = [container.metadata, *(s.metadata for s in container.streams)]
    return next((shown(m["timecode"]) for m in places if m.get("timecode")), None)
