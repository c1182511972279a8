"""Where a camera is: its address with credentials put in from elsewhere, and the same without them for everybody."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from streamer.errors import ConfigError, SourceError
from streamer.sources.redact import redact, shown

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "srt", "udp", "rtp", "tcp")
# what FFmpeg may open on behalf of an address; never `file`: a playlist could name local files
_NESTED = {
    "rtsp": "rtp,udp,tcp",
    "rtsps": "rtp,udp,tcp,tls",
    "rtmp": "tcp",
    "rtmps": "tcp,tls",
    "http": "tcp,https,tls,crypto",
    "https": "tcp,http,tls,crypto",
    "rtp": "udp",
}
PASSPHRASE = (10, 79)  # characters, by the SRT protocol
_PLACE = re.compile(r"\$\{(\w+)\}")
_PARTS = re.compile(r"^(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?:(?P<user>[^/?#]*)@)?(?P<rest>.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """Made by `parse_address`. `shown` is for people; `url` holds the credentials and goes to the decoder alone."""

    url: str = field(repr=False)
    shown: str
    scheme: str  # "device" for a local camera
    secrets: tuple[str, ...] = field(default=(), repr=False)
    passphrase: str = field(default="", repr=False)  # of SRT; it is not in `url`

    @property
    def whitelist(self) -> str:
        """The protocols FFmpeg may use for it."""
        nested = _NESTED.get(self.scheme)
        return self.scheme + (f",{nested}" if nested else "")

    @property
    def listens(self) -> bool:
        """Whether SRT waits here for the camera to call."""
        return self.scheme == "srt" and dict(parse_qsl(self.url.partition("?")[2])).get("mode") == "listener"

    def clean(self, text: str) -> str:
        """`text` without this address's credentials, on one line."""
        return shown(redact(text, *self.secrets))


def parse_address(
    text: str, *, user: str = "", password: str = "", environment: Mapping[str, str] | None = None
) -> Address:
    """The address of `text`: a URL of one of `SCHEMES` or a device (`/dev/video0`).

    `${NAME}` is taken from the environment; `user` and `password` are put in front of the host; of SRT, `password` is
    the passphrase. ConfigError for a variable that is not set, SourceError for anything else that is no camera.
    """
    secrets: list[str] = []
    url = _filled(text, os.environ if environment is None else environment, secrets)
    if url.startswith("/dev/"):
        return Address(url, shown(url), "device")
    found = _PARTS.match(url)
    scheme = found["scheme"].lower() if found else ""
    if found is None or scheme not in SCHEMES:
        told = redact(shown(url), *secrets)
        raise SourceError(
            f"{told}: is not the address of a camera. Give a device (/dev/video0) or a URL of {', '.join(SCHEMES)}."
        )
    if not _port_fits(found["rest"]):
        raise SourceError(f"{redact(shown(url), *secrets)}: its port is not a number from 1 to 65535.")
    if scheme == "srt":
        return _srt(url, user, password, secrets)
    if user or password:
        url = f"{found['scheme']}://{quote(user, safe='')}:{quote(password, safe='')}@{found['rest']}"
        secrets += [password]
    elif found["user"]:
        _, _, word = found["user"].partition(":")
        secrets += [word]
    known = _forms(secrets)
    return Address(url, shown(redact(url, *known)), scheme, known)


def _forms(secrets: Iterable[str]) -> tuple[str, ...]:
    """Each secret as it may stand in a text."""
    forms = (form for s in secrets for form in (s, unquote(s), quote(s, safe="")) if len(form) > 2)
    return tuple(dict.fromkeys(forms))


def _srt(url: str, user: str, password: str, secrets: list[str]) -> Address:
    """The passphrase is taken out of the query: it has rules of its own for what a letter may be."""
    base, _, query = url.partition("?")
    told = dict(p.partition("=")[::2] for p in query.split("&") if p)
    passphrase = password or unquote(told.pop("passphrase", ""))
    streamid = told.get("streamid", "")
    known = _forms([*secrets, passphrase, streamid])
    address = shown(redact(url, *known))
    if user:
        raise SourceError(f"{address}: SRT knows no user. Write what the sender wants to hear as ?streamid=...")
    if passphrase and not PASSPHRASE[0] <= len(passphrase) <= PASSPHRASE[1]:
        raise SourceError(f"{address}: an SRT passphrase has {PASSPHRASE[0]} to {PASSPHRASE[1]} characters.")
    if any(ord(c) < 32 for c in url + passphrase):
        raise SourceError(f"{address}: there are line breaks or control characters in it.")
    rest = "&".join(f"{key}={value}" for key, value in told.items())
    return Address(base + (f"?{rest}" if rest else ""), address, "srt", known, passphrase)


def _port_fits(rest: str) -> bool:
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    port = host.rpartition(":")[2] if ":" in host.rpartition("]")[2] else "1"
    return not port or (port.isdecimal() and 0 < int(port) < 65_536)


def holds_password(text: str) -> bool:
    """Whether an address carries a password in plain text (not as `${NAME}`)."""
    found = _PARTS.match(text)
    if found is None:
        return False
    asked = dict(p.partition("=")[::2] for p in found["rest"].partition("?")[2].split("&"))
    words = ((found["user"] or "").partition(":")[2], asked.get("passphrase", ""))
    return any(word and not _PLACE.fullmatch(word) for word in words)


def read_secret(path: Path) -> str:
    """The password in a file that only its owner may read (0600): its first line. ConfigError otherwise."""
    try:
        mode = path.stat().st_mode
        word = path.read_text("utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ConfigError(f"{path}: the password cannot be read ({reason}). Check password_file.") from error
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise ConfigError(f"{path} holds a password and others may read it. Run: chmod 600 {path}")
    if not word:
        raise ConfigError(f"{path} is empty. Write the password into its first line.")
    return word


def _filled(text: str, environment: Mapping[str, str], secrets: list[str]) -> str:
    """`text` with `${NAME}` replaced; quoted where it stands for a part of user:password@."""
    at = text.rfind("@")

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise ConfigError(f"{match[0]} is not set in the environment. Set it, or use password_file.")
        word = environment[match[1]]
        whole = match.span() == (0, len(text))
        if not whole:
            secrets.append(word)
        return quote(word, safe="") if match.end() <= at or text.startswith("srt:") else word

    return _PLACE.sub(value, text)
