"""Where things are on the page: timelines, the co-presence matrix, curves. Numbers only, no HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor
from typing import Any

from streamer.intervals import gaps, join
from streamer.items import Appearance
from streamer.reports.base import Calibration, RunData, SourceEntry, by_person, copresence
from streamer.reports.tables import day, timecodes
from streamer.reports.timecode import Clock

WIDE = 10_000  # units of a timeline's width
COLOURS = 8
MOST_BARS = 1_500  # in one row; more than a screen has pixels, so closer bars are drawn as one
MOST_CUTS = 3_000
MOST_LINES = 120  # cuts drawn through all rows; more would be a grey wall, so they become ticks at the top
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 604800)


def spoken(seconds: float) -> str:
    """A duration for people: "4.2 s", "3 min 20 s", "1 h 52 min".

    >>> spoken(4.21), spoken(200), spoken(6720)
    ('4.2 s', '3 min 20 s', '1 h 52 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{round(whole / 60) // 60} h {round(whole / 60) % 60:02d} min"


def short(seconds: float, step: float = 1) -> str:
    """A place on an axis: 0:07, 12:30, 1:05:00; with tenths where the step asks for them."""
    tenths = f".{round(seconds * 10) % 10}" if step < 1 else ""
    whole = int(seconds + 1e-6)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}{tenths}"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}{tenths}"


def grouped(number: int) -> str:
    """The number with thin spaces between groups of three digits."""
    return f"{number:,}".replace(",", "\u202f")


def count(number: int, one: str, many: str = "") -> str:
    """ "1 face", "2 faces", with thin groups of thousands."""
    return grouped(number) + " " + (one if number == 1 else many or one + "s")


def span(source: SourceEntry, appearances: Sequence[Appearance]) -> tuple[float, float]:
    """The seconds a timeline shows: the whole source, and whatever sticks out of it."""
    ends = [a.end for a in appearances] + [g.end for g in source.not_seen.gaps] + list(source.cuts)
    last = max([source.end, *ends])
    return source.start, last if last > source.start else source.start + 1.0


def ticks(start: float, end: float, most: int = 9, live: bool = False) -> list[dict[str, Any]]:
    """Labels of the axis, seconds since the first frame; with `live` the time of day in UTC."""
    length = end - start
    step = next((s for s in STEPS if length / s <= most), STEPS[-1])
    out = []
    for i in range(int(length / step + 1e-9) + 1):
        x = 100 * i * step / length
        anchor = "start" if x < 2 else "end" if x > 97 else "middle"
        label = day(start + i * step).strftime("%H:%M:%S") if live else short(i * step, step)
        out.append({"x": f"{x:.3f}", "label": label, "anchor": anchor})
    return out


