"""Bad, odd and hostile inputs, made at run time from drawn scenes: what each is and what has to become of it."""

from __future__ import annotations

import os
import pickle
import random
import socket
import struct
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamer.testing import two_shots

SCENE = two_shots()  # two seconds, 50 frames, 320 x 240: persons 0 and 1, then 0 alone
TIMES = SCENE.times


@dataclass(frozen=True)
class Row:
    """One input. `kind`: ok (no warning), partial (a warning), error (SourceError when opened)."""

    name: str
    make: Callable[[Path], Any]
    kind: str = "ok"
    frames: tuple[int, int] = (50, 50)
    says: str = ""  # part of the error or warning
    faces: bool = True  # the drawn people are found in the first frame


def encode(
    path: Path,
    times: Iterable[float] = TIMES,
    codec: str = "libx264",
    form: str = "yuv420p",
    size: tuple[int, int] = (320, 240),
    container: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    kind: str | None = None,
    rate: int = 25,
    sound: bool = False,
    second: bool = False,
) -> None:
    """The scene at `times` (also the times written), scaled to `size`; `second` adds a stream of one grey picture."""
    import cv2

    with av.open(str(path), "w", format=kind, options=container or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, form
        stream.codec_context.time_base = Fraction(1, 90_000)
        stream.codec_context.thread_count = 1
        stream.options = {"g": "10", **(options or {})} if codec != "gif" else {}
        if codec in ("mpeg4", "gif", "mjpeg", "mpeg2video", "png", "rawvideo"):
            stream.codec_context.time_base = Fraction(1, rate)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        voice = out.add_stream("aac", rate=44_100) if sound else None
        grey = out.add_stream("mjpeg", rate=rate, width=64, height=48, pix_fmt="yuvj420p") if second else None
        times = list(times)
        for time in times:
            image = cv2.resize(SCENE.draw((time - times[0]) % 2), size, interpolation=cv2.INTER_AREA)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            base = stream.codec_context.time_base
            frame.pts, frame.time_base = round(time / base), base
            out.mux(stream.encode(frame))
            if voice is not None:
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 1764), np.float32), format="fltp", layout="mono")
                samples.sample_rate, samples.pts = 44_100, round(time * 44_100)
                out.mux(voice.encode(samples))
        out.mux(stream.encode(None))
        if grey is not None:
            out.mux(grey.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), format="bgr24")))
            out.mux(grey.encode(None))
        if voice is not None:
            out.mux(voice.encode(None))


def plain(**options: Any) -> Callable[[Path], None]:
    return lambda path: encode(path, **options)


def raw(content: bytes | str) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content) and None


def changed(change: Callable[[bytearray], bytes | bytearray], **options: Any) -> Callable[[Path], None]:
    """A good file, with its bytes changed."""

    def make(path: Path) -> None:
        encode(path, **options)
        path.write_bytes(change(bytearray(path.read_bytes())))

    return make


def cut(share: float) -> Callable[[bytearray], bytearray]:
    return lambda data: data[: int(len(data) * share)]


