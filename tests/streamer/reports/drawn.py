"""A run nobody filmed: drawn faces, known people, hostile names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from streamer.items import DETECTED, TRACKED, Appearance, Gap
from streamer.reports.base import (
    Calibration,
    FaceCard,
    FaceRow,
    NotSeen,
    PersonEntry,
    RunData,
    SourceEntry,
    Stride,
    UnsurePair,
)

HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd|'/c calc'!A0",
    "\"quoted\" & 'single'",
    "Zoë 🦊 李雷",
    "two\nlines",
    "]]></x>--><img src=x onerror=alert(1)>",
    "\x1b[31mred\x1b[0m",
)


def drawn_face(number: int, side: int = 112) -> bytes:
    """JPEG of an oval with eyes and a mouth; colours come from the number."""
    tint = hashlib.sha256(str(number).encode()).digest()
    image = np.full((side, side, 3), [90 + tint[0] // 3, 100 + tint[1] // 3, 110 + tint[2] // 3], np.uint8)
    skin = tuple(int(v) for v in (90 + tint[3] // 3, 130 + tint[4] // 4, 170 + tint[5] // 4))
    s = side / 112
    cv2.ellipse(image, (int(56 * s), int(60 * s)), (int(34 * s), int(44 * s)), 0, 0, 360, skin, -1, cv2.LINE_AA)
    hair = tuple(int(v) // 2 for v in tint[6:9])
    cv2.ellipse(image, (int(56 * s), int(38 * s)), (int(38 * s), int(28 * s)), 0, 180, 360, hair, -1, cv2.LINE_AA)
    for x in (43, 69):
        cv2.circle(image, (int(x * s), int(56 * s)), max(1, int(4 * s)), (40, 30, 30), -1, cv2.LINE_AA)
    cv2.ellipse(image, (int(56 * s), int(80 * s)), (int(13 * s), int(6 * s)), 0, 10, 170, (60, 60, 130), 2, cv2.LINE_AA)
    return bytes(cv2.imencode(".jpg", image)[1])


def source(name: str = "drawn.mp4", **changes: Any) -> SourceEntry:
    entry = SourceEntry(name, f"/films/{name}", 320, 180, 25.0, 20.0, 500, codec="h264", cuts=(5.0, 12.0))
    return replace(entry, **changes)


def person(number: int, appearances: list[Appearance], **changes: Any) -> PersonEntry:
    mine = [a for a in appearances if a.identity == number]
    cards = [
        FaceCard(drawn_face(number * 10 + i), a.source, a.start + 0.2, a.tracks[0], 0.9) for i, a in enumerate(mine)
    ]
    entry = PersonEntry(
        number,
        "",
        sum(a.duration for a in mine),
        min((a.start for a in mine), default=0.0),
        max((a.end for a in mine), default=0.0),
        len(mine),
        sum(len(a.tracks) for a in mine),
        tuple(cards[:4]),
    )
    return replace(entry, **changes)


def rows_of(appearances: list[Appearance], fps: float = 25.0, start: float = 0.0) -> Iterator[FaceRow]:
    """A row per frame of every appearance, ordered by frame; the box slides to the right."""
    out = []
    for a in appearances:
        for i in range(round((a.start - start) * fps), round((a.end - start) * fps)):
            x = 10.0 + 20 * a.identity + 0.25 * (i % 100)
            kind = DETECTED if i % 2 == 0 else TRACKED
            out.append(FaceRow(a.source, i, start + i / fps, a.tracks[0], a.identity, (x, 40, x + 30, 76), 0.875, kind))
    return iter(sorted(out, key=lambda r: (r.frame, r.track)))


def drawn_run(names: tuple[str, ...] = ("Ann Lee", "", "Bo"), **changes: Any) -> RunData:
    """Three people in one 20 s video at 25 frames a second: 1 and 2 share 2..4 s, 3 comes at 13 s, 1 again at 15 s."""
    film = source(
        not_seen=NotSeen((Gap("drawn.mp4", 18.0, 19.0, "damaged", 25),), {"too_small": 7, "blurred": 2}, {}, 25, 1),
        strides=(Stride(0.0, 12.0, 2), Stride(12.0, 18.0, 1), Stride(18.0, 20.0, float("inf"))),
    )
    looks = [
        Appearance(film.name, 1, 1.0, 4.0, (11,), 75, 0.93),
        Appearance(film.name, 2, 2.0, 5.0, (12,), 75, 0.81),
        Appearance(film.name, 3, 13.0, 14.52, (13, 14), 38, 0.42),
        Appearance(film.name, 1, 15.0, 17.0, (15,), 50, 0.88),
    ]
    people = tuple(person(i + 1, looks, name=n) for i, n in enumerate(names))
    people = tuple(
        replace(p, unsure=p.id == 3, reason="few faces, all from the side" if p.id == 3 else "") for p in people
    )
    edges = tuple(np.linspace(-0.4, 1.0, 29).tolist())
    middle = np.linspace(-0.375, 0.975, 28)
    run = RunData(
        film.name,
        (film,),
        people,
        tuple(looks),
        lambda: rows_of(looks),
        {"version": "0.1.0", "device": "cpu", "counts": {"read": 500, "processed": 475, "failed": 25}},
        Calibration(
            edges,
            tuple((400 * np.exp(-((middle - 0.72) ** 2) / 0.02)).round().tolist()),
            tuple((900 * np.exp(-((middle - 0.05) ** 2) / 0.015)).round().tolist()),
            {"link": 0.38, "merge": 0.45},
        ),
        (UnsurePair(1, 3, 0.41, 1.5, "near the threshold"),),
    )
    return replace(run, **changes)


def empty_run() -> RunData:
    """A video in which no face was found."""
    return RunData("nobody.mp4", (source("nobody.mp4"),), manifest={"version": "0.1.0"})


def one_frame() -> RunData:
    """A single frame with one unassigned face, no frame rate, no duration."""
    film = SourceEntry("still.png", "still.png", 64, 48, None, None, 1)
    rows = [FaceRow("still.png", 0, 0.0, 1, None, (4.0, 5.0, 20.0, 25.0), 0.5, DETECTED)]
    return RunData("still.png", (film,), rows=lambda: iter(rows))


def hostile_run() -> RunData:
    """One person per hostile name, in a source with a hostile name."""
    film = source('=evil"<b>\n.mp4')
    looks = [Appearance(film.name, i + 1, float(i), i + 1.0, (i + 1,), 25, 0.5) for i in range(len(HOSTILE))]
    people = tuple(person(i + 1, looks, name=n, unsure=True, reason=n) for i, n in enumerate(HOSTILE))
    manifest = {"note": HOSTILE[0] + HOSTILE[5]}
    return RunData(HOSTILE[0], (film,), people, tuple(looks), lambda: rows_of(looks), manifest)
