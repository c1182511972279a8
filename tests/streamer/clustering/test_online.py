"""What the online clusterer does with tracks as they come."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.clustering import repair
from streamer.clustering.events import replay
from streamer.clustering.online import OnlineClusterer
from streamer.errors import ConfigError, StoreError
from streamer.items import Assigned, Event, Merged, Tracklet
from tests.streamer.clustering.drawn import centres, crowd, looks, partition, track, unit


def test_the_first_track_founds_identity_one_and_a_near_one_joins_it() -> None:
    a, b = looks(centres(1)[0], 2, 0.95)
    c = OnlineClusterer(64)
    first, second = c.add([track(1, a), track(2, b)])
    assert isinstance(first, Assigned)
    assert isinstance(second, Assigned)
    assert (first.identity, first.reason, np.isnan(first.distance)) == (1, "new", True)
    assert (second.identity, second.reason) == (1, "nearest")
    assert second.distance == pytest.approx(1 - float(a @ b), abs=1e-5)


def test_the_runner_up_says_why_not_the_other_one() -> None:
    a, b = unit(np.array([[1.0, 0.0, 0.0], [0.4, 0.9, 0.0]]))
    c = OnlineClusterer(3, link=0.42)
    c.add([track(1, a), track(2, b, cannot=[1])])
    (event,) = c.add([track(3, unit(np.array([0.95, 0.3, 0.0])))])
    assert isinstance(event, Assigned)
    assert (event.identity, event.runner_up) == (1, 2)
    assert event.distance < event.runner_up_distance < 1


def test_a_track_never_joins_somebody_it_shares_a_frame_with() -> None:
    a, b = looks(centres(1)[0], 2, 0.99)
    c = OnlineClusterer(64)
    c.add([track(1, a), track(2, b, cannot=[1])])
    assert c.labels() == {1: 1, 2: 2}


def test_a_conflict_told_before_its_other_track_comes_holds_when_it_comes() -> None:
    a, b = looks(centres(1)[0], 2, 0.99)
    c = OnlineClusterer(64)
    c.add([track(1, a, cannot=[2]), track(2, b)])
    c.finish()
    assert c.labels() == {1: 1, 2: 2}


def test_a_must_link_joins_strangers() -> None:
    a, b = centres(2)
    c = OnlineClusterer(64)
    c.add([track(1, a), track(2, b, must=[1])])
    c.finish()
    assert c.labels() == {1: 1, 2: 1}


def test_a_poor_track_belongs_to_nobody_until_somebody_established_is_near() -> None:
    x = looks(centres(1)[0], 6, 0.9)
    c = OnlineClusterer(64)
    c.add([track(1, x[0], quality=0.1)])
    assert c.labels() == {1: None}
    c.add([track(n, x[n], quality=0.9) for n in (2, 3, 4)])
    c.add([track(5, x[5], quality=0.1)])
    assert c.labels()[5] == c.labels()[2]
    c.finish()
    assert c.labels()[1] == c.labels()[2]


def test_a_poor_track_moves_no_identity() -> None:
    x = looks(centres(1)[0], 5, 0.9)
    c = OnlineClusterer(64)
    c.add([track(n, x[n], quality=0.9) for n in (0 + 1, 2, 3)])
    slot = c.identities.slot_of[1]
    before = c.identities.sums[slot].copy()
    c.add([track(4, x[4], quality=0.1)])
    assert c.labels()[4] == 1
    assert (c.identities.sums[slot] == before).all()
    assert c.sizes() == {1: 4}


def test_identities_are_provisional_until_min_tracks_or_a_pin() -> None:
    a, b = centres(2)
    c = OnlineClusterer(64, min_tracks=2)
    c.add([track(1, a), track(2, a), track(3, b)])
    assert c.published() == {1}
    c.pin(2)
    assert c.published() == {1, 2}


def test_a_remerge_keeps_the_older_number_and_leaves_an_alias() -> None:
    centre = centres(1)[0]
    far = looks(centre, 2, 0.6, 3)
    c = OnlineClusterer(64, link=0.5, remerge_every=10_000)
    c.add([track(1, far[0]), track(2, far[1])])
    assert len(set(c.labels().values())) == 2
    c.add([track(n, v) for n, v in enumerate(looks(centre, 12, 0.85, 5), 3)])
    merged = [e for e in c.remerge() if isinstance(e, Merged)] + [e for e in c.finish() if isinstance(e, Merged)]
    assert all(e.kept < e.dropped for e in merged)
    assert partition(c.labels()) == {frozenset(range(1, 15))}
    assert set(c.labels().values()) == {1}


def test_a_pinned_identity_keeps_its_number_in_a_merge() -> None:
    stream, _ = crowd(1, 40, cosine=0.72)
    c = OnlineClusterer(64, link=0.62, merge=0.45, remerge_every=10_000)
    c.add(stream)
    numbers = sorted(set(c.labels().values()) - {None})
    assert len(numbers) > 1
    c.pin(numbers[-1])
    c.finish()
    assert set(c.labels().values()) == {numbers[-1]}


def test_two_pinned_identities_are_not_merged_by_the_machine() -> None:
    stream, _ = crowd(1, 40, cosine=0.72)
    c = OnlineClusterer(64, link=0.62, merge=0.45, remerge_every=10_000)
    c.add(stream)
    first, *_, last = sorted(set(c.labels().values()) - {None})
    c.pin(first)
    c.pin(last)
    c.finish()
    assert {first, last} <= set(c.labels().values())


def test_a_growing_tracklet_stays_and_its_new_vector_replaces_the_old() -> None:
    a, b = centres(2)
    c = OnlineClusterer(64)
    c.add([track(1, a)])
    assert c.add([track(1, unit(a + b))]) == []
    assert c.labels() == {1: 1}
    assert c.identities.sums[c.identities.slot_of[1]] == pytest.approx(unit(a + b), abs=1e-6)


def two_poses(**options: object) -> tuple[OnlineClusterer, list[Event]]:
    """One person in two poses of forty tracks each, with one wrong conflict between them (a mirror): 3 and 44."""
    front = centres(1)[0]
    side = looks(front, 1, 0.6, 9)[0]
    x = np.concatenate([looks(front, 40, 0.97, 1), looks(side, 40, 0.97, 2)])
    c = OnlineClusterer(64, link=0.7, merge=0.45, remerge_every=10_000, **options)  # type: ignore[arg-type]
    log = c.add([track(n, v, cannot=[3] if n == 44 else []) for n, v in enumerate(x, 1)])
    assert partition(c.labels()) == {frozenset(range(1, 41)), frozenset(range(41, 81))}
    return c, log + c.finish()


def test_of_two_conflicting_tracks_in_one_person_one_is_moved_out_and_no_number_is_lost() -> None:
    c, log = two_poses()
    labels = c.labels()
    assert {i for t, i in labels.items() if t not in (3, 44)} == {1}
    assert labels[3] != labels[44]
    assert 1 in (labels[3], labels[44])
    assert replay(log) == labels


def test_soft_conflicts_let_the_labels_overrule_a_mirror() -> None:
    c, _ = two_poses(conflicts="soft")
    assert set(c.labels().values()) == {1}


def test_people_are_merged_as_far_as_merge_says_also_where_link_is_far_stricter() -> None:
    """Every track founds somebody of its own; the re-merge must know who was near."""
    x = looks(centres(1)[0], 80, 0.75)
    c = OnlineClusterer(64, link=0.75, merge=0.4, remerge_every=10_000)
    c.add([track(n, v) for n, v in enumerate(x, 1)])
    assert len(set(c.labels().values())) > 40
    c.finish()
    assert set(c.labels().values()) == {1}


def test_vectors_of_another_model_are_refused() -> None:
    a = centres(1)[0]
    stranger = Tracklet(1, "film", 0.0, 1.0, 3, a, a[None], model="other")
    with pytest.raises(StoreError, match="cannot be mixed"):
        OnlineClusterer(64, model="mine").add([stranger])


def test_nothing_is_nothing() -> None:
    c = OnlineClusterer(64)
    assert c.add([]) + c.remerge() + c.finish() == []
    assert c.labels() == {}


@pytest.mark.parametrize("options", [{"conflicts": "hard"}, {"link": 1.0}, {"metric": "dot"}])
def test_options_that_do_not_fit_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="clusterer"):
        OnlineClusterer(64, **options)  # type: ignore[arg-type]


def test_a_job_computed_elsewhere_gives_what_the_inline_consolidation_gives() -> None:
    stream, _ = crowd(8, 200, cosine=0.7)
    inline, apart = (OnlineClusterer(64, link=0.6, merge=0.4) for _ in range(2))
    inline.add(stream)
    apart.add(stream)
    inline.finish()
    apart.remerge()
    apart.apply(apart.consolidation_job()())
    assert partition(apart.labels()) == partition(inline.labels())


def test_tracks_that_came_while_the_job_ran_keep_their_people() -> None:
    stream, who = crowd(6, 160, cosine=0.85)
    c = OnlineClusterer(64)
    log = c.add(stream[:100])
    job = c.consolidation_job()
    log += c.add(stream[100:])
    log += c.apply(job())
    assert replay(log) == c.labels()
    assert partition(c.labels()) == {frozenset(n for n, w in enumerate(who, 1) if w == p) for p in set(who)}


def test_somebody_founded_on_poor_first_looks_is_whom_the_later_looks_show() -> None:
    a, b = centres(2)
    clusterer = OnlineClusterer(64)
    clusterer.add([track(1, a), track(2, b)])
    (first,) = clusterer.add([track(3, looks(a, 1, 0.3, seed=1)[0])])
    assert isinstance(first, Assigned)
    assert first.reason == "new"
    events = clusterer.add([track(3, looks(a, 1, 0.95, seed=2)[0])])
    assert [(e.kept, e.dropped, e.reason) for e in events if isinstance(e, Merged)] == [(1, 3, "grown")]
    assert clusterer.labels() == {1: 1, 2: 2, 3: 1}


def test_a_grown_track_keeps_out_of_who_shares_a_frame_with_it() -> None:
    a = centres(1)[0]
    clusterer = OnlineClusterer(64)
    clusterer.add([track(1, a), track(3, looks(a, 1, 0.3, seed=1)[0])])
    clusterer.add([track(3, looks(a, 1, 0.95, seed=2)[0], cannot=[1])])
    assert clusterer.labels() == {1: 1, 3: 2}


def test_a_grown_track_that_turns_out_to_be_a_piece_of_another_joins_it() -> None:
    a, b = centres(2)
    clusterer = OnlineClusterer(64)
    clusterer.add([track(1, a), track(2, b)])
    clusterer.add([track(2, b, must=[1])])
    assert clusterer.labels() == {1: 1, 2: 1}


@pytest.mark.parametrize("keep", [True, False])
def test_a_grown_track_is_known_by_its_newest_looks_wherever_vectors_are_kept(keep: bool) -> None:
    a, b, c = centres(3)
    newest = {1: a, 2: a}
    clusterer = OnlineClusterer(64, keep_vectors=keep, vectors=lambda tracks: np.stack([newest[t] for t in tracks]))
    clusterer.add([track(1, a), track(2, a)])
    newest[2] = b
    clusterer.add([track(2, b)])
    mean = clusterer.identities.sums[0] / np.linalg.norm(clusterer.identities.sums[0])
    assert float(mean @ b) == pytest.approx(float(mean @ a), abs=1e-5)
    assert abs(float(mean @ c)) < 0.5


def test_consolidation_falls_due_as_tracks_grow() -> None:
    stream, _ = crowd(6, 160)
    c = OnlineClusterer(64)
    c.add(stream[:40])
    assert not c.consolidation_due
    c.add(stream[40:])
    assert c.consolidation_due
    c.apply(c.consolidation_job()())
    assert not c.consolidation_due


def test_the_result_hardly_depends_on_the_order_of_arrival() -> None:
    stream, _ = crowd(12, 240, cosine=0.75)
    one, two = OnlineClusterer(64), OnlineClusterer(64)
    one.add(stream)
    one.finish()
    two.add([stream[i] for i in np.random.default_rng(5).permutation(len(stream))])
    two.finish()
    assert partition(one.labels()) == partition(two.labels())


def test_with_rows_chosen_by_their_sketches_people_are_the_same() -> None:
    stream, _ = crowd(30, 400, cosine=0.8)
    flat, chosen = OnlineClusterer(64), OnlineClusterer(64, flat_rows=40)
    for c in (flat, chosen):
        c.add(stream)
        c.finish()
    assert (flat.exemplars.index.exact, chosen.exemplars.index.exact) == (True, False)
    assert partition(flat.labels()) == partition(chosen.labels())


def test_thresholds_that_were_far_too_strict_are_made_up_for_when_they_are_retuned() -> None:
    stream, who = crowd(6, 120, cosine=0.7)
    c = OnlineClusterer(64, link=0.8, merge=0.75)
    log = c.add(stream)
    assert len(set(c.labels().values())) > 60
    c.retune(0.42, 0.31)
    log += c.finish()
    assert partition(c.labels()) == {frozenset(n for n, w in enumerate(who, 1) if w == p) for p in set(who)}
    assert replay(log) == c.labels()


def test_thresholds_that_were_too_loose_are_made_up_for_when_they_are_retuned() -> None:
    stream, who = crowd(6, 120, cosine=0.9)
    c = OnlineClusterer(64, link=0.05, merge=-0.2)
    c.add(stream)
    assert len(set(c.labels().values())) < 6
    c.retune(0.42, 0.31)
    c.finish()
    assert partition(c.labels()) == {frozenset(n for n, w in enumerate(who, 1) if w == p) for p in set(who)}


def test_a_retuned_clusterer_is_restored_with_its_thresholds() -> None:
    stream, _ = crowd(6, 160, cosine=0.75)
    c = OnlineClusterer(64)
    c.add(stream[:80])
    c.retune(0.5, 0.4)
    copy = OnlineClusterer.restore(c.state())
    assert [str(e) for e in copy.add(stream[80:]) + copy.finish()] == [str(e) for e in c.add(stream[80:]) + c.finish()]


def test_with_sketches_too_a_restored_clusterer_continues_as_if_nothing_had_happened() -> None:
    stream, _ = crowd(60, 700)
    c = OnlineClusterer(64, flat_rows=60)
    c.add(stream[:350])
    assert not c.exemplars.index.exact
    copy = OnlineClusterer.restore(c.state())
    assert [str(e) for e in copy.add(stream[350:])] == [str(e) for e in c.add(stream[350:])]
    assert copy.state() == c.state()


@pytest.mark.parametrize(("others", "together"), [(0, True), (60, False)])
def test_two_single_tracks_must_be_the_nearer_the_more_there_are(
    others: int, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "FEW", 4)
    monkeypatch.setattr(repair, "MANY", 40)
    space = np.eye(64, dtype=np.float32)
    a, b = space[0], unit(0.34 * space[0] + np.sqrt(1 - 0.34**2) * space[1])  # below the link bar, above merge
    c = OnlineClusterer(64, link=0.42, merge=0.31)
    c.add([track(1, a), track(2, b), *(track(3 + i, space[2 + i]) for i in range(others))])
    c.finish()
    labels = c.labels()
    assert (labels[1] == labels[2]) is together
    assert len(set(labels.values())) == others + (1 if together else 2)
