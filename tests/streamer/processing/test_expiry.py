"""People whose time is up go also while a long file is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streamer.config import Config
from streamer.library import Library
from streamer.processing import FileWorker, assigning
from streamer.testing import Actor, Scene, Shot, meeting

from .test_calls import models

STRANGERS = Scene((Shot(1.0, (Actor(5, (80, 110, 56)), Actor(6, (230, 120, 60)))),), name="strangers.mp4")


class Killed(BaseException):
    """What no stage catches."""


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    return [STRANGERS.write(tmp_path / "in"), meeting().write(tmp_path / "in2")]


@pytest.fixture(autouse=True)
def _track_by_track(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assigning, "BATCH", 1)


def begun(path: Path, clips: list[Path]) -> Library:
    """A library that has seen two strangers, one of whom has a name by now."""
    library = Library(path, create=True)
    FileWorker(library, models(), Config()).one(clips[0])
    library.refresh()
    library.name(1, "Ann")
    return library


def reading(library: Library, after: int, *, kill: bool = False, inline: bool = False) -> FileWorker:
    """A worker for whom a month passes while it reads, when so many tracks are there."""
    at, seen = [datetime.now(UTC)], [0]
    library.clock = lambda: at[0]
    worker = FileWorker(library, models(), Config(), keep_unnamed=timedelta(days=30), inline=inline)
    record = worker._record

    def counted(number: int, outcome: Any) -> None:
        if kill and seen[0] > after:
            raise Killed
        record(number, outcome)
        seen[0] += len(outcome.tracks)
        if seen[0] >= after:
            at[0] = datetime.now(UTC) + timedelta(days=31)

    worker._record = counted  # type: ignore[method-assign]
    return worker


def told(library: Library) -> list[tuple[str, int, float, float]]:
    library.refresh()
    return [(a.source, a.identity, round(a.start, 3), round(a.end, 3)) for a in library.appearances()]


@pytest.mark.parametrize("inline", [False, True])
def test_a_stranger_goes_while_a_file_is_read_and_the_file_is_whole(
    tmp_path: Path, clips: list[Path], inline: bool
) -> None:
    with begun(tmp_path / "kept.db", clips) as library:
        FileWorker(library, models(), Config()).one(clips[1])
        expected = told(library)
    with begun(tmp_path / "people.db", clips) as library:
        worker = reading(library, 2, inline=inline)
        words: list[str] = worker.listener.words  # type: ignore[attr-defined]
        assert worker.one(clips[1]).state == "done"
        assert words == [
            "1 tracks of people nobody named have expired and were erased"
            "; reports written earlier stay (`whowhen people expire --delete-files`)"
        ]
        assert told(library) == [a for a in expected if a[1] != 2]
        assert library.store.buried() == [2]
        assert library.store.verify() == []
        assert set(worker.clusterer.labels().values()) == {p.id for p in library.people()}


def test_a_run_that_is_killed_after_that_comes_to_the_same_end(tmp_path: Path, clips: list[Path]) -> None:
    with begun(tmp_path / "whole.db", clips) as library:
        reading(library, 2).one(clips[1])
        expected = told(library)
    with begun(tmp_path / "people.db", clips) as library:
        with pytest.raises(Killed):
            reading(library, 2, kill=True).one(clips[1])
        assert library.store.buried() == [2]
    with Library(tmp_path / "people.db") as library:
        assert FileWorker(library, models(), Config()).one(clips[1]).state == "done"
        assert told(library) == expected
        assert library.view.names == {1: "Ann"}


def test_who_is_in_the_file_does_not_expire_by_it(tmp_path: Path, clips: list[Path]) -> None:
    with begun(tmp_path / "people.db", clips) as library:
        library.name(2, "Bo")
        worker = reading(library, 1)
        worker.one(clips[1])
        assert {p.id for p in library.people()} > {1, 2}
        assert worker.listener.words == []  # type: ignore[attr-defined]
