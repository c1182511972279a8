"""The library as a user sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamer.errors import StoreError
from streamer.library import Library
from streamer.timeline import fold
from tests.streamer.store.scene import PERIOD, drawing, everything, make_track, person_vector

from .town import NOON, make, opened, run


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with opened(tmp_path / "people.db") as found:
        run(found, [1, 2, 1, 3, 2, 1])
        yield found


def again(library: Library) -> Library:
    """The library after a restart."""
    library.close()
    return opened(library.store.path)


def test_people_are_listed_by_screen_time(library: Library) -> None:
    people = library.people()
    assert [(p.id, p.tracks, p.appearances) for p in people] == [(1, 3, 3), (2, 2, 2), (3, 1, 1)]
    assert people[0].screen_time == pytest.approx(3 * 10 * PERIOD)
    assert people[0].first == ("clip", 0.0)
    assert people[0].last == ("clip", pytest.approx(110 * PERIOD))
    assert people[0].label == "Person 1"


def test_the_list_of_people_agrees_with_the_appearances(library: Library) -> None:
    run(library, [2, 4, 4, 1, 2, 2, 1, 4], "second", step=11, each=10)
    run(library, [5, 5, 1, 2], "third", step=6, each=30)
    library.name(5, "Eve")
    found = library.appearances()
    order = {s.name: s.id for s in library.store.sources()}
    for person in library.people():
        mine = sorted((a for a in found if a.identity == person.id), key=lambda a: (order[a.source], a.start))
        assert person.screen_time == pytest.approx(sum(a.duration for a in mine))
        assert person.appearances == len(mine)
        assert person.faces == sum(a.faces for a in mine)
        assert person.tracks == sum(len(a.tracks) for a in mine)
        assert person.first == (mine[0].source, mine[0].start)
        assert person.last == (mine[-1].source, mine[-1].end)
        assert person.sources == tuple(dict.fromkeys(a.source for a in mine))


def test_a_second_file_knows_the_people_of_the_first(library: Library) -> None:
    run(library, [2, 4, 1], "second")
    assert {p.id: p.sources for p in library.people()} == {
        1: ("clip", "second"), 2: ("clip", "second"), 3: ("clip",), 4: ("second",)
    }  # fmt: skip
    assert fold(library.store.events()) == library.store.labels()


def test_people_are_found_by_number_name_and_merged_number(library: Library) -> None:
    library.name(2, "  Bob\n Ray ")
    library.merge(1, 3)
    assert [library.find(w) for w in ("2", "#2", "Person 2", "bob ray", "Bob", 3)] == [2, 2, 2, 2, 2, 1]
    for wrong in ("Bobby", 99, "", "3x"):
        with pytest.raises(StoreError, match="there is no"):
            library.find(wrong)


def test_a_name_that_two_people_have_is_not_guessed(library: Library) -> None:
    library.name(1, "Sam")
    library.name(2, "sam")
    with pytest.raises(StoreError, match=r"2 people are called 'Sam': 1 \(Sam\), 2 \(sam\)"):
        library.find("Sam")


def test_decisions_survive_a_restart_and_the_next_file(library: Library) -> None:
    library.name(1, "Ann")
    library.merge(2, 3)
    new = int(library.split(1, [1]).args["new"])
    with again(library) as found:
        run(found, [3, 1, 2, 1], "second")
        people = {p.id: (p.name, p.tracks) for p in found.people()}
        assert people[2] == ("", 5)
        assert sum(n for _, n in people.values()) == 10
        assert [name for name, _ in people.values() if name] == ["Ann"]
        assert 1 in found.tracks(new)
        assert not set(found.tracks(new)) & {3, 6}


def test_every_decision_can_be_undone(library: Library) -> None:
    before = library.view
    library.name(1, "Ann")
    library.merge(1, 2)
    library.hide(3)
    library.split(1, [1, 2])
    library.not_same(1, 3)
    for _ in range(5):
        library.undo()
    assert (library.view.labels, library.view.names, library.view.hidden) == (before.labels, {}, frozenset())
    assert len(library.log()) == 10
    with pytest.raises(StoreError, match="nothing to undo"):
        library.undo()


def test_an_undone_merge_comes_apart_after_the_clusterer_was_told(library: Library) -> None:
    merge = library.merge(1, 2)
    run(library, [1, 2], "second")
    assert len(library.tracks(1)) == 7
    library.undo(merge.id)
    run(library, [1, 2], "third")
    assert set(library.tracks(1)) >= {1, 3, 6}
    assert set(library.tracks(2)) >= {2, 5}


def test_hidden_people_can_be_left_out(library: Library) -> None:
    library.hide(2)
    assert [p.id for p in library.people(hidden=False)] == [1, 3]
    assert [p.hidden for p in library.people()] == [False, True, False]


def test_a_refused_decision_is_not_in_the_log(library: Library) -> None:
    with pytest.raises(StoreError, match="itself"):
        library.merge(1, 1)
    assert library.log() == []


def test_search_finds_the_person_and_is_honest_about_strangers(library: Library) -> None:
    library.name(2, "Bob")
    best = library.search(person_vector(2, 999), pair=0.4)[0]
    assert (best.person, best.accepted, best.source) == (2, True, "clip")
    assert best.track in library.tracks(2)
    assert not any(m.accepted for m in library.search(person_vector(9), pair=0.4))


@pytest.mark.parametrize(("metric", "pair", "link"), [("cosine", 0.3, 0.42), ("euclidean", 0.6, 0.5)])
def test_the_more_people_the_nearer_a_face_must_be(metric: str, pair: float, link: float) -> None:
    from streamer.library.search import bar, search_bar

    bars = [search_bar(metric, pair, link, n) for n in (1, 10, 1000, 10**6)]
    assert bars[0] == search_bar(metric, pair, None, 999) == bar(metric, pair)
    assert bars[0] < bars[1] < bars[2] == bars[3] == pytest.approx(bar(metric, link))


def test_an_enrolled_name_reaches_past_and_future(library: Library) -> None:
    photos = [replace(make_track(k, 3, samples=1).samples[0]) for k in (50, 51)]
    person = library.enrol("Cem", photos, make)
    assert person == library.find("Cem") == 3
    assert library.people()[-1].name == "Cem"
    run(library, [3, 3], "second")
    cem = library.person("Cem")
    assert cem.sources == ("clip", "second")
    assert cem.tracks == 3
    assert [s.name for s in library.store.sources()] == ["clip", "second"]


def test_enrolling_before_anything_was_seen_names_the_first_sight(tmp_path: Path) -> None:
    with opened(tmp_path / "empty.db") as library:
        person = library.enrol("Ann", [make_track(1, 5).samples[0]], make)
        assert [(p.name, p.screen_time) for p in library.people()] == [("Ann", 0.0)]
        run(library, [6, 5])
        assert library.person("Ann").id == person
        assert library.person("Ann").tracks == 1


def test_photos_of_somebody_named_otherwise_do_not_take_the_name_away(library: Library) -> None:
    library.name(1, "Ann")
    other = library.enrol("Zoe", [make_track(60, 1).samples[0]], make)
    assert library.view.names == {1: "Ann", other: "Zoe"}
    assert library.person("Ann").tracks == 3


def test_more_photos_go_to_the_person_of_that_name(library: Library) -> None:
    first = library.enrol("Ann", [make_track(60, 1).samples[0]], make)
    assert library.enrol("ann", [make_track(61, 7).samples[0]], make) == first


def test_photos_of_different_people_are_not_taken_for_one(library: Library) -> None:
    one, other, third = (make_track(70 + p, p).samples[0] for p in (1, 5, 6))
    with pytest.raises(StoreError, match="the 3 photos of 'Mix' show different people"):
        library.enrol("Mix", [one, other, third], make, pair=0.4)
    again = make_track(80, 5).samples[0]
    person = library.enrol("Eve", [one, other, again], make, pair=0.4)
    assert library.find("Eve") == person == 4  # nobody in the video: the photo of person 1 was left out
    assert len(library.store.vectors(library.tracks(person)[0])) == 2


def test_review_asks_first_what_settles_most(tmp_path: Path) -> None:
    with opened(tmp_path / "people.db") as library:
        store = library.store
        run(library, [1, 1, 1, 2, 2, 2, 3], step=40)
        source = store.begin_source("odd", period=PERIOD)
        stray = make_track(store.next_track(), 2, 0, 50, source="odd")
        vectors = {stray.number: person_vector(2)}
        from streamer.items import Assigned

        store.add_tracks(source.id, [stray], [Assigned(store.last_seq() + 1, stray.number, 1, 0.5)], vectors=vectors)
        store.finish_source(source.id)
        library.refresh()
        asked = library.review(merge=0.31)
        assert (asked[0].kind, asked[0].a, asked[0].b, asked[0].track) == ("split", 1, 2, stray.number)
        assert asked[0].seconds == pytest.approx(50 * PERIOD)
        assert [q.seconds for q in asked] == sorted((q.seconds for q in asked), reverse=True)


def test_a_pair_said_to_differ_is_not_asked_again(library: Library) -> None:
    from streamer.library.search import questions

    seconds = {p.id: p.screen_time for p in library.people()}
    near = {"seconds": seconds, "lengths": {}, "merge": -0.5}  # everybody is near enough to ask
    pairs = {(q.a, q.b) for q in questions(library.store, library.view, answered=set(), **near)}
    assert (1, 2) in pairs
    library.not_same(1, 2)
    answered = library._answered()
    assert answered == {(1, 2)}
    assert (1, 2) not in {(q.a, q.b) for q in questions(library.store, library.view, answered=answered, **near)}


def test_queries_answer_in_stretches(library: Library) -> None:
    library.name(1, "Ann")
    found = library.query("Ann, longer than 0.3s")
    assert [(f.source, f.start, round(f.end, 3)) for f in found] == [
        ("clip", 0.0, 0.4),
        ("clip", 1.6, 2.0),
        ("clip", 4.0, 4.4),
    ]
    assert library.query("Ann, longer than 1s") == []
    with pytest.raises(StoreError, match="nobody called 'Eve'"):
        library.query("Ann with Eve")


def test_a_what_if_changes_nothing_until_applied(library: Library) -> None:
    library.name(1, "Ann")
    before = everything(library.store.path)
    change = library.what_if(lambda: make(link=-0.9, merge=-0.9), {"link": -0.9})
    assert everything(library.store.path) == before
    assert change.people_before == 3
    assert change.people_after < 3
    assert 1 in change.named
    library.apply(change)
    assert len(library.people()) == change.people_after
    assert library.person("Ann").id == 1
    assert fold(library.store.events()) == library.store.labels()


def test_reclustering_with_the_same_settings_keeps_every_number(library: Library) -> None:
    before = dict(library.view.labels)
    change = library.what_if(make)
    assert (change.churn, change.merges, change.splits) == (0.0, (), ())
    library.apply(change)
    assert library.view.labels == before
    run(library, [1, 2, 3, 8], "second")
    assert {p.id: p.tracks for p in library.people()} == {1: 4, 2: 3, 3: 2} | {library.people()[-1].id: 1}


def test_a_lost_state_is_rebuilt_with_the_same_numbers(library: Library) -> None:
    library.name(3, "Cem")
    before = dict(library.view.labels)
    library.store.drop_state()
    library.clusterer(make)
    assert library.view.labels == before
    assert library.store.state() is not None


def test_a_camera_that_was_killed_goes_on_from_its_tracks(tmp_path: Path) -> None:
    people = [1, 2, 1, 3, 2, 1]
    with opened(tmp_path / "a.db") as library:
        run(library, people, "hall", kind="live")
        whole = dict(library.view.labels)
    with opened(tmp_path / "b.db") as library:
        run(library, [4], "before")
        run(library, people, "hall", kind="live", finish=False)
    with opened(tmp_path / "b.db") as library:
        clusterer = library.clusterer(make)
        assert clusterer.seq == library.store.last_seq()
        groups = {}
        for track, person in library.view.labels.items():
            groups.setdefault(person, set()).add(track - 1)
        assert {frozenset(g) for g in groups.values()} >= {
            frozenset(t for t, p in whole.items() if p == person) for person in set(whole.values())
        }


def test_vectors_of_another_model_are_refused(library: Library) -> None:
    with pytest.raises(StoreError, match="toy-1234"):
        library.store.check_model("other", 16, "cosine")


# ---------------------------------------------------------------------- privacy
def bytes_of(library: Library) -> bytes:
    """Every byte of the library's files."""
    return b"".join(p.read_bytes() for p in sorted(library.store.path.parent.glob("people.db*")))


