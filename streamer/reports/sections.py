"""What stands in the parts of the HTML report: texts and numbers for the template, no HTML."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from math import isinf
from typing import Any

from streamer.items import Appearance
from streamer.reports.base import FaceCard, PersonEntry, RunData, SourceEntry, UnsurePair
from streamer.reports.escape import one_line
from streamer.reports.layout import count, covered, grouped, span, spoken
from streamer.reports.tables import day, timecode
from streamer.reports.timecode import Clock

BRIEF = 1.0  # s on screen below which somebody is counted apart: passers-by, and most of what is no face


def lead(data: RunData, people: Sequence[PersonEntry]) -> str:
    """The sentence under the title."""
    length = sum((s.duration or 0.0) for s in data.sources)
    word = "source" if any(s.live for s in data.sources) else "video"
    what = count(len(data.sources), word) if len(data.sources) != 1 else _described(data.sources[0])
    if not people:
        return f"{what}. Nobody was found."
    first = people[0]
    rest = f"; {first.label} is seen longest, {spoken(first.screen_time)}" if len(people) > 1 else ""
    about = f", {spoken(length)} in all" if len(data.sources) > 1 and length else ""
    appearances = count(len(data.shown_appearances()), "appearance")
    return f"{what}{about}. {count(len(people), 'person', 'people')} in {appearances}{rest}."


def _described(s: SourceEntry) -> str:
    length = spoken(s.duration) if s.duration else ""
    if s.live:
        length = f"Watched for {length} from {_timecode(s, s.start)} UTC"
    parts = [length, f"{s.width} × {s.height}" if s.width else ""]
    parts += [f"{s.fps:.5g} frames a second" if s.fps else "", s.codec]
    return ", ".join(p for p in parts if p) or s.name


def facts(data: RunData, people: Sequence[PersonEntry]) -> list[dict[str, str]]:
    """The tiles under the sentence."""
    length = sum(b - a for a, b in (span(s, ()) for s in data.sources) if b - a)
    with_face = sum(covered(data, s) for s in data.sources)
    named, hidden = sum(bool(p.name.strip()) for p in people), sum(p.hidden for p in data.people)
    brief = sum(p.screen_time < BRIEF for p in people)
    notes = [f"{named} named" if named else "", f"{hidden} hidden" if hidden else ""]
    notes += [f"{brief} seen for less than a second" if brief else ""]
    shown = data.shown_appearances()
    lost = sum(s.not_seen.failed + sum(s.not_seen.dropped.values()) for s in data.sources)
    share = f"{min(100.0, 100 * with_face / length):.0f} % of the time" if length and people else ""
    facts = [
        {"label": "People", "value": str(len(people)), "note": ", ".join(n for n in notes if n)},
        {"label": "Appearances", "value": grouped(len(shown)), "note": ""},
        {"label": "Time with a face", "value": spoken(with_face), "note": share},
        {
            "label": "Faces",
            "value": grouped(sum(a.faces for a in shown)),
            "note": "frames × people",
        },
        {"label": "Frames not seen", "value": grouped(lost), "note": ""},
    ]
    if data.sources and all(s.cuts for s in data.sources):
        facts.insert(4, {"label": "Shots", "value": grouped(sum(len(s.cuts) + 1 for s in data.sources)), "note": ""})
    return facts


def card(
    data: RunData, p: PersonEntry, faces: list[tuple[int, FaceCard]], sources: Sequence[str], longest: float
) -> dict[str, Any]:
    """A person's card; `sources` are the names of those they appear in, `longest` anybody's longest screen time."""
    return {
        "id": p.id,
        "name": one_line(p.name),
        "label": one_line(p.label),
        "faces": [_face(number, card, p, data) for number, card in faces],
        "screen": spoken(p.screen_time),
        "share": f"{100 * p.screen_time / (longest or 1.0):.1f}",
        "summary": f"{count(p.appearances, 'appearance')}, {count(p.tracks, 'track')}",
        "range": _range(data, p, sources),
        "unsure": p.unsure,
        "reason": one_line(p.reason),
    }


def _range(data: RunData, p: PersonEntry, names: Sequence[str]) -> str:
    """Where somebody is first and last seen, in timecode; with the name of the source where the report has several."""
    if len(names) != 1:
        live = any(data.source(n).live for n in names)
        return f"in {count(len(names), 'source' if live else 'video')}" if names else ""
    source = data.source(names[0])
    return f"{_timecode(source, p.first)} – {_timecode(source, p.last)}{_inside(data, source)}"


def _inside(data: RunData, source: SourceEntry) -> str:
    return f" in {one_line(source.name)}" if len(data.sources) > 1 else ""


def _timecode(source: SourceEntry, seconds: float) -> str:
    """Timecode, or for a camera the date and time in UTC, for people to read."""
    if source.live:
        return day(seconds).strftime("%Y-%m-%d %H:%M:%S")
    return timecode(source, Clock.of(source.fps, source.start, source.start_timecode), seconds)


def _face(number: int, card: FaceCard, p: PersonEntry, data: RunData) -> dict[str, Any]:
    source = data.source(card.source)
    when = _timecode(source, card.time) + _inside(data, source)
    return {
        "id": number,
        "src": "data:image/jpeg;base64," + base64.b64encode(card.jpeg).decode(),
        "alt": f"Face of {one_line(p.label)} at {when}",
        "when": when,
    }


def other(p: PersonEntry) -> dict[str, Any]:
    """A line for somebody without a card."""
    return {"label": one_line(p.label), "screen": spoken(p.screen_time), "appearances": p.appearances}


def table(data: RunData, source: SourceEntry, mine: Sequence[Appearance], most: int) -> list[dict[str, Any]]:
    """The appearances of one source as lines of a table, at most `most`."""
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
        for a in mine[:most]
    ]


def unsure(
    data: RunData, people: Sequence[PersonEntry], pictures: Mapping[int, list[tuple[int, FaceCard]]]
) -> list[dict[str, Any]]:
    """Pairs who may be one, most screen time first, then people who may be two."""
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


def unseen(s: SourceEntry) -> dict[str, Any]:
    """What a run did not see in one source."""
    n = s.not_seen
    frames = [_tally(k, v) for k, v in sorted(n.dropped.items(), key=lambda t: (-t[1], t[0])) if v]
    frames += [_tally("could not be decoded", n.failed)] if n.failed else []
    rejected = [_tally(k, v) for k, v in sorted(n.rejected.items(), key=lambda t: (-t[1], t[0])) if v]
    stretches = [_gap(s, g.start, g.end, g.reason) for g in n.gaps]
    more = f"and {len(stretches) - 40} more in run.json" if len(stretches) > 40 else ""
    blocks = [
        {"title": "Stretches not seen", "rows": stretches[:40], "empty": "None: all of it was read.", "note": more},
        {"title": "Frames not looked at", "rows": frames, "empty": "None were dropped or damaged.", "note": ""},
        {"title": "Faces set aside", "rows": rejected, "empty": "None.", "note": _unassigned(n.unassigned)},
        {"title": "Where the detector looked", "rows": _strides(s), "note": _edges(s), "empty": "Not recorded."},
    ]  # fmt: skip
    lost = n.failed + sum(n.dropped.values())
    lead = ", ".join(p for p in (
        count(len(stretches), "stretch", "stretches") + " not seen" if stretches else "",
        count(lost, "frame") + " lost" if lost else "",
        count(sum(n.rejected.values()), "face") + " set aside" if any(n.rejected.values()) else "",
    ) if p)  # fmt: skip
    warnings = [one_line(w) for w in n.warnings]
    return {"name": s.name, "lead": lead or "all of it was read", "warnings": warnings, "blocks": blocks}


def _tally(key: str, value: int) -> dict[str, str]:
    return {"label": one_line(str(key).replace("_", " ")), "value": grouped(value)}


def _gap(s: SourceEntry, start: float, end: float, reason: str) -> dict[str, str]:
    return {
        "label": f"{_timecode(s, start)} – {_timecode(s, end)}",
        "value": one_line(f"{reason}, {spoken(end - start)}"),
    }


def _unassigned(tracks: int) -> str:
    return f"{count(tracks, 'track')} found but given to nobody." if tracks else "Every track belongs to somebody."


def _strides(s: SourceEntry) -> list[dict[str, str]]:
    """Seconds per stride, the densest first."""
    spent: dict[float, float] = {}
    for x in s.strides:
        every = float(x.every if isinf(x.every) else max(1, round(x.every)))
        spent[every] = spent.get(every, 0.0) + max(0.0, x.end - x.start)
    return [{"label": _every(k), "value": spoken(seconds)} for k, seconds in sorted(spent.items())]


def _every(k: float) -> str:
    return "not at all" if isinf(k) else "at every frame" if k == 1 else f"at 1 frame in {k:.0f}"


def _edges(s: SourceEntry) -> str:
    """What looking rarely costs: how late an entrance may be noticed, and what the sampled check found."""
    most = max((x.every for x in s.strides if not isinf(x.every)), default=0.0)
    told = []
    if most > 1.05:
        told.append("Between looks faces are followed.")
    if most and s.fps:
        told.append(f"An entrance can be up to {most / s.fps:.2f} s earlier than written.")
    n = s.not_seen
    if n.checked:
        share = 100 * n.found / n.checked
        told.append(f"Checked on frames in between: {grouped(n.found)} of {grouped(n.checked)} faces ({share:.0f} %).")
    return " ".join(told)
