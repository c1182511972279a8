"""Notices sent to a web address: signed, retried, and kept on disk until they are taken."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pipelines.live.sinks.base import Sink, UndeliveredError, url_digest
from pipelines.live.sinks.spool import Spool
from streamer.errors import ConfigError
from streamer.presence import Notice
from streamer.sources.redact import redact, shown

AGAIN = (408, 425, 429)  # besides 5xx: come back later


def signature(secret: str, time: int, body: bytes) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.BODY`. A receiver refuses old times, so nothing can be replayed.

    >>> signature("key", 1, b"{}")[:20]
    't=1,v1=1ba6b8171186e'
    """
    digest = hmac.new(secret.encode(), b"%d." % time + body, hashlib.sha256).hexdigest()
    return f"t={time},v1={digest}"


class Webhook(Sink):
    """One POST per notice, in order; the body is the notice as JSON.

    Any 2xx means taken. 5xx, 408, 425, 429 and lost connections are tried again with growing pauses (Retry-After is
    heeded), for ever; other answers give the notice up and count it. Redirects are not followed. What waits lies in
    `spool`, at most `limit_mb`, also over a restart; so a notice may come twice, with the same `Whowhen-Delivery`.
    """

    kind = "webhook"
    pause: float | None = 0.0  # what an earlier run left is sent at once

    def __init__(
        self,
        url: str,
        *,
        spool: Path,
        secret: str = "",
        timeout: float = 10.0,
        limit_mb: float = 50.0,
        types: Sequence[str] = (),
        cameras: Sequence[str] = (),
        limit: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        parts = _checked(url)
        super().__init__(f"webhook {parts.hostname} {url_digest(url)}", types=types, cameras=cameras, limit=limit)
        if timeout <= 0 or limit_mb <= 0:
            raise ConfigError(f"{self.name}: timeout and limit_mb are more than 0.")
        self._url, self._secret, self._timeout, self._clock = parts, secret, timeout, clock
        self._again, self._pauses = 0.0, 0
        try:
            self._spool = Spool(spool, int(limit_mb * 1_000_000))
            self.path = spool
        except OSError as error:
            raise ConfigError(f"{self.name}: {spool} cannot be written: {error.strerror}.") from error

    def secrets(self) -> tuple[str, ...]:
        return (self._secret, self._url.query, self._url.path if len(self._url.path) > 1 else "")

    def deliver(self, notices: Sequence[Notice]) -> None:
        """Onto the disk; from there `work` sends it."""
        lost = self._spool.lost
        self._spool.add([json.dumps([n.key, n.as_dict()], ensure_ascii=False, separators=(",", ":")) for n in notices])
        self.lost += self._spool.lost - lost

    def work(self) -> None:
        """Sends what waits, until something goes wrong; `pause` is when to try again."""
        if self._clock() < self._again and not self._closing.is_set():
            return
        try:
            while (line := self._spool.first()) is not None:
                key, notice = json.loads(line)
                self._post(key, json.dumps(notice, ensure_ascii=False, separators=(",", ":")).encode())
                self._spool.done()
        except (UndeliveredError, OSError) as error:
            self.problem = shown(redact(str(error), *self.secrets()))
            self._pauses = min(self._pauses + 1, 10)
            asked = error.after if isinstance(error, UndeliveredError) else None
            self.pause = self.backoff(self._pauses, asked)
            self._again = self._clock() + self.pause
        else:
            self.pause, self._pauses = None, 0

    @property
    def waiting_bytes(self) -> int:
        """Bytes on disk that wait to be sent."""
        return len(self._spool)

    def closed(self) -> None:
        self._spool.close()

    def _post(self, key: str, body: bytes) -> None:
        now = int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "whowhen",
            "Whowhen-Delivery": key,
            "Whowhen-Timestamp": str(now),
        }
        if self._secret:
            headers["Whowhen-Signature"] = signature(self._secret, now, body)
        status, after = self._exchange(body, headers)
        if status >= 500 or status in AGAIN:
            raise UndeliveredError(f"{self.name} answers {status}", after)
        self.problem = ""
        if not 200 <= status < 300:
            self.lost += 1
            self.problem = f"{self.name} refuses with {status}"

    def _exchange(self, body: bytes, headers: dict[str, str]) -> tuple[int, float | None]:
        connection = self._connection()
        try:
            target = self._url.path or "/"
            target += f"?{self._url.query}" if self._url.query else ""
            connection.request("POST", target, body, headers)
            answer = connection.getresponse()
            answer.read(65_536)
            after = answer.getheader("Retry-After", "")
            return answer.status, float(after) if after.isdecimal() else None
        except (OSError, http.client.HTTPException) as error:
            raise UndeliveredError(f"{self.name} cannot be reached ({error or type(error).__name__})") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = str(self._url.hostname), self._url.port
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=self._timeout)


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"webhook: url is no address ({error}).") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("webhook: url wants an address that begins with https:// or http://.")
    if parts.username or parts.password:
        raise ConfigError("webhook: url holds a password. Use `secret_env` or `secret_file` and check the signature.")
    if any(ord(c) <= 32 or ord(c) == 127 for c in url):
        raise ConfigError("webhook: url holds blanks or control characters.")
    return parts
