"""One file from an address: resumed where it stopped, checked against its hash, put in place by rename."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streamer.errors import ModelError

BLOCK = 1 << 18
LARGEST = 1 << 30  # bytes of one download whose size nobody states; the largest pack has 0.4 GB
LOOPBACK = ("127.0.0.1", "localhost", "::1")
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Download:
    """What to bring where. Without `sha256` anything of a plausible size is taken: the caller pins it."""

    address: str
    target: Path
    sha256: str | None = None
    size: int | None = None


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_address(address: str) -> None:
    """ModelError for an address that is not https (http is taken from this machine itself)."""
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ModelError(f"{address}: models are fetched by https only.")


def download(wanted: Download, progress: Progress | None = None, timeout: float = 30.0) -> str:
    """The SHA-256 of the file, now at its target. What was there before stays until the new file is whole.

    A part of an earlier try (`NAME.part`) is gone on with where the server allows it. ModelError, one line, when the
    address cannot be reached, the transfer stops, or the file is not the expected one (its part is then deleted).
    """
    check_address(wanted.address)
    part = wanted.target.with_name(wanted.target.name + ".part")
    try:
        wanted.target.parent.mkdir(parents=True, exist_ok=True)
        with _reached(wanted.address):
            _transfer(wanted, part, progress, timeout)
        found = _sha256(part)
        if wanted.sha256 is not None and found != wanted.sha256:
            forget(part)
            raise ModelError(
                f"{wanted.address} is not the expected file: expected SHA-256 {wanted.sha256}, found {found}. "
                "It was thrown away."
            )
        os.replace(part, wanted.target)
        forget(part)
    except OSError as error:
        raise ModelError(f"{wanted.target} cannot be written: {error.strerror or error}.") from error
    return found


@contextlib.contextmanager
def _reached(address: str) -> Iterator[None]:
    host = urlsplit(address).hostname
    advice = "Try again later, or bring the files by hand: whowhen models import DIR"
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise ModelError(f"{address}: the server says {error.code} {error.reason}. {advice}") from error
    except urllib.error.URLError as error:
        raise ModelError(f"{host} cannot be reached ({error.reason}). {advice}") from error
    except (TimeoutError, ConnectionError, HTTPException) as error:
        raise ModelError(f"{host} stopped answering ({error}). Run the same command to go on.") from error


def forget(part: Path) -> None:
    """Deletes a partial file and what was noted about it."""
    for path in (part, _note(part)):
        path.unlink(missing_ok=True)


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _transfer(wanted: Download, part: Path, progress: Progress | None, timeout: float) -> None:
    """Brings `part` to its full length."""
    have, tag = _earlier(wanted, part)
    if wanted.size is not None and have == wanted.size:
        return
    try:
        answer = _open(wanted.address, have, tag, timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        error.close()
        forget(part)  # nothing lies behind what we have: it is of another file
        have, answer = 0, _open(wanted.address, 0, "", timeout)
    with answer:
        start = _start(answer, have)
        left = answer.headers.get("Content-Length")
        total = start + int(left) if left and left.isdigit() else wanted.size
        _check_total(wanted, total)
        _note(part).write_text(f"{wanted.address}\n{_tag(answer)}", "utf-8")
        got = _append(answer, part, start, total, wanted, progress)
    if total is not None and got < total:
        raise ModelError(f"{wanted.address} stopped at {got} of {total} bytes. Run the same command to go on.")


def _earlier(wanted: Download, part: Path) -> tuple[int, str]:
    """(bytes of an earlier try that can be gone on with, its validator)."""
    try:
        address, _, tag = _note(part).read_text("utf-8").partition("\n")
        size = part.stat().st_size
    except (OSError, UnicodeDecodeError):
        return 0, ""
    # a part is gone on with only if its end can be checked: by hash, or by the server's own validator
    if address != wanted.address or (wanted.sha256 is None and not tag) or size > (wanted.size or size):
        return 0, ""
    return size, tag


def _open(address: str, start: int, tag: str, timeout: float) -> HTTPResponse:
    request = urllib.request.Request(address, headers={"User-Agent": "whowhen"})  # noqa: S310 - https, checked
    if start:
        request.add_header("Range", f"bytes={start}-")
        if tag:
            request.add_header("If-Range", tag)
    opener = urllib.request.build_opener(_NoDowngrade)
    found: HTTPResponse = opener.open(request, timeout=timeout)
    return found


def _start(answer: HTTPResponse, asked: int) -> int:
    """Where the body begins in the file: a server that ignores ranges sends everything."""
    if answer.status != 206:
        return 0
    told = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if told is None or int(told[1]) != asked:
        raise ModelError(f"{answer.url}: the server sent another range than asked for. Run the same command again.")
    return asked


def _tag(answer: HTTPResponse) -> str:
    tag = answer.headers.get("ETag", "")
    return "" if tag.startswith("W/") else tag


def _check_total(wanted: Download, total: int | None) -> None:
    if wanted.size is not None and total is not None and total != wanted.size:
        raise ModelError(f"{wanted.address} has {total} bytes, {wanted.size} are expected. Nothing was taken.")
    if total is not None and total > (wanted.size or LARGEST):
        raise ModelError(f"{wanted.address} has {total} bytes, more than the {LARGEST} that are taken.")


def _append(
    answer: HTTPResponse, part: Path, start: int, total: int | None, wanted: Download, progress: Progress | None
) -> int:
    limit = wanted.size or LARGEST
    with open(part, "r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        got = start
        while block := answer.read(BLOCK):
            got += len(block)
            if got > limit:
                raise ModelError(f"{wanted.address} sends more than {limit} bytes. Nothing was taken.")
            file.write(block)
            if progress is not None:
                progress(got, total)
        file.flush()
        os.fsync(file.fileno())
    return got


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