def test_after_forgetting_no_byte_is_left(library: Library, tmp_path: Path) -> None:
    library.name(1, "Ann Unmistakable-Name")
    library.name(1, "Ann Other-Name")
    library.merge(1, 3)
    library.export_person(1, tmp_path / "export")
    (tmp_path / "people.db.v0.bak").write_bytes(bytes_of(library))
    store = library.store
    mine = library.tracks(1)
    needles = [b"Unmistakable", b"Other-Name"]
    for track in mine:
        for k, vector in enumerate(store.vectors(track)):
            picture = store.thumbnail(track, k)
            assert picture is not None
            needles += [vector.astype("<f2").tobytes(), vector.astype("<f4").tobytes()[:32], picture[-200:]]
    stored = bytes_of(library)
    assert sum(n in stored for n in needles) >= 2 + 2 * 4  # the float32 form is nowhere from the start
    receipt = library.forget("Ann Other-Name")
    left = bytes_of(library)
    assert [n for n in needles if n in left] == []
    assert (receipt.person, receipt.tracks, receipt.probes_found) == (1, 4, 0)
    assert receipt.probes > 0
    assert receipt.removed["vectors"] == 8
    assert not list((tmp_path / "export").iterdir())
    assert str(tmp_path / "people.db.v0.bak") in receipt.files_deleted
    assert "Unmistakable" not in receipt.text()
    assert not library.search(person_vector(1), pair=0.4)[0].accepted
    assert store.verify() == []