class Timelines:
    """The timelines of all sources, and the table of appearances the page's script reads.

    `colours` maps a person to a colour number, `faces` a person to its pictures as (number on the page, FaceCard),
    `moments` a track to the number of one more picture.
    """

    def __init__(
        self,
        data: RunData,
        colours: Mapping[int, int],
        faces: Mapping[int, list[tuple[int, Any]]],
        moments: Mapping[int, int] | None = None,
    ) -> None:
        self.data, self.colours, self.faces, self.moments = data, colours, faces, moments or {}
        self.labels = data.labels()
        self.told: list[dict[str, Any]] = []  # one per bar

    def source(self, index: int, source: SourceEntry, mine: Sequence[Appearance], most: int) -> dict[str, Any]:
        """One source: axis, cuts, gaps and a row per person, longest first; `left_out` more people have no row."""
        start, end = span(source, mine)
        scale = WIDE / (end - start)
        times = {p: sum(a.duration for a in some) for p, some in by_person(mine).items()}
        order = sorted(times, key=lambda p: (-times[p], p))
        people = by_person(mine)
        clock = Clock.of(source.fps, source.start, source.start_timecode)
        rows = [self._row(p, people[p], times[p], (index, source, clock), scale) for p in order[:most]]
        return {
            "name": source.name,
            "lead": f"{spoken(end - start)}, {count(len(order), 'person', 'people')}",
            "ticks": ticks(start, end, live=source.live),
            "cuts": _cuts(source, scale),
            "dense": len(source.cuts) > MOST_LINES,
            "gaps": [_place(g.start, g.end, start, scale) for g in source.not_seen.gaps],
            "rows": rows,
            "left_out": max(0, len(order) - most),
        }

    def _row(
        self, person: int, mine: list[Appearance], seconds: float, at: tuple[int, SourceEntry, Clock], scale: float
    ) -> dict[str, Any]:
        label, faces = self.labels[person], self.faces.get(person, [])
        return {
            "id": person,
            "label": label,
            "colour": self.colours.get(person, person % COLOURS),
            "face": faces[0][0] if faces else None,
            "screen": spoken(seconds),
            "alt": f"{label}: {count(len(mine), 'appearance')}, {spoken(seconds)} on screen",
            "bars": [self._bar(a, at, scale) for a in _drawn(mine, at[1])],
        }

    def _bar(self, a: Appearance, at: tuple[int, SourceEntry, Clock], scale: float) -> dict[str, Any]:
        index, source, clock = at
        tc_in, tc_out = timecodes(source, clock, a)
        if source.live:
            tc_in, tc_out = (day(t).strftime("%Y-%m-%d %H:%M:%S") for t in (a.start, a.end))
        self.told.append(
            {
                "p": a.identity,
                "s": index,
                "t": round(a.start, 3),
                "i": tc_in,
                "o": tc_out,
                "d": spoken(a.duration),
                "n": a.faces,
                "c": round(a.score, 2),
                "f": self._face(a),
            }
            | self._moment(a)
        )
        place = _place(a.start, a.end, source.start, scale)
        return place | {"a": len(self.told) - 1, "o": min(5, max(1, int(a.score * 5.5)))}

    def _moment(self, a: Appearance) -> dict[str, int]:
        """The picture of one of its own tracks, where it has one that is on no card."""
        track = next((t for t in a.tracks if t in self.moments), None)
        return {} if track is None else {"m": self.moments[track]}

    def _face(self, a: Appearance) -> int | None:
        """The picture to show: of one of its tracks if there is one, else the nearest in time, else the best."""
        mine = self.faces.get(a.identity, [])
        if not mine:
            return None
        middle = (a.start + a.end) / 2
        best = min(mine, key=lambda f: (f[1].track not in a.tracks, f[1].source != a.source, abs(f[1].time - middle)))
        return best[0]


def _place(start: float, end: float, zero: float, scale: float) -> dict[str, Any]:
    return {"x": f"{(start - zero) * scale:.1f}", "w": f"{max(0.0, end - start) * scale:.1f}"}


def _drawn(mine: list[Appearance], source: SourceEntry) -> list[Appearance]:
    """The appearances, or where there are more than a screen can show, neighbours joined."""
    if len(mine) <= MOST_BARS:
        return mine
    start, end = span(source, mine)
    joined = join(((a.start, a.end) for a in mine), gap=(end - start) / MOST_BARS)
    out = []
    for low, high in joined:
        part = [a for a in mine if low <= a.start < high]
        faces = sum(a.faces for a in part)
        score = sum(a.score for a in part) / len(part)
        out.append(Appearance(source.name, mine[0].identity, low, high, part[0].tracks, faces, score))
    return out


