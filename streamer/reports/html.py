"""report.html: one self-contained file to look at, of a run or of a whole library. Opens from disk, asks no network.

Everything that comes from outside is escaped by the template; the only script and style that may run are the packaged
ones, named by their SHA-256 in the content security policy, so the file needs no nonce and the same data gives the same
bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from streamer.reports import sections
from streamer.reports.atomic import text
from streamer.reports.base import FaceCard, RunData, SourceEntry, by_person, by_source
from streamer.reports.escape import one_line
from streamer.reports.layout import COLOURS, Timelines, curves, matrix
from streamer.reports.manifest import plain
from streamer.reports.ran import run_blocks

TEMPLATES = Path(__file__).parent / "templates"
MOST_CARDS = 200
MOST_ROWS = 60  # of one timeline
MOST_LINES = 2_000  # of the table of appearances
PICTURE_BUDGET = 2_600_000  # bytes of JPEG; base64 makes 3.5 MB of it, which leaves room below 5 MB
LARGEST, LEAST_PICTURES = 4_700_000, 800_000  # bytes of a page with style and script taken off; of JPEG in any case
BAR, LINE = 175, 260  # bytes of an appearance in the timeline, and in the table, measured on long films
MANIFEST_CHARACTERS = 200_000
MOMENT_SIDE, MOMENT_QUALITY = 72, 74  # pixels, JPEG quality: 1.6 kB each, so 1,500 of them fit beside the cards


class HtmlReport:
    """The report. `faces` pictures of everybody at most, each `side` pixels; fewer where the file would pass 5 MB."""

    def __init__(self, faces: int = 5, side: int = 112, quality: int = 82) -> None:
        self.faces, self.side, self.quality = faces, side, quality

    def write(self, data: RunData, path: Path) -> None:
        with text(path) as out:
            out.write(self.render(data))

    def render(self, data: RunData) -> str:
        """The whole file as text."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        # autoescape for every template: the file name ends in .j2, so choosing by suffix would miss it
        env = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return env.get_template("report.html.j2").render(self._view(data))

    def _view(self, data: RunData) -> dict[str, Any]:
        css, js = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
        people = data.shown()
        budget = _budget(len(data.appearances))
        pictures, spent = self._pictures(data, budget)
        moments = _moments(data, pictures, budget - spent)
        colours = {p.id: i % COLOURS for i, p in enumerate(people)}
        timelines = Timelines(data, colours, pictures, {track: i for i, track in enumerate(moments)})
        by_name = by_source(data.shown_appearances())
        sources = [timelines.source(i, s, by_name.get(s.name, []), MOST_ROWS) for i, s in enumerate(data.sources)]
        lines = [
            line for s in data.sources for line in sections.table(data, s, by_name.get(s.name, []), MOST_LINES + 1)
        ]
        where = {p: list(dict.fromkeys(a.source for a in mine)) for p, mine in by_person(data.appearances).items()}
        return {
            "title": one_line(data.title) or "Report",
            "csp": _policy(css, js),
            "css": css,
            "js": js,
            "lead": sections.lead(data, people),
            "facts": sections.facts(data, people),
            "anonymous": data.anonymous,
            "people": [
                sections.card(data, p, pictures.get(p.id, []), where.get(p.id, ()), people[0].screen_time)
                | {"colour": colours[p.id]}
                for p in people[:MOST_CARDS]
            ],
            "others": [sections.other(p) for p in people[MOST_CARDS:]],
            "sources": sources,
            "folded": len(sources) > 4,
            "any_cuts": any(s["cuts"] for s in sources),
            "any_gaps": any(s["gaps"] for s in sources),
            "table": lines[:MOST_LINES],
            "table_cut": len(lines) > MOST_LINES,
            "matrix": matrix(data, colours),
            "unsure": sections.unsure(data, people, pictures),
            "unseen": [sections.unseen(s) for s in data.sources],
            "curves": curves(data.calibration) if data.calibration and len(data.calibration.edges) > 1 else None,
            "run_blocks": run_blocks(data.manifest),
            "manifest": json.dumps(plain(data.manifest), indent=2, ensure_ascii=False)[:MANIFEST_CHARACTERS],
            "payload": _payload(data.sources, timelines.told, list(moments.values())),
        }

    def _pictures(self, data: RunData, budget: int) -> tuple[dict[int, list[tuple[int, FaceCard]]], int]:
        """person -> (number on the page, picture), within the budget: all best faces first, then second ones; bytes."""
        out: dict[int, list[tuple[int, FaceCard]]] = {}
        people, spent, number = data.shown()[:MOST_CARDS], 0, 0
        for turn in range(self.faces):
            for p in people:
                if turn >= len(p.faces):
                    continue
                jpeg = shrink(p.faces[turn].jpeg, self.side if turn == 0 else self.side * 3 // 4, self.quality)
                if not jpeg or spent + len(jpeg) > budget:
                    continue
                card = p.faces[turn]
                out.setdefault(p.id, []).append((number, replace(card, jpeg=jpeg)))
                spent, number = spent + len(jpeg), number + 1
        return out, spent


def _budget(appearances: int) -> int:
    """Bytes of JPEG a page may hold beside so many appearances."""
    text = appearances * BAR + min(appearances, MOST_LINES) * LINE
    return max(LEAST_PICTURES, min(PICTURE_BUDGET, (LARGEST - text) * 3 // 4))


def _moments(data: RunData, shown: Mapping[int, list[tuple[int, FaceCard]]], budget: int) -> dict[int, bytes]:
    """track -> JPEG of what somebody looked like then, for tracks without a picture on a card; longest first."""
    known = {card.track for cards in shown.values() for _, card in cards}
    cards = {c.track: c for p in data.shown() for c in p.moments if c.track not in known}
    longest = sorted(data.shown_appearances(), key=lambda a: (-a.duration, a.source, a.start, a.identity))
    out: dict[int, bytes] = {}
    for a in longest:
        track = next((t for t in a.tracks if t in cards), None)
        if track is None or known & set(a.tracks):
            continue
        jpeg = shrink(cards[track].jpeg, MOMENT_SIDE, MOMENT_QUALITY)
        if len(jpeg) > budget:
            break
        if jpeg:
            out[track], budget = jpeg, budget - len(jpeg)
    return out


def shrink(jpeg: bytes, side: int, quality: int) -> bytes:
    """The picture as a square of at most `side`, encoded anew (no metadata survives); empty where it is none."""
    import cv2
    import numpy as np

    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if image is None:
        return b""
    h, w = image.shape[:2]
    s = min(h, w)
    image = image[(h - s) // 2 : (h - s) // 2 + s, (w - s) // 2 : (w - s) // 2 + s]
    if s > side:
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def _policy(css: str, js: str) -> str:
    style, script = (
        "'sha256-" + base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() + "'" for part in (css, js)
    )
    return (
        f"default-src 'none'; img-src data:; media-src 'self' file: blob:; style-src {style}; script-src {script}; "
        "base-uri 'none'; form-action 'none'"
    )


def _payload(sources: Sequence[SourceEntry], told: list[dict[str, Any]], moments: Sequence[bytes]) -> str:
    """JSON that cannot close the script element it stands in."""
    content = {
        "sources": [{"video": _address(s.video)} for s in sources],
        "appearances": told,
        "moments": [base64.b64encode(m).decode() for m in moments],
    }
    raw = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return raw.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _address(video: str) -> str:
    """A relative or absolute path as the address of a file; never another host, never another scheme."""
    return quote("/" + video.lstrip("/") if video.startswith("/") else video, safe="/")
