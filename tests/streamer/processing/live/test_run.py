"""Many cameras into one library: what is told, what is kept, and what one camera cannot do to the others."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streamer.config import Config
from streamer.errors import StoreError
from streamer.items import Assigned
from streamer.library import Library
from streamer.library.retention import Retention
from streamer.models import packs
from streamer.processing.live import Live
from streamer.processing.live import run as module
from streamer.store import Store
from streamer.testing import Actor, FakeDetector, FakeEmbedder, FakeQuality, Scene, Shot
from streamer.timeline import fold

from .reel import EPOCH, Reel, Watcher

WAIT = 20.0
LEFT, RIGHT = (90.0, 120.0, 60.0), (230.0, 120.0, 60.0)


def pair(seconds: float = 4.0) -> Scene:
    """Two people side by side."""
    return Scene((Shot(seconds, (Actor(1, LEFT), Actor(4, RIGHT))),))


def one(person: int, seconds: float = 2.0) -> Scene:
    return Scene((Shot(seconds, (Actor(person, LEFT),)),))


def models() -> packs.Models:
    return packs.Models(FakeDetector(), FakeEmbedder(), FakeQuality(), packs.read_pack("open"), ["detector: drawn"])


def play(path: Path, reels: Sequence[Reel], *observers: Any) -> Live:
    """Everything the reels show, watched to the end."""
    with Library(path, create=True) as library:
        live = Live(library, models(), Config(), {r.info.name: r for r in reels}, observers)
        with live:
            for reel in reels:
                assert reel.done.wait(WAIT)
    return live


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.db"


def test_who_is_seen_when_is_in_the_library_by_the_wall_clock(path: Path) -> None:
    play(path, [Reel(pair())])
    with Library(path, readonly=True) as library:
        found = library.appearances("hall")
        assert len(found) == 2
        assert len({a.identity for a in found}) == 2
        for a in found:
            assert a.start == pytest.approx(EPOCH, abs=0.3)
            assert a.end == pytest.approx(EPOCH + 4, abs=0.1)
        assert library.store.source(1).status == "done"
        assert library.store.source(1).kind == "live"


def test_observers_hear_everything_from_one_thread_and_identities_fit_the_library(path: Path) -> None:
    watcher = Watcher()
    play(path, [Reel(pair())], watcher)
    assert len(watcher.threads) == 1
    assert watcher.closed == 1
    seqs = [e.seq for e in watcher.events]
    assert seqs == sorted(set(seqs))
    with Library(path, readonly=True) as library:
        assert fold(watcher.events) == library.store.labels()
    told = {s.track: s.identity for _, _, seen in watcher.seen for s in seen if s.identity is not None}
    assert told
    assert told.items() <= fold(watcher.events).items()
    assert {t for _, t, _ in watcher.over} == set(fold(watcher.events))


def test_a_provisional_identity_comes_while_the_track_is_open(path: Path) -> None:
    watcher = Watcher()
    reel = Reel(one(1, seconds=3.0))
    with Library(path, create=True) as library:
        live = Live(library, models(), Config(), {"hall": reel}, [watcher])
        reel._frames.append(reel._frames[-1])  # the last frame comes again: the track never ends by itself
        with live:
            watcher.until(lambda: any(isinstance(e, Assigned) for e in watcher.events))
            with Store(path, readonly=True) as other:
                assert len(other.tracks()) == 1


def test_the_same_person_on_two_cameras_is_one_person(path: Path) -> None:
    play(path, [Reel(pair(), name="hall"), Reel(one(4, 4.0), name="door")])
    with Library(path, readonly=True) as library:
        hall, door = set(library.cast("hall")), set(library.cast("door"))
        assert len(hall) == 2
        assert door < hall


def test_a_camera_that_goes_away_ends_its_tracks_at_the_last_real_frame(path: Path) -> None:
    watcher = Watcher()
    play(path, [Reel(one(1), one(1), away=60.0)], watcher)
    assert [end - EPOCH for _, _, end in watcher.over] == pytest.approx([1.96, 63.96], abs=0.01)
    assert [(g.start - EPOCH, g.end - EPOCH) for g in watcher.gaps] == [pytest.approx((1.96, 62.0))]
    with Library(path, readonly=True) as library:
        assert [(a.identity, round(a.start - EPOCH)) for a in library.appearances()] == [(1, 0), (1, 62)]
        assert library.store.gaps(1)[0].reason == "no data for 3 s"


def test_a_camera_that_fails_is_given_up_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = Reel(one(2), name="bad", fail=ValueError("broken")), Reel(pair(), name="good")
    with Library(path, create=True) as library:
        live = Live(library, models(), Config(), {"bad": bad, "good": good})
        with live:
            assert good.done.wait(WAIT)
            assert live.cameras[0].join(WAIT)
            assert live.running
        assert list(live.problems) == ["bad"]
        assert "broken" in live.problems["bad"]
        assert len(library.people()) == 2


def test_a_camera_whose_read_never_comes_back_holds_up_nobody(path: Path) -> None:
    stuck, good = Reel(one(2), name="stuck"), Reel(pair(), name="good")
    entered, release, take = threading.Event(), threading.Event(), stuck.take

    def hang(timeout: float | None = None) -> Any:
        entered.set()
        release.wait()
        return take(timeout)

    stuck.take = hang  # type: ignore[method-assign]
    with Library(path, create=True) as library:
        live = Live(library, models(), Config(), {"stuck": stuck, "good": good})
        with live:
            assert entered.wait(WAIT)
            assert good.done.wait(WAIT)
            release.set()
        assert len(library.cast("good")) == 2


def test_a_second_run_goes_on_with_the_camera(path: Path) -> None:
    play(path, [Reel(one(1))])
    later = Reel(one(1), one(3))
    later._gaps = [later_gap(later)]
    play(path, [later])
    with Library(path, readonly=True) as library:
        (source,) = library.store.sources()
        frames = [r.frame for r in library.store.iter_rows(source.id)]
        assert frames == sorted(set(frames))
        assert [p.id for p in library.people()] == [1, 2]
        assert library.store.gaps(source.id)[0].reason == "not watched"


def test_people_nobody_named_expire_while_cameras_run(path: Path) -> None:
    play(path, [Reel(pair())])
    with Library(path) as library:
        library.name(1, "Ann")
        library.clock = lambda: datetime.fromtimestamp(EPOCH, UTC) + timedelta(days=31)
        reel = Reel(one(1), name="door")
        live = Live(library, models(), Config(), {"door": reel})
        keep = Retention(library, timedelta(days=30))
        with live:
            assert reel.done.wait(WAIT)
            assert live.decide(lambda _: keep.apply(live.clusterer)) == 1
        assert [(p.name, p.sources) for p in library.people()] == [("Ann", ("hall", "door"))]
        assert library.store.buried() == [2]
        assert library.store.verify() == []


def later_gap(reel: Reel) -> Any:
    from streamer.items import Gap

    return Gap("hall", EPOCH + 100, EPOCH + 101, "connecting")


def test_a_full_disk_loses_nothing_once_there_is_room_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Library(path, create=True) as library:
        grow, left = library.store.grow, [3]

        def full(*args: Any, **kwargs: Any) -> None:
            if left[0]:
                left[0] -= 1
                raise StoreError("disk full")
            grow(*args, **kwargs)

        monkeypatch.setattr(library.store, "grow", full)
        reel, watcher = Reel(pair()), Watcher()
        live = Live(library, models(), Config(), {"hall": reel}, [watcher])
        with live:
            assert reel.done.wait(WAIT)
            watcher.until(lambda: watcher.events)
            assert live.stuck == ""
        assert len(library.people()) == 2
        assert fold(watcher.events) == library.store.labels()


def test_a_disk_that_stays_full_ends_the_run_with_the_reason(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Library(path, create=True) as library:

        def full(*args: Any, **kwargs: Any) -> None:
            raise StoreError("disk full")

        monkeypatch.setattr(library.store, "grow", full)
        reel, watcher = Reel(one(1)), Watcher()
        live = Live(library, models(), Config(), {"hall": reel}, [watcher])
        live.start()
        assert reel.done.wait(WAIT)
        with pytest.raises(StoreError, match="disk full"):
            live.stop()
        assert watcher.events == []  # nobody was told what is not kept
        assert watcher.closed == 1


def test_an_observer_that_fails_is_told_nothing_more_and_the_others_all(path: Path) -> None:
    class Broken(Watcher):
        def frame(self, *args: Any) -> None:
            super().frame(*args)
            raise RuntimeError("no")

    broken, watcher = Broken(), Watcher()
    play(path, [Reel(pair())], broken, watcher)
    assert len(broken.seen) == 1
    assert len(watcher.seen) > 1


def test_looks_of_several_cameras_share_a_call_on_a_gpu_only() -> None:
    plain = models()
    assert module._batch(plain, 4) == 1
    gpu = packs.Models(plain.detector, plain.embedder, None, plain.pack, ["detector: cuda:0"])
    assert module._batch(gpu, 4) == 4
    assert module._batch(gpu, 40) == 8
