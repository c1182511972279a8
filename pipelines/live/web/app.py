"""The routes of the live page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pipelines.live.sinks import Figures
from pipelines.live.web.board import Board
from pipelines.live.web.metrics import CONTENT_TYPE, Exposition
from streamer.errors import StreamerError
from streamer.flow.stats import Load
from streamer.presence import parse_key

STATIC = Path(__file__).resolve().parent / "static"
FILES = {"live.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}
WAITING = 500  # messages a listener may be behind before it is cut
BEAT = 15.0  # s between two signs of life on a silent stream
LONGEST_NAME = 80
Decide = Callable[[str, dict[str, Any]], dict[str, Any]]  # (what, arguments) -> what became of it; StreamerError


class Page:
    """The application. `decide` passes a person's word on to the library; None makes the page read-only."""

    def __init__(
        self,
        board: Board,
        decide: Decide | None,
        sinks: Callable[[], Sequence[Figures]],
        loads: Callable[[], Sequence[Load]] = tuple,
    ) -> None:
        self.board, self.decide, self.sinks = board, decide, sinks
        self.exposition = Exposition(board, sinks, loads)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self.index),
                Route("/static/{name}", self.static),
                Route("/healthz", self.alive),
                Route("/readyz", self.ready),
                Route("/metrics", self.metrics),
                Route("/events", self.events),
                Route("/api/state", self.state),
                Route("/api/frame/{camera:path}", self.frame),
                Route("/api/face/{stay}", self.face),
                Route("/api/decide/{what}", self.decision, methods=["POST"]),
            ]
        )

    async def index(self, request: Request) -> Response:
        return Response((STATIC / "index.html").read_bytes(), media_type="text/html")

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            return _missing()
        return Response((STATIC / name).read_bytes(), media_type=FILES[name])

    async def alive(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        ready = self.board.ready()
        return PlainTextResponse("ready\n" if ready else "no camera is live\n", 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        return Response(self.exposition.text(), media_type=CONTENT_TYPE)

    async def state(self, request: Request) -> Response:
        told = await run_in_threadpool(self.board.state)
        return JSONResponse(told | {"writable": self.decide is not None, "sinks": [_sink(f) for f in self.sinks()]})

    async def frame(self, request: Request) -> Response:
        """The newest picture; its faces are in a header so that boxes and picture cannot be of two moments."""
        after = request.query_params.get("after", "0")
        try:
            found = await run_in_threadpool(
                self.board.picture, request.path_params["camera"], int(after) if after.isdecimal() else 0
            )
        except KeyError:
            return _missing()
        if found is None:
            return Response(status_code=204)
        number, data, faces, size = found
        told = json.dumps({"number": number, "width": size[0], "height": size[1], "faces": faces[:50]})
        return Response(data, media_type="image/jpeg", headers={"Whowhen-Frame": told})

    async def face(self, request: Request) -> Response:
        data = self.board.face(request.path_params["stay"])
        return Response(status_code=204) if data is None else Response(data, media_type="image/jpeg")

    async def decision(self, request: Request) -> Response:
        if self.decide is None:
            return JSONResponse({"error": "This page cannot change anything."}, 403)
        what = request.path_params["what"]
        try:
            told = checked(what, await request.json())
            done = await run_in_threadpool(self.decide, what, told)
        except (ValueError, RecursionError):
            return JSONResponse({"error": "The request is not what this page sends."}, 400)
        except StreamerError as error:
            return JSONResponse({"error": str(error)}, 409)
        return JSONResponse(done)

    async def events(self, request: Request) -> Response:
        """Server-sent events: every notice under its key, from the one after Last-Event-ID (or `?after=`) on."""
        last = request.headers.get("last-event-id") or request.query_params.get("after", "")
        key = parse_key(last) or (0, 0)
        return StreamingResponse(self._stream(key), media_type="text/event-stream")

    async def _stream(self, key: tuple[int, int]) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()

        def put(message: bytes) -> None:
            if queue.qsize() < WAITING:
                queue.put_nowait(message)
            elif queue.qsize() == WAITING:
                queue.put_nowait(None)  # too slow: cut; it comes back with its Last-Event-ID

        def tell(kind: str, number: str, data: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(put, _event(kind, number, data))

        missed = self.board.listen(tell, *key)
        try:
            yield b"retry: 2000\n\n"
            if missed.truncated:
                yield _event("truncated", "", {"after": f"{key[0]}-{key[1]}"})
            for n in missed.notices:
                yield _event(n.type, n.key, n.as_dict())
            while self.board.open:
                try:
                    message = await asyncio.wait_for(queue.get(), BEAT)
                except TimeoutError:
                    message = b": alive\n\n"
                if message is None:
                    return
                yield message
        finally:
            self.board.leave(tell)


def checked(what: str, told: Any) -> dict[str, Any]:
    """The arguments of a decision; ValueError for anything else."""
    if what == "undo" and told == {}:
        return {}
    if what == "keep" and isinstance(told, dict) and set(told) == {"stay"} and parse_key(str(told["stay"])):
        return {"stay": str(told["stay"])}
    person = told.get("person") if isinstance(told, dict) else None
    if isinstance(person, bool) or not isinstance(person, int) or person < 1:
        raise ValueError("person")
    if what == "name" and set(told) == {"person", "name"} and isinstance(told["name"], str):
        if len(told["name"]) > LONGEST_NAME:
            raise ValueError("name")
        return {"person": person, "name": told["name"]}
    raise ValueError(what)


def _event(kind: str, key: str, data: dict[str, Any]) -> bytes:
    number = f"id: {key}\n" if key else ""
    return f"{number}event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _missing() -> Response:
    return PlainTextResponse("There is nothing here.\n", 404)


def _sink(f: Figures) -> dict[str, Any]:
    return {"name": f.name, "sent": f.sent, "lost": f.lost, "waiting": f.waiting, "problem": f.problem}
