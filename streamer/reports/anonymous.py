"""The same run without anybody in it: no names, no recognisable faces, numbers that mean nothing elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from streamer.items import Appearance
from streamer.reports.base import Box, FaceCard, FaceRow, PersonEntry, RunData, SourceEntry, UnsurePair

REMOVED = "(removed)"


def anonymise(
    data: RunData, keep: Collection[int] = (), salt: str | None = None, among: RunData | None = None
) -> RunData:
    """`data` with names, paths and file names gone, people and tracks renumbered, and every face hidden but those of
    `keep`.

    Numbers follow from `salt`; without one it is drawn afresh, so two exports cannot be joined over their numbers.
    People in `keep` stay visible but lose their name and number as everybody does. Where `data` is a part of something
    larger, `among`, numbers are those everybody has there: several files with one salt then speak of the same people.
    """
    return _Anonymiser(data, frozenset(keep), (salt or secrets.token_hex(16)).encode(), among or data).run()


class _Anonymiser:
    def __init__(self, data: RunData, keep: frozenset[int], salt: bytes, among: RunData) -> None:
        self.data, self.keep, self.salt = data, keep, salt
        everybody = {p.id for some in (data, among) for p in some.people}
        everybody |= {a.identity for some in (data, among) for a in some.appearances}
        order = sorted(everybody, key=lambda p: (self._code("person", p), p))
        self.people = {p: i for i, p in enumerate(order, 1)}
        names = dict.fromkeys(s.name for some in (among, data) for s in some.sources)
        self.sources = {name: f"source {i}" for i, name in enumerate(names, 1)}
        self.secret = self._secrets(data, among)

    def _code(self, kind: str, number: int) -> int:
        digest = hmac.new(self.salt, f"{kind} {number}".encode(), hashlib.sha256).digest()
        return int.from_bytes(digest[:6], "big")  # 48 bits: exact as a JSON number

    @staticmethod
    def _secrets(*parts: RunData) -> re.Pattern[str] | None:
        """Whatever must not be left in a text: names of people, of files, of folders."""
        words = {p.name.strip() for part in parts for p in part.people} | {part.title.strip() for part in parts}
        for s in (s for part in parts for s in part.sources):
            words |= {s.name, s.path, s.video, PurePath(s.path).name, PurePath(s.path).stem, PurePath(s.name).stem}
        known = sorted((w for w in words if len(w) > 1), key=lambda w: (-len(w), w))
        return re.compile("|".join(map(re.escape, known)), re.IGNORECASE) if known else None

    def run(self) -> RunData:
        data = self.data
        pairs = data.copresence
        return replace(
            data,
            title="Anonymous report",
            sources=tuple(self._source(s) for s in data.sources),
            people=tuple(sorted((self._person(p) for p in data.people), key=lambda p: p.id)),
            appearances=tuple(self._appearance(a) for a in data.appearances),
            rows=self._rows,
            manifest=self._manifest(data.manifest),
            unsure=tuple(self._unsure(u) for u in data.unsure),
            copresence=None if pairs is None else dict(sorted(self._pair(a, b, s) for (a, b), s in pairs.items())),
            anonymous=True,
        )

    def _name(self, source: str) -> str:
        return self.sources.get(source, "another source")

    def _source(self, s: SourceEntry) -> SourceEntry:
        n = s.not_seen
        gaps = tuple(replace(g, source=self._name(g.source), reason=self._text(g.reason)) for g in n.gaps)
        seen = replace(n, gaps=gaps, warnings=tuple(self._text(w) for w in n.warnings))
        return replace(s, name=self._name(s.name), path="", video="", not_seen=seen)

    def _person(self, p: PersonEntry) -> PersonEntry:
        faces, moments = (tuple(self._card(f, p.id in self.keep) for f in some) for some in (p.faces, p.moments))
        reason = self._reason(p.reason)
        return replace(p, id=self.people[p.id], name="", faces=faces, moments=moments, reason=reason)

    def _card(self, f: FaceCard, keep: bool) -> FaceCard:
        jpeg = only_face(f.jpeg, f.place) if keep else hidden_face(f.jpeg)
        return replace(f, jpeg=jpeg, source=self._name(f.source), track=self._code("track", f.track))

    def _reason(self, reason: str) -> str:
        """A reason that speaks of nobody: one with a number in it may name another person."""
        return "" if any(c.isdigit() for c in reason) else self._text(reason)

    def _appearance(self, a: Appearance) -> Appearance:
        tracks = tuple(self._code("track", t) for t in a.tracks)
        return replace(a, source=self._name(a.source), identity=self.people[a.identity], tracks=tracks)

    def _rows(self) -> Iterator[FaceRow]:
        codes: dict[int, int] = {}
        for row in self.data.rows():
            if row.track not in codes:
                codes[row.track] = self._code("track", row.track)
            person = None if row.person is None else self.people.get(row.person)
            yield row._replace(source=self._name(row.source), track=codes[row.track], person=person)

    def _unsure(self, u: UnsurePair) -> UnsurePair:
        (a, b), _ = self._pair(u.a, u.b, 0.0)
        return replace(u, a=a, b=b, reason=self._reason(u.reason))

    def _pair(self, a: int, b: int, seconds: float) -> tuple[tuple[int, int], float]:
        low, high = sorted((self.people.get(a, 0), self.people.get(b, 0)))
        return (low, high), seconds

    def _text(self, text: str) -> str:
        clean = self.secret.sub(REMOVED, text) if self.secret else text
        return REMOVED if "/" in clean or "\\" in clean else clean

    def _manifest(self, value: Any) -> Any:
        """The manifest with every text that holds a name or a path taken out, keys included."""
        if isinstance(value, Mapping):
            # the hash of a video finds it as well as its name does
            return {self._text(str(k)): REMOVED if k == "content" else self._manifest(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._manifest(v) for v in value]
        return value if value is None or isinstance(value, bool | int | float) else self._text(str(value))


def only_face(jpeg: bytes, place: Box) -> bytes:
    """The picture with all but the oval of one face gone for good: the one beside it did not agree to be shown."""
    import cv2
    import numpy as np

    from streamer.reports.drawing import hide

    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if image is None:
        return b""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = place[0] * width, place[1] * height, place[2] * width, place[3] * height
    rest, oval = np.ascontiguousarray(image).copy(), np.zeros((height, width), np.uint8)
    hide(rest, (0, 0, width, height))
    middle, half = (round((x1 + x2) / 2), round((y1 + y2) / 2)), (round((x2 - x1) * 0.6), round((y2 - y1) * 0.6))
    cv2.ellipse(oval, middle, half, 0, 0, 360, 255, -1)
    rest[oval > 0] = image[oval > 0]
    return bytes(cv2.imencode(".jpg", rest, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


def hidden_face(jpeg: bytes) -> bytes:
    """The picture with its face gone for good: 4 x 4 colours, encoded anew. Empty where it is no picture."""
    import cv2
    import numpy as np

    from streamer.reports.drawing import hide

    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if image is None:
        return b""
    small = np.ascontiguousarray(cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA))
    hide(small, (0, 0, 96, 96))
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])