def test_a_forgotten_number_never_comes_back(library: Library) -> None:
    library.forget(1)
    assert {p.id for p in library.people()} == {2, 3}
    with again(library) as found:
        run(found, [1, 2], "second")
        assert {p.id: p.tracks for p in found.people()} == {2: 3, 3: 1, 4: 1}
        assert 1 in found.store.buried()
        with pytest.raises(StoreError, match="cannot come back"):
            found.undo(1)


def test_forgetting_without_a_state_rebuilds_from_what_is_left(library: Library) -> None:
    library.store.drop_state()
    library.forget(2)
    run(library, [1, 2], "second")
    assert 2 not in {p.id for p in library.people()}
    assert len(library.tracks(1)) == 4


def test_an_erasure_cut_off_before_the_rewrite_is_finished_at_the_next_start(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    needle = library.store.vectors(1)[0].astype("<f2").tobytes()
    monkeypatch.setattr(type(library.store), "shred", lambda self: None)
    library.forget(1)
    library.store.close()
    assert library.store.path.exists()
    monkeypatch.undo()
    with again(library) as found:
        assert not found.store.unshredded()
        assert needle not in bytes_of(found)


def test_old_unnamed_people_expire_and_named_ones_stay(library: Library) -> None:
    library.name(1, "Ann")
    run(library, [2, 5], "late", kind="live", at=(NOON + timedelta(days=20)).timestamp())
    assert library.expire(timedelta(days=30), now=NOON + timedelta(days=10)) == 0
    assert library.expire(timedelta(days=30), now=NOON + timedelta(days=31)) == 1  # person 3; person 2 was seen later
    assert {p.id for p in library.people()} == {1, 2, 4}
    assert library.expire(timedelta(days=30), now=NOON + timedelta(days=60)) == 4
    assert {p.id for p in library.people()} == {1}


def test_a_persons_own_data_can_be_handed_over(library: Library, tmp_path: Path) -> None:
    import json

    library.name(2, "Bob")
    files = library.export_person("Bob", tmp_path / "bob")
    about = json.loads((tmp_path / "bob" / "person.json").read_text())
    assert (about["person"], about["name"], about["vectors_kept"]) == (2, "Bob", 4)
    assert [t["id"] for t in about["tracks"]] == [2, 5]
    assert about["decisions"][0]["args"]["name"] == "Bob"
    assert len([f for f in files if f.suffix == ".jpg"]) == 4
    assert len((tmp_path / "bob" / "appearances.csv").read_text().splitlines()) == 3
    assert {path for path, people in library.store.exports() if people == [2]} == {str(f.resolve()) for f in files}


def test_a_persons_data_tells_every_decision_about_it_and_no_others(library: Library, tmp_path: Path) -> None:
    import json

    library.hide(2)  # hidden: True must not be taken for person 1
    library.name(3, "Cem")
    library.merge(1, 3)
    library.undo()
    library.merge(1, 3)
    library.export_person(1, tmp_path / "one")
    told = json.loads((tmp_path / "one" / "person.json").read_text())["decisions"]
    assert [(d["id"], d["kind"]) for d in told] == [(2, "name"), (3, "merge"), (4, "undo"), (5, "merge")]


def test_pictures_are_not_kept_when_not_wanted(tmp_path: Path) -> None:
    from streamer.store import Store

    with Store(tmp_path / "people.db", keep_pictures=False) as store:
        store.check_model("toy-1234", 16, "cosine")
        source = store.begin_source("clip")
        store.add_tracks(source.id, [make_track(1)])
        assert store.thumbnail(1, 0) is None
        assert len(store.vectors(1)) == 2


def test_faces_are_the_best_of_each_track(library: Library) -> None:
    faces: list[Any] = library.faces(1, 2)
    assert [(t, n) for t, n, _ in faces] == [(1, 1), (3, 1)]
    assert all(data[:2] == b"\xff\xd8" for _, _, data in faces)
    assert np.asarray(drawing(1, 0)).shape == (24, 24, 3)


def test_structure_asks_about_pieces_of_one_person_until_it_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = [1, 2, 3, 4] * 12
    monkeypatch.setattr("tests.streamer.library.town.make", lambda: make(link=0.99, merge=0.985))
    with opened(tmp_path / "people.db") as library:
        tracks = dict(zip(run(library, drawn, step=40), drawn, strict=True))
        assert len(library.people()) > 4  # the thresholds were far too strict
        asked = [q for q in library.structure() if q.kind == "same"]
        assert asked
        for q in asked:
            assert {tracks[t] for t in library.tracks(q.a)} == {tracks[t] for t in library.tracks(q.b)}
        library.not_same(asked[0].a, asked[0].b)
        assert asked[0] not in library.structure()
