"""Proposals: people in pieces are named, tracks in the wrong person too."""

from __future__ import annotations

import numpy as np

from streamer.clustering.online import OnlineClusterer
from streamer.clustering.proposals import propose, unsure
from tests.streamer.clustering.drawn import centres, crowd, looks, track


def in_two_pieces() -> OnlineClusterer:
    """Five people; the first was cut in two by a user's word that has been taken back."""
    stream, who = crowd(5, 80, cosine=0.7)
    c = OnlineClusterer(64)
    c.add(stream)
    a, b = [n for n, w in enumerate(who, 1) if w == 0][:2]
    c.must_link(a, b)
    c.unlink(a, b)
    c.cannot_link(a, b)
    c.unlink(a, b)
    assert c.labels()[a] != c.labels()[b]
    return c


def test_a_person_in_two_pieces_is_proposed_first() -> None:
    c = in_two_pieces()
    sizes = c.sizes()
    best = propose(c)[0]
    assert min(sizes[best.a], sizes[best.b]) < 8
    assert best.distance == c.distance_between(best.a, best.b)
    assert 0 < best.share <= 1


def test_people_seen_together_are_not_proposed() -> None:
    c = in_two_pieces()
    best = propose(c)[0]
    inverse: dict[int, int] = {}
    for t, i in c.labels().items():
        inverse.setdefault(i or 0, t)
    c.cannot_link(inverse[best.a], inverse[best.b])
    assert (best.a, best.b) not in {(p.a, p.b) for p in propose(c)}


def test_tracks_between_two_people_are_unsure_and_clear_ones_are_not() -> None:
    first, second = centres(2)
    x = np.vstack([looks(first, 20, 0.7, 1), looks(second, 20, 0.7, 2)])
    c = OnlineClusterer(64)
    c.add([track(n, v) for n, v in enumerate(x, 1)])
    c.finish()
    c.must_link(1, 2)
    middle = looks((first + second) / np.linalg.norm(first + second), 1, 0.95, 3)[0]
    c.add([track(99, middle, must=[1])])
    found = unsure(c, link=0.42)
    assert found[0].track == 99
    assert found[0].alternative == c.labels()[40]
    assert len(found) < 10


def test_with_hardly_anything_there_is_nothing_to_propose() -> None:
    c = OnlineClusterer(64)
    assert propose(c) == []
    assert unsure(c, link=0.42) == []
    c.add([track(1, centres(1)[0])])
    assert propose(c) == []
    assert unsure(c, link=0.42) == []
