"""How far a run is: bars on a terminal, a plain line every few seconds elsewhere, JSON lines for machines."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any, TextIO

from streamer.processing.base import SourceProgress

PLAIN_EVERY = 10.0  # seconds between plain lines: often enough to see life, rare enough for a log


@dataclass(slots=True)
class Progress:
    """Collects figures from the pipeline and shows them on stderr. `style`: auto, plain, json or none."""

    style: str = "auto"
    out: TextIO = field(default_factory=lambda: sys.stderr)
    sources: dict[str, SourceProgress] = field(default_factory=dict)
    people: int = 0
    _began: float = 0.0
    _shown: float = 0.0
    _bars: Any = None
    _tasks: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.style == "auto":
            self.style = "bars" if self.out.isatty() else "plain"

    def __enter__(self) -> Progress:
        self._began = self._shown = time.monotonic()
        if self.style == "bars":
            self._open_bars()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _open_bars(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[told]}"),
            console=Console(file=self.out),
            transient=True,
        )
        self._bars.start()

    def source(self, name: str) -> SourceProgress:
        return self.sources.setdefault(name, SourceProgress(name))

    def say(self, text: str) -> None:
        """A line for a person, above the bars."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self.out, flush=True)

    def tick(self, name: str, *, force: bool = False) -> None:
        """Shows what changed, if it is time to."""
        if self.style == "none":
            return
        now = time.monotonic()
        if self.style == "bars":
            if force or now - self._shown > 0.1:
                self._shown = now
                self._draw(name)
            return
        if force or now - self._shown >= PLAIN_EVERY:
            self._shown = now
            self._line(name, now)

    def _draw(self, name: str) -> None:
        s = self.sources[name]
        bars, tasks = self._bars, self._tasks
        if name not in tasks:
            tasks[name] = bars.add_task(s.name[-40:], total=s.total, told="")
        bars.update(tasks[name], completed=s.done, total=s.total, told=self._told(s))

    def _told(self, s: SourceProgress) -> str:
        spent = max(time.monotonic() - self._began, 1e-6)
        fps = sum(x.frames for x in self.sources.values()) / spent
        return f"{fps:.0f} fps, {s.tracks} tracks, {self.people} people"

    def eta(self) -> float | None:
        """Seconds left for all sources at the measured rate; None until something is known."""
        known = [s for s in self.sources.values() if s.total]
        done = sum(min(s.done, s.total or 0) for s in known)
        if not done or len(known) < len(self.sources):
            return None
        spent = time.monotonic() - self._began
        return spent / done * (sum(s.total or 0 for s in known) - done)

    def _line(self, name: str, now: float) -> None:
        s = self.sources[name]
        eta = self.eta()
        if self.style == "json":
            line = {"progress": s.name, "state": s.state, "seconds": round(s.done, 2), "of": s.total}
            line |= {"frames": s.frames, "faces": s.faces, "tracks": s.tracks, "people": self.people}
            line["eta_s"] = None if eta is None else round(eta, 1)
            print(json.dumps(line), file=self.out, flush=True)
            return
        share = f"{100 * s.done / s.total:.0f} %" if s.total else f"{s.done:.0f} s"
        left = "" if eta is None or s.state != "running" else f", about {eta:.0f} s left"
        print(f"{s.name}: {s.state}, {share}, {self._told(s)}{left}", file=self.out, flush=True)
