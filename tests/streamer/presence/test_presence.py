"""Enter, update, exit, unknown, gap: what one person at one camera makes the fold say."""

from __future__ import annotations

import pytest

from streamer.errors import ConfigError
from streamer.items import Assigned, Gap, Merged, Split
from streamer.presence import Book, Kept, Notice, Presence, Rules, parse_key
from streamer.watching import Seen

NAN = float("nan")
QUIET = Rules(confirm=2, absence=2.0, cooldown=5.0, update_every=0.0, unknown_after=1e9)


def face(track: int, identity: int | None = None) -> Seen:
    return Seen(track, (10.0, 20.0, 50.0, 70.0), 0.9, identity)


def types(notices: list[Notice]) -> list[str]:
    return [n.type for n in notices]


def watch(
    presence: Presence, track: int, identity: int | None, times: list[float], camera: str = "hall"
) -> list[Notice]:
    return [n for t in times for n in presence.frame(camera, t, [face(track, identity)])]


def test_a_merge_reaches_stays_that_are_too_old_to_be_corrected_one_by_one() -> None:
    run = Presence(7, Rules(confirm=1, absence=1.0, cooldown=1.0, remember=60.0), names={1: "Ann"})
    book = Book().apply_all(Presence(6, Rules(confirm=1)).frame("hall", 10.0, [face(9, 2)]))
    book.apply_all(run.begin(1000.0))
    book.apply_all(run.frame("hall", 1000.0, [face(1, 2)]))
    book.apply_all(run.ended("hall", 1, 1000.0))
    book.apply_all(run.identities([Assigned(1, 1, 2, 0.1)], 1001.0))
    book.apply_all(run.tick(1100.0))  # forgotten here
    book.apply_all(run.frame("hall", 1101.0, [face(2, 2)]))
    told = run.identities([Merged(2, 1, 2, 0.2)], 1102.0)
    assert [t.type for t in told] == ["replace", "merged"]
    assert told[1].as_dict() | {"at": 0, "seq": 0} == {
        "schema": "whowhen-event/1", "epoch": 7, "seq": 0, "type": "merged", "at": 0, "person": 1, "name": "Ann",
        "was": 2, "end": 1042.0,
    }  # fmt: skip
    book.apply_all(told)
    assert {s.person for s in book.stays.values()} == {1}
    assert len(book.stays) == 3


def test_what_the_user_merges_reaches_old_stays_but_not_what_was_merged_before_the_run() -> None:
    run = Presence(7)
    assert run.corrected({}, {}, {5: 4}, 1.0) == []
    assert [(t.type, t.was, t.person) for t in run.corrected({}, {}, {5: 4, 3: 1}, 2.0)] == [("merged", 3, 1)]


def test_somebody_enters_with_the_second_frame_and_leaves_after_the_absence() -> None:
    presence = Presence(1, QUIET)
    (enter,) = watch(presence, 1, 7, [10.0, 10.2])
    assert (enter.type, enter.at, enter.stay and enter.stay.start, enter.stay and enter.stay.person) == (
        "enter", 10.2, 10.0, 7,
    )  # fmt: skip
    assert presence.frame("hall", 12.2, []) == []
    (leave,) = presence.frame("hall", 12.3, [])
    assert leave.type == "exit"
    assert leave.stay is not None
    assert (leave.stay.end, leave.stay.final) == (10.2, False)


def test_who_is_not_recognised_is_not_told_unless_asked_for() -> None:
    assert watch(Presence(1, QUIET), 1, None, [10.0, 10.2, 10.4]) == []
    rules = Rules(somebody=True, update_every=0, unknown_after=0)
    presence = Presence(1, rules)
    (enter,) = watch(presence, 1, None, [10.0, 10.2, 10.4])
    assert enter.stay is not None
    assert enter.stay.person is None
    known = watch(presence, 1, 4, [10.6])
    assert types(known) == ["replace", "unknown"]
    assert known[0].stay is not None
    assert (known[0].stay.id, known[0].stay.person) == (enter.stay.id, 4)


