from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.items import Gap
from streamer.reports.anonymous import anonymise, hidden_face
from streamer.reports.base import FaceCard, NotSeen, copresence
from streamer.reports.drawing import hide
from streamer.reports.html import HtmlReport
from tests.streamer.reports.drawn import drawn_face, drawn_run, person, source


def test_numbers_differ_between_two_exports() -> None:
    data = drawn_run()
    tracks = [[a.tracks for a in anonymise(data).appearances] for _ in range(2)]
    assert tracks[0] != tracks[1]
    many = replace(data, people=tuple(person(i, list(data.appearances)) for i in range(1, 60)))
    one, other = ([p.screen_time for p in anonymise(many).people] for _ in range(2))
    assert sorted(one) == sorted(other)
    assert one != other


def test_one_salt_gives_one_export() -> None:
    a, b = (anonymise(drawn_run(), salt="s") for _ in range(2))
    assert (a.people, a.appearances, list(a.rows())) == (b.people, b.appearances, list(b.rows()))


@settings(max_examples=20)
@given(st.text(min_size=1))
def test_people_stay_apart_and_times_stay_the_same(salt: str) -> None:
    before, after = drawn_run(), anonymise(drawn_run(), salt=salt)
    assert sorted(copresence(after.appearances).values()) == sorted(copresence(before.appearances).values())
    assert [(a.start, a.end) for a in after.appearances] == [(a.start, a.end) for a in before.appearances]
    pairs = {(a.identity, b.identity) for a, b in zip(before.appearances, after.appearances, strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == 3
    assert {r.person for r in after.rows()} == {b for _, b in pairs}


def test_names_and_paths_go_from_the_manifest_its_keys_and_the_warnings() -> None:
    film = source(
        "ann_lee_at_home.mp4",
        not_seen=NotSeen((Gap("x", 1, 2, "Ann Lee's camera"),), warnings=("/films/x.mp4 is torn",)),
    )
    data = drawn_run(
        sources=(film,),
        manifest={
            "input": "/films/ann_lee_at_home.mp4",
            "per person": {"Ann Lee": 5.0},
            "note": "ann lee was here",
            "source": {"content": "5f" * 32, "codec": "h264"},
            "k": 3,
        },
    )
    after = anonymise(data, salt="s")
    content = (HtmlReport().render(after) + json.dumps(after.manifest)).lower()
    for word in ("ann lee", "ann_lee", "/films", "5f5f5f"):
        assert word not in content
    assert after.manifest["k"] == 3


def test_parts_of_one_export_number_people_alike_and_two_exports_do_not() -> None:
    data = drawn_run()
    part = data.for_people({3})
    whole, alone = (anonymise(d, salt="s", among=data) for d in (data, part))
    assert [p.id for p in alone.people] == [p.id for p in whole.people if p.screen_time == alone.people[0].screen_time]
    assert alone.sources[0].name == whole.sources[0].name == "source 1"
    assert "Ann Lee" not in str(anonymise(replace(part, manifest={"note": "with Ann Lee"}), among=data).manifest)


def test_only_the_chosen_face_is_still_a_face() -> None:
    before, after = drawn_run(), anonymise(drawn_run(), keep={2}, salt="s")
    pictures = {p.screen_time: p.faces[0].jpeg for p in after.people}
    originals = {p.screen_time: p.faces[0].jpeg for p in before.people}
    kept, whole = (decode(p[3.0]).astype(int) for p in (pictures, originals))
    assert np.abs(kept[45:75, 45:70] - whole[45:75, 45:70]).mean() < 4  # the chosen one's face, encoded once more
    assert np.abs(kept[:12] - whole[:12]).mean() > 4  # what is around it may be somebody else
    assert detail(decode(pictures[5.0])) < 6


def test_further_pictures_are_hidden_too() -> None:
    before = drawn_run()
    moment = FaceCard(drawn_face(7), "drawn.mp4", 3.0, 11)
    data = replace(before, people=(replace(before.people[0], moments=(moment,)), *before.people[1:]))
    hidden = [m for p in anonymise(data, salt="s").people for m in p.moments]
    assert len(hidden) == 1
    assert detail(decode(hidden[0].jpeg)) < 6
    assert hidden[0].track != 11


def decode(jpeg: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def detail(image: np.ndarray) -> float:
    """Energy finer than a quarter of the picture."""
    small = cv2.resize(image, (4, 4), interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return float(np.abs(image.astype(float) - smooth).mean())


def test_a_hidden_face_has_no_detail_left() -> None:
    assert detail(decode(drawn_face(3))) > 12
    assert detail(decode(hidden_face(drawn_face(3)))) < 6


def test_hiding_depends_on_nothing_but_a_few_mean_colours() -> None:
    """Two faces with the same 4 x 4 means become the same picture: what made them different is gone."""
    rng = np.random.default_rng(0)
    plain = np.full((140, 140, 3), 128, np.uint8)
    noisy = plain.copy()
    # +d and -d side by side: each cell keeps its mean
    d = rng.integers(1, 60, (140, 70, 3))
    noisy[:, ::2] = 128 + d
    noisy[:, 1::2] = 128 - d
    box = (20, 20, 120, 120)  # grown by 20 % on every side: 0..140
    hide(plain, box)
    hide(noisy, box)
    assert np.abs(plain.astype(int) - noisy).max() <= 12  # one of 32 levels, and the overshoot of smoothing


def test_hiding_covers_a_fifth_more_on_every_side_and_nothing_else() -> None:
    image = np.random.default_rng(1).integers(0, 255, (100, 100, 3), np.uint8)
    before = image.copy()
    hide(image, (40, 40, 60, 60), cells=0)
    changed = np.argwhere((image != before).any(axis=2))
    assert changed.min() == 36
    assert changed.max() == 64
    hide(image, (-50, -50, -10, -10))
    hide(image, (90, 90, 300, 300))


def test_a_reason_with_a_number_could_name_somebody_and_goes() -> None:
    data = drawn_run()
    people = (replace(data.people[0], unsure=True, reason="as near to 3 as to 1"), *data.people[1:])
    assert sorted(p.reason for p in anonymise(replace(data, people=people), salt="s").people) == [
        "",
        "",
        "few faces, all from the side",
    ]
