"""What a report says it is unsure of: worked out from stored vectors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from streamer.items import F32, Appearance
from streamer.library import Library
from streamer.library.search import bar, similarities
from streamer.reports.base import PersonEntry, UnsurePair, copresence
from streamer.store import Store, TrackRecord
from streamer.vectors import mean_direction, weighted_mean

MOST_PEOPLE, MOST_TRACKS = 200, 64  # looked at: people with most screen time, and the longest tracks of each
MARGIN = {"cosine": 0.10, "euclid": 0.06}  # how far beyond the merge bar two people may lie and still be a question
TOGETHER = 0.2  # s in one picture, more than a cross-fade's overlap: then two people are two


@dataclass(slots=True)
class Doubts:
    """`pairs` that may be one person; `strays`: person -> why it may be two."""

    pairs: tuple[UnsurePair, ...] = ()
    strays: dict[int, str] = field(default_factory=dict)


def doubts(
    library: Library,
    people: Sequence[PersonEntry],
    appearances: Mapping[int, Sequence[Appearance]],
    tracks: Mapping[int, TrackRecord],
    manifests: Sequence[Mapping[str, Any]],
) -> Doubts:
    """Questions a look by a human would settle, about the people of a report.

    Two people are a question when their centres come nearly as near as the merge threshold asks and they never share
    the picture; a person is one when a track of it lies nearer to somebody else. What people have answered is none.
    """
    model, merge = library.store.model(), threshold(manifests, "merge")
    shown = [p for p in people if not p.hidden][:MOST_PEOPLE]
    if model is None or merge is None or len(shown) < 2:
        return Doubts()
    metric = model[2]
    rows = _rows(library.store, {p.id: [t for a in appearances[p.id] for t in a.tracks] for p in shown}, tracks)
    known = [p for p in shown if len(rows[p.id][0])]
    if len(known) < 2:
        return Doubts()
    mean = mean_direction if metric == "cosine" else weighted_mean
    centres = np.stack([mean(rows[p.id][1]) for p in known])
    near = np.stack([similarities(metric, centres, c) for c in centres])
    met = copresence(a for p in known for a in appearances[p.id])
    low = bar(metric, merge) - MARGIN.get(metric, 0.1)
    two, sure = library.settled()
    pairs = []
    for (i, a), (j, b) in combinations(enumerate(known), 2):
        low_id, high_id = sorted((a.id, b.id))
        together = met.get((low_id, high_id), 0.0)
        if near[i, j] >= low and together < TOGETHER and (low_id, high_id) not in two:
            reason = _reason(float(near[i, j]) >= bar(metric, merge), together)
            seconds = min(a.screen_time, b.screen_time)
            pairs.append(UnsurePair(low_id, high_id, abs(float(near[i, j])), seconds, reason))
    pairs.sort(key=lambda u: (-u.seconds, u.a, u.b))
    return Doubts(tuple(pairs), _strays(known, centres, rows, metric, sure))


def _reason(above: bool, together: float) -> str:
    if together > 0:
        return f"kept apart by {together:.2f} s in one picture, perhaps a cross-fade"
    return "alike, but kept apart" if above else "just under the merge threshold"


def _rows(
    store: Store, of: Mapping[int, Sequence[int]], tracks: Mapping[int, TrackRecord]
) -> dict[int, tuple[list[int], F32]]:
    """person -> (tracks, (n, d) vectors) of its longest tracks that have one."""
    chosen = {p: sorted(some, key=lambda t: (-tracks[t].count, t))[:MOST_TRACKS] for p, some in of.items()}
    numbers, vectors = store.track_vectors([t for some in chosen.values() for t in some])
    place = {int(t): k for k, t in enumerate(numbers)}
    out = {}
    for person, some in chosen.items():
        mine = [t for t in some if t in place]
        out[person] = mine, vectors[[place[t] for t in mine]]
    return out


def _strays(
    people: Sequence[PersonEntry],
    centres: F32,
    rows: Mapping[int, tuple[list[int], F32]],
    metric: str,
    sure: Collection[int],
) -> dict[int, str]:
    """People of three tracks or more of whom some lie nearer to somebody else; with two nobody can say which one."""
    out = {}
    for i, p in enumerate(people):
        tracks, vectors = rows[p.id]
        if len(tracks) < 3:
            continue
        near = np.stack([similarities(metric, vectors, c) for c in centres], 1)
        best = near.argmax(1)
        away = [people[k].label for track, k in zip(tracks, best.tolist(), strict=True) if k != i and track not in sure]
        if away:
            names = ", ".join(dict.fromkeys(away))
            out[p.id] = f"{len(away)} of {len(tracks)} tracks look more like {names}"
    return out


def threshold(manifests: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """The threshold the newest run used: its own calibration's, else the pack's."""
    for manifest in reversed(manifests):
        used = manifest.get("calibration", {}).get(name)
        told = manifest.get("models", {}).get("embedder", {}).get("thresholds", {}).get(name)
        if used is not None or told is not None:
            return float(told if used is None else used)
    return None