def test_a_face_that_never_gets_an_identity_is_taken_back() -> None:
    presence = Presence(1, Rules(somebody=True, update_every=0))
    watch(presence, 1, None, [10.0, 10.2])
    presence.ended("hall", 1, 10.2)
    assert types(presence.identities([Assigned(1, 1, None, NAN)], 11.0)) == ["retract"]


def test_coming_back_within_the_cooldown_takes_the_exit_back() -> None:
    presence = Presence(1, QUIET)
    (enter,) = watch(presence, 1, 7, [10.0, 10.2])
    (leave,) = presence.frame("hall", 13.0, [])
    back = watch(presence, 2, 7, [14.0])
    assert types([leave, *back]) == ["exit", "update"]
    assert back[0].stay is not None
    assert enter.stay is not None
    assert (back[0].stay.id, back[0].stay.end, back[0].stay.start) == (enter.stay.id, None, 10.0)
    presence.frame("hall", 20.0, [])
    (again,) = watch(presence, 3, 7, [20.1, 20.3])
    assert again.type == "enter"


def test_a_stay_is_final_when_its_tracks_are_over_and_assigned() -> None:
    presence = Presence(1, QUIET)
    watch(presence, 1, 7, [10.0, 10.2])
    assert presence.ended("hall", 1, 10.2) == []
    (final,) = presence.identities([Assigned(1, 1, 7, 0.2)], 10.5)
    assert (final.type, final.stay and final.stay.final) == ("update", True)


def test_a_remerge_replaces_and_joins_what_was_told() -> None:
    presence = Presence(1, QUIET)
    (first,) = watch(presence, 1, 3, [10.0, 10.2])
    (second,) = watch(presence, 2, 9, [11.0, 11.2])
    (alone,) = watch(presence, 3, 9, [11.0, 11.2], camera="yard")
    said = presence.identities([Merged(1, 3, 9, 0.2)], 12.0)
    assert first.stay
    assert second.stay
    assert alone.stay
    assert {(n.type, n.stay.id if n.stay else "", n.into, n.was) for n in said} == {
        ("replace", alone.stay.id, "", 9),
        ("update", first.stay.id, "", None),
        ("retract", second.stay.id, first.stay.id, None),
        ("merged", "", "", 9),
    }


def test_a_split_gives_the_part_that_leaves_a_stay_of_its_own() -> None:
    presence = Presence(1, QUIET)
    (enter,) = watch(presence, 1, 3, [10.0, 10.2])
    watch(presence, 2, 3, [10.4, 10.6])
    said = presence.identities([Assigned(1, 1, 3, 0.1), Assigned(2, 2, 3, 0.1), Split(3, 3, 4, (1,))], 11.0)
    assert enter.stay
    book = Book().apply_all([enter, *said])
    assert {(s.person, s.start, s.id == enter.stay.id) for s in book.stays.values()} == {
        (3, 10.4, True),
        (4, 10.0, False),
    }


def test_a_stranger_is_told_once_in_the_cooldown_and_not_after_being_named() -> None:
    rules = Rules(absence=1, cooldown=1, update_every=0, unknown_after=1.0, unknown_cooldown=60)
    presence = Presence(1, rules)
    assert types(watch(presence, 1, 7, [10.0, 10.5, 11.0, 11.5])) == ["enter", "unknown"]
    presence.frame("hall", 14.0, [])
    assert types(watch(presence, 2, 7, [20.0, 20.5, 21.5, 22.0])) == ["enter"]
    named = presence.corrected({7: "Ann Lee"}, {}, {}, 22.0)
    assert types(named) == ["named", "update"]
    assert named[1].stay
    assert not named[1].stay.unknown
    presence.frame("hall", 100.0, [])
    assert types(watch(presence, 3, 7, [200.0, 200.5, 201.5])) == ["enter"]


