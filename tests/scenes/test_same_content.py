"""The same video again - twice, copied, moved, done anew - never makes anybody appear twice."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from streamer.config import load
from streamer.library import Library
from streamer.models.packs import build, load_pack
from streamer.processing import FileWorker, Silent


@pytest.fixture(scope="module")
def models(shared_models: Path) -> Any:
    return build(load_pack(str(shared_models)), "cpu")


def seconds(library: Library) -> float:
    library.refresh()
    return sum(p.screen_time for p in library.people())


def test_one_content_is_one_source(models: Any, shared_data: Path, tmp_path: Path) -> None:
    first = tmp_path / "woman.gif"
    shutil.copy(shared_data / "videos" / "headpose_one.gif", first)
    with Library(tmp_path / "people.db", create=True) as library:
        told = Silent()
        worker = FileWorker(library, models, load(), told, inline=True)
        done = worker.one(first)
        once = seconds(library)
        assert once > 1.5
        library.name(1, "Ann")

        copy = tmp_path / "copy.gif"
        shutil.copy(first, copy)
        assert [worker.one(p).state for p in (first, copy)] == ["skipped", "skipped"]
        assert library.store.source(done.record or 0).path == str(first)  # it is still there
        first.unlink()
        assert worker.one(copy).state == "skipped"
        assert library.store.source(done.record or 0).path == str(copy)  # it was moved

        for preset, force in (("balanced", True), ("accurate", False)):
            new = FileWorker(library, models, load(preset), told, inline=True, force=force).one(copy)
            assert new.state == "done"
            assert [s.id for s in library.store.sources()] == [new.record]
            assert seconds(library) == pytest.approx(once, abs=0.2)
            assert [(p.id, p.name) for p in library.people()] == [(1, "Ann")]
        assert sum("done again" in line for line in told.words) == 2
        assert library.store.verify() == []
