"""Every picture that can be had from a video file, without opening the network or another file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from streamer.errors import SourceError
from streamer.sources.inspect import ends_within, guess_content
from streamer.sources.redact import shown

Threads: TypeAlias = Literal["AUTO", "FRAME", "SLICE", "NONE"]

# demuxers that read the one file they are given: no playlists, scripts, picture sequences or devices
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,vc1,flv,"
    "live_flv,ogg,asf,mxf,nut,dv,rm,wtv,yuv4mpegpipe,mjpeg,mjpeg_2000,dirac,cavsvideo,h261,h263,nsv,roq,bink,smk"
)
FIRST_PICTURE_PACKETS = 300  # packets that may fail before the first picture; later damage is passed over without limit
READ_ERRORS = 100  # in a row, after which a demuxer is given up


@dataclass(slots=True)
class Damage:
    """What went wrong while reading."""

    packets: int = 0  # video packets that were read, good and bad
    failed: int = 0  # video packets that gave an error instead of a picture
    first: str = ""  # the first such error, and where
    read_errors: int = 0  # stretches of the file that gave no packet
    corrupt: int = 0  # packets known to be incomplete
    latest: float = -math.inf  # end of the last packet of any stream, seconds
    cut_off: bool = False  # the container's own structure goes on behind the end of the file


class FileDecoder:
    """The video stream of a file. `frames()` gives av.VideoFrames; `damage` tells what it had to pass over.

    Threads lose up to a picture each around an error (32 instead of 35 of 50 in a flipped file) and cover damage up
    differently from run to run. So at the first damage the file is read again from the beginning with one thread, and
    goes on behind the last picture given.
    """

    def __init__(self, path: Path, threads: Threads, max_pixels: int, start: float | None) -> None:
        self._path, self._shown = path, shown(path)
        self._threads, self._max_pixels, self._start = threads, max_pixels, start
        self.damage = Damage(cut_off=not ends_within(path))
        self.ended = False  # set from outside: no further packet is read
        self._given = 0
        self.container = self._open()
        try:
            self.stream = self._choose()
        except BaseException:
            self.container.close()
            raise

    def close(self) -> None:
        """Lets the file go."""
        self.container.close()

    def frames(self) -> Iterator[Any]:
        """Decoded frames in presentation order. After the last one `damage` is complete."""
        again = yield from self._pass(0, careful=self._threads == "NONE")
        if again and self._begin_again():
            yield from self._pass(self._given, careful=True)

    def _begin_again(self) -> bool:
        """Whether the file could be opened once more; one that changed meanwhile counts as cut off."""
        self._threads = "NONE"
        old = self.container, self.stream
        try:
            self.container = self._open()
            self.stream = self._choose()
        except SourceError:
            self.container, self.stream = old
            self.damage.cut_off = True
            return False
        old[0].close()
        self.damage = Damage(cut_off=self.damage.cut_off)
        return True

    def check_size(self, width: int, height: int) -> None:
        """SourceError for pictures larger than allowed."""
        if width * height > self._max_pixels:
            raise SourceError(
                f"{self._shown}: pictures of {width} x {height} are more than {self._max_pixels / 1e6:g} million "
                "pixels. Scale it down, or raise source.max_pixels."
            )

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
            return av.open("file:" + os.path.abspath(self._path), options=options, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(self._unreadable(error)) from error

    def _unreadable(self, error: Exception) -> str:
        content = guess_content(self._path)
        if content:
            return f"{self._shown}: is not a video (it looks like {content}). Give a video file."
        return (
            f"{self._shown}: is not a video that can be read ({reason_of(error)}). It may be incomplete or damaged: "
            "copy it again, or convert it with another program."
        )

    def _choose(self) -> Any:
        """The first video stream that is no cover picture, set up for decoding and at the place to start."""
        streams = moving(self.container)
        if not streams:
            raise SourceError(f"{self._shown}: has no video stream. Give a file with moving pictures.")
        stream = streams[0]
        if stream.codec_context is None:
            raise SourceError(f"{self._shown}: its video format has no decoder here. Convert it, for example to H.264.")
        self.check_size(stream.codec_context.width, stream.codec_context.height)
        stream.codec_context.options = {"max_pixels": str(self._max_pixels)}
        if self._threads == "NONE":
            stream.codec_context.thread_count = 1
        else:
            stream.thread_type = self._threads
        if self._start is not None and self._start > 0:
            self._seek(stream, self._start)
        return stream

    def _seek(self, stream: Any, time: float) -> None:
        """Goes to the key frame at or before `time`; a file that cannot seek is read from its beginning."""
        import av

        try:
            self.container.seek(int(time / stream.time_base), stream=stream, backward=True)
        except (av.FFmpegError, OSError, OverflowError, TypeError, ZeroDivisionError):
            pass

    def _pass(self, skip: int, careful: bool) -> Any:
        """The frames after the first `skip`; whether all should be read again with more care."""
        import av

        errors = (av.FFmpegError, OSError, ValueError)
        decode, seen = self.stream.codec_context.decode, 0
        for packet in self._packets():
            try:
                frames = decode(packet)
            except av.EOFError:
                break
            except errors as error:
                if not careful:
                    return True
                self._failed(packet, error)
                if not seen and self.damage.failed >= FIRST_PICTURE_PACKETS:
                    break
                continue
            for frame in frames:
                if frame.is_corrupt and not careful:
                    return True
                seen += 1
                if seen > skip:
                    self._given += 1
                    yield frame
        return not careful and not self.ended and self._lost_silently(seen)

    def _lost_silently(self, seen: int) -> bool:
        """Whether a damaged file gave fewer pictures than packets: frame threads drop the last ones silently."""
        damage = self.damage
        return seen < damage.packets and bool(damage.cut_off or damage.corrupt or damage.read_errors)

    def _packets(self) -> Iterator[Any]:
        """The video packets, the last one empty to flush the decoder; bad stretches of the file are read over."""
        import av

        in_a_row = 0
        bases: dict[int, float] = {}  # stream -> seconds a tick
        wanted, damage = self.stream.index, self.damage
        # all streams are demuxed: sound that ends on time tells a short picture from a cut-off file
        packets = self.container.demux()
        while in_a_row < READ_ERRORS and not self.ended:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (
                IndexError
            ):  # PyAV, when it flushes a stream that appeared after the file was opened; ours came before
                return
            except (av.FFmpegError, OSError, ValueError):
                in_a_row += 1
                damage.read_errors += 1
                packets = self.container.demux()
                continue
            in_a_row = 0
            # an empty packet flushes the decoder; its own stream_index is always 0
            index = packet.stream_index if packet.size else packet.stream.index
            if index == wanted:
                damage.packets += packet.size > 0
                damage.corrupt += packet.is_corrupt
                yield packet
            if (pts := packet.pts) is not None:
                base = bases.get(index)
                if base is None:  # asked for with every packet, the fractions were 7 % of all reading
                    base = bases[index] = float(packet.time_base or 0)
                if base:
                    damage.latest = max(damage.latest, (pts + (packet.duration or 0)) * base)

    def _failed(self, packet: Any, error: Exception) -> None:
        self.damage.failed += 1
        if not self.damage.first:
            timed = packet.pts is not None and packet.time_base
            self.damage.first = reason_of(error) + (
                f" at {float(packet.pts * packet.time_base):.2f} s" if timed else ""
            )


def moving(container: Any) -> list[Any]:
    """The video streams of a container that are no cover picture."""
    from av.stream import Disposition

    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def reason_of(error: Exception) -> str:
    """What an error of PyAV says, on one line and without the address it puts into its text."""
    return shown(getattr(error, "strerror", None) or type(error).__name__)
