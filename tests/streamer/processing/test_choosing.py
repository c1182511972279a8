"""A library keeps the clusterer it was begun with, until somebody moves it."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.clustering.dbscan import DBSCANClusterer
from streamer.clustering.online import OnlineClusterer
from streamer.config import Config
from streamer.errors import ConfigError
from streamer.library import Library
from streamer.processing import FileWorker
from streamer.processing.choosing import chosen, made, maker
from streamer.testing import meeting

from .test_calls import models

Settings = dict[str, object]


def config(**settings: object) -> Config:
    """A config in which these options of the clusterer were set."""
    out = Config()
    out.update({"clusterer": {name.rstrip("_"): value for name, value in settings.items()}}, "--set")
    return out


def worker(library: Library, **settings: object) -> FileWorker:
    return FileWorker(library, models(), config(**settings))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """One that was begun with DBSCAN and has seen two people."""
    found = Library(tmp_path / "people.db", create=True)
    done = worker(found, class_="dbscan", min_samples=1).one(meeting().write(tmp_path / "in"))
    assert done.state == "done"
    return found


def test_what_it_was_begun_with_goes_on_without_being_said_again(library: Library) -> None:
    again = worker(library).clusterer
    assert isinstance(again, DBSCANClusterer)
    assert again.options["min_samples"] == 1
    assert again.labels() == library.store.labels()
    assert isinstance(worker(library, class_="dbscan", min_samples=1).clusterer, DBSCANClusterer)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"class_": "online"}, r"clusterer.class dbscan, this run asks for online \(--set\).*recluster -l .*people.db"),
        ({"class_": "dbscan", "min_samples": 4}, "min_samples 1, this run asks for 4.*min_samples=4 --apply"),
        ({"class_": "dbscan", "min_samples": 1, "eps": 0.3}, "clusterer.eps None, this run asks for 0.3"),
        ({"min_tracks": 5}, "clusterer.min_tracks None, this run asks for 5"),
    ],
)
def test_another_wish_is_refused_with_the_way_to_it(library: Library, settings: Settings, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        worker(library, **settings)


def test_the_link_threshold_may_differ_from_run_to_run(library: Library) -> None:
    assert isinstance(worker(library, class_="dbscan", min_samples=1, link=0.6).clusterer, DBSCANClusterer)


def test_it_can_be_moved(library: Library) -> None:
    before = {p.id for p in library.people()}
    moved = config(class_="online")
    model = library.store.model()
    assert model is not None
    change = library.what_if(lambda: made(moved, model[1], metric=model[2], model=model[0]), moved.values["clusterer"])
    assert isinstance(worker(library).clusterer, DBSCANClusterer)
    library.apply(change)
    assert isinstance(worker(library).clusterer, OnlineClusterer)
    assert {p.id for p in library.people()} == before


def test_an_empty_library_takes_any_and_the_usual_one_needs_no_settings(tmp_path: Path) -> None:
    with Library(tmp_path / "people.db", create=True) as found:
        assert isinstance(worker(found).clusterer, OnlineClusterer)
        assert found.store.settings() == {}
        assert isinstance(worker(found, class_="dbscan").clusterer, DBSCANClusterer)


def test_what_is_no_clusterer_is_refused_by_what_it_lacks(tmp_path: Path) -> None:
    with Library(tmp_path / "people.db", create=True) as found:
        make = maker(chosen(found.store, config(class_="collections:Counter")), models().embedder)
        with pytest.raises(ConfigError, match="collections:Counter is no clusterer: it lacks add, remerge"):
            make()
