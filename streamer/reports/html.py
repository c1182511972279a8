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
from pathlib import Path
from typing import Any
from urllib.parse import quote

from streamer.reports.atomic import text
from streamer.reports.base import FaceCard, PersonEntry, RunData, SourceEntry, UnsurePair, by_source
from streamer.reports.escape import one_line
from streamer.reports.layout import COLOURS, Timelines, count, covered, curves, matrix, span, spoken
from streamer.reports.manifest import plain
from streamer.reports.timecode import Clock

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
        grouped = by_source(data.shown_appearances())
        sources = [timelines.source(i, s, grouped.get(s.name, []), MOST_ROWS) for i, s in enumerate(data.sources)]
        lines = [line for s in data.sources for line in _table(data, s, grouped.get(s.name, []))]
        return {
            "title": one_line(data.title) or "Report",
            "csp": _policy(css, js),
            "css": css,
            "js": js,
            "lead": _lead(data, people),
            "facts": _facts(data, people),
            "anonymous": data.anonymous,
            "people": [_card(data, p, colours[p.id], pictures.get(p.id, []), people) for p in people[:MOST_CARDS]],
            "others": [_other(p) for p in people[MOST_CARDS:]],
            "sources": sources,
            "folded": len(sources) > 4,
            "any_cuts": any(s["cuts"] for s in sources),
            "any_gaps": any(s["gaps"] for s in sources),
            "table": lines[:MOST_LINES],
            "table_cut": len(lines) > MOST_LINES,
            "matrix": matrix(data, colours),
            "unsure": _unsure(data, people, pictures),
            "unseen": [_unseen(s) for s in data.sources],
            "curves": curves(data.calibration) if data.calibration and len(data.calibration.edges) > 1 else None,
            "run_facts": _run_facts(data.manifest),
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


def _lead(data: RunData, people: Sequence[PersonEntry]) -> str:
    length = sum((s.duration or 0.0) for s in data.sources)
    what = count(len(data.sources), "video") if len(data.sources) != 1 else _described(data.sources[0])
    if not people:
        return f"{what}. Nobody was found."
    first = people[0]
    rest = f"; {first.label} is seen longest, {spoken(first.screen_time)}" if len(people) > 1 else ""
    about = f", {spoken(length)} in all" if len(data.sources) > 1 and length else ""
    appearances = count(len(data.shown_appearances()), "appearance")
    return f"{what}{about}. {count(len(people), 'person', 'people')} in {appearances}{rest}."


def _described(s: SourceEntry) -> str:
    parts = [spoken(s.duration) if s.duration else "", f"{s.width} × {s.height}" if s.width else ""]
    parts += [f"{s.fps:.5g} frames a second" if s.fps else "", s.codec]
    return ", ".join(p for p in parts if p) or s.name


def _facts(data: RunData, people: Sequence[PersonEntry]) -> list[dict[str, str]]:
    length = sum(b - a for a, b in (span(s, ()) for s in data.sources) if b - a)
    with_face = sum(covered(data, s) for s in data.sources)
    named, hidden = sum(bool(p.name.strip()) for p in people), sum(p.hidden for p in data.people)
    notes = [f"{named} named" if named else "", f"{hidden} hidden" if hidden else ""]
    shown = data.shown_appearances()
    lost = sum(s.not_seen.failed + sum(s.not_seen.dropped.values()) for s in data.sources)
    share = f"{min(100.0, 100 * with_face / length):.0f} % of the time" if length and people else ""
    facts = [
        {"label": "People", "value": str(len(people)), "note": ", ".join(n for n in notes if n)},
        {"label": "Appearances", "value": f"{len(shown):,}".replace(",", "\u202f"), "note": ""},
        {"label": "Somebody in the picture", "value": spoken(with_face), "note": share},
        {
            "label": "Looks at faces",
            "value": f"{sum(a.faces for a in shown):,}".replace(",", "\u202f"),
            "note": "frames × people",
        },
        {"label": "Frames not seen", "value": f"{lost:,}".replace(",", "\u202f"), "note": ""},
    ]
    if data.sources and all(s.cuts for s in data.sources):
        facts.insert(4, {"label": "Shots", "value": str(sum(len(s.cuts) + 1 for s in data.sources)), "note": ""})
    return facts


def _card(
    data: RunData, p: PersonEntry, colour: int, faces: list[tuple[int, FaceCard]], people: Sequence[PersonEntry]
) -> dict[str, Any]:
    longest = people[0].screen_time or 1.0
    return {
        "id": p.id,
        "name": one_line(p.name),
        "label": one_line(p.label),
        "colour": colour,
        "faces": [_face(number, card, p, data) for number, card in faces],
        "screen": spoken(p.screen_time),
        "share": f"{100 * p.screen_time / longest:.1f}",
        "summary": f"{count(p.appearances, 'appearance')}, {count(p.tracks, 'track')}",
        "range": _range(data, p),
        "unsure": p.unsure,
        "reason": one_line(p.reason),
    }


def _range(data: RunData, p: PersonEntry) -> str:
    """Where somebody is first and last seen, in timecode."""
    names = [a.source for a in data.appearances if a.identity == p.id]
    if not names:
        return ""
    if len(set(names)) > 1:
        return f"in {count(len(set(names)), 'video')}"
    return f"{_timecode(data.source(names[0]), p.first)} – {_timecode(data.source(names[0]), p.last)}"


def _timecode(source: SourceEntry, seconds: float) -> str:
    from streamer.reports.timecode import clock

    if not source.fps:
        return clock(seconds - source.start)
    return Clock.of(source.fps, source.start, source.start_timecode).text(seconds)


def _face(number: int, card: FaceCard, p: PersonEntry, data: RunData) -> dict[str, Any]:
    when = _timecode(data.source(card.source), card.time)
    return {
        "id": number,
        "src": "data:image/jpeg;base64," + base64.b64encode(card.jpeg).decode(),
        "alt": f"Face of {one_line(p.label)} at {when}",
        "when": when,
    }


def _other(p: PersonEntry) -> dict[str, Any]:
    return {"label": one_line(p.label), "screen": spoken(p.screen_time), "appearances": p.appearances}


def _table(data: RunData, source: SourceEntry, mine: Sequence[Any]) -> list[dict[str, Any]]:
    labels = data.labels()
    return [
        {
            "source": source.name,
            "who": one_line(labels[a.identity]),
            "tc_in": _timecode(source, a.start),
            "tc_out": _timecode(source, a.end),
            "duration": f"{a.duration:.2f} s",
            "faces": a.faces,
            "score": f"{a.score:.2f}",
        }
        for a in mine[: MOST_LINES + 1]
    ]


def _unsure(
    data: RunData, people: Sequence[PersonEntry], pictures: Mapping[int, list[tuple[int, FaceCard]]]
) -> list[dict[str, Any]]:
    shown = {p.id: p for p in people}

    def side(p: PersonEntry) -> dict[str, Any]:
        mine = pictures.get(p.id)
        return {"id": p.id, "label": one_line(p.label), "face": mine[0][0] if mine else None}

    def pair(u: UnsurePair) -> dict[str, Any]:
        detail = [u.reason, f"similarity {u.similarity:.2f}", f"settles {spoken(u.seconds)}" if u.seconds else ""]
        sides = [side(shown[u.a]), side(shown[u.b])]
        return {"sides": sides, "question": "The same person?", "detail": one_line(", ".join(d for d in detail if d))}

    pairs = [u for u in data.unsure if u.a in shown and u.b in shown]
    out = [pair(u) for u in sorted(pairs, key=lambda u: (-u.seconds, -u.similarity, u.a, u.b))[:60]]
    alone = [
        {"sides": [side(p)], "question": "Really one person?", "detail": one_line(p.reason)} for p in people if p.unsure
    ]
    return out + alone[:60]


def _unseen(s: SourceEntry) -> dict[str, Any]:
    n = s.not_seen
    frames = [_pair(k, v) for k, v in sorted(n.dropped.items(), key=lambda t: (-t[1], t[0])) if v]
    frames += [_pair("could not be decoded", n.failed)] if n.failed else []
    rejected = [_pair(k, v) for k, v in sorted(n.rejected.items(), key=lambda t: (-t[1], t[0])) if v]
    stretches = [_gap(s, g.start, g.end, g.reason) for g in n.gaps]
    more = f"and {len(stretches) - 40} more in run.json" if len(stretches) > 40 else ""
    blocks = [
        {"title": "Stretches not seen", "rows": stretches[:40], "empty": "None: all of it was read.", "note": more},
        {"title": "Frames not looked at", "rows": frames, "empty": "None were dropped or damaged.", "note": ""},
        {"title": "Faces set aside", "rows": rejected, "empty": "None.", "note": _unassigned(n.unassigned)},
        {"title": "Where the detector looked", "rows": [_stride(s, x) for x in s.strides[:40]], "note": _edges(s),
         "empty": "Not recorded."},
    ]  # fmt: skip
    return {"name": s.name, "warnings": [one_line(w) for w in n.warnings], "blocks": blocks}


def _pair(key: str, value: int) -> dict[str, str]:
    return {"label": one_line(str(key).replace("_", " ")), "value": f"{value:,}".replace(",", "\u202f")}


def _gap(s: SourceEntry, start: float, end: float, reason: str) -> dict[str, str]:
    return {
        "label": f"{_timecode(s, start)} – {_timecode(s, end)}",
        "value": one_line(f"{reason}, {spoken(end - start)}"),
    }


def _unassigned(tracks: int) -> str:
    return f"{count(tracks, 'track')} found but given to nobody." if tracks else "Every track belongs to somebody."


def _stride(s: SourceEntry, x: Any) -> dict[str, str]:
    every = "every frame" if x.every == 1 else f"every {x.every}th frame" if x.every > 3 else f"every {x.every}. frame"
    return {"label": f"{_timecode(s, x.start)} – {_timecode(s, x.end)}", "value": every}


def _edges(s: SourceEntry) -> str:
    most = max((x.every for x in s.strides), default=0)
    if not most or not s.fps:
        return ""
    between = "Between looks faces are followed. " if most > 1 else ""
    return f"{between}An entrance can be up to {most / s.fps:.2f} s earlier than written."


def _run_facts(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """The short values of the manifest's first two levels, for a look; the rest is in the file."""
    out = []
    for key, value in manifest.items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        for sub, v in inner:
            if isinstance(v, str | int | float | bool) and len(str(v)) <= 120:
                label = f"{key} {sub}".strip().replace("_", " ")
                out.append(
                    {"label": one_line(label), "value": one_line(f"{v:.6g}" if isinstance(v, float) else str(v))}
                )
    return out[:24]
