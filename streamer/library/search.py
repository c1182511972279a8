"""Was this face ever here; who is alike; which questions are worth a person's time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamer.clustering.remerge import vetoed
from streamer.items import F32, F64, I64
from streamer.ledger import View
from streamer.store import Store
from streamer.vectors import mean_direction, unit, weighted_mean

TOP = 3  # a person is as near as the mean of its three nearest tracks: one mixed track alone cannot decide
# People from which a face must be as near as `link`. Of 80 photos of strangers against the 25 people of three videos
# the default pack took 33 for somebody with `pair` alone, so it takes 2, and names 15 of 15 genuine photos; EdgeFace
# takes none and names all 15. Counting the distance to the runner-up in (score plus a half or all of it) named no more
# of 140 LFW photos at 1, 3 or 10 % of strangers taken.
MANY = 1000
LOOKED_AT = 2000  # tracks, nearest first, all of whose samples are compared
PAGE = 16384  # samples compared at a time: 32 MB of 512 numbers
MOST = 500  # people with the most screen time who are asked about: the others settle seconds
NEIGHBOURS = 8  # people looked at next to each person


@dataclass(frozen=True, slots=True)
class Match:
    """How near a person is to a face. `similarity` is a cosine, or minus the distance for Euclidean models."""

    person: int | None  # None: a track that belongs to nobody
    similarity: float
    accepted: bool
    track: int  # the nearest
    number: int  # of its nearest sample
    source: str
    time: float


@dataclass(frozen=True, slots=True)
class Question:
    """Something only a person can say. `kind` "same": are persons a and b one? "split": is `track` really person a?"""

    kind: str
    a: int
    b: int
    track: int | None
    similarity: float  # split: how much nearer the track is to b than to a, below 0
    seconds: float  # of screen time the answer settles
    subject: int  # the person whose time that is; of two people the one seen less


def similarities(metric: str, rows: F32, query: F32) -> F64:
    """(n,) the higher the nearer."""
    if metric == "cosine":
        return np.asarray(unit(rows) @ unit(query), np.float64)
    return np.asarray(-np.linalg.norm(rows.astype(np.float64) - query, axis=1), np.float64)


def _table(metric: str, rows: F32, others: F32) -> F64:
    """(n, m) `similarities` of every row to every other."""
    if metric == "cosine":
        return np.asarray(unit(rows) @ unit(others).T, np.float64)
    return np.stack([similarities(metric, rows, o) for o in others], 1)


def bar(metric: str, threshold: float) -> float:
    """A pack's threshold on the scale of `similarities`."""
    return threshold if metric == "cosine" else -threshold


def search_bar(metric: str, pair: float, link: float | None, people: int) -> float:
    """What a face must reach to be one of so many people, on the scale of `similarities`.

    The best of many strangers is nearer than one stranger, so the bar rises with the logarithm of their number from the
    model's `pair` threshold to its `link` at MANY people.
    """
    low = bar(metric, pair)
    if link is None:
        return low
    return low + max(0.0, bar(metric, link) - low) * min(1.0, float(np.log(max(people, 1)) / np.log(MANY)))


def search(
    store: Store, view: View, query: F32, *, pair: float, link: float | None = None, limit: int = 10
) -> list[Match]:
    """The nearest people to one face (d,), over every sample the library holds, named or not; best first.

    A match is accepted when the mean of the person's three nearest tracks passes `search_bar`; when none is, the honest
    answer is nobody.
    """
    model = store.model()
    if model is None:
        return []
    nearest: dict[tuple[int, int], list[tuple[float, int, int]]] = {}
    for track, (similarity, number) in _best_per_track(store, query, model[2]).items():
        person = view.labels.get(track)
        key = (1, person) if person is not None else (0, track)
        nearest.setdefault(key, []).append((similarity, track, number))
    scored = []
    for key, found in nearest.items():
        found.sort(reverse=True)
        scored.append((float(np.mean([f[0] for f in found[:TOP]])), -found[0][1], key))
    accept = search_bar(model[2], pair, link, len(nearest))
    return [
        _match(store, key, nearest[key][0], score, accept) for score, _, key in sorted(scored, reverse=True)[:limit]
    ]


def _best_per_track(store: Store, query: F32, metric: str) -> dict[int, tuple[float, int]]:
    """track -> (similarity, number) of its nearest sample, for the tracks whose own vector is nearest."""
    found = [(n, similarities(metric, v, query)) for n, v in store.track_vector_pages(PAGE)]
    if not found:
        return {}
    numbers, near = (np.concatenate([f[k] for f in found]) for k in (0, 1))
    keys, vectors = store.vectors_of(numbers[np.argsort(-near, kind="stable")[:LOOKED_AT]].tolist())
    best: dict[int, tuple[float, int]] = {}
    for (track, number), s in zip(keys.tolist(), similarities(metric, vectors, query).tolist(), strict=True):
        if track not in best or s > best[track][0]:
            best[track] = (s, number)
    return best


def _match(store: Store, key: tuple[int, int], nearest: tuple[float, int, int], score: float, accept: float) -> Match:
    _, track, number = nearest
    sample = next(s for s in store.samples(track) if s.number == number)
    person = key[1] if key[0] else None
    return Match(person, score, score >= accept, track, number, store.track(track).source, sample.time)


