"""What nobody named goes in time, also during a long run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from streamer.errors import ConfigError
from streamer.library.retention import Retention, duration

from .town import NOON, make, opened, run


def test_a_length_of_time_is_read() -> None:
    assert [duration(t) for t in ("30d", "12h", "1.5 m", "90s")] == [
        timedelta(days=30), timedelta(hours=12), timedelta(seconds=90), timedelta(seconds=90)
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="no length of time"):
        duration("soon")


def test_people_expire_while_a_camera_runs(tmp_path: Path) -> None:
    now = [NOON]
    with opened(tmp_path / "people.db") as library:
        library.clock = lambda: now[0]
        run(library, [1, 2], "first")
        library.name(1, "Ann")
        keep = Retention(library, timedelta(days=30))
        clusterer = library.clusterer(make)
        library.store.begin_source("hall", kind="live", at=NOON.isoformat())
        assert keep.apply(clusterer) == 0
        now[0] = NOON + timedelta(days=30, minutes=59)
        assert keep.apply(clusterer) == 1
        assert {p.id for p in library.people()} == {1}
        assert set(clusterer.labels().values()) == {1}  # the running clusterer does not know the person any more
        assert library.store.verify() == []


def test_it_is_looked_after_once_an_hour(tmp_path: Path) -> None:
    now = [NOON]
    with opened(tmp_path / "people.db") as library:
        library.clock = lambda: now[0]
        run(library, [1], "first")
        keep = Retention(library, timedelta(minutes=30))
        assert keep.apply() == 0
        now[0] = NOON + timedelta(minutes=59)
        assert keep.apply() == 0  # expired, but looked after an hour later at the latest
        now[0] = NOON + timedelta(minutes=60)
        assert keep.apply() == 1


def test_without_a_length_everything_is_kept(tmp_path: Path) -> None:
    with opened(tmp_path / "people.db") as library:
        library.clock = lambda: NOON + timedelta(days=9999)
        run(library, [1])
        assert Retention(library, None).apply() == 0