def flips(count: int, seed: int = 1) -> Callable[[bytearray], bytearray]:
    """Random bytes in the second half of the media data (the header stays)."""

    def change(data: bytearray) -> bytearray:
        rng = random.Random(seed)
        begin = max(data.find(b"mdat"), 0)
        for _ in range(count):
            data[rng.randrange(begin + (len(data) - begin) // 2, len(data))] = rng.randrange(256)
        return data

    return change


def zeros(data: bytearray) -> bytearray:
    data[len(data) // 2 : len(data) * 6 // 10] = bytes(len(data) * 6 // 10 - len(data) // 2)
    return data


def matrix(a: int, b: int, c: int, d: int) -> Callable[[bytearray], bytearray]:
    """Writes a display matrix into an MP4's track header."""

    def change(data: bytearray) -> bytearray:
        at = data.find(b"tkhd") + 44
        struct.pack_into(">9i", data, at, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
        return data

    return change


def no_time_scale(data: bytearray) -> bytearray:
    struct.pack_into(">I", data, data.find(b"mdhd") + 16, 0)
    return data


def offsets_behind_end(data: bytearray) -> bytearray:
    """The chunk offsets of the second half point behind the end of the file."""
    at = data.find(b"stco") + 8
    (count,) = struct.unpack_from(">I", data, at)
    for k in range(count // 2, count):
        struct.pack_into(">I", data, at + 4 + 4 * k, 1 << 30)
    return data


def broken_decoder_setup(data: bytearray) -> bytearray:
    at = data.find(b"avcC") + 4
    data[at : at + 20] = bytes(20)
    return data


def two_recordings(path: Path) -> None:
    """Two transport streams one after the other: the clock begins again."""
    encode(path, [t + 5 for t in TIMES], kind="mpegts")
    first = path.read_bytes()
    encode(path, kind="mpegts")
    path.write_bytes(first + path.read_bytes())


def late_sound(path: Path) -> None:
    """A transport stream in which sound begins in the middle, as on television."""
    encode(path, kind="mpegts")
    first = path.read_bytes()
    encode(path, [t + 2 for t in TIMES], kind="mpegts", sound=True)
    path.write_bytes(first + path.read_bytes())


def sizes_change(path: Path) -> None:
    """Raw H.264 whose second half is larger."""
    encode(path, kind="h264")
    first = path.read_bytes()
    encode(path, size=(640, 480), kind="h264")
    path.write_bytes(first + path.read_bytes())


def sound_only(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as out:
        voice = out.add_stream("aac", rate=44_100)
        for k in range(20):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 44_100, k * 1024
            out.mux(voice.encode(samples))
        out.mux(voice.encode(None))


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("clip.mp4", "no")


def pixel_bomb(path: Path) -> None:
    """Five pictures of 100 million pixels in a small file."""
    encode(path, [0.0], codec="png", form="rgb24", kind="mov", size=(64, 64))
    data = bytearray(path.read_bytes())
    # the track and the sample entry say 10000 x 10000; the picture itself too
    data = data.replace(struct.pack(">HH", 64, 64), struct.pack(">HH", 10_000, 10_000))
    path.write_bytes(data.replace(b"IHDR" + struct.pack(">II", 64, 64), b"IHDR" + struct.pack(">II", 10_000, 10_000)))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 1, 0, 0, 0, 0) + bytes(64)


def unknown_codec(data: bytearray) -> bytes:
    return bytes(data).replace(b"avc1", b"zzz9")


def encrypted(data: bytearray) -> bytes:
    """The sample entry says `encv` (common encryption) and the pictures are noise."""
    begin = data.find(b"mdat") + 4
    data[begin + 40 : begin + 8000] = random.Random(3).randbytes(7960)
    return bytes(data).replace(b"avc1", b"encv")


def lying_duration(data: bytearray) -> bytearray:
    """Movie, track and media say 100 times the length, the sample table does not."""
    for box, at in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24)):
        place = data.find(box) + at
        (was,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, was * 100)
    return data


def codec_changes(path: Path) -> None:
    """A transport stream of H.264 that goes on as MPEG-2 under the same number."""
    encode(path, kind="mpegts")
    first = path.read_bytes()
    encode(path, [t + 2 for t in TIMES], codec="mpeg2video", kind="mpegts")
    path.write_bytes(first + path.read_bytes())


def many_streams(path: Path) -> None:
    """The scene, and sixty sound tracks."""
    with av.open(str(path), "w", format="matroska") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        for _ in range(60):
            out.add_stream("aac", rate=44_100)
        for k, time in enumerate(TIMES[:10]):
            frame = av.VideoFrame.from_ndarray(SCENE.draw(time), format="bgr24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))


def deep_boxes(path: Path) -> None:
    """Twenty thousand boxes, each inside the one before."""
    depth = 20_000
    sizes = [8 * (depth - k) for k in range(depth)]
    body = b"".join(struct.pack(">I4s", size, b"udta") for size in sizes)
    path.write_bytes(
        struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(">I4s", 8 + len(body), b"moov") + body
    )


def sparse(path: Path) -> None:
    """A terabyte of nothing that takes no disk."""
    with path.open("wb") as file:
        file.truncate(1 << 40)


def much_metadata(path: Path) -> None:
    """A title of five megabytes."""
    encode(path, TIMES[:10])
    data = bytearray(path.read_bytes())
    at = data.find(b"moov") - 4
    (size,) = struct.unpack_from(">I", data, at)
    text = struct.pack(">I4s", 5_000_008, b"udta") + struct.pack(">I4s", 5_000_000, b"name") + b"x" * 4_999_992
    struct.pack_into(">I", data, at, size + len(text))
    path.write_bytes(bytes(data[: at + size]) + text + bytes(data[at + size :]))


def neighbour(path: Path) -> Path:
    """A good file beside `path`, that a hostile one points at."""
    other = path.with_name("neighbour.mp4")
    if not other.exists():
        encode(other)
    return other


def playlist(target: str | None, absolute: bool = True) -> Callable[[Path], None]:
    """An HLS playlist of one entry: `target`, or the good neighbour."""

    def make(path: Path) -> None:
        other = neighbour(path)
        entry = target or (str(other) if absolute else other.name)
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{entry}\n#EXT-X-ENDLIST\n")

    return make


def concat(path: Path) -> None:
    path.write_text(f"ffconcat version 1.0\nfile {neighbour(path).name}\n")


def unreadable(path: Path) -> None:
    encode(path)
    path.chmod(0)


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


SLOW_THEN_FAST = [0.0, 0.04, 0.08, 0.5, 0.9, 1.0, 1.04, 1.08, 1.8]
QUIET = {"preset": "ultrafast", "x265-params": "log-level=none"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
ROTATED = {"form": "yuv420p"}
EVIL = "http://127.0.0.1:{port}/x.ts"  # the port of a probe that counts connections

ROWS = [
    # valid, if odd
    Row("plain.mp4", plain()),
    Row("sound.mp4", plain(sound=True)),
    Row("plain.mkv", plain()),
    Row("plain.mov", plain()),
    Row("plain.ts", plain()),
    Row("fragmented.mp4", plain(container=FRAGMENTED)),
    Row("faststart.mp4", plain(container={"movflags": "faststart"})),
    Row("bframes.avi", plain(codec="mpeg4", options={"bf": "2"})),
    Row("bframes.mp4", plain(options={"bf": "3"})),
    Row("moving.gif", plain(codec="gif", form="rgb8"), faces=False),
    Row("ten_bit.mp4", plain(form="yuv420p10le")),
    Row("gray16.mkv", plain(codec="ffv1", form="gray16le"), faces=False),
    Row("alpha.mov", plain(codec="prores_ks", form="yuva444p10le", options={"profile": "4444"})),
    Row("hevc10.mp4", plain(times=TIMES[:10], codec="libx265", form="yuv420p10le", options=QUIET), frames=(10, 10)),
    Row("vp9.webm", plain(times=TIMES[:10], codec="libvpx-vp9", options={"deadline": "realtime"}), frames=(10, 10)),
    Row("av1.mkv", plain(times=TIMES[:10], codec="libsvtav1", options={"preset": "12"}), frames=(10, 10)),
    Row("interlaced.mp4", plain(options={"flags": "+ildct+ilme", "x264-params": "interlaced=1"})),
    Row("mpeg2.mpg", plain(codec="mpeg2video"), frames=(50, 50)),
    Row("odd.mkv", plain(codec="ffv1", form="yuv444p", size=(321, 241))),
    Row("odd420.mkv", plain(codec="ffv1", form="yuv420p", size=(321, 241))),
    Row("tiny.mkv", plain(codec="ffv1", size=(2, 2)), faces=False),
    Row("one_pixel.mkv", plain(codec="ffv1", form="gray", size=(1, 1)), faces=False),
    Row("one_frame.mp4", plain(times=[0.0]), frames=(1, 1)),
    Row("vfr.mp4", plain(times=SLOW_THEN_FAST), frames=(9, 9)),
    Row("starts_at_5.ts", plain(times=[t + 5 for t in TIMES])),
    Row("starts_at_5.mkv", plain(times=[t + 5 for t in TIMES])),
    Row("long_gap.mkv", plain(times=[0.0, 0.04, 0.08, 28_800.0, 28_800.04]), frames=(5, 5)),
    Row("fast.mkv", plain(times=[k / 1000 for k in range(100)], rate=1000), frames=(100, 100)),
    Row("lying_duration.mp4", changed(lying_duration)),
    Row("wraps.ts", plain(times=[95_443.0 + t for t in TIMES], kind="mpegts")),
    Row("many_streams.mkv", many_streams, frames=(10, 10)),
    Row("much_metadata.mp4", much_metadata, frames=(10, 10)),
    Row("no_rate.y4m", changed(lambda d: bytes(d).replace(b"F25:1", b"F0:0", 1), codec="rawvideo"), "any", (50, 50)),
    Row("wide_pixels.mp4", plain(aspect=Fraction(2, 1))),
    Row("turned_90.mp4", changed(matrix(0, 1, -1, 0))),
    Row("turned_180.mp4", changed(matrix(-1, 0, 0, -1))),
    Row("turned_270.mp4", changed(matrix(0, -1, 1, 0))),
    Row("mirrored.mp4", changed(matrix(-1, 0, 0, 1))),
    Row("upside_down.mp4", changed(matrix(1, 0, 0, -1))),
    Row("transposed.mp4", changed(matrix(0, 1, 1, 0))),
    # names
    Row("line\nbreak.mp4", plain()),
    Row("-rf.mp4", plain()),
    Row("%03d.mp4", plain()),
    Row("concat:a|b.mp4", plain()),
    Row("file:x.mp4", plain(times=TIMES[:5]), frames=(5, 5)),
    Row("data:video,x.mp4", plain(times=TIMES[:5]), frames=(5, 5)),
    Row("pipe:0.mp4", plain(times=TIMES[:5]), frames=(5, 5)),
    Row("subfile,,start,0,end,9,,:a.mp4", plain(times=TIMES[:5]), frames=(5, 5)),
    Row("Ünï\u202efd cødé 名前.mp4", plain()),
    Row("<b>&'\"$(id).mp4", plain()),
    Row("x" * 240 + ".mp4", plain()),
    Row(os.fsdecode(b"not-utf8-\xff.mp4"), plain()),
    # damaged or poor, but with something to see
    Row("no_times.h264", plain(kind="h264"), "partial", (50, 50), "no time stamp"),
    Row("raw.mjpeg", plain(codec="mjpeg", form="yuvj420p", kind="mjpeg"), "any", (50, 50)),
    Row(
        "half_faststart.mp4", changed(cut(0.5), container={"movflags": "faststart"}), "partial", (15, 40), "ends early"
    ),
    Row("half.mkv", changed(cut(0.5)), "partial", (15, 40), "ends early"),
    Row("half.avi", changed(cut(0.5), codec="mjpeg", form="yuvj420p"), "partial", (15, 40), "ends early"),
    Row("half_fragmented.mp4", changed(cut(0.5), container=FRAGMENTED), "partial", (15, 40)),
    Row("offsets.mp4", changed(offsets_behind_end, sound=True), "partial", (15, 45), "ends early"),
    Row("zeros_inside.mp4", changed(zeros), "partial", (30, 50)),
    Row("zeros_inside.mkv", changed(zeros), "partial", (20, 50)),
    Row("zeros_inside.ts", changed(zeros), "partial", (20, 50)),
    Row("flipped.mp4", changed(flips(3000), container={"movflags": "faststart"}), "partial", (20, 50)),
    Row("no_time_scale.mp4", changed(no_time_scale), "partial", (1, 50)),
    Row("two_recordings.ts", two_recordings, "partial", (95, 100), "of its clock"),
    Row("late_sound.ts", late_sound, "any", (98, 100)),
    Row("codec_changes.ts", codec_changes, "partial", (45, 100)),
    Row("sizes_change.h264", sizes_change, "partial", (100, 100)),
    # nothing to see
    Row("missing.mp4", lambda path: None, "error", says="does not exist"),
    Row("empty.mp4", raw(""), "error", says="is empty"),
    Row("text.mp4", raw("Dear diary,\n" * 100), "error", says="plain text"),
    Row("page.mp4", raw("<!DOCTYPE html><html><body>404 not found</body></html>"), "error", says="a web page"),
    Row("archive.mp4", archive, "error", says="a zip archive"),
    Row("pickle.mp4", raw(pickle.dumps({"a": [1] * 100}, 4)), "error", says="a Python pickle"),
    Row("zeros.mp4", raw(bytes(100_000)), "error", says="zeros only"),
    Row("random.mp4", raw(random.Random(7).randbytes(100_000)), "error", says="not a video"),
    Row("header.mp4", changed(lambda data: data[:32]), "error", says="not a video"),
    Row("no_index.mp4", changed(cut(0.8)), "error", says="not a video"),
    Row("no_setup.mp4", changed(broken_decoder_setup), "error", says="not one picture"),
    Row("unknown_codec.mp4", changed(unknown_codec), "error"),
    Row("encrypted.mp4", changed(encrypted), "error"),
    Row("deep_boxes.mp4", deep_boxes, "error", says="not a video"),
    Row("sparse.mp4", sparse, "error", says="zeros only"),
    Row("sound_only.mp4", sound_only, "error", says="no video stream"),
    Row("pipe.mp4", lambda path: os.mkfifo(path), "error", says="is a pipe"),
    Row("folder.mp4", lambda path: path.mkdir(), "error", says="is a folder"),
    Row("socket.mp4", bound_socket, "error", says="is a socket"),
    Row("device.mp4", lambda path: path.symlink_to("/dev/zero"), "error", says="is a device"),
    Row("loop.mp4", lambda path: path.symlink_to(path), "error", says="symbolic links"),
    Row("dangling.mp4", lambda path: path.symlink_to(path.with_name("nowhere")), "error", says="does not exist"),
    Row("unreadable.mp4", unreadable, "error", says="Permission denied"),
    Row("x" * 300 + ".mp4", lambda path: None, "error", says="too long"),
    # bombs
    Row("bomb.mov", pixel_bomb, "error", says="million pixels"),
    Row("bomb.y4m", raw(b"YUV4MPEG2 W1000000 H1000000 F25:1 C420\nFRAME\n" + bytes(1000)), "error"),
    Row("bomb_named.mp4", raw(png_header(30_000, 30_000)), "error"),
    Row(
        "bomb.gif",
        raw(b"GIF89a" + b"\xff" * 4 + b"\x80\0\0" + bytes(6) + b",\0\0\0\0" + b"\xff" * 4 + b"\0\2"),
        "error",
    ),
    # what would read other files or the network
    Row("local.m3u8", playlist(None), "error", says="a playlist"),
    Row("relative.m3u8", playlist(None, absolute=False), "error", says="a playlist"),
    Row("playlist_named.mp4", playlist(None), "error", says="a playlist"),
    Row("http.m3u8", playlist(EVIL), "error", says="a playlist"),
    Row("tcp.m3u8", playlist("tcp://127.0.0.1:{port}"), "error", says="a playlist"),
    Row("rtsp.m3u8", playlist("rtsp://127.0.0.1:{port}/x"), "error", says="a playlist"),
    Row("data.m3u8", playlist("data:video/mp4;base64,AAAA"), "error", says="a playlist"),
    Row("key.m3u8", playlist('x.ts\n#EXT-X-KEY:METHOD=AES-128,URI="' + EVIL + '"'), "error", says="a playlist"),
    Row("master.m3u8", raw("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n" + EVIL + "\n"), "error", says="a playlist"),
    Row("crypto.m3u8", playlist("crypto+" + EVIL), "error", says="a playlist"),
    Row("concat_named.mp4", concat, "error", says="a list of other files"),
    Row("concat_itself.mp4", raw("ffconcat version 1.0\nfile concat_itself.mp4\n"), "error"),
    Row("session.sdp", raw("v=0\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"), "error"),
    Row("dash.mpd", raw('<?xml version="1.0"?><MPD><BaseURL>' + EVIL + "</BaseURL></MPD>"), "error"),
    Row("drawing.mp4", raw('<svg xmlns="http://www.w3.org/2000/svg"><image href="' + EVIL + '"/></svg>'), "error"),
]
