"""What a path is before any decoder sees it: a readable, regular, non-empty file, or else a SourceError."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from streamer.errors import SourceError
from streamer.sources.redact import redact, shown

_KINDS = (
    (stat.S_ISDIR, "is a folder", "Give a file in it, or a folder that holds videos or pictures"),
    (stat.S_ISFIFO, "is a pipe, not a file", "Save the stream to a file first"),
    (stat.S_ISSOCK, "is a socket, not a file", "Give a video file"),
    (stat.S_ISCHR, "is a device, not a file", "Use `whowhen watch` for a camera"),
    (stat.S_ISBLK, "is a device, not a file", "Give a video file"),
)
# first bytes -> what the file is; asked only after no decoder could read it
_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a list of other files"),
    (b"<", "a web page or XML"),
    (b"\x80\x04\x95", "a Python pickle"),
    (b"SQLite format 3", "a database"),
)
_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")


def is_url(spec: str) -> bool:
    """Whether `spec` is an address rather than a path."""
    return bool(_SCHEME.match(spec))


def refuse_url(spec: str) -> None:
    """SourceError for an address, which files are never read from."""
    if is_url(spec):
        raise SourceError(
            f"{redact(shown(spec))}: is an address, not a file. Use `whowhen watch` for streams, or download it first."
        )


def regular_file(path: Path | str) -> Path:
    """`path` as a Path, once it is known to be a regular, non-empty file that may be read; otherwise SourceError."""
    refuse_url(str(path))
    name = shown(path)
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise SourceError(f"{name}: does not exist. Check the path.") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{name}: cannot be looked at ({_reason(error)}). Check the path and its rights.") from error
    for test, kind, advice in _KINDS:
        if test(found.st_mode):
            raise SourceError(f"{name}: {kind}. {advice}.")
    if not found.st_size:
        raise SourceError(f"{name}: is empty (0 bytes). Copy or record it again.")
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise SourceError(f"{name}: cannot be opened ({_reason(error)}). Check its rights.") from error
    return Path(path)


def guess_content(path: Path) -> str:
    """What a file that is no video seems to be (`a zip archive`), empty where its first bytes say nothing."""
    with path.open("rb") as file:
        head = file.read(512)
    for start, kind in _SIGNATURES:
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(start):
            return kind
    if not any(head):
        return "zeros only"
    try:
        head[:256].decode()
    except UnicodeDecodeError:
        return ""
    return "plain text"


def ends_within(path: Path) -> bool:
    """Whether a file is as long as its own structure says; True where the structure says nothing (not MP4 or RIFF)."""
    total = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF":
            return int.from_bytes(head[4:8], "little") + 8 <= total
        if head[4:8] not in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
            return True
        at = 0
        while at + 8 <= total:
            file.seek(at)
            box = file.read(16)
            size = int.from_bytes(box[:4], "big")
            size = int.from_bytes(box[8:16], "big") if size == 1 else total - at if size == 0 else size
            if size < 8 or not box[4:8].isalnum():  # not a box: damage of another kind
                return True
            at += size
    return at <= total


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
