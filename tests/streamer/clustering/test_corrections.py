"""What people say about tracks holds at once and for ever."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.clustering.events import replay
from streamer.clustering.online import OnlineClusterer
from streamer.errors import ConfigError, StoreError
from streamer.items import Dissolved, Split
from tests.streamer.clustering.drawn import centres, crowd, looks, partition, track


def one_person(n: int = 12, **options: object) -> OnlineClusterer:
    c = OnlineClusterer(64, **options)  # type: ignore[arg-type]
    c.add([track(i, v) for i, v in enumerate(looks(centres(1)[0], n, 0.9), 1)])
    assert set(c.labels().values()) == {1}
    return c


def test_must_link_merges_two_people_for_ever() -> None:
    a, b = centres(2)
    c = OnlineClusterer(64)
    log = c.add([track(1, a), track(2, b), track(3, b)])
    log += c.must_link(1, 2)
    assert c.labels() == {1: 1, 2: 1, 3: 1}
    log += c.finish()
    assert c.labels()[1] == c.labels()[2] == 1
    assert replay(log) == c.labels()


@pytest.mark.parametrize("keep", [True, False])
def test_cannot_link_parts_two_tracks_of_one_exemplar_for_ever(keep: bool) -> None:
    c = one_person(keep_vectors=keep)
    events = c.cannot_link(1, 2)
    assert any(isinstance(e, Split) and e.reason == "user" for e in events)
    assert c.labels()[1] != c.labels()[2]
    assert len(partition(c.labels())) == 2
    c.finish()
    assert c.labels()[1] != c.labels()[2]


def test_a_word_about_a_track_to_come_is_kept() -> None:
    a, b = looks(centres(1)[0], 2, 0.95)
    c = OnlineClusterer(64)
    c.add([track(1, a)])
    c.cannot_link(1, 2)
    c.add([track(2, b)])
    assert c.labels() == {1: 1, 2: 2}


def test_a_contradiction_is_refused_and_changes_nothing() -> None:
    c = one_person()
    c.must_link(1, 2)
    c.must_link(2, 3)
    before = c.state()
    with pytest.raises(ConfigError, match="Take that back first"):
        c.cannot_link(1, 3)
    assert c.state() == before


def test_one_person_cannot_hold_two_that_were_parted() -> None:
    a, b = centres(2)
    c = OnlineClusterer(64)
    c.add([track(1, a), track(2, a), track(3, b), track(4, b)])
    c.cannot_link(1, 3)
    with pytest.raises(ConfigError, match="Take that back first"):
        c.must_link(2, 4)


def test_the_later_word_about_the_same_pair_counts() -> None:
    c = one_person()
    c.cannot_link(1, 2)
    c.must_link(1, 2)
    assert c.labels()[1] == c.labels()[2]
    c.cannot_link(1, 2)
    assert c.labels()[1] != c.labels()[2]


def test_what_is_taken_back_no_longer_holds() -> None:
    c = one_person()
    c.cannot_link(1, 2)
    c.unlink(1, 2)
    c.finish()
    assert c.labels()[1] == c.labels()[2]


def test_a_user_may_join_two_tracks_of_one_frame() -> None:
    a, b = looks(centres(1)[0], 2, 0.95)
    c = OnlineClusterer(64)
    c.add([track(1, a), track(2, b, cannot=[1])])
    c.must_link(1, 2)
    c.finish()
    assert c.labels() == {1: 1, 2: 1}


def test_a_track_cannot_be_linked_with_itself() -> None:
    with pytest.raises(ConfigError, match="itself"):
        one_person().must_link(1, 1)


def test_erasing_gives_the_sums_of_a_clusterer_that_never_saw_the_track() -> None:
    x = looks(centres(1)[0], 12, 0.9)
    c, never = OnlineClusterer(64), OnlineClusterer(64)
    c.add([track(i, v) for i, v in enumerate(x, 1)])
    c.remove([12])
    never.add([track(i, v) for i, v in enumerate(x[:11], 1)])
    assert c.labels() == never.labels()
    assert np.allclose(c.identities.sums[0], never.identities.sums[0], atol=1e-5)
    assert len(c.exemplars) == len(never.exemplars)


def test_erasing_all_of_a_person_ends_its_number() -> None:
    a, b = centres(2)
    c = OnlineClusterer(64)
    c.add([track(1, a), track(2, b)])
    events = c.remove([1])
    assert any(isinstance(e, Dissolved) and e.identity == 1 for e in events)
    assert c.add([track(3, a)])[0].identity == 3  # type: ignore[union-attr]


def test_poor_tracks_stay_with_their_person_when_its_last_good_one_is_erased() -> None:
    x = looks(centres(1)[0], 5, 0.95)
    c = OnlineClusterer(64)
    c.add([track(n, x[n], quality=0.9) for n in (1, 2, 3)] + [track(4, x[4], quality=0.1)])
    c.remove([1, 2, 3])
    assert c.labels() == {4: 1}


def test_without_vectors_erasing_a_part_is_refused_before_anything_changes() -> None:
    c = one_person(keep_vectors=False)
    before = c.state()
    with pytest.raises(StoreError, match="keep_vectors=True"):
        c.remove([1])
    assert c.state() == before


def test_vectors_may_come_from_a_store() -> None:
    stream, _ = crowd(3, 40)
    stored = {t.id: t.embedding for t in stream}
    lean = OnlineClusterer(64, keep_vectors=False, vectors=lambda ids: np.stack([stored[i] for i in ids]))
    full = OnlineClusterer(64)
    for c in (lean, full):
        c.add(stream)
        c.remove([3, 9])
    assert lean.labels() == full.labels()
    assert np.array_equal(lean.exemplars.index.rows, full.exemplars.index.rows)
    assert len(lean.state()) < len(full.state())
