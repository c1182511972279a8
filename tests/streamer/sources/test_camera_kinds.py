"""The ways a camera may send its pictures, over loopback."""

from __future__ import annotations

import contextlib
import functools
import http.server
import itertools
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import pytest

from streamer.items import Frame
from streamer.sources.camera import Backoff, CameraSource
from streamer.sources.camera_feed import Feed
from streamer.sources.write import write_video
from streamer.testing import Actor, Scene, Shot

WAIT = 20.0
MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
SCENE = Scene((Shot(2, (Actor(1, (80, 120, 60), (240, 120, 60)),)),))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    write_video(folder / "clip.mp4", ((t, SCENE.draw(t)) for t in SCENE.times), 25.0)
    return folder / "clip.mp4"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        return


class Motion(Quiet):
    """A camera that sends JPEGs one after the other."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
        self.end_headers()
        try:
            for time in SCENE.times * 20:
                data = cv2.imencode(".jpg", SCENE.draw(time))[1].tobytes()
                head = b"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                self.wfile.write(head + data + b"\r\n")
        except OSError:
            return


@contextmanager
def served(handler: Any) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def looked(url: str) -> tuple[list[Frame], CameraSource]:
    """Three frames of an address."""
    camera = CameraSource(url)
    frames = [camera.take(WAIT) for _ in range(3)]
    camera.close()
    assert camera.join(WAIT)
    assert all(f is not None for f in frames), camera.health()
    return [f for f in frames if f is not None], camera


def test_motion_jpeg_over_http() -> None:
    with served(Motion) as root:
        frames, camera = looked(f"{root}/cam.mjpg")
    assert camera.info.codec == "mjpeg"
    assert frames[0].image.shape == (240, 320, 3)
    assert frames[0].time < frames[1].time < frames[2].time


def test_a_playlist_is_played_at_its_own_pace(clip: Path, tmp_path: Path) -> None:
    with av.open(str(clip)) as source, av.open(str(tmp_path / "live.m3u8"), "w", format="hls") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    with served(functools.partial(Quiet, directory=str(tmp_path))) as root:
        frames, camera = looked(f"{root}/live.m3u8")
    assert frames[2].time - frames[0].time >= 0.04
    assert frames[0].index < 5  # not the last of what came at once
    assert camera.info.codec == "h264"


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile://{}\n", "ffconcat version 1.0\nfile '{}'\n"]
)
def test_a_list_from_the_network_reads_no_local_file(clip: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "live.m3u8").write_text(text.format(clip))
    with served(functools.partial(Quiet, directory=str(tmp_path))) as root:
        camera = CameraSource(f"{root}/live.m3u8")
        while not camera.health().message:
            assert camera.take(0.02) is None
        camera.close()
    assert camera.health().read == 0


def test_transport_stream_over_bare_tcp(clip: Path) -> None:
    with Feed(clip, kind="tcp") as feed:
        frames, camera = looked(feed.url)
    assert (frames[0].width, frames[0].height, camera.info.codec) == (320, 240, "h264")


@pytest.mark.parametrize(("scheme", "form"), [("udp", "mpegts"), ("rtp", "rtp_mpegts")])
def test_transport_stream_in_datagrams(clip: Path, scheme: str, form: str) -> None:
    ended, port = threading.Event(), free_port()
    sender = threading.Thread(
        target=send, args=(clip, f"{scheme}://127.0.0.1:{port}?pkt_size=1316", form, ended), daemon=True
    )
    sender.start()
    try:
        frames, camera = looked(f"{scheme}://127.0.0.1:{port}")
    finally:
        ended.set()
        sender.join(WAIT)
    assert (frames[0].width, frames[0].height, camera.info.codec) == (320, 240, "h264")


def free_port() -> int:
    """An even one: RTP wants the next for itself."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        if port % 2 == 0:
            return port


def send(clip: Path, url: str, form: str, ended: threading.Event) -> None:
    """Sends the clip over and over, four times as fast as it was taken."""
    with av.open(str(clip)) as source, av.open(url, "w", format=form) as out:
        first = source.streams.video[0]
        stream = out.add_stream_from_template(first)
        packets = [p for p in source.demux(first) if p.dts is not None]
        times = [(p.pts, p.dts) for p in packets]
        step = round(Fraction(1, 25) / first.time_base)
        length = max(pts for pts, _ in times) - min(dts for _, dts in times) + step
        for loop in itertools.count():
            for packet, (pts, dts) in zip(packets, times, strict=True):
                packet.stream, packet.pts, packet.dts = stream, pts + loop * length, dts + loop * length
                out.mux(packet)
                if ended.wait(0.01):
                    return


def test_rtmp_from_a_real_server_that_is_killed_and_comes_back(clip: Path, tmp_path: Path) -> None:
    if not (shutil.which("nginx") and MODULE.exists()):
        pytest.skip("nginx with RTMP is not installed (apt-get install nginx-light libnginx-mod-rtmp)")
    port, ended = free_port(), threading.Event()
    url = f"rtmp://127.0.0.1:{port}/live/cam"
    (tmp_path / "nginx.conf").write_text(
        f"load_module {MODULE}; daemon off; master_process off; pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; }} }} }}\n"
    )
    command = ["nginx", "-e", "stderr", "-c", str(tmp_path / "nginx.conf")]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    sender = threading.Thread(target=publish, args=(clip, url, ended), daemon=True)
    sender.start()
    camera = CameraSource(url, backoff=Backoff(lambda: -1.4))
    try:
        assert camera.take(WAIT) is not None, camera.health()
        server.kill()
        server.wait()
        while camera.take(0.2) is not None or camera.live:
            pass
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        again = camera.take(WAIT)
        assert again is not None, camera.health()
        assert (again.epoch, again.width, camera.info.codec) == (2, 320, "h264")
    finally:
        ended.set()
        server.kill()
        server.wait()
        camera.close()
        sender.join(WAIT)


def publish(clip: Path, url: str, ended: threading.Event) -> None:
    """A camera that pushes to a server, again and again."""
    while not ended.is_set():
        with contextlib.suppress(OSError, av.FFmpegError):
            send(clip, url, "flv", ended)
        ended.wait(0.1)


def test_a_device_that_is_not_there_is_waited_for() -> None:
    camera = CameraSource("/dev/video99")
    while not camera.health().message:
        assert camera.take(0.02) is None
    assert camera.health().state == "down"
    assert "there is no such device. Those of this machine: " in camera.health().message
    camera.close()
