"""Why a camera cannot be reached, in words for somebody who can do something about it; no address is in them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streamer.sources.address import Address
from streamer.sources.decoding import reason_of

_SYSTEM = {
    errno.ECONNREFUSED: "connection refused: nothing listens there. Is it on, and is the port right?",
    errno.EHOSTUNREACH: "there is no way to that machine. Is it on, and in this network?",
    errno.ENETUNREACH: "there is no way to that network. Is this machine connected?",
    errno.ECONNRESET: "the other side ended the connection",
    errno.EPIPE: "the other side ended the connection",
    errno.EACCES: "this user may not open it (for a device: add the user to the group `video`)",
    errno.EBUSY: "another program is using it",
    errno.EADDRINUSE: "another program receives at this port",
    errno.ENOTTY: "it is no camera",
    errno.ENODEV: "it has been unplugged",
}


def cause(error: Exception, address: Address, resolve: Callable[..., Any] = socket.getaddrinfo) -> str:
    """What an error of opening or reading `address` means."""
    import av

    number = getattr(error, "errno", None)
    if isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError):
        code = 401 if isinstance(error, av.HTTPUnauthorizedError) else 403
        return f"user or password are not accepted ({code}). Check them"
    if isinstance(error, av.HTTPNotFoundError):
        return "there is nothing at this path (404). Check the part of the address behind the host"
    if isinstance(error, av.HTTPServerError):
        return "its server answers with an error of its own (5xx)"
    if isinstance(error, av.ProtocolNotFoundError):
        return f"the decoder of this installation cannot read {address.scheme}: send it as rtsp, http or udp (MPEG-TS)"
    if isinstance(error, FileNotFoundError) and address.scheme == "device":
        here = ", ".join(sorted(str(p) for p in Path("/dev").glob("video*"))) or "none"
        return f"there is no such device. Those of this machine: {here}"
    if isinstance(error, av.InvalidDataError):
        return "what it sends is no video that can be read"
    if number == errno.EIO:
        return _closed(address, resolve)
    return _SYSTEM.get(number or 0) or reason_of(error)


def _closed(address: Address, resolve: Callable[..., Any]) -> str:
    """FFmpeg has one error for a name nobody knows, a handshake that fails and a connection that ends."""
    host = urlsplit(address.url).hostname
    try:
        if host:
            resolve(host, None)
    except OSError:
        return "its host name is not known. Check the address, and whether this machine can look names up"
    if address.scheme in ("rtsps", "https", "rtmps"):
        return "no encrypted connection came about, or it broke. Is it the port for TLS?"
    return "the connection broke"
