from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from streamer import reports
from streamer.items import Appearance
from streamer.reports.base import FaceCard, PersonEntry, RunData
from streamer.reports.html import HtmlReport
from streamer.reports.layout import curves, matrix, ticks
from streamer.reports.ran import run_blocks
from tests.streamer.reports import chromium
from tests.streamer.reports.drawn import (
    HOSTILE,
    drawn_face,
    drawn_run,
    empty_run,
    hostile_run,
    one_frame,
    person,
    source,
)

VOID = {"meta", "img", "input", "line", "br", "rect", "path"}


class Page(HTMLParser):
    """Elements with their attributes, and the text inside scripts; fails where tags do not close."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open and self.open[-1] == "script" else self.words).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.elements if t == tag]


def page(data: RunData) -> Page:
    return Page(HtmlReport().render(data))


@pytest.mark.parametrize("run", [drawn_run, empty_run, one_frame, hostile_run])
def test_every_tag_closes(run: object) -> None:
    assert page(run()).all("main")  # type: ignore[operator]


def test_hostile_names_bring_no_element_and_no_script() -> None:
    mine, clean = page(hostile_run()), page(hostile_run_with_plain_names())
    assert [t for t, _ in mine.elements] == [t for t, _ in clean.elements]
    assert len(mine.scripts) == 2
    assert json.loads(mine.scripts[0]).keys() == {"sources", "appearances", "moments"}
    for tag, attributes in mine.elements:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href"):
            value = attributes.get(name) or ""
            assert value.startswith(("data:image/jpeg;base64,", "#")) or not value


def hostile_run_with_plain_names() -> RunData:
    data = hostile_run()
    people = tuple(replace(p, name="plain", reason="plain") for p in data.people)
    return replace(data, title="plain", people=people, manifest={"note": "plain"})


def test_names_are_shown_as_they_are() -> None:
    inputs = [a["value"] for a in page(hostile_run()).all("input") if a.get("class") == "name"]
    assert inputs[:4] == list(HOSTILE[:4])
    assert inputs[4] == "two lines"


def test_the_policy_allows_nothing_from_outside_and_only_the_packaged_script() -> None:
    policy = next(str(a["content"]) for a in page(drawn_run()).all("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; media-src 'self' file: blob:;")
    assert "unsafe" not in policy
    assert "http" not in policy.replace("https", "http").replace("http-equiv", "")
    assert policy.count("'sha256-") == 2


def test_nothing_in_the_file_names_another_host() -> None:
    assert "://" not in HtmlReport().render(drawn_run())


def test_every_picture_has_an_alternative_text() -> None:
    for attributes in page(drawn_run()).all("img"):
        assert attributes.get("alt") is not None
    texts = [a["alt"] for a in page(drawn_run()).all("img") if str(a.get("id", "")).startswith("f")]
    assert texts[0] == "Face of Ann Lee at 00:00:01:05"


def test_a_row_speaks_its_content() -> None:
    rows = [a["aria-label"] for a in page(drawn_run()).all("svg") if a.get("class") == "bars"]
    assert rows[0] == "Ann Lee: 2 appearances, 5.0 s on screen"


def test_what_was_not_seen_is_said() -> None:
    words = " ".join(page(drawn_run()).words)
    for part in ("00:00:18:00 – 00:00:19:00", "damaged", "too small", "7", "could not be decoded", "1 track found"):
        assert part in words


def test_hidden_people_are_left_out_and_counted() -> None:
    data = drawn_run()
    people = (data.people[0], replace(data.people[1], hidden=True), data.people[2])
    words = " ".join(page(replace(data, people=people)).words)
    assert "Person 2" not in words
    assert "1 hidden" in words


def test_a_video_address_stays_a_file() -> None:
    wanted = {"films/a b.mp4": "films/a%20b.mp4", "//evil/x.mp4": "/evil/x.mp4", "javascript:x": "javascript%3Ax"}
    for video, address in wanted.items():
        data = drawn_run(sources=(source(video=video),))
        assert json.loads(page(data).scripts[0])["sources"] == [{"video": address}]


def test_a_picture_that_is_none_is_left_out() -> None:
    data = drawn_run(people=(PersonEntry(1, "Ann", 5.0, 1.0, 17.0, 2, 2, (FaceCard(b"not a picture"),)),))
    assert not [a for a in page(data).all("img") if a.get("id")]


def test_metadata_of_pictures_does_not_travel() -> None:
    jpeg = drawn_face(1)
    marked = jpeg[:2] + b"\xff\xe1\x00\x10Exif\x00\x00GPSHERE!" + jpeg[2:]
    data = drawn_run(people=(PersonEntry(1, "Ann", 5.0, 1.0, 17.0, 2, 2, (FaceCard(marked),)),))
    import base64

    src = str(next(a["src"] for a in page(data).all("img") if a.get("id")))
    assert b"GPSHERE" not in base64.b64decode(src.split(",")[1])


def long_run(people: int = 50, appearances: int = 2000) -> RunData:
    """2 h, 50 people, 2,000 appearances, six pictures each."""
    film = source("long.mp4", duration=7200.0, frames=180_000, cuts=tuple(float(t) for t in range(5, 7200, 5)))
    looks = [
        Appearance(film.name, 1 + i % people, i * 3.5, i * 3.5 + 3.0, (i + 1,), 75, 0.3 + i % 7 / 10)
        for i in range(appearances)
    ]
    cards = tuple(FaceCard(drawn_face(i, 224), film.name, 10.0 * i) for i in range(6))
    everybody = tuple(person(i, looks, faces=cards) for i in range(1, people + 1))
    return RunData(film.name, (film,), everybody, tuple(looks))


def test_two_hours_and_fifty_people_stay_below_five_megabytes(tmp_path: Path) -> None:
    assert reports.write("html", long_run(), tmp_path).stat().st_size < 5_000_000


def test_many_long_films_stay_below_five_megabytes_too(tmp_path: Path) -> None:
    one = long_run()
    films = tuple(replace(one.sources[0], name=f"{i}.mp4") for i in range(4))
    looks = tuple(replace(a, source=s.name) for s in films for a in one.appearances)
    data = replace(one, sources=films, appearances=looks)
    assert reports.write("html", data, tmp_path).stat().st_size < 5_000_000


def test_the_picture_budget_gives_everybody_a_face_before_anybody_a_second() -> None:
    import cv2
    import numpy as np

    noise = np.random.default_rng(1).integers(0, 255, (160, 160, 3), np.uint8)
    jpeg = bytes(cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])
    people = tuple(PersonEntry(i, "", 500.0 - i, faces=(FaceCard(jpeg),) * 5) for i in range(1, 401))
    content = HtmlReport(quality=95).render(RunData("many", (source(),), people))
    assert len(content.encode()) < 5_000_000
    assert content.count('id="f') >= 200


def test_an_appearance_has_a_picture_of_its_own_while_the_budget_lasts() -> None:
    looks = [Appearance("drawn.mp4", 1, 2.0 * i, 2.0 * i + 1 + i / 10, (i + 1,), 25, 0.9) for i in range(5)]
    moments = tuple(FaceCard(drawn_face(i), "drawn.mp4", 2.0 * i, i + 1) for i in range(5))
    one = replace(person(1, looks), faces=(FaceCard(drawn_face(0), "drawn.mp4", 0.0, 1),), moments=moments)
    told = json.loads(page(RunData("a", (source(),), (one,), looks)).scripts[0])
    # the first is on the card already; the others come longest first
    assert [a.get("m") for a in told["appearances"]] == [None, 3, 2, 1, 0]
    assert len(told["moments"]) == 4


RAN = {
    "whowhen": "0.1.0",
    "packages": {"numpy": "2.4.6"},
    "config": {
        "stride.preset": {"value": "fast", "origin": "--set"},
        "tracker.gap": {"value": 0.7, "origin": "default"},
    },
    "models": {"pack": "open", "licence": "MIT, CC0", "detector": {"files": {"mtcnn.onnx": "0123456789abcdef"}}},
    "devices": ["detector: cpu: asked for", "embedder: cpu: asked for"],
    "frames": {"read": 100, "processed": 90, "dropped": {"late": 7}, "failed": 3},
    "stages": {"follow": 4.0, "embed": 1.0},
    "cpu_seconds": 5.4,
}


def test_what_ran_is_told_in_a_few_tables() -> None:
    blocks = {b["title"]: b for b in run_blocks(RAN)}
    told = {title: [(r["label"], r["value"]) for r in b["rows"]] for title, b in blocks.items()}
    assert told["Models"] == [("pack", "open"), ("detector", "mtcnn.onnx 01234567"), ("device", "cpu: asked for")]
    assert told["Settings"] == [("stride.preset", "fast (--set)")]
    assert ("dropped, late", "7") in told["Frames and faces"]
    assert blocks["Frames and faces"]["note"] == "Read is the sum of processed, dropped and damaged."
    assert [r.get("share") for r in blocks["Processor time"]["rows"]] == ["100.0", "25.0", None]
    assert blocks["Processor time"]["note"] == "60.0 ms of processor time a frame."


def test_counts_that_do_not_add_up_are_said_to() -> None:
    run = {"frames": {"read": 100, "processed": 90, "dropped": {}, "failed": 3}}
    assert run_blocks(run)[0]["note"] == "These counts do not add up."


def test_the_runs_behind_a_library_are_added_up() -> None:
    other = RAN | {"models": RAN["models"] | {"pack": "buffalo_l"}}  # type: ignore[operator]
    blocks = {
        b["title"]: [(r["label"], r["value"]) for r in b["rows"]] for b in run_blocks({"runs": {"a": RAN, "b": other}})
    }
    assert blocks["Models"][0] == ("pack", "open, buffalo_l")
    assert ("frames read", "200") in blocks["Frames and faces"]
    assert ("all together", "10.8 s") in blocks["Processor time"]


def test_axis_labels_are_round_and_few() -> None:
    assert [t["label"] for t in ticks(0.0, 20.0)] == ["0:00", "0:05", "0:10", "0:15", "0:20"]
    assert [t["label"] for t in ticks(0.852, 7200.852)][-1] == "2:00:00"
    assert len(ticks(0, 1e6)) <= 10


def test_a_camera_is_told_in_times_of_day(tmp_path: Path) -> None:
    noon = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
    film = source("hall", live=True, start=noon, duration=20.0, cuts=())
    looks = (Appearance("hall", 1, noon + 5, noon + 8, (1,), 75, 0.9),)
    mine = page(RunData("hall", (film,), (person(1, list(looks)),), looks))
    words = " ".join(" ".join(mine.words).split())
    assert "Watched for 20.0 s from 2023-11-14 22:13:20 UTC" in words
    assert "2023-11-14 22:13:25 – 2023-11-14 22:13:28" in words
    assert "22:13:25 22:13:30" in words  # the axis
    assert json.loads(mine.scripts[0])["appearances"][0]["i"] == "2023-11-14 22:13:25"


def test_the_matrix_is_symmetric_and_has_the_seconds() -> None:
    rows = matrix(drawn_run(), {})["rows"]
    assert [r["label"] for r in rows] == ["Ann Lee", "Person 2"]
    assert [[c["text"] for c in r["cells"]] for r in rows] == [["", "2.0"], ["2.0", ""]]


def test_a_library_has_a_timeline_per_source() -> None:
    films = (source("a.mp4"), source("b.mp4"))
    looks = (Appearance("a.mp4", 1, 1.0, 2.0, (1,), 25, 0.9), Appearance("b.mp4", 1, 3.0, 5.0, (2,), 50, 0.9))
    mine = page(RunData("all", films, (person(1, list(looks), name="Ann"),), looks))
    assert len([a for a in mine.all("svg") if a.get("class") == "bars"]) == 2
    assert "in 2 videos" in " ".join(mine.words)


def test_a_card_in_a_library_names_the_one_video_of_its_person() -> None:
    looks = (Appearance("a.mp4", 1, 1.0, 2.0, (1,), 25, 0.9),)
    mine = page(RunData("all", (source("a.mp4"), source("b.mp4")), (person(1, list(looks), name="Ann"),), looks))
    assert "00:00:01:00 – 00:00:02:00 in a.mp4" in mine.words


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    if not chromium.found():
        pytest.skip("no Chromium on this machine (chromium, chromium-browser or google-chrome)")
    with chromium.Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


def test_in_a_browser_the_report_asks_for_nothing_and_runs_only_its_own_script(
    browser: chromium.Browser, tmp_path: Path
) -> None:
    before = len(browser.asked_for())
    browser.open(reports.write("html", hostile_run(), tmp_path))
    assert browser.asked_for()[before:] == [(tmp_path / "report.html").as_uri()]
    assert browser.complaints() == []
    # the small pictures are filled in by the script: it did run
    assert browser.js("[...document.querySelectorAll('img.mini')].every(i => i.src.startsWith('data:image/jpeg'))")
    assert browser.js("document.querySelectorAll('script').length") == 2


def test_pointing_at_a_bar_shows_face_timecode_and_duration(browser: chromium.Browser, tmp_path: Path) -> None:
    browser.open(reports.write("html", drawn_run(), tmp_path))
    browser.mouse("move", ".row[data-person='1'] rect")
    assert browser.js("[...document.querySelectorAll('#tip div > *')].map(e => e.textContent)") == [
        "Ann Lee",
        "00:00:01:00 – 00:00:04:00",
        "3.0 s · 75 faces · confidence 93\u00a0%",
    ]
    assert browser.js("document.querySelector('#tip img').src.startsWith('data:image/jpeg')")


def test_the_keyboard_walks_a_row_and_enter_plays(browser: chromium.Browser, tmp_path: Path) -> None:
    browser.open(reports.write("html", drawn_run(), tmp_path))
    browser.js("document.querySelector('.row[data-person=\"1\"] .bars').focus()")
    browser.key("ArrowRight")
    browser.key("ArrowRight")
    assert "00:00:15:00" in browser.js("document.querySelector('#tip .tc').textContent")
    browser.key("Enter")
    assert browser.js("document.querySelector('#player').hidden") is False
    # no video beside this report: it offers to open one
    assert browser.js("document.querySelector('#pick').hidden") is False
    browser.key("Escape")
    assert browser.js("document.querySelector('#player').hidden") is True


def test_clicking_a_bar_seeks_in_the_video_beside_the_report(browser: chromium.Browser, tmp_path: Path) -> None:
    import numpy as np

    from streamer.reports.video import encode

    encode(tmp_path / "drawn.mp4", ((i / 5, np.full((90, 160, 3), i, np.uint8)) for i in range(100)))
    browser.open(reports.write("html", drawn_run(sources=(source(video="drawn.mp4"),)), tmp_path))
    browser.mouse("click", ".row[data-person='3'] rect")
    waited = """new Promise(done => {
        const v = document.querySelector('video');
        const look = () => v.currentTime >= 13 || v.error ? done(v.error ? -1 : v.currentTime) : setTimeout(look, 20);
        look();
        setTimeout(() => done(v.currentTime), 8000);
    })"""
    at = browser.js(waited)
    if at == -1:
        pytest.skip("this Chromium plays no H.264")
    assert 13.0 <= at < 14.0


def test_names_written_in_the_page_can_be_saved(browser: chromium.Browser, tmp_path: Path) -> None:
    browser.open(reports.write("html", drawn_run(), tmp_path))
    browser.js(
        "(i => { i.value = 'Cleo'; i.dispatchEvent(new Event('input', {bubbles: true})); })"
        "(document.querySelector('#p2 input.name'))"
    )
    assert browser.js("document.querySelector('#names').textContent") == "Save 1 name"
    assert browser.js("document.querySelector('.row[data-person=\"2\"] .label').textContent") == "Cleo"


@pytest.mark.parametrize("width", [1280, 380])
def test_the_page_is_never_wider_than_the_window(browser: chromium.Browser, width: int, tmp_path: Path) -> None:
    browser.open(reports.write("html", long_run(24, 240), tmp_path), width, 900)
    assert browser.js("document.documentElement.scrollWidth") <= width


def test_thresholds_without_pairs_are_said_not_drawn() -> None:
    calibration = drawn_run().calibration
    assert calibration is not None
    nothing = replace(calibration, genuine=(0,) * 28, impostor=(0,) * 28)
    mine = page(drawn_run(calibration=nothing))
    assert "No pairs to draw. Used: link 0.38, merge 0.45 (cosine similarity)." in " ".join(mine.words)
    assert not mine.all("figure")


def test_curves_have_round_marks_and_their_thresholds() -> None:
    calibration = drawn_run().calibration
    assert calibration is not None
    drawn = curves(calibration)
    assert [t["label"] for t in drawn["ticks"]] == ["-0.40", "-0.20", "0.00", "0.20", "0.40", "0.60", "0.80", "1.00"]
    assert [t["label"] for t in drawn["thresholds"]] == ["link 0.38", "merge 0.45"]
    # 0.38 on an axis from -0.4 to 1.0 that is 660 wide and begins at 30
    assert float(drawn["thresholds"][0]["x"]) == pytest.approx(30 + 0.78 / 1.4 * 660, abs=0.1)


def test_people_seen_for_a_moment_are_counted_apart() -> None:
    data = drawn_run()
    brief = replace(data, people=(replace(data.people[0], screen_time=0.4), *data.people[1:]))
    words = "seen for less than a second"
    assert words not in " ".join(page(data).words)
    assert f"1 {words}" in " ".join(page(brief).words)
