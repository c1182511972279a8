"""What reading a video costs at least: bare decoding, to measure readers against."""

from __future__ import annotations

from pathlib import Path

from streamer.errors import SourceError
from streamer.sources.redact import shown


def decode_only(path: Path, threads: str = "NONE") -> int:
    """The number of pictures of the first video stream, decoded by nothing but PyAV and thrown away.

    `threads` is FFmpeg's kind: NONE, FRAME, SLICE or AUTO. SourceError when the file cannot be decoded.
    """
    import av

    try:
        with av.open("file:" + str(path.absolute()), options={"protocol_whitelist": "file"}) as container:
            container.streams.video[0].thread_type = threads
            return sum(1 for _ in container.decode(video=0))
    except (av.FFmpegError, OSError, IndexError) as error:
        raise SourceError(f"{shown(path)}: cannot be decoded ({error}). Give a video file that is whole.") from error
