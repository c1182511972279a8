"""One connection to a camera: opened, decoded, and ended with a reason a person understands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from streamer.errors import SourceError
from streamer.sources.address import Address
from streamer.sources.relay import LACKING, Relay, find_program
from streamer.sources.trouble import cause

# what a network may send: no scripts, no local files, no picture sequences
LIVE_FORMATS = (
    "rtsp,rtp,sdp,mpegts,flv,live_flv,hls,mpjpeg,mjpeg,h264,hevc,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,nut,mpeg,"
    "mpegvideo,m4v,ogg,aac,mp3,webvtt,video4linux2,v4l2"
)
UNTIMED = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "m4v"})  # times in these are invented by the demuxer


class Lost(Exception):  # noqa: N818 - not an error: it happens to every camera
    """A connection that ended. `stalled`: it is there but shows nothing new; `slow`: it makes no sense to try again at
    once; `final`: nor ever; `soon`: no use waiting longer, however often it was tried."""

    def __init__(
        self, reason: str, *, stalled: bool = False, slow: bool = False, final: bool = False, soon: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.stalled, self.slow, self.final, self.soon = reason, stalled, slow, final, soon


class Connection:
    """The video of an address. `frames()` gives (av.VideoFrame, seconds of the camera's own clock or None).

    `skip` makes the decoder give key frames only, `skipped` counts what it left out, `failed` what it could not read.
    Raises Lost, also when nothing decodes for `stall` seconds though bytes come.
    """

    def __init__(
        self,
        address: Address,
        *,
        transport: str = "tcp",
        open_timeout: float = 5.0,
        stall: float = 3.0,
        max_pixels: int = 64_000_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address, self.stall, self.max_pixels = address, stall, max_pixels
        self.skipped = self.failed = 0
        self._monotonic = monotonic
        self._relay: Relay | None = None
        began = monotonic()
        try:
            self._container = self._open(transport, open_timeout)
        except Exception as error:
            self._let_go()
            raise self._why_not(error, monotonic() - began, open_timeout) from None
        try:
            self._stream = self._choose()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._container.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._relay is not None:
            self._relay.close()

    def _allow(self, seconds: float) -> None:
        if self._relay is not None:
            self._relay.allow(seconds)

    @property
    def codec(self) -> str:
        return str(self._stream.codec_context.name)

    @property
    def paced(self) -> bool:
        """Whether the server hands out whole segments at a time, to be played at their own pace."""
        return bool(self._container.format.name.startswith("hls"))

    @property
    def fps(self) -> float | None:
        """Nominal frames a second, None where the stream states none or something absurd."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(rate) if rate and 0.1 <= rate <= 240 else None

    @property
    def aspect(self) -> float:
        """Width of a pixel over its height."""
        ratio = self._stream.sample_aspect_ratio or self._stream.codec_context.sample_aspect_ratio
        return float(ratio) if ratio and 0.1 <= ratio <= 10 else 1.0

    def skip(self, on: bool) -> None:
        """Decodes key frames only while the reader is behind."""
        self._stream.codec_context.skip_frame = "NONKEY" if on else "DEFAULT"

    def frames(self) -> Iterator[tuple[Any, float | None]]:
        """Until the connection ends, which is always a Lost."""
        import av

        timed = not UNTIMED & set(self._container.format.name.split(","))
        began = seen = self._monotonic()
        keyed = False
        self._allow(self.stall)
        try:
            for packet in self._container.demux(self._stream):
                skipped = self.skipped
                for frame in self._decoded(packet):
                    keyed = keyed or frame.key_frame or not frame.is_corrupt
                    if not keyed:
                        self.failed += 1
                        continue
                    seen = self._monotonic()
                    yield frame, frame.time if timed else None
                if self.skipped > skipped:  # left out on purpose: key frames may be ten seconds apart
                    seen = self._monotonic()
                if self._monotonic() - seen > self.stall:
                    raise Lost(f"no picture for {self.stall:g} s, though data comes", stalled=True)
                self._allow(self.stall)
        except (av.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, av.ExitError) or self._monotonic() - max(seen, began) > 0.9 * self.stall:
                raise Lost(f"no data for {self.stall:g} s", stalled=True) from None
            raise Lost(cause(error, self.address)) from None
        if self._relay is not None and self._relay.late:
            raise Lost(f"no data for {self.stall:g} s", stalled=True)
        raise Lost("the stream ended")

    def _decoded(self, packet: Any) -> list[Any]:
        import av

        context = self._stream.codec_context
        try:
            frames: list[Any] = context.decode(packet)
        except av.EOFError:
            return []
        except (av.FFmpegError, ValueError):
            self.failed += 1
            return []
        if not frames and packet.size and not packet.is_keyframe and str(context.skip_frame).endswith("NONKEY"):
            self.skipped += 1
        return frames

    def _open(self, transport: str, open_timeout: float) -> Any:
        import av

        address = self.address
        # no fflags=nobuffer: it throws the packets of probing away, and with them the first key frame (a camera with
        # one every 10 s stays dark so long). They are decoded at once, so nothing lags behind.
        options = {"max_pixels": str(self.max_pixels), "max_streams": "100"}
        if address.scheme == "srt":
            return self._open_relayed(options, open_timeout)
        if address.scheme == "device":
            return av.open(address.url, format="v4l2", options={}, timeout=(open_timeout, self.stall))
        options |= {"protocol_whitelist": address.whitelist, "format_whitelist": LIVE_FORMATS}
        # 0.5 s and 500 kB of looking ahead: enough for H.264 with its headers, FFmpeg's own 5 s would delay the start
        options |= {"analyzeduration": "500000", "probesize": "500000"}
        if address.scheme in ("rtsp", "rtsps"):
            options["rtsp_transport"] = transport
        if address.scheme == "udp":
            options |= {"overrun_nonfatal": "1", "fifo_size": "50000"}
        return av.open(address.url, options=options, timeout=(open_timeout, self.stall), metadata_errors="replace")

    def _open_relayed(self, options: dict[str, str], open_timeout: float) -> Any:
        import av

        program = find_program()
        if program is None:
            raise Lost(LACKING, final=True)
        self._relay = Relay(self.address, program, self.stall)
        self._relay.allow(open_timeout)
        options |= {"analyzeduration": "500000", "probesize": "500000"}
        return av.open(self._relay, format="mpegts", options=options, metadata_errors="replace")

    def _choose(self) -> Any:
        from av.codec.context import Flags

        streams = [s for s in self._container.streams.video if s.codec_context is not None]
        if not streams:
            raise Lost("there is no video in it that can be decoded", slow=True)
        stream = streams[0]
        context = stream.codec_context
        if context.width * context.height > self.max_pixels:
            raise Lost(f"pictures of {context.width} x {context.height} are over max_pixels", slow=True)
        context.options = {"max_pixels": str(self.max_pixels)}
        context.thread_count = 1  # frame threads would hold back a picture each; a camera's pictures come one by one
        context.flags |= Flags.low_delay
        return stream

    def _why_not(self, error: Exception, seconds: float, limit: float) -> Exception:
        import av

        if isinstance(error, Lost):
            return error
        if self._relay is not None and isinstance(error, av.FFmpegError | OSError):
            return Lost(self._relay.trouble(), soon=self.address.listens)
        if not isinstance(error, av.FFmpegError | OSError | ValueError):
            return SourceError(f"{self.address.shown}: {type(error).__name__}. This is a fault in the program.")
        # a silent RTSP server comes back as "Invalid data": the time it took names the cause
        if isinstance(error, av.ExitError) or seconds > 0.9 * limit:
            return Lost(f"no answer for {limit:g} s")
        refused = isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError)
        final = isinstance(error, av.ProtocolNotFoundError)
        return Lost(cause(error, self.address), slow=refused, final=final)
