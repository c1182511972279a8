"""The kept state of the clusterer is a cache: whatever happened to it, people, names and decisions stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from streamer.clustering import snapshot
from streamer.library import Library
from streamer.pages import Pages

from .town import NOON, make, opened, run


def _older(library: Library) -> None:
    kept = library.store.state()
    assert kept is not None
    library.store.save_state(bytes(kept.state).replace(snapshot.MAGIC, b"whowhen clusterer 1\n"))


def _zeroed(library: Library) -> None:
    library.store._db.connection.execute("UPDATE chunks SET data = zeroblob(length(data))")


def _cut(library: Library) -> None:
    library.store._db.connection.execute("UPDATE snapshots SET data = substr(data, 1, 50)")


def _text(library: Library) -> None:
    library.store._db.connection.execute("UPDATE chunks SET data = 'words'")


def _gone(library: Library) -> None:
    library.store._db.connection.execute("DELETE FROM chunks")


def _of_other_options(library: Library) -> None:
    kept = library.store.state()
    assert kept is not None
    parts = [memoryview(bytearray(p)) for p in kept.state.parts]
    parts[0][:] = bytes(parts[0]).replace(b'"q_seed"', b'"q_soot"')
    hashes = [Pages.of(p).hashes[0] for p in parts]
    parts[0][: snapshot.START] = snapshot.MAGIC + snapshot._checksum(parts[0], hashes)
    library.store.save_state(b"".join(parts))


DAMAGES = [_older, _zeroed, _cut, _text, _gone, _of_other_options]
USES: list[Callable[[Library], object]] = [
    lambda found: found.clusterer(make),
    lambda found: run(found, [1], "second"),
    lambda found: found.forget(3),
    lambda found: found.expire(timedelta(days=1), now=NOON + timedelta(days=2)),
    lambda found: found.structure(),
    lambda found: found.apply(found.what_if(make)),
]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with opened(tmp_path / "people.db") as found:
        run(found, [1, 2, 1, 3, 2, 1])
        found.name(1, "Ann")
        found.name(2, "Bo")
        found.not_same(1, 2)
        yield found


@pytest.mark.parametrize("use", range(len(USES)), ids=["open", "run", "forget", "expire", "structure", "recluster"])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__.strip("_"))
def test_a_state_that_is_of_no_use_costs_no_decision(
    library: Library, damage: Callable[[Library], None], use: int
) -> None:
    told: list[str] = []
    library.say = told.append
    before = {t: p for t, p in library.view.labels.items() if p in (1, 2)}
    damage(library)
    USES[use](library)
    assert sum("of no use" in line for line in told) == (0 if use == 5 else 1)  # what-if starts from the tracks anyway
    library.clusterer(make)
    assert library.view.labels.items() >= before.items()
    assert library.view.names == {1: "Ann", 2: "Bo"}
    assert [d.kind for d in library.log()][:3] == ["name", "name", "not_same"]
    assert library.store.verify() == []
    told.clear()
    library.clusterer(make)
    assert told == []