def centres(store: Store, view: View) -> tuple[list[int], F32, dict[int, tuple[list[int], F32]]]:
    """People with vectors, (n, d) the centre of each, and person -> its tracks and their vectors."""
    model = store.model()
    numbers, vectors = store.track_vectors()
    rows: dict[int, list[int]] = {}
    for k, track in enumerate(numbers.tolist()):
        person = view.labels.get(track)
        if person is not None and person not in view.hidden:
            rows.setdefault(person, []).append(k)
    people = sorted(rows)
    mean = mean_direction if model is None or model[2] == "cosine" else weighted_mean
    middle = np.stack([mean(vectors[rows[p]]) for p in people]) if people else np.zeros((0, 1), np.float32)
    return people, middle, {p: ([int(numbers[k]) for k in r], vectors[r]) for p, r in rows.items()}


def questions(
    store: Store, view: View, seconds: Mapping[int, float], lengths: Mapping[int, float], *, merge: float,
    answered: set[tuple[int, int]], sure: Collection[int] = (), limit: int = 50,
) -> list[Question]:  # fmt: skip
    """Open questions, those that settle most screen time first.

    "same": pairs of people nearer than `merge` less a margin - just missed, or kept apart by the user's names; what
    is settled is the screen time of the shorter one. "split": tracks farther from their person than from somebody
    else; settled is the track. `seconds` is screen time by person, `lengths` by track, `answered` pairs said to differ,
    `sure` tracks said to be where they belong. Questions about the same time follow each other, likeliest "yes" first.
    """
    model = store.model()
    everybody, centre, members = centres(store, view)
    if model is None or not everybody:
        return []
    chosen = sorted(range(len(everybody)), key=lambda k: (-seconds.get(everybody[k], 0.0), everybody[k]))[:MOST]
    people, middle = [everybody[k] for k in chosen], centre[chosen]
    low = bar(model[2], merge) - (
        0.15 if model[2] == "cosine" else 0.1
    )  # under the merge bar by this much nobody is alike
    out = _pairs(people, middle, model[2], low, seconds, answered | _together(store, view, members))
    out += [q for q in _strays(people, middle, members, model[2], lengths) if q.track not in sure]
    return sorted(out, key=lambda q: (-q.seconds, q.kind, q.subject, -q.similarity, q.a, q.b, q.track or 0))[:limit]


def _together(store: Store, view: View, members: Mapping[int, tuple[list[int], F32]]) -> set[tuple[int, int]]:
    """Pairs of people seen in one frame so often that nobody needs to be asked."""
    seen: Counter[tuple[int, int]] = Counter()
    for t, u in store.cannot_links():
        a, b = view.labels.get(t), view.labels.get(u)
        if a is not None and b is not None and a != b:
            seen[min(a, b), max(a, b)] += 1
    pairs = [p for p in seen if p[0] in members and p[1] in members]
    if not pairs:
        return set()
    often = np.array([seen[p] for p in pairs])
    left, right = (np.array([len(members[p[k]][0]) for p in pairs]) for k in (0, 1))
    return {p for p, no in zip(pairs, vetoed(often, left, right).tolist(), strict=True) if no}


def _pairs(
    people: Sequence[int],
    middle: F32,
    metric: str,
    low: float,
    seconds: Mapping[int, float],
    answered: set[tuple[int, int]],
) -> list[Question]:
    out: list[Question] = []
    for i, a in enumerate(people):
        near = similarities(metric, middle, middle[i])
        for j in np.argsort(-near, kind="stable")[: NEIGHBOURS + 1].tolist():
            b = people[j]
            pair = (min(a, b), max(a, b))
            if j > i and near[j] >= low and pair not in answered:
                settled, less = min((seconds.get(p, 0.0), -p) for p in pair)  # of equals the younger one
                out.append(Question("same", *pair, None, float(near[j]), settled, -less))
    return out


def _strays(
    people: Sequence[int],
    middle: F32,
    members: Mapping[int, tuple[list[int], F32]],
    metric: str,
    lengths: Mapping[int, float],
) -> list[Question]:
    far = _far(people, middle, members, metric)
    if not len(far):
        return []
    rows = np.stack([members[people[i]][1][k] for i, k in far.tolist()])
    out: list[Question] = []
    for at in range(0, len(far), PAGE):
        part, home = rows[at : at + PAGE], far[at : at + PAGE, 0]
        near = _table(metric, part, middle)
        line = np.arange(len(part))
        own = near[line, home].copy()
        near[line, home] = -np.inf
        other = near.argmax(1)
        margin = own - near[line, other]
        for n in np.flatnonzero(margin < 0).tolist():
            person = people[int(home[n])]
            track = members[person][0][int(far[at + n, 1])]
            out.append(
                Question(
                    "split", person, people[int(other[n])], track, float(margin[n]), lengths.get(track, 0.0), person
                )
            )
    return out


def _far(people: Sequence[int], middle: F32, members: Mapping[int, tuple[list[int], F32]], metric: str) -> I64:
    """(n, 2) positions of a person and of a track of theirs that may be nearer to somebody else's centre.

    By the triangle inequality it must be farther from its own than half the way to the nearest other centre. People of
    one or two tracks are left out: with two nobody can say which one is the stray.
    """
    if len(people) < 2:
        return np.zeros((0, 2), np.int64)
    found: list[tuple[int, int]] = []
    for i, person in enumerate(people):
        tracks, rows = members[person]
        if len(tracks) < 3:
            continue
        apart = _distance(metric, similarities(metric, middle, middle[i]))
        apart[i] = np.inf
        own = _distance(metric, similarities(metric, rows, middle[i]))
        found += [(i, k) for k in np.flatnonzero(own > 0.5 * apart.min() - 1e-6).tolist()]
    return np.asarray(found, np.int64).reshape(-1, 2)


def _distance(metric: str, similarity: F64) -> F64:
    """A metric's `similarities` as distances that obey the triangle inequality: angles, or Euclidean lengths."""
    return np.arccos(np.clip(similarity, -1.0, 1.0)) if metric == "cosine" else -similarity
