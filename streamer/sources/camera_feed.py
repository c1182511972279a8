"""A camera for tests, soaks and trying out: serves a video over loopback in real time, and misbehaves on demand."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from streamer.sources.decoding import FORMATS

Mode = Literal["ok", "silent", "drip", "broken", "close"]
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\nCache-Control: no-store\r\n\r\n"
REFUSAL = b'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="feed"\r\nContent-Length: 0\r\n\r\n'
DRIP = bytes(50)  # sent ten times a second: bytes that never make a picture
BROKEN_EVERY = 499  # bytes between two that are wrong: each packet of 188 may pass, hardly any picture does


class Feed:
    """An HTTP (or bare TCP) server on 127.0.0.1 that sends a clip as MPEG-TS, over and over, from `start` on.

    `mode` may change at any time: "ok" plays, "silent" keeps connections open and sends nothing, "drip" sends a few
    bytes that are no picture, "broken" sends pictures with wrong bytes in them, "close" ends every connection.
    `kill()` drops all, `revive()` listens at the same port again. `speed` plays faster than the clip's own clock. Over
    http, `password` ("user:word") is asked for.
    """

    def __init__(
        self, clip: Path, *, kind: Literal["http", "tcp"] = "http", port: int = 0, speed: float = 1.0,
        loop: bool = True, password: str = "",
    ) -> None:  # fmt: skip
        self.clip, self.kind, self.port, self.speed, self.loop, self.password = clip, kind, port, speed, loop, password
        self.mode: Mode = "ok"
        self.served = 0  # connections
        self.alive = 0  # connections now
        self.length = 0.0  # seconds from one loop to the next, once one is through
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server: socket.socket | None = None
        self.revive()

    @property
    def url(self) -> str:
        return f"{self.kind}://127.0.0.1:{self.port}/live.ts" if self.kind == "http" else f"tcp://127.0.0.1:{self.port}"

    def revive(self) -> None:
        """Listens (again)."""
        server = socket.create_server(("127.0.0.1", self.port))
        self.port = server.getsockname()[1]
        self._server = server
        threading.Thread(target=self._accept, args=(server,), name=f"feed-{self.port}", daemon=True).start()

    def kill(self) -> None:
        """Drops every connection and refuses new ones."""
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        self.drop()

    def drop(self) -> None:
        """Drops every connection."""
        with self._lock:
            for client in self._clients:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends for good."""
        self._ended.set()
        self.kill()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with self._lock:
                self._clients.add(client)
            self.served += 1
            threading.Thread(target=self._serve, args=(client,), name="feed-client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self.alive += 1
        try:
            client.settimeout(10.0)
            if self.kind == "tcp" or self._admitted(client):
                _Player(self, client).play()
        except OSError:
            pass
        finally:
            with self._lock:
                self._clients.discard(client)
                self.alive -= 1
            client.close()

    def _admitted(self, client: socket.socket) -> bool:
        """Answers the request; whether whoever asks may look."""
        asked = client.recv(4096)
        word = base64.b64encode(self.password.encode())
        admitted = not self.password or b"Basic " + word in asked
        client.sendall(HEAD if admitted else REFUSAL)
        return admitted

    def pause(self, seconds: float) -> bool:
        """Waits; whether the feed has ended meanwhile."""
        return self._ended.wait(seconds)


class _Player:
    """One connection: remuxes the clip's packets as they fall due."""

    def __init__(self, feed: Feed, client: socket.socket) -> None:
        self.feed, self.client = feed, client

    def write(self, data: bytes) -> int:
        """What the muxer writes to."""
        if self.feed.mode == "broken":
            wrong = bytearray(data)
            wrong[::BROKEN_EVERY] = bytes(b ^ 0x5A for b in wrong[::BROKEN_EVERY])
            data = bytes(wrong)
        self.client.sendall(data)
        return len(data)

    def play(self) -> None:
        import av

        packets = self._packets()
        with contextlib.closing(packets), contextlib.suppress(av.FFmpegError, OSError):
            template = next(packets)
            with av.open(self, "w", format="mpegts", options={"flush_packets": "1"}) as out:
                stream = out.add_stream_from_template(template)
                began, first = time.monotonic(), None
                for packet in packets:
                    due = float(packet.dts * packet.time_base)
                    first = due if first is None else first
                    late = began + (due - first) / self.feed.speed - time.monotonic()
                    if self.feed.pause(max(0.0, late)):
                        return
                    began += self._misbehave()
                    if self.feed.mode == "close":
                        return
                    packet.stream = stream
                    out.mux(packet)

    def _misbehave(self) -> float:
        """Seconds spent on not playing."""
        began = time.monotonic()
        while self.feed.mode in ("silent", "drip"):
            if self.feed.mode == "drip":
                self.client.sendall(DRIP)
            if self.feed.pause(0.1):
                break
        return time.monotonic() - began

    def _packets(self) -> Generator[Any, None, None]:
        """First the stream as a template, then its packets with times that go on over the loops."""
        import av

        offset = 0
        while True:
            with av.open(f"file:{self.feed.clip.absolute()}", options={"format_whitelist": FORMATS}) as clip:
                stream = clip.streams.video[0]
                if not offset:
                    yield stream
                step = round(1 / (stream.average_rate or Fraction(25)) / stream.time_base)
                end = 0
                for packet in clip.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    end = max(end, packet.dts + (packet.duration or step), packet.pts + step)
                    packet.pts += offset
                    packet.dts += offset
                    yield packet
                if not self.feed.loop:
                    return
                offset += end
                self.feed.length = float(end * stream.time_base)
