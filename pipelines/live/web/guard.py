"""Who may talk to the page: a token, the right host, the right origin, and no more patience than needed."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

COOKIE = "whowhen"
CSRF = b"x-whowhen"  # a header no form and no other site can send without being allowed to
PUBLIC = {"/healthz", "/readyz"}
SESSIONS = 200
TRIES, TRIES_WITHIN = 10, 60.0  # wrong tokens a minute, then everybody waits
BODY = 16_384  # bytes of a request: a name is short
PATIENCE = 15.0  # s a client may take to send a body or to take a piece of an answer
WORDS = {
    401: "Open the address that `whowhen watch` printed: it holds the token.",
    403: "Not from here.",
    413: "Too long.",
    421: "This host name is not served.",
    429: "Too many wrong tokens. Wait a minute.",
}
HEADERS = (
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
     b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"cache-control", b"no-store"),
)  # fmt: skip

Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Any], Any]


def new_token() -> str:
    """256 random bits, safe in an address."""
    return secrets.token_urlsafe(32)


class Guard:
    """ASGI middleware around the whole application.

    421 for a Host that is not `hosts` (DNS rebinding), 401 without token or session, 403 for a change from another
    origin or without the CSRF header, 413 for long bodies, 429 after too many wrong tokens. `GET /?token=` or a bearer
    token lets in; the page gets a session cookie that scripts cannot read. Slow readers are cut.
    """

    def __init__(self, app: Any, *, token: str, hosts: Sequence[str], secure: bool, clock: Callable[[], float]) -> None:
        self.app, self.secure, self.clock = app, secure, clock
        self.hosts = {h.lower() for h in hosts}
        scheme = "https" if secure else "http"
        self.origins = {f"{scheme}://{h}" for h in self.hosts}
        self._token = token.encode()
        self._sessions: deque[str] = deque(maxlen=SESSIONS)
        self._wrong: deque[float] = deque(maxlen=TRIES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {k.lower(): v for k, v in scope["headers"]}
        status, cookie = self._verdict(scope, headers)
        patient = _Patient(receive, send, self._extra(cookie))
        if status:
            await patient.refuse(status)
        else:
            await self.app(scope, patient.receive, patient.send)

    def _verdict(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str]:
        """(refusal or 0, session to hand out or "")."""
        if headers.get(b"host", b"").decode("latin-1").lower() not in self.hosts:
            return 421, ""
        if scope["path"] in PUBLIC and scope["method"] in ("GET", "HEAD"):
            return 0, ""
        session = ""
        if not self._known(headers):
            given = self._given(scope, headers)
            if given is None:
                return 401, ""
            if not self._right(given):
                return (429 if len(self._wrong) == TRIES else 401), ""
            if scope["path"] == "/":
                session = new_token()
                self._sessions.append(session)
        if scope["method"] not in ("GET", "HEAD") and not self._same_origin(headers):
            return 403, ""
        return 0, session

    def _given(self, scope: Scope, headers: dict[bytes, bytes]) -> str | None:
        """The token of the request: a bearer token, or the page's `?token=`."""
        word = headers.get(b"authorization", b"").decode("latin-1")
        if word[:7].lower() == "bearer ":
            return word[7:].strip()
        if scope["path"] == "/" and scope["method"] == "GET":
            return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("token", [])), None)
        return None

    def _right(self, given: str) -> bool:
        now = self.clock()
        while self._wrong and now - self._wrong[0] > TRIES_WITHIN:
            self._wrong.popleft()
        if len(self._wrong) == TRIES:
            return False
        if hmac.compare_digest(given.encode("utf-8", "replace"), self._token):
            return True
        self._wrong.append(now)
        return False

    def _known(self, headers: dict[bytes, bytes]) -> bool:
        try:
            cookie = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
        except CookieError:
            return False
        word = "" if cookie is None else cookie.value
        # every session is compared, so that the time tells nothing
        return sum(hmac.compare_digest(word.encode(), s.encode()) for s in self._sessions) > 0

    def _same_origin(self, headers: dict[bytes, bytes]) -> bool:
        origin = headers.get(b"origin")
        if origin is None:  # not a browser: the bearer token is proof enough
            return b"authorization" in headers
        return origin.decode("latin-1").lower() in self.origins and CSRF in headers

    def _extra(self, session: str) -> list[tuple[bytes, bytes]]:
        out = list(HEADERS)
        if session:
            flags = "; Secure" if self.secure else ""
            out.append((b"set-cookie", f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict{flags}".encode()))
        return out


class SlowClientError(Exception):
    """The other side did not take or give a piece in time."""


class _Patient:
    """Receive and send of one request with limits on time and size, and the headers every answer has."""

    def __init__(self, receive: Receive, send: Send, extra: list[tuple[bytes, bytes]]) -> None:
        self._receive, self._send, self._extra = receive, send, extra
        self._got = 0
        self._begun = self._complete = False

    async def receive(self) -> Any:
        if self._complete:  # waiting for the client to hang up may take for ever
            return await self._receive()
        message = await asyncio.wait_for(self._receive(), PATIENCE)
        self._got += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._got > BODY:
            await self.refuse(413)
            raise SlowClientError("request too long")
        return message

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            given = {k.lower() for k, _ in message.get("headers", [])}
            message["headers"] = [*message.get("headers", []), *(h for h in self._extra if h[0] not in given)]
        try:
            await asyncio.wait_for(self._send(message), PATIENCE)
        except TimeoutError as error:
            raise SlowClientError("slow reader") from error

    async def refuse(self, status: int) -> None:
        body = (WORDS[status] + "\n").encode()
        head = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": head})
        await self._send({"type": "http.response.body", "body": body})
