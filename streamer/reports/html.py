"""report.html: one self-contained file to look at, of a run or of a whole library. Opens from disk, asks no network.

Everything that comes from outside is escaped by the template; the only script and style that may run are the packaged
ones, named by their SHA-256 in the content security policy, so the file needs no nonce and the same data gives the same
bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from streamer.reports import sections
from streamer.reports.atomic import text
from streamer.reports.base import FaceCard, RunData, SourceEntry, by_person, by_source
from streamer.reports.escape import one_line
from streamer.reports.layout import COLOURS, Timelines, curves, matrix
from streamer.reports.manifest import plain

TEMPLATES = Path(__file__).parent / "templates"
MOST_CARDS = 200
MOST_ROWS = 60  # of one timeline
MOST_LINES = 2_000  # of the table of appearances
PICTURE_BUDGET = 2_600_000  # bytes of JPEG; base64 makes 3.5 MB of it, which leaves room below 5 MB
MANIFEST_CHARACTERS = 200_000


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
        people, pictures = data.shown(), self._pictures(data)
        colours = {p.id: i % COLOURS for i, p in enumerate(people)}
        timelines = Timelines(data, colours, pictures)
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
            "run_facts": sections.run_facts(data.manifest),
            "manifest": json.dumps(plain(data.manifest), indent=2, ensure_ascii=False)[:MANIFEST_CHARACTERS],
            "payload": _payload(data.sources, timelines.told),
        }

    def _pictures(self, data: RunData) -> dict[int, list[tuple[int, FaceCard]]]:
        """person -> (number on the page, picture), within the budget: all best faces first, then second ones."""
        out: dict[int, list[tuple[int, FaceCard]]] = {}
        people, spent, number = data.shown()[:MOST_CARDS], 0, 0
        for turn in range(self.faces):
            for p in people:
                if turn >= len(p.faces):
                    continue
                jpeg = shrink(p.faces[turn].jpeg, self.side if turn == 0 else self.side * 3 // 4, self.quality)
                if not jpeg or spent + len(jpeg) > PICTURE_BUDGET:
                    continue
                card = p.faces[turn]
                out.setdefault(p.id, []).append(
                    (number, FaceCard(jpeg, card.source, card.time, card.track, card.score))
                )
                spent, number = spent + len(jpeg), number + 1
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


def _payload(sources: Sequence[SourceEntry], told: list[dict[str, Any]]) -> str:
    """JSON that cannot close the script element it stands in."""
    content = {"sources": [{"video": _address(s.video)} for s in sources], "appearances": told}
    raw = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return raw.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _address(video: str) -> str:
    """A relative or absolute path as the address of a file; never another host, never another scheme."""
    return quote("/" + video.lstrip("/") if video.startswith("/") else video, safe="/")