def test_a_user_moves_a_track_and_joins_two_people() -> None:
    presence = Presence(1, QUIET)
    watch(presence, 1, 3, [10.0, 10.2])
    watch(presence, 2, 5, [10.0, 10.2], camera="yard")
    (moved,) = presence.corrected({}, {1: 8}, {}, 11.0)
    assert (moved.type, moved.was, moved.stay and moved.stay.person) == ("replace", 3, 8)
    joined, merged = presence.corrected({}, {1: 8}, {5: 8}, 11.0)
    assert (merged.type, merged.was, merged.person) == ("merged", 5, 8)
    assert (joined.type, joined.was, joined.stay and joined.stay.person) == ("replace", 5, 8)


def test_people_leave_a_camera_that_went_away() -> None:
    presence = Presence(1, QUIET)
    watch(presence, 1, 7, [10.0, 10.2])
    assert presence.tick(14.0) == []  # frames may still be on their way
    said = presence.gap("hall", Gap("hall", 10.2, 15.0, "stalled"), 15.0)
    assert types(said) == ["gap", "exit"]
    assert said[1].stay
    assert said[1].stay.end == 10.2


def test_updates_come_while_somebody_stays() -> None:
    presence = Presence(1, Rules(update_every=5.0, unknown_after=1e9))
    said = watch(presence, 1, 7, [10.0, 10.1, 12.0, 14.0, 15.2, 16.0, 18.0, 20.0, 20.3])
    assert [(n.type, n.at) for n in said] == [("enter", 10.1), ("update", 15.2), ("update", 20.3)]


def test_what_is_long_over_is_forgotten() -> None:
    presence = Presence(1, Rules(remember=100.0, unknown_after=1e9))
    for k in range(50):
        watch(presence, k + 1, k + 1, [1000.0 * k, 1000.0 * k + 0.1])
        presence.ended("hall", k + 1, 1000.0 * k + 0.1)
        presence.identities([Assigned(k + 1, k + 1, k + 1, 0.0)], 1000.0 * k + 1)
        presence.tick(1000.0 * k + 900)
    assert presence.stays() == []
    assert not presence._tracks
    assert not presence._groups
    assert types(presence.identities([Merged(99, 1, 2, 0.1), Assigned(100, 3, 1, 0.1)], 60_000.0)) == ["merged"]


def test_a_new_epoch_ends_what_was_open_in_the_one_before() -> None:
    old, new = Presence(1, QUIET), Presence(2, QUIET)
    book = Book().apply_all([*old.begin(1.0), *watch(old, 1, 7, [10.0, 10.2])])
    assert len(book.present()) == 1
    book.apply_all(new.begin(100.0))
    assert book.present() == []
    assert [s.end for s in book.stays.values()] == [10.2]
    assert not book.apply(old.begin(1.0)[0])  # an older epoch is a repeat


def test_a_notice_as_json_says_everything_of_a_stay() -> None:
    presence = Presence(5, QUIET, names={7: "Ann"})
    (enter,) = watch(presence, 1, 7, [10.0, 10.2])
    assert enter.as_dict() == {
        "schema": "whowhen-event/1", "epoch": 5, "seq": 1, "type": "enter", "at": 10.2, "camera": "hall",
        "id": "5-1", "revision": 1, "person": 7, "name": "Ann", "start": 10.0, "end": None, "state": "provisional",
        "unknown": False, "seen": 10.2, "faces": 2, "score": 0.9, "box": [10.0, 20.0, 50.0, 70.0], "tracks": [1],
    }  # fmt: skip
    assert enter.key == "5-1"


@pytest.mark.parametrize("text", ["", "5", "5-", "-1", "a-b", "5-1-2", "٣-1", "9" * 50 + "-1"])
def test_a_last_event_id_that_is_none_is_refused(text: str) -> None:
    assert parse_key(text) is None


