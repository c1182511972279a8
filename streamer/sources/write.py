"""Writing video files: drawn scenes, the demo clip, test material."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from streamer.errors import SourceError
from streamer.items import U8

KEYED = 2.0  # s from key frame to key frame of a growing video: what a viewer jumps between
TIME_BASE = Fraction(1, 90_000)  # the usual clock of MPEG: fine enough for every frame rate


def write_video(
    path: Path, frames: Iterable[tuple[float, U8]], fps: float, codec: str = "libx264", crf: int = 18
) -> int:
    """The number of frames written, H.264 unless another codec is named; the container follows from the suffix.

    `frames` are (seconds, (h, w, 3) uint8 BGR) with rising times, so a variable rate is possible; `fps` is nominal.
    Width and height must be even. One encoder thread: the same frames give the same bytes. SourceError where there is
    no frame or the file cannot be written.
    """
    import av

    try:
        with av.open(str(path), "w") as container:
            count = _encode(container, iter(frames), fps, codec, crf)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot write video ({error}). Check the folder and the codec {codec}.") from error
    if not count:
        path.unlink(missing_ok=True)
        raise SourceError(f"{path}: not written, there was no frame to write.")
    return count


def _encode(container: object, frames: Iterable[tuple[float, U8]], fps: float, codec: str, crf: int) -> int:
    import av

    assert isinstance(container, av.container.OutputContainer)
    stream: Any = None
    count = 0
    for time, image in frames:
        if stream is None:
            stream = _stream(container, image, fps, codec, crf)
        container.mux(stream.encode(_frame(image, time)))
        count += 1
    if stream is not None:
        container.mux(stream.encode(None))
    return count


def _stream(container: Any, image: U8, fps: float, codec: str, crf: int, **more: str) -> Any:
    stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
    stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
    stream.codec_context.time_base = TIME_BASE
    stream.codec_context.thread_count = 1
    if codec == "libx264":
        stream.options = {"crf": str(crf), "preset": "veryfast", **more}
    return stream


def _frame(image: U8, time: float) -> Any:
    import av

    frame = av.VideoFrame.from_ndarray(image, format="bgr24")
    frame.pts, frame.time_base = round(time / TIME_BASE), TIME_BASE
    return frame


class GrowingVideo:
    """An MP4 that grows and can be played whatever happens to the process: it lacks its newest frame at most.

    `add` frames with rising times from 0 on, all of one even size; `finish_video` makes an ordinary file of it.
    SourceError where it cannot be written.
    """

    def __init__(self, path: Path, fps: float, crf: int = 24) -> None:
        self.path, self.fps, self.crf = path, fps, crf
        self.frames = 0
        self._keyed = -KEYED  # time of the newest key frame
        self._stream: Any = None
        self._container: Any = self._tried(self._open)

    def add(self, time: float, image: U8) -> None:
        """One more frame."""
        self._tried(lambda: self._add(time, image))
        self.frames += 1

    def close(self) -> None:
        """Writes what the encoder still holds. May be called twice."""
        container, self._container = self._container, None
        if container is not None:
            self._tried(lambda: self._end(container))

    def _open(self) -> Any:
        import av

        # a piece with its own index for every frame, written when the next one comes: 120 bytes a frame more,
        # until `finish_video` makes an ordinary file of it
        options = {"movflags": "frag_every_frame+empty_moov+default_base_moof", "flush_packets": "1"}
        return av.open(str(self.path), "w", format="mp4", options=options)

    def _add(self, time: float, image: U8) -> None:
        from av.video.frame import PictureType

        if self._stream is None:
            more = {"tune": "zerolatency", "forced-idr": "1"}
            self._stream = _stream(self._container, image, self.fps, "libx264", self.crf, **more)
        frame = _frame(image, time)
        if time >= self._keyed + KEYED:  # by time: a starved machine gives few frames a second
            self._keyed, frame.pict_type = time, PictureType.I
        self._container.mux(self._stream.encode(frame))

    def _end(self, container: Any) -> None:
        try:
            if self._stream is not None:
                container.mux(self._stream.encode(None))
        finally:
            container.close()

    def _tried(self, write: Callable[[], Any]) -> Any:
        import av

        try:
            return write()
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(f"{self.path}: cannot write video ({reason}). Is the disk full?") from error


def finish_video(growing: Path, path: Path, until: float = math.inf) -> float:
    """Seconds of the ordinary MP4 `path` made from a `GrowingVideo`, without encoding again.

    Frames after `until` are left out. SourceError where nothing can be read from it, or `path` cannot be written.
    """
    import av

    last = -1.0
    try:
        # the whitelist: a file somebody has put there must not name others
        with av.open(f"file:{growing.absolute()}", options={"format_whitelist": "mov,mp4"}) as read:
            source = read.streams.video[0]
            with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as write:
                stream = write.add_stream_from_template(source)
                for packet in _whole(read.demux(source)):
                    if packet.pts is None or packet.pts * packet.time_base > until + 0.001:  # of rounding
                        continue
                    last, packet.stream = float(packet.pts * packet.time_base), stream
                    write.mux(packet)
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise SourceError(f"{path}: cannot be made from {growing.name} ({error}).") from error
    if last < 0:
        raise SourceError(f"{path}: not written, there is no frame in {growing.name}.")
    return last


def _whole(packets: Iterator[Any]) -> Iterator[Any]:
    """Packets up to the one a killed process did not finish."""
    import av

    with contextlib.suppress(av.InvalidDataError, av.EOFError):
        yield from packets
