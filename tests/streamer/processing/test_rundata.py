from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamer.items import Assigned
from streamer.library import Library
from streamer.processing.rundata import library_data, run_data
from tests.streamer.library import town
from tests.streamer.store.scene import PERIOD, make_track, person_vector

STATS = {
    "frames": {"read": 110, "processed": 100, "dropped": {"late": 4}, "failed": 6},
    "cuts": [1.0, 2.0],
    "rejected": {"blurred": 3},
    "warnings": ["the end is missing"],
    "gaps": [{"start": 0.5, "end": 0.7, "reason": "damaged", "frames": 5}],
    "stride": {
        "windows": [
            {"start": 0.0, "end": 2.0, "frames": 50, "looks": 25},
            {"start": 2.0, "end": 4.0, "frames": 50, "looks": 0},
        ],
        "check": {"frames": 3, "faces": 8, "recall": 0.75},
    },
}
THRESHOLDS = {"models": {"embedder": {"thresholds": {"link": 0.5, "merge": 0.4}}}}


def filmed(library: Library, people: list[int], name: str = "clip.mp4", more: Any = None, **options: Any) -> None:
    """A finished source with everything a run tells about itself."""
    info = {"width": 64, "height": 48, "fps": 25.0, "duration": 4.0, "timecode": "10:00:00:00"}
    town.run(library, people, name, finish=False, info=info, **options)
    record = library.store.sources()[-1]
    clusterer = library.clusterer(town.make)
    library.store.finish_source(
        record.id,
        state=clusterer.state(),
        status="done",
        stats=STATS | (more or {}),
        manifest=THRESHOLDS,
        at=town.NOON.isoformat(),
    )
    library.refresh()


@pytest.fixture
def library(tmp_path: Path) -> Any:
    with town.opened(tmp_path / "people.db") as one:
        yield one


def test_a_report_has_all_that_was_recorded_of_a_source(library: Library, tmp_path: Path) -> None:
    filmed(library, [1, 2, 1])
    film = run_data(library, library.store.sources()[0], tmp_path).sources[0]
    assert (film.width, film.height, film.fps, film.frames, film.start_timecode) == (64, 48, 25.0, 100, "10:00:00:00")
    assert film.cuts == [1.0, 2.0]
    seen = film.not_seen
    assert (seen.dropped, seen.failed, seen.rejected) == ({"late": 4}, 6, {"blurred": 3})
    assert [(g.start, g.end, g.reason) for g in seen.gaps] == [(0.5, 0.7, "damaged")]
    assert (seen.checked, seen.found, seen.warnings) == (8, 6, ["the end is missing"])
    assert [x.every for x in film.strides] == [2.0, float("inf")]


def test_a_library_has_every_source_and_people_over_all_of_them(library: Library, tmp_path: Path) -> None:
    filmed(library, [1, 2], "a.mp4")
    filmed(library, [2, 3], "b.mp4")
    data = library_data(library, tmp_path)
    assert [s.name for s in data.sources] == ["a.mp4", "b.mp4"]
    both = next(p for p in data.people if p.appearances == 2)
    assert both.screen_time == pytest.approx(0.8)
    assert both.first == pytest.approx(0.8)  # in a.mp4, where the second track begins at frame 20
    assert both.last == pytest.approx(0.4)  # in b.mp4, the end of the first track
    assert set(data.manifest["runs"]) == {"a.mp4", "b.mp4"}
    assert [r.source for r in data.rows()] == ["a.mp4"] * 20 + ["b.mp4"] * 20


def test_tracks_of_nobody_are_counted_by_source(library: Library, tmp_path: Path) -> None:
    store = library.store
    for name, people in (("a.mp4", (1, None)), ("b.mp4", (None, None, 2))):
        source = store.begin_source(name, content_hash=name, period=PERIOD, at=town.NOON.isoformat())
        first = store.next_track()
        tracks = [make_track(first + k, k, 20 * k, source=name) for k in range(len(people))]
        events = [Assigned(store.last_seq() + k + 1, first + k, p, 0.1) for k, p in enumerate(people)]
        store.add_tracks(source.id, tracks, events, vectors={})
        store.finish_source(source.id, state=b"", at=town.NOON.isoformat())
    library.refresh()
    assert [s.not_seen.unassigned for s in library_data(library, tmp_path).sources] == [1, 2]