def test_an_id_from_the_future_gets_nothing() -> None:
    kept = Kept()
    kept.add(Presence(5).begin(0.0))
    assert parse_key("5-1") == (5, 1)
    assert kept.since(5, 1).notices == ()
    assert len(kept.since(4, 900).notices) == 1


@pytest.mark.parametrize("options", [{"confirm": 0}, {"absence": 0}, {"cooldown": -1}, {"absence": NAN}])
def test_rules_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="presence"):
        Rules(**options)  # type: ignore[arg-type]


def arrive(presence: Presence, at: float, rival: int | None = None, *, reason: str = "new", x: float = 300.0) -> None:
    """Somebody is followed as track 2 from `at` on, and given the number 8."""
    seen = Seen(2, (x, 20.0, x + 40.0, 70.0), 0.9, None)
    for k in range(3):
        presence.frame("hall", at + 0.2 * k, [seen])
    presence.identities([Assigned(9, 2, 8, NAN, rival, 0.4, reason)], at + 0.5)


def here(presence: Presence) -> list[int | None]:
    return [s.person for s in presence.stays()]


@pytest.mark.parametrize(
    ("at", "rival", "reason", "x", "told"),
    [
        (11.0, 7, "new", 300.0, False),  # nearest is somebody lost from sight
        (11.0, 7, "nearest", 300.0, True),  # known from before: recognised
        (11.0, 6, "new", 300.0, True),  # nearest is somebody who is not here
        (11.0, None, "new", 300.0, True),
        (10.4, None, "new", 12.0, False),  # at the same place a moment later
        (11.0, None, "new", 12.0, True),  # at the same place, but later
        (10.1, 7, "new", 300.0, True),  # in one picture with the other: two people
    ],
)
def test_a_newcomer_who_may_be_somebody_lost_from_sight_waits(
    at: float, rival: int | None, reason: str, x: float, told: bool
) -> None:
    presence = Presence(1, QUIET)
    watch(presence, 1, 7, [10.0, 10.2])
    arrive(presence, at, rival, reason=reason, x=x)
    assert here(presence) == ([7, 8] if told else [7])


def test_who_waits_enters_when_the_other_has_left_and_not_at_all_when_they_are_one() -> None:
    for one in (False, True):
        presence = Presence(1, QUIET)
        watch(presence, 1, 7, [10.0, 10.2])
        arrive(presence, 11.0, 7)
        assert here(presence) == [7]
        if one:
            told = presence.identities([Merged(10, 7, 8, 0.3)], 12.0)
            assert types(told) == ["update", "merged"]
            assert here(presence) == [7]
        else:
            seen = [Seen(2, (300.0, 20.0, 340.0, 70.0), 0.9, 8)]
            assert types([n for t in (12.3, 12.4) for n in presence.frame("hall", t, seen)]) == ["exit", "enter"]
            assert here(presence) == [7, 8]


def test_who_waits_is_told_at_the_end() -> None:
    presence = Presence(1, QUIET)
    watch(presence, 1, 7, [10.0, 10.2])
    arrive(presence, 11.0, 7)
    presence.identities([Assigned(10, 1, 7, 0.1, reason="nearest")], 11.5)
    presence.close(11.5)
    assert here(presence) == [7, 8]


@pytest.mark.parametrize(
    ("scores", "told"),
    [((0.96, 0.7, 0.7), False), ((0.96, 0.96, 0.96), False), ((0.96, 0.7, 0.95), True), ((1.0, 1.0), True)],
)
def test_somebody_is_told_when_two_looks_were_certain(scores: tuple[float, ...], told: bool) -> None:
    presence = Presence(1, QUIET, certain=0.95)
    for k, score in enumerate(scores):
        presence.frame("hall", 10.0 + k, [Seen(1, (0.0, 0.0, 9.0, 9.0), score, 7)])
    assert here(presence) == ([7] if told else [])
