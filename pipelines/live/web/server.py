"""The live page on a socket, in a thread of its own."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.live.sinks import Figures
from pipelines.live.web.board import Board
from streamer.errors import ConfigError
from streamer.flow.stats import Load

PORT = 8765
FIRST_BYTE = 10.0  # s a connection may stay without a whole request
CONNECTIONS = 200


class Serve:
    """The block `serve:`. `listen` is HOST:PORT; `hosts` are more names the page is reached by.

    Beyond this machine it wants `tls_cert` and `tls_key`, or `insecure: true` where something in front of it encrypts.
    The token is random unless `token_env` or `token_file` names one (32 characters at least).
    """

    def __init__(
        self,
        *,
        listen: str = f"127.0.0.1:{PORT}",
        hosts: Sequence[str] = (),
        tls_cert: str = "",
        tls_key: str = "",
        token_env: str = "",
        token_file: str = "",
        insecure: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        from pipelines.live.web.guard import new_token

        self.host, self.port = _address(listen)
        self.names = tuple(hosts)
        self.cert, self.key = tls_cert, tls_key
        if bool(tls_cert) != bool(tls_key):
            raise ConfigError("serve: tls_cert and tls_key belong together.")
        if not _local(self.host) and not tls_cert and not insecure:
            raise ConfigError(
                f"serve: {self.host} can be reached by other machines. Give tls_cert and tls_key, or use 127.0.0.1. "
                "Where something in front of it encrypts, say insecure: true."
            )
        token = _token(token_env, token_file, os.environ if environment is None else environment)
        self.generated = not token
        self.token = token or new_token()
        if len(self.token) < 32:
            raise ConfigError("serve: the token wants 32 characters at least.")

    @property
    def secure(self) -> bool:
        return bool(self.cert)


class PageServer:
    """The page from construction (the socket is bound, or ConfigError) to `close`."""

    def __init__(
        self,
        serve: Serve,
        board: Board,
        decide: Callable[[str, dict[str, Any]], dict[str, Any]] | None = None,
        sinks: Callable[[], Sequence[Figures]] = tuple,
        loads: Callable[[], Sequence[Load]] = tuple,
    ) -> None:
        try:
            import uvicorn

            from pipelines.live.web.app import Page
        except ImportError as error:
            raise ConfigError("The live page needs starlette and uvicorn. Run: pip install 'whowhen[live]'") from error
        from pipelines.live.web.guard import Guard

        self.serve, self._board = serve, board
        self._socket = _bound(serve.host, serve.port)
        self.port = int(self._socket.getsockname()[1])
        app = Guard(
            Page(board, decide, sinks, loads).app(), token=serve.token, hosts=self._hosts(), secure=serve.secure,
            clock=time.monotonic,
        )  # fmt: skip
        config = uvicorn.Config(
            app, http=_impatient(), ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
            date_header=False, proxy_headers=False, limit_concurrency=CONNECTIONS, timeout_keep_alive=20,
            timeout_graceful_shutdown=1, ssl_certfile=serve.cert or None, ssl_keyfile=serve.key or None,
        )  # fmt: skip
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            self._socket.close()
            raise ConfigError(f"serve: tls_cert and tls_key cannot be used ({error}).") from error
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where the page is, without the token."""
        host = f"[{self.serve.host}]" if ":" in self.serve.host else self.serve.host
        shown = "127.0.0.1" if self.serve.host in ("0.0.0.0", "::", "[::]") else host  # noqa: S104
        return f"{'https' if self.serve.secure else 'http'}://{shown}:{self.port}/"

    def announce(self) -> None:
        """Prints the address once, with the token unless the user knows it."""
        token = f"?token={self.serve.token}" if self.serve.generated else "?token=..."
        print(f"Live page: {self.address}{token}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends open streams and the thread; at most a second and a half."""
        self._board.close()
        self._server.should_exit = True
        self._thread.join(1.0)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(0.5)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def _hosts(self) -> list[str]:
        names = {"127.0.0.1", "localhost", "[::1]", *self.serve.names}
        if self.serve.host not in ("0.0.0.0", "::"):  # noqa: S104
            names.add(f"[{self.serve.host}]" if ":" in self.serve.host else self.serve.host)
        usual = 443 if self.serve.secure else 80
        return [f"{n}:{self.port}" for n in names] + ([*names] if self.port == usual else [])


def _impatient() -> Any:
    """uvicorn's protocol, but who sends no whole request within FIRST_BYTE is cut."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Impatient(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(FIRST_BYTE, self._hurry)

        def _hurry(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

    return Impatient


def _server_class() -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Any:
            yield  # signals are the main thread's business

    return Server


def _Server(config: Any) -> Any:  # noqa: N802 - made on first use: importing uvicorn takes a tenth of a second
    return _server_class()(config)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)  # who comes before the server has started waits
    except OSError as error:
        made.close()
        raise ConfigError(
            f"serve: {host}:{port} cannot be used ({error.strerror}). Choose another --listen."
        ) from error
    return made


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon:
        host, port = listen, str(PORT)
    host = host.strip("[]")
    if not port.isdecimal() or int(port) > 65_535 or not host:
        raise ConfigError(f"serve: {listen} is not HOST:PORT, for example 127.0.0.1:{PORT}.")
    return host, int(port)


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(variable: str, path: str, environment: Mapping[str, str]) -> str:
    if variable:
        if not environment.get(variable):
            raise ConfigError(f"serve: the environment variable {variable} is not set.")
        return environment[variable]
    if path:
        from streamer.sources.address import read_secret

        return read_secret(Path(path))
    return ""
