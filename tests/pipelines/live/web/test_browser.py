"""The live page in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.live.announcer import Corrections
from pipelines.live.sinks import Figures
from pipelines.live.web.server import PageServer, Serve
from tests.pipelines.live.web.drawn import Run
from tests.streamer.reports import chromium

pytest.importorskip("uvicorn", reason="uvicorn is not installed (extra `live`)")
pytestmark = pytest.mark.skipif(chromium.found() is None, reason="Chromium is not installed (apt-get install chromium)")
HOSTILE = "</script><img src=x onerror=alert(1)>"


def until(browser: chromium.Browser, condition: str) -> None:
    """Waits, inside the page, until a condition holds; the browser's own limit ends it."""
    browser.js(
        "new Promise(done => { const t = setInterval(() => {"
        f" if ({condition}) {{ clearInterval(t); done(true); }} }}, 25); }})"
    )


def texts(browser: chromium.Browser, selector: str) -> list[str]:
    found: list[str] = json.loads(
        browser.js(f"JSON.stringify([...document.querySelectorAll({selector!r})].map(e => e.textContent))")
    )
    return found


@pytest.fixture
def run() -> Run:
    made = Run()
    made.health()
    made.health("down", "yard <b>&")
    for _ in range(4):
        made.step(1, 2)
    made.assign(1, 1)
    return made


@pytest.fixture
def shown(run: Run, tmp_path: Path) -> Iterator[chromium.Browser]:
    page = PageServer(Serve(listen="127.0.0.1:0"), run.board, run.decide, lambda: [Figures("record", 3, 0, 1, "")])
    with chromium.Browser(tmp_path / "profile") as browser:
        browser.ask("Emulation.setDeviceMetricsOverride", width=1400, height=1000, deviceScaleFactor=1, mobile=False)
        browser.ask("Page.navigate", url=f"{page.address}?token={page.serve.token}")
        while browser._next().get("method") != "Page.loadEventFired":
            pass
        until(browser, "document.querySelectorAll('#here li').length === 2 && document.querySelector('.face text')")
        yield browser
    page.close()


def test_the_page_shows_who_is_here_and_lets_them_be_named(shown: chromium.Browser, run: Run) -> None:
    assert shown.js("location.search") == ""
    assert shown.js("document.cookie") == ""  # scripts cannot read the session
    assert texts(shown, "#here .name") == ["Person 1", "Person 2"]
    assert texts(shown, ".tile strong") == ["hall", "yard <b>&"]
    assert sorted(texts(shown, ".face text")) == ["Person 1", "Person 2"]
    assert shown.js("document.querySelector('canvas').width") == 320
    assert texts(shown, "#health td:nth-child(2)") == ["live", "down"]
    assert texts(shown, ".tile .figures")[1].startswith("down for ")
    assert texts(shown, "#news li span")[-1] == "Person 1 came, hall"  # what happened before the page was opened
    assert shown.js("document.querySelector('.face').getAttribute('aria-label')") == "Name Person 1"
    assert shown.js("document.querySelector('#hour svg').getAttribute('aria-label')").startswith("In view once, last ")
    assert "2 people in view" in str(shown.js("document.querySelector('#lead').textContent"))
    assert len(texts(shown, "#hour .row .who i + span")) == 2

    shown.mouse("click", "#here li button.ask")
    until(shown, "document.querySelector('#who').open")
    shown.js(f"document.querySelector('#whoname').value = {HOSTILE!r}")
    shown.mouse("click", "#whoform button.main")
    until(shown, f"document.querySelector('#here .name').textContent === {HOSTILE!r}")
    assert run.decided == [("name", {"person": 1, "name": HOSTILE})]
    until(shown, f"[...document.querySelectorAll('.face text')].some(e => e.textContent === {HOSTILE!r})")
    assert shown.js("document.querySelectorAll('img[src=x]').length") == 0
    shown.mouse("click", "#undo")
    until(shown, "document.querySelector('#here .name').textContent === 'Person 1'")

    run.step(1)
    run.step(1, seconds=3.0)  # person 2 has left
    until(shown, "document.querySelectorAll('#here li').length === 1")
    run.announcer.corrected(Corrections({1: "Bo"}))
    until(shown, "document.querySelector('#here .name').textContent === 'Bo'")
    assert shown.complaints() == []
    own = {url.split("/")[2] for url in shown.asked_for()}
    assert own == {shown.js("location.host")}


def test_a_face_in_the_picture_is_named_by_keyboard(shown: chromium.Browser, run: Run) -> None:
    shown.js("document.querySelector('.face').focus()")
    shown.key("Enter")
    until(shown, "document.querySelector('#who').open")
    assert shown.js("document.activeElement.id") == "whoname"
    shown.js("document.querySelector('#whoname').value = 'Ann Lee'; document.querySelector('#whoform').requestSubmit()")
    until(shown, "document.querySelector('#toasttext').textContent === 'Saved: Ann Lee.'")
    assert [told["name"] for _, told in run.decided] == ["Ann Lee"]


def test_it_fits_the_window_with_a_recording_to_keep(shown: chromium.Browser) -> None:
    until(shown, "document.querySelector('#here .keep').offsetWidth")
    assert shown.js("document.documentElement.scrollWidth") == 1400
    assert texts(shown, "#sinks p") == ["recordings: 3 clips, 1 being written, 0 frames left out"]


def test_the_page_fits_a_phone_and_comes_back_after_a_lost_connection(shown: chromium.Browser, run: Run) -> None:
    shown.ask("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True)
    until(shown, "document.querySelector('#here .keep').offsetWidth")
    assert shown.js("document.documentElement.scrollWidth") <= 390
    until(shown, "document.querySelector('.face text').getBoundingClientRect().height >= 12")  # legible on a small tile
    shown.js("source.close(); source.onerror()")
    until(shown, "document.querySelector('#line').classList.contains('live')")
    run.step(1, seconds=3.0)
    until(shown, "document.querySelectorAll('#here li').length === 1")
