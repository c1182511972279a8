"""A video file, decoded by PyAV with true presentation times; local input cannot open the network or other files."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from streamer.errors import SourceError
from streamer.items import U8, Frame
from streamer.sources.base import SourceInfo, SourceStats

FORMATS = (  # demuxers that read one file and nothing else: no playlists, no concat scripts, no devices
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg,mpegvideo,h264,hevc,flv,ogg,asf,yuv4mpegpipe,mjpeg,"
    "apng,ivf,m4v,mxf,nut,av1,obu,dv,rm,vob"
)
LUMA_WIDTH = 160  # px: enough for cuts and motion
BAD_PACKETS = 200  # in a row: after so many nothing more is to be expected of a damaged file


class VideoPicture:
    """A decoded frame, YUV until somebody looks. `turns`: quarter turns counter-clockwise to display it."""

    def __init__(self, frame: Any, width: int, height: int, turns: int) -> None:
        self._frame, self._width, self._height, self._turns = frame, width, height, turns

    @property
    def nbytes(self) -> int:
        return int(sum(p.buffer_size for p in self._frame.planes))

    def luma(self) -> U8:
        """(h, w) uint8 at most about 160 wide; a view of the Y plane where there is an 8-bit one."""
        frame = self._frame
        step = max(1, frame.width // LUMA_WIDTH)
        if frame.format.name.startswith(("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12")) and not _deep(frame):
            plane = frame.planes[0]
            rows = np.frombuffer(plane, np.uint8)[: plane.line_size * frame.height].reshape(-1, plane.line_size)
            small = rows[::step, : frame.width : step]
        else:
            small = frame.reformat(frame.width // step or 1, frame.height // step or 1, "gray").to_ndarray()
        return np.ascontiguousarray(np.rot90(small, self._turns))

    def bgr(self) -> U8:
        return self.scaled(self._width, self._height)

    def scaled(self, width: int, height: int) -> U8:
        """(height, width, 3) uint8 BGR in displayed orientation."""
        w, h = (height, width) if self._turns % 2 else (width, height)
        flat = self._frame.reformat(w, h, "bgr24", interpolation="FAST_BILINEAR").to_ndarray()
        return flat if not self._turns else np.ascontiguousarray(np.rot90(flat, self._turns))


def _deep(frame: Any) -> bool:
    return bool(frame.format.components[0].bits > 8)


class FileSource:
    """The frames of a video file; see streamer.sources.base for the contract."""

    def __init__(self, path: str | Path, *, name: str = "", max_pixels: int = 64_000_000) -> None:
        self.path = Path(path)
        _check(self.path)
        self._max_pixels = max_pixels
        self._container = self._open()
        if not self._container.streams.video:
            self._container.close()
            raise SourceError(f"{self.path} has no video stream. Give a file with pictures in it.")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            self._container.close()
            raise SourceError(f"{self.path} holds a codec nobody here can decode. Convert it, for example to H.264.")
        self._stream.thread_type = "AUTO"
        self.stats = SourceStats()
        self.info = self._describe(name or self.path.name)

    def _open(self) -> Any:
        import av

        av.logging.set_level(av.logging.PANIC)
        options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_streams": "100"}
        try:
            return av.open("file:" + str(self.path.absolute()), options=options, timeout=(20, 20))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise SourceError(
                f"{self.path} is not a video that can be read ({_why(error)}). Check that it plays, or convert it."
            ) from error

    def _describe(self, name: str) -> SourceInfo:
        s, c = self._stream, self._container
        w, h = s.codec_context.width, s.codec_context.height
        if w * h > self._max_pixels:
            self.close()
            raise SourceError(f"{self.path}: {w} x {h} pixels a frame is more than {self._max_pixels} allowed.")
        sar = s.sample_aspect_ratio
        if sar and sar > 0 and sar != 1 and 0.1 < float(sar) < 10:
            w = max(1, round(w * float(sar)))
        base = float(s.time_base) if s.time_base else 0.0
        duration = s.duration * base if s.duration and base else (c.duration / 1e6 if c.duration else None)
        fps = float(s.average_rate) if s.average_rate else None
        return SourceInfo(
            name, str(self.path), w, h, fps, duration, s.frames or None,
            start=(s.start_time or 0) * base, codec=s.codec_context.name,
        )  # fmt: skip

    def __iter__(self) -> Iterator[Frame]:
        last, index = float("-inf"), 0
        for decoded in self._decoded():
            self.stats.read += 1
            time = decoded.time
            if time is None:
                time = max(last, self.info.start - (step := 1 / (self.info.fps or 25.0))) + step
                self._warn("frames without a time stamp were given one by the frame rate")
            if time <= last:
                self.stats.dropped["time stamp not rising"] = self.stats.dropped.get("time stamp not rising", 0) + 1
                continue
            if decoded.width * decoded.height > self._max_pixels:
                self.stats.failed += 1
                continue
            last = time
            self.stats.given += 1
            yield self._frame(decoded, index, time)
            index += 1
        self._complete(index, last)

    def _frame(self, decoded: Any, index: int, time: float) -> Frame:
        turns = round(decoded.rotation / 90) % 4
        stretch = self.info.width / max(1, self._stream.codec_context.width)
        w, h = round(decoded.width * stretch), decoded.height
        if turns % 2:
            w, h = h, w
        return Frame(self.info.name, index, float(time), w, h, VideoPicture(decoded, w, h, turns))

    def _decoded(self) -> Iterator[Any]:
        """Every picture that can be had; damaged packets are passed over and counted."""
        import av

        bad = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError) as error:
                self._warn(f"the file could not be read to its end ({_why(error)})")
                return
            try:
                yield from packet.decode()
                bad = 0
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, ValueError) as error:
                bad += 1
                self.stats.read += 1
                self.stats.failed += 1
                self._warn(f"damaged packets were passed over ({_why(error)})")
                if bad >= BAD_PACKETS:
                    return

    def _complete(self, given: int, last: float) -> None:
        """Notices a file that ended before its time."""
        if not given:
            raise SourceError(f"{self.path}: not one frame could be decoded. The file is damaged or not a video.")
        info = self.info
        short = info.frames and given + sum(self.stats.dropped.values()) < 0.95 * info.frames - 2
        early = info.duration and last - info.start < 0.9 * info.duration - 1
        if short or early:
            told = f"{info.frames} frames" if info.frames else f"{info.duration:.1f} s"
            self._warn(f"the file ends early: {given} frames up to {last:.2f} s of {told}")

    def _warn(self, text: str) -> None:
        if text not in self.stats.warnings:
            self.stats.warnings.append(text)

    def close(self) -> None:
        """Lets the file go. May be called twice."""
        self._container.close()


def _check(path: Path) -> None:
    """SourceError for what is not a readable, regular, non-empty file."""
    try:
        mode = path.stat()
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist. Check the path.") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(mode.st_mode):
        raise SourceError(f"{path} is not a regular file. Give a video file.")
    if mode.st_size == 0:
        raise SourceError(f"{path} is empty. Copy or download it again.")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
