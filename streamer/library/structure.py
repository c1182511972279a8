"""Questions that no threshold asks: people whom HDBSCAN would put together, tracks that lie between two people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from streamer.clustering.online import OnlineClusterer
from streamer.clustering.proposals import propose, unsure
from streamer.ledger import View
from streamer.library.machine import Say, restored_from
from streamer.library.search import Question
from streamer.store import Store


def structure(
    store: Store, view: View, seconds: Mapping[int, float], lengths: Mapping[int, float],
    answered: set[tuple[int, int]], sure: set[int], say: Say,
) -> list[Question]:  # fmt: skip
    """Questions of kind "same" (nearest first) and "split" (least sure first), out of the clusterer's exemplars.

    None where no run has left a clusterer with exemplars (`say` is told of one that is of no use). `similarity` is the
    mean one of the two people's tracks, or the margin by which the track is nearer to its own.
    """
    _, clusterer = restored_from(store, say)
    if not isinstance(clusterer, OnlineClusterer):
        return []
    person = _persons(clusterer, view)
    out = []
    for p in propose(clusterer):
        a, b = sorted((person.get(p.a, 0), person.get(p.b, 0)))
        if a and a != b and (a, b) not in answered:
            settled, less = min((seconds.get(x, 0.0), -x) for x in (a, b))
            near = 1.0 - p.distance if clusterer.space.metric == "cosine" else -p.distance
            out.append(Question("same", a, b, None, near, settled, -less))
    for u in unsure(clusterer, link=clusterer.options["link"]):
        own, other = view.labels.get(u.track), person.get(u.alternative)
        if own and other and own != other and u.track not in sure:
            out.append(Question("split", own, other, u.track, u.margin, lengths.get(u.track, 0.0), own))
    return list(dict.fromkeys(out))


def _persons(clusterer: OnlineClusterer, view: View) -> dict[int, int]:
    """identity of the clusterer -> the person most of its tracks are with."""
    tally: dict[int, Counter[int]] = {}
    for track, identity in clusterer.labels().items():
        person = view.labels.get(track)
        if identity is not None and person is not None:
            tally.setdefault(identity, Counter())[person] += 1
    return {i: min(c, key=lambda p: (-c[p], p)) for i, c in tally.items()}
