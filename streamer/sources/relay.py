"""SRT by way of a child: an ffmpeg with libsrt takes the stream and hands it on as MPEG-TS (PyAV's wheels have none).

The child's argv and environment hold nothing of the address: it reads that from its standard input, as a script of
FFmpeg's concat demuxer. It dies with the thread that started it (PR_SET_PDEATHSIG), also when that is killed.
"""

from __future__ import annotations

import functools
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from streamer.sources.address import Address
from streamer.sources.redact import shown

LACKING = (
    "SRT needs an ffmpeg that is built with libsrt. Run: pip install 'whowhen[srt]', or install one (Debian: ffmpeg)"
)
SILENT = "nobody answers in SRT there: is it on, is the port right, and is the passphrase the same"
UNCALLED = "no sender has called yet"
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ")  # of the environment: passwords of cameras stand there, too
KEPT = 4096  # bytes of what it says on stderr, the last ones
# the interpreter becomes the child: a thread of a process that has many must run no code between fork and exec
DIES_WITH_US = (
    "import ctypes, os, sys\n"
    "if sys.platform == 'linux': ctypes.CDLL(None).prctl(1, 9)\n"
    "if os.getppid() == int(sys.argv[1]): os.execv(sys.argv[2], sys.argv[2:])\n"
)


@functools.cache
def find_program() -> str | None:
    """Path of an ffmpeg that receives SRT: the one on PATH, else that of the package imageio-ffmpeg; None: neither."""
    return next((p for p in (shutil.which("ffmpeg"), _packaged()) if p and _speaks_srt(p)), None)


def _packaged() -> str | None:
    try:
        import imageio_ffmpeg
    except ImportError:
        return None
    binaries = Path(imageio_ffmpeg.__file__).parent / "binaries"
    return next((str(p) for p in sorted(binaries.glob("ffmpeg-*")) if os.access(p, os.X_OK)), None)


def _speaks_srt(program: str) -> bool:
    try:
        asked = [program, "-hide_banner", "-protocols"]
        told = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return False
    return "srt" in told.stdout.partition("Output")[0].split()


def script(address: Address, stall: float) -> str:
    """What the child reads from its standard input. Should nobody end it, it ends when nothing comes for long."""
    base, _, query = address.url.partition("?")
    keys = {part.partition("=")[0] for part in query.split("&")}
    parts = [p for p in (query, "" if "timeout" in keys else f"timeout={round(2 * stall * 1e6)}") if p]
    url = f"{base}?{'&'.join(parts)}"
    lines = ["ffconcat version 1.0", f"file {_quoted(url)}", "option analyzeduration 500000", "option probesize 500000"]
    if address.passphrase:
        lines.append(f"option passphrase {_quoted(address.passphrase)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


class Relay:
    """The bytes of an SRT stream as MPEG-TS, for PyAV to `read`. `allow` says how long that may take.

    What takes longer is over, and `late`. `close` ends the child and waits for it.
    """

    def __init__(
        self,
        address: Address,
        program: str,
        stall: float,
        *,
        command: Sequence[str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address, self._monotonic = address, monotonic
        self._until = monotonic() + stall
        self._said = bytearray()
        self._began = False  # a byte of the stream has come
        self.late = False  # nothing came in the time that was allowed
        child = [sys.executable, "-I", "-S", "-c", DIES_WITH_US, str(os.getpid()), program]
        self._child = subprocess.Popen(
            [*child, *(_arguments() if command is None else command)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
        )  # fmt: skip
        self._out, self._err = _pipe(self._child.stdout), _pipe(self._child.stderr)
        try:
            with _pipe(self._child.stdin) as told:  # far less than a pipe holds
                told.write(script(address, stall).encode())
        except OSError:
            pass  # it has ended already: reading says why

    @property
    def pid(self) -> int:
        return self._child.pid

    def allow(self, seconds: float) -> None:
        """From now on what is read may take so long in all."""
        self._until = self._monotonic() + seconds

    def read(self, size: int) -> bytes:
        """Up to `size` bytes as soon as there are any; none when the child has ended, or time is up."""
        while not self.late:
            open_ends = [p for p in (self._out, self._err) if not p.closed]
            ready, _, _ = select.select(open_ends, [], [], max(0.0, self._until - self._monotonic()))
            self.late = not ready
            if self._err in ready:
                self._listen()
            if self._out in ready:
                data = os.read(self._out.fileno(), size)
                self._began = self._began or bool(data)
                return data
        return b""

    def _listen(self) -> None:
        """Keeps the last of what the child says; a pipe nobody empties would hold it up."""
        said = os.read(self._err.fileno(), KEPT)
        if not said:
            self._err.close()
        self._said += said
        del self._said[:-KEPT]

    def close(self) -> None:
        """Ends the child and waits for it; twice is once."""
        self._child.kill()
        self._child.wait()
        if not self._err.closed:
            os.set_blocking(self._err.fileno(), False)
            while (said := self._err.read(KEPT)) is not None and said:
                self._said += said
            del self._said[:-KEPT]
        for pipe in (self._out, self._err):
            pipe.close()

    def trouble(self) -> str:
        """Why it could not be opened, after `close`; the address is not in it."""
        said = self._said.decode(errors="replace")
        if "matches no streams" in said or "does not contain any stream" in said:
            return "there is no video in it that can be decoded"
        if self._began:
            return "what it sends is no video that can be read"
        if "failed" in said or "Input/output error" in said or not said:
            return UNCALLED if self._address.listens else SILENT
        return shown(self._address.clean(said.strip().rpartition("\n")[2]))


def _arguments() -> list[str]:
    """Of ffmpeg: the script on stdin, its first video stream untouched, each picture sent on as it comes."""
    return [
        "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "pipe,fd,srt,udp", "-f", "concat", "-safe", "0",
        "-i", "pipe:0", "-map", "0:v:0", "-c", "copy", "-muxdelay", "0", "-muxpreload", "0", "-flush_packets", "1",
        "-f", "mpegts", "pipe:1",
    ]  # fmt: skip


def _pipe(end: Any) -> Any:
    if end is None:  # pragma: no cover - every end was asked for
        raise OSError("a child without its pipes")
    return end
