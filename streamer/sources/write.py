"""Writing video files: drawn scenes, the demo clip, test material."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from streamer.errors import SourceError
from streamer.items import U8

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
    stream = None
    count = 0
    for time, image in frames:
        if stream is None:
            stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
            stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
            stream.codec_context.time_base = TIME_BASE
            stream.codec_context.thread_count = 1
            if codec == "libx264":
                stream.options = {"crf": str(crf), "preset": "veryfast"}
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = round(time / TIME_BASE), TIME_BASE
        container.mux(stream.encode(frame))
        count += 1
    if stream is not None:
        container.mux(stream.encode(None))
    return count
