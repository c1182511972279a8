"""The blocks `presence:`, `sinks:`, `record:` and `serve:` of a cameras file, made into observers of a live run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pipelines.live.announcer import Announcer, Onlooker, corrections
from pipelines.live.recording import Recorder
from pipelines.live.sinks import Figures, Sink, make_sinks
from pipelines.live.told import NAME, ToldLog, past
from streamer.config import checked, load_class
from streamer.errors import StoreError
from streamer.flow.stats import Load
from streamer.presence import Rules
from streamer.watching import Observer

BLOCKS = ("presence", "sinks", "record", "serve")
RULES = "streamer.presence.rules:Rules"
RECORD = "pipelines.live.recording:Record"
SERVE = "pipelines.live.web.server:Serve"
T = TypeVar("T")


class Running(Protocol):
    """A run that takes a person's word to the library and tells what its stages cost; streamer.processing.live.Live."""

    def decide(self, decide: Any, within: float = 10.0) -> Any: ...
    def loads(self) -> Sequence[Load]: ...
    @property
    def certain(self) -> float: ...


@dataclass(slots=True)
class Attendance:
    """Who watches a run. `begin` once the run is made and before it starts, `close` after it has stopped."""

    observers: list[Observer] = field(default_factory=list)
    announcer: Announcer | None = None
    page: Any = None
    live: Running | None = None
    recorder: Recorder | None = None
    written: list[Path] = field(default_factory=list)  # logs of notices, and the folder of clips

    def begin(self, live: Running, library: Any) -> None:
        """Names and corrections of the library count from now on, and the page can change it through `live`.

        Where notices and clips are written is remembered, so that forgetting a person looks through them.
        """
        self.live = live
        for path in self.written:
            library.store.add_export(str(path.absolute()), (), library.clock().isoformat())
        if self.announcer is not None:
            told = past(self.announcer.remembered, library)
            self.announcer.begin(live.certain, corrections(library), told)
        if self.page is not None:
            self.page.announce()

    def close(self) -> None:
        """Lets the page go; sinks and recorder were closed by the run."""
        if self.page is not None:
            self.page.close()

    def figures(self) -> list[Figures]:
        """How every sink is doing."""
        return [] if self.announcer is None else [s.figures() for s in self.announcer.sinks]

    def loads(self) -> Sequence[Load]:
        """What the stages of the run cost; nothing before it has begun."""
        return () if self.live is None else self.live.loads()

    def decide(self, what: str, told: dict[str, Any]) -> dict[str, Any]:
        """A word from the page; what became of it. StreamerError where it cannot be."""
        if what == "keep":
            if self.recorder is None:
                raise StoreError("Nothing is recorded: there is no block `record:`.")
            return {"kept": self.recorder.keep(told["stay"])}
        if self.live is None or self.announcer is None:
            raise StoreError("The run has not begun yet.")
        done, said = self.live.decide(lambda library: (_decided(library, what, told), corrections(library)))
        self.announcer.corrected(said)
        return dict(done)


def attend(
    blocks: Mapping[str, Any],
    folder: Path,
    cameras: Sequence[str],
    *,
    origin: str = "command line",
    serve: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.time,
) -> Attendance:
    """What the blocks ask for. `folder` takes relative paths; `serve` (not None: asked for) stands before the block.
    `clock` is the wall clock that the times of frames follow.

    ConfigError for anything that is no option or does not fit. Without any block there is nobody, and no cost.
    """
    wanted = blocks.get("serve") if serve is None else {**(blocks.get("serve") or {}), **serve}
    if "serve" in blocks and wanted is None:
        wanted = {}
    rules = Rules(**checked(RULES, blocks.get("presence") or {}, f"{origin}: presence"))
    serving = None if wanted is None else _made(SERVE, wanted, f"{origin}: serve")
    recorder = None
    if "record" in blocks:
        recorder = _made(RECORD, blocks["record"] or {}, f"{origin}: record").recorder(folder, _say)
    sinks = make_sinks(blocks.get("sinks") or [], folder, origin=f"{origin}: sinks")
    if serving is None and recorder is None and not sinks:
        return Attendance()
    return _attendance(rules, sinks, recorder, serving, cameras, clock, folder)


def _attendance(
    rules: Rules,
    sinks: list[Sink],
    recorder: Recorder | None,
    serving: Any,
    cameras: Sequence[str],
    clock: Callable[[], float],
    folder: Path,
) -> Attendance:
    written = [s.path for s in sinks if s.path is not None]
    out = Attendance(recorder=recorder, written=written + ([] if recorder is None else [recorder.folder]))
    onlookers: list[Onlooker] = [] if recorder is None else [recorder]
    if serving is not None:
        from pipelines.live.web.board import Board
        from pipelines.live.web.server import PageServer

        board = Board(cameras, clock=clock)
        told: list[Sink | Recorder] = [*sinks]
        told += [] if recorder is None else [recorder]
        out.page = PageServer(serving, board, out.decide, lambda: [s.figures() for s in told], out.loads)
        onlookers.append(board)
    log = ToldLog(folder / NAME, _say)
    out.written.append(log.path)
    out.announcer = Announcer(rules, sinks, onlookers, clock=clock, log=log)
    out.observers.append(out.announcer)
    return out


def _made(target: str, block: Any, place: str) -> Any:
    return load_class(target)(**checked(target, block, place, without=("environment",)))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _decided(library: Any, what: str, told: dict[str, Any]) -> dict[str, Any]:
    """One decision in an open library, said in its own thread."""
    if what == "undo":
        return {"undone": library.undo().args["entry"]}
    person, name = library.find(told["person"]), " ".join(told["name"].split())
    known = [p for p, n in library.view.names.items() if n == name and p != person]
    if known and name:  # somebody known is meant: two people of one name would be the wrong answer
        decision = library.merge(known[0], person)
        return {"person": known[0], "name": name, "decision": decision.id}
    decision = library.name(person, name)
    return {"person": person, "name": name, "decision": decision.id}