def test_faces_come_with_their_time_and_place(library: Library, tmp_path: Path) -> None:
    filmed(library, [1])
    person = run_data(library, library.store.sources()[0], tmp_path).people[0]
    card = person.faces[0]
    assert card.jpeg.startswith(b"\xff\xd8")
    assert card.time == pytest.approx(0.04)  # the better of the two looks the track kept
    # the face is 19.75 wide and 25 high; the cut is a square of 25 * 1.8 = 45
    x1, y1, x2, y2 = card.place
    assert (x2 - x1, y2 - y1) == (pytest.approx(19.75 / 45, abs=0.02), pytest.approx(25 / 45, abs=0.02))
    assert [m.track for m in person.moments] == [1]


def test_a_video_beside_the_report_is_found_from_there(library: Library, tmp_path: Path) -> None:
    filmed(library, [1])
    store = library.store
    record = store.sources()[0]
    assert run_data(library, record, tmp_path).sources[0].video == ""  # nowhere: the test names no path
    moved = type(record)(**{n: getattr(record, n) for n in record.__slots__} | {"path": str(tmp_path / "v" / "a.mp4")})
    assert run_data(library, moved, tmp_path / "out").sources[0].video == "../v/a.mp4"


def alike(library: Library, *, step: int = 20) -> Any:
    """A source in which 1 and 17 have one face and are two people, and 2 is somebody else."""
    store = library.store
    source = store.begin_source("a.mp4", content_hash="a", period=PERIOD, at=town.NOON.isoformat())
    tracks = [make_track(k + 1, p, k * step, 10, source="a.mp4") for k, p in enumerate((1, 17, 2))]
    events = [Assigned(k + 1, k + 1, p, 0.1) for k, p in enumerate((1, 17, 2))]
    vectors = {t.number: person_vector(p % 16, t.number) for t, p in zip(tracks, (1, 17, 2), strict=True)}
    store.add_tracks(source.id, tracks, events, vectors=vectors)
    store.finish_source(source.id, state=b"", manifest=THRESHOLDS, at=town.NOON.isoformat())
    library.refresh()
    return store.source(source.id)


def test_two_who_look_alike_and_never_meet_are_a_question_until_it_is_answered(
    library: Library, tmp_path: Path
) -> None:
    source = alike(library)
    data = run_data(library, source, tmp_path)
    assert [(u.a, u.b, u.reason) for u in data.unsure] == [(1, 17, "alike, but kept apart")]
    assert data.unsure[0].similarity > 0.9
    assert data.unsure[0].seconds == pytest.approx(0.4)
    library.not_same(1, 17)
    assert run_data(library, source, tmp_path).unsure == ()


def test_two_who_share_the_picture_are_no_question(library: Library, tmp_path: Path) -> None:
    assert run_data(library, alike(library, step=1), tmp_path).unsure == ()


def test_somebody_with_a_stray_track_is_unsure(library: Library, tmp_path: Path) -> None:
    filmed(library, [1, 1, 1, 2, 2, 2])
    stray = library.tracks(2)[0]
    library.split(2, [stray])
    library.merge(1, 3)
    people = {p.id: p for p in run_data(library, library.store.sources()[0], tmp_path).people}
    assert people[1].reason == "1 of 4 tracks look more like Person 2"
    assert people[1].unsure
    assert not people[2].unsure
    library.confirm(1, [stray])
    assert not any(p.unsure for p in run_data(library, library.store.sources()[0], tmp_path).people)


def test_the_curves_of_a_library_hold_the_pairs_of_all_its_sources(library: Library, tmp_path: Path) -> None:
    one = {"link": 0.5, "merge": 0.4, "metric": "cosine", "pack": {"link": 0.5, "merge": 0.4}, "reason": "Few pairs."}
    one |= {"false_merge": None, "budget": 0.01}
    filmed(library, [1], "a.mp4", more={"calibration": one | {"pairs": {"genuine": [0.9, 0.8], "impostor": [0.1]}}})
    later = one | {"link": 0.45, "pairs": {"genuine": [0.7], "impostor": [0.0, 0.2]}}
    filmed(library, [2], "b.mp4", more={"calibration": later})
    curves = library_data(library, tmp_path).calibration
    assert curves is not None
    assert (sum(curves.genuine), sum(curves.impostor)) == (3, 3)
    assert curves.thresholds == {"link": 0.45, "merge": 0.4}
    assert curves.note.startswith("Few pairs.")


def test_no_curves_are_drawn_from_nothing(library: Library, tmp_path: Path) -> None:
    filmed(library, [1, 2])
    assert run_data(library, library.store.sources()[0], tmp_path).calibration is None
