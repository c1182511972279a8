"""Text that may leave the process: no credentials, no control characters."""

from __future__ import annotations

import re
import unicodedata

# scheme://user:password@host - the user part may hold anything but a slash, a quote or white space
_USER = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/'\"<>]*@")
_QUERY = re.compile(r"(?P<head>[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>?#]*)\?[^\s'\"<>]*")
_PAIR = re.compile(
    r"(?i)\b(?P<key>pass(?:word|wd|phrase)?|pwd|token|secret|api_?key|streamid|auth(?:orization)?)"
    r"(?P<mid>\s*[=:]\s*)(?:(?:basic|bearer|digest)\s+)?(?P<value>[^\s&;,'\"<>]+)"
)


def redact(text: str, *secrets: str) -> str:
    """`text` without credentials: `rtsp://***@host/path?***`, values of password-like keys, and every given secret.

    >>> redact("rtsp://bob:S3cret@hall/1?token=abc: refused")
    'rtsp://***@hall/1?***'
    >>> redact("password=S3cret host=a")
    'password=*** host=a'
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _USER.sub(r"\g<scheme>***@", text)
    text = _QUERY.sub(r"\g<head>?***", text)
    return _PAIR.sub(r"\g<key>\g<mid>***", text)


def shown(text: object) -> str:
    """`text` on one line: control, bidirectional and undecodable characters as escapes.

    >>> shown("a\\nb")
    'a\\\\nb'
    """
    return "".join(c if _printable(c) else c.encode("unicode_escape").decode() for c in str(text))


def _printable(char: str) -> bool:
    # control, format (right-to-left overrides), lone surrogates of undecodable names, line and paragraph separators
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