def _cuts(source: SourceEntry, scale: float) -> str:
    some = list(source.cuts)[:: max(1, -(-len(source.cuts) // MOST_CUTS))]
    return "".join(f"M{(c - source.start) * scale:.0f} 0v10" for c in some)


def matrix(data: RunData, colours: Mapping[int, int], most: int = 22) -> dict[str, Any]:
    """Who shares the picture with whom, for the people with most of it; heat 0..5 by the root of the seconds."""
    shown = {p.id for p in data.people if p.hidden}
    pairs = data.copresence if data.copresence is not None else copresence(data.appearances)
    kept = {k: s for k, s in pairs.items() if s >= 0.05 and not shown & set(k)}  # 0.05 s: less would read "0.0"
    totals: dict[int, float] = {}
    for (a, b), seconds in kept.items():
        totals[a], totals[b] = totals.get(a, 0) + seconds, totals.get(b, 0) + seconds
    order = sorted(totals, key=lambda p: (-totals[p], p))
    labels, top = data.labels(), max(kept.values(), default=1.0)
    rows = []
    for a in order[:most]:
        cells = [_cell(a, b, kept.get((min(a, b), max(a, b)), 0.0), top, labels) for b in order[:most]]
        rows.append({"label": labels.get(a, f"Person {a}"), "colour": colours.get(a, 0), "cells": cells})
    return {"rows": rows, "left_out": max(0, len(order) - most)}


def _cell(a: int, b: int, seconds: float, top: float, labels: Mapping[int, str]) -> dict[str, Any]:
    if a == b or seconds <= 0:
        return {"heat": "x" if a == b else 0, "text": "", "title": ""}
    names = f"{labels.get(a, a)} with {labels.get(b, b)}: {spoken(seconds)}"
    text = f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}" if seconds < 6000 else f"{seconds / 3600:.1f}h"
    return {"heat": max(1, min(5, round((seconds / top) ** 0.5 * 5))), "text": text, "title": names}


def covered(data: RunData, source: SourceEntry) -> float:
    """Seconds of a source with somebody in the picture."""
    mine = [(a.start, a.end) for a in data.appearances if a.source == source.name]
    start, end = span(source, [a for a in data.appearances if a.source == source.name])
    return (end - start) - sum(high - low for low, high in gaps(mine, (start, end)))


def curves(calibration: Calibration) -> dict[str, Any]:
    """Both histograms as areas of equal size in a 720 x 240 drawing, and where the thresholds stand."""
    low, high = calibration.edges[0], calibration.edges[-1]
    width = 660 / ((high - low) or 1.0)
    shapes = [_density(calibration.edges, c) for c in (calibration.genuine, calibration.impostor)]
    top = max([v for shape in shapes for v in shape] + [1e-9])
    genuine, impostor = (_area(calibration.edges, shape, low, width, 170 / top) for shape in shapes)
    bars = []
    for n, (name, value) in enumerate(sorted(calibration.thresholds.items(), key=lambda t: (t[1], t[0]))):
        x = 30 + (min(max(value, low), high) - low) * width
        anchor, tx = ("end", x - 5) if x > 560 else ("", x + 5)
        y = 20 + 16 * (n % 4)
        bars.append(
            {"x": f"{x:.1f}", "y": y - 8, "tx": f"{tx:.1f}", "ty": y, "anchor": anchor, "label": f"{name} {value:.2f}"}
        )
    step = next((s for s in (0.05, 0.1, 0.2, 0.25, 0.5, 1.0) if (high - low) / s <= 8), (high - low) / 8)
    marks = [i * step for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]
    pairs = count(round(sum(calibration.genuine)), "pair"), count(round(sum(calibration.impostor)), "pair")
    return {
        "empty": not sum(calibration.genuine) + sum(calibration.impostor),
        "bars": ", ".join(str(b["label"]) for b in bars),
        "genuine": genuine,
        "impostor": impostor,
        "thresholds": bars,
        "ticks": [{"x": f"{30 + (m - low) * width:.1f}", "label": f"{m:.2f}"} for m in marks],
        "metric": calibration.metric,
        "note": calibration.note
        or "Faces of one track must be one person, faces that share a frame must be two: "
        "from both the video shows by itself where the line between same and different lies.",
        "genuine_label": f"one person ({pairs[0]})",
        "impostor_label": f"two people ({pairs[1]})",
        "alt": f"Similarity of {pairs[0]} of one person and {pairs[1]} of two people; "
        + ", ".join(f"threshold {b['label']}" for b in bars),
    }


def _density(edges: Sequence[float], counts: Sequence[float]) -> list[float]:
    total = sum(counts) or 1.0
    return [c / total / ((b - a) or 1.0) for a, b, c in zip(edges, edges[1:], counts, strict=False)]


def _area(edges: Sequence[float], shape: Sequence[float], low: float, width: float, height: float) -> str:
    points = [
        (30 + ((a + b) / 2 - low) * width, 200 - v * height) for a, b, v in zip(edges, edges[1:], shape, strict=False)
    ]
    inner = " ".join(f"L{x:.1f} {y:.1f}" for x, y in points)
    return f"M30 200 {inner} L690 200Z"
