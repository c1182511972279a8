"""How far a run is: bars on a terminal, a plain line every few seconds elsewhere, JSON lines for machines."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from pipelines.terminal.tables import counted, inert
from streamer.processing.base import SourceProgress

PLAIN_EVERY = 10.0  # seconds between plain lines: often enough to see life, rare enough for a log


@dataclass(slots=True)
class Progress:
    """Collects figures from the pipeline and shows them on stderr. `style`: auto, plain, json or none."""

    style: str = "auto"
    out: TextIO = field(default_factory=lambda: sys.stderr)
    sources: dict[str, SourceProgress] = field(default_factory=dict)
    inputs: int = 1
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
            self._bars.console.print(inert(text), markup=False, highlight=False, soft_wrap=True)
        else:
            print(inert(text), file=self.out, flush=True)

    def note(self, *lines: str) -> None:
        """Lines that nobody misses who asked for no progress."""
        for line in lines if self.style != "none" else ():
            self.say(line)

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
            self._line(name)

    def _draw(self, name: str) -> None:
        s = self.sources[name]
        bars, tasks = self._bars, self._tasks
        if self.inputs > 1:
            self._draw_total()
        if name not in tasks:
            tasks[name] = bars.add_task(Path(s.name).name[-40:], total=s.total, told="")
        bars.update(tasks[name], completed=s.done, total=s.total, told=self._told(s), visible=s.state == "running")

    def _draw_total(self) -> None:
        """The bar of all inputs, the first of the two shown."""
        ended = sum(s.state != "running" for s in self.sources.values())
        if "" not in self._tasks:
            self._tasks[""] = self._bars.add_task(f"{self.inputs} inputs", total=self.inputs, told="")
        eta = self.eta()
        told = f"{ended} done" + ("" if eta is None else f", about {spoken(eta)} left")
        self._bars.update(self._tasks[""], completed=ended, told=told)

    def _told(self, s: SourceProgress) -> str:
        spent = max(time.monotonic() - self._began, 1e-6)
        fps = sum(x.frames for x in self.sources.values()) / spent
        return f"{fps:.0f} fps, {counted(s.faces, 'face')}, {counted(s.people, 'person', 'people')}"

    def throughput(self) -> list[str]:
        """One line: what was read, how fast, and how many times as fast as it plays; none where nothing was read."""
        frames, seconds = (sum(getattr(s, k) for s in self.sources.values()) for k in ("frames", "done"))
        spent = max(time.monotonic() - self._began, 1e-6)
        if not frames:
            return []
        return [
            f"{counted(frames, 'frame')} of {counted(len(self.sources), 'input')} in {spoken(spent)}: "
            f"{frames / spent:.0f} frames a second, {seconds / spent:.1f} times as fast as they play"
        ]

    def eta(self) -> float | None:
        """Seconds left for all inputs at the measured rate, those not yet opened taken as long as the others.

        None until something is known.
        """
        lengths = [s.total for s in self.sources.values() if s.total]
        done = sum(min(s.done, s.total or s.done) for s in self.sources.values())
        if not done or not lengths:
            return None
        unopened = max(0, self.inputs - len(self.sources))
        expected = sum(lengths) * (1 + unopened / len(lengths))
        return (time.monotonic() - self._began) / done * max(0.0, expected - done)

    def _line(self, name: str) -> None:
        s = self.sources[name]
        eta, number = self.eta(), list(self.sources).index(name) + 1
        if self.style == "json":
            line = {"progress": s.name, "input": number, "inputs": self.inputs, "state": s.state}
            line |= {"seconds": round(s.done, 2), "of": s.total, "frames": s.frames, "faces": s.faces}
            line |= {"tracks": s.tracks, "people": s.people, "eta_s": None if eta is None else round(eta, 1)}
            print(json.dumps(line), file=self.out, flush=True)
            return
        share = f"{100 * min(1.0, s.done / s.total):.0f} %" if s.total else f"{s.done:.0f} s"
        place = f"[{number}/{self.inputs}] " if self.inputs > 1 else ""
        told = f"{share}, {self._told(s)}" if s.state == "running" else self._told(s)
        left = "" if eta is None or s.state != "running" else f", about {spoken(eta)} left"
        print(inert(f"{place}{s.name}: {s.state}, {told}{left}"), file=self.out, flush=True)


def spoken(seconds: float) -> str:
    """`41 s`, `12 min` or `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
