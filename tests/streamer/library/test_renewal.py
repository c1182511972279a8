"""A source done again; a library moved to another model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamer.errors import StoreError
from streamer.items import Assigned
from streamer.library import Library
from streamer.vectors import unit
from tests.streamer.store.scene import PERIOD, make_track, person_vector

from .town import make, opened, run, tracklet


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with opened(tmp_path / "people.db") as found:
        run(found, [1, 2, 1, 3, 2, 1])
        yield found


def test_decisions_move_to_the_tracks_of_a_new_run_over_the_same_video(library: Library) -> None:
    library.name(1, "Ann")
    library.name(3, "Cem")
    new_person = int(library.split(1, [3]).args["new"])
    store = library.store
    clusterer = library.clusterer(make)
    source = store.begin_source("clip", content_hash="clip", period=PERIOD)
    assert source.name == "clip (2)"
    first = store.next_track()
    # the same six looks, found in another order and a frame later
    looks = [(1, 5), (2, 4), (3, 3), (1, 2), (2, 1), (1, 0)]
    tracks = [make_track(first + k, p, at * 20 + 1, 9, source=source.name) for k, (p, at) in enumerate(looks)]
    for track in tracks:
        store.add_tracks(
            source.id, [track], clusterer.add([tracklet(track)]), vectors={track.number: tracklet(track).embedding}
        )
    store.add_events(clusterer.finish())
    store.finish_source(source.id, state=clusterer.state())
    mapping = library.replace(1, source.id, clusterer)
    assert mapping == {1: first + 5, 3: first + 3, 6: first, 4: first + 2}
    assert [s.name for s in store.sources()] == ["clip"]
    assert {t.id for t in store.tracks()} == {t.number for t in tracks}
    assert library.tracks("Ann") == [first, first + 5]
    assert library.tracks("Cem") == [first + 2]
    assert library.tracks(new_person) == [first + 3]
    library.close()
    with opened(store.path) as again:
        assert again.tracks("Ann") == [first, first + 5]
        run(again, [1], "more")
        assert again.store.verify() == []


class Other:
    """Another model: knows people by the colour of their crop, in 8 numbers."""

    model, dimension, metric, template = "other-8", 8, "cosine", ""

    def __init__(self, colours: dict[bytes, np.ndarray] | None = None, stop_after: int | None = None) -> None:
        self.calls, self.stop_after = 0, stop_after

    def embed(self, crops: Any) -> Any:
        self.calls += 1
        if self.stop_after is not None and self.calls > self.stop_after:
            raise KeyboardInterrupt
        return unit(np.stack([np.eye(8)[int(c.mean() > 128)] + 0.01 for c in crops]))


def make_other() -> Any:
    from streamer.clustering.online import OnlineClusterer

    return OnlineClusterer(8, model="other-8", keep_vectors=False, min_tracks=1)


def painted(library: Library) -> None:
    """Makes every crop of person 1 white and all others black."""
    import cv2

    white, black = (bytes(cv2.imencode(".jpg", np.full((24, 24, 3), v, np.uint8))[1]) for v in (255, 0))
    with library.store._db.write() as sql:
        sql.execute("UPDATE pictures SET crop = ?", (black,))
        sql.executemany("UPDATE pictures SET crop = ? WHERE track = ?", [(white, t) for t in library.tracks(1)])


def test_another_model_takes_over_with_ids_and_decisions_kept(library: Library) -> None:
    library.name(1, "Ann")
    library.name(2, "Bob")
    library.name(3, "Cem")
    painted(library)
    assert library.migrate(Other(), make_other) == 12
    assert library.store.model() == ("other-8", 8, "cosine")
    assert library.tracks("Ann") == [1, 3, 6]
    assert library.tracks("Bob") == [2, 5]  # named people stay two, although the new model takes them for one
    assert library.tracks("Cem") == [4]
    assert library.store.vectors(1).shape == (2, 8)
    assert library.store.verify() == []
    assert library.migrate(Other(), make_other) == 0
    with pytest.raises(StoreError, match="other-8"):
        library.store.check_model("toy-1234", 16, "cosine")
    library.clusterer(make_other)
    assert library.tracks("Ann") == [1, 3, 6]


def test_a_migration_cut_off_goes_on_and_until_then_nothing_changes(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted(library)
    monkeypatch.setattr("streamer.library.renewal.BATCH", 5)
    with pytest.raises(KeyboardInterrupt):
        library.migrate(Other(stop_after=1), make_other)
    assert library.store.model() == ("toy-1234", 16, "cosine")
    assert library.search(person_vector(2), pair=0.4)[0].person == 2
    told: list[tuple[int, int]] = []
    assert library.migrate(Other(), make_other, lambda done, total: told.append((done, total))) == 7
    assert told == [(10, 12), (12, 12)]
    assert library.store.model() == ("other-8", 8, "cosine")


def test_without_crops_a_migration_is_refused(library: Library) -> None:
    with library.store._db.write() as sql:
        sql.execute("DELETE FROM pictures")
    with pytest.raises(StoreError, match="kept no crops of 12 faces"):
        library.migrate(Other(), make_other)


def test_a_what_if_of_yesterday_is_not_applied(library: Library) -> None:
    change = library.what_if(make)
    library.store.add_events([Assigned(library.store.last_seq() + 1, 1, 2, 0.1)])
    with pytest.raises(StoreError, match="changed since"):
        library.apply(change)
