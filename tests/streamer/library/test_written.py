"""Files written about people, under whatever number they were shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from streamer.library import Library

from .town import NOON, make, opened, run


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with opened(tmp_path / "people.db") as found:
        run(found, [1, 2, 1, 3, 2, 1])
        yield found


def written(library: Library, name: str, *people: int) -> Path:
    path = library.store.path.parent / name
    path.write_text("x")
    library.store.add_export(str(path), people, NOON.isoformat())
    return path


def test_a_file_from_before_a_merge_goes_with_the_person(library: Library) -> None:
    before, other = written(library, "before.csv", 3), written(library, "other.csv", 2)
    library.merge(1, 3)
    receipt = library.forget(1)
    assert receipt.files_deleted == (str(before),)
    assert other.exists()


def test_a_file_from_before_a_split_goes_with_either(library: Library) -> None:
    before = written(library, "before.csv", 1)
    new = library.split(1, [library.tracks(1)[0]]).args["new"]
    assert library.forget(new).files_deleted == (str(before),)


def test_a_merge_that_was_taken_back_still_counts(library: Library) -> None:
    library.merge(1, 3)
    together = written(library, "together.csv", 1)
    library.undo()
    assert library.forget(3).files_deleted == (str(together),)


def test_a_number_of_an_earlier_clustering_counts(library: Library) -> None:
    before = written(library, "before.csv", 1)
    library.store.drop_state()
    library.clusterer(make)
    assert library.forget(1).files_deleted == (str(before),)


def test_logs_lose_only_the_lines_about_the_person(library: Library) -> None:
    log = library.store.path.parent / "events.jsonl"
    older = log.with_name("events.jsonl.1")
    lines = ['{"type":"enter","person":1}', '{"type":"replace","person":2,"was":1}', '{"type":"gap"}', '{"person":2}']
    for path in (log, older):
        path.write_text("".join(f"{x}\n" for x in lines) + "half a li")
        path.chmod(0o640)
    library.store.add_export(str(log), (), NOON.isoformat())
    receipt = library.forget(1)
    for path in (log, older):
        assert path.read_text() == '{"type":"gap"}\n{"person":2}\nhalf a li'
        assert path.stat().st_mode & 0o777 == 0o640
    assert receipt.files_rewritten == (str(log), str(older))
    assert library.forget(3).files_rewritten == ()


def test_a_queue_of_notices_keeps_its_length_so_that_what_is_delivered_stays_so(library: Library) -> None:
    queue = library.store.path.parent / ".spool" / "webhook-1.jsonl"
    queue.parent.mkdir()
    first, second, third = '["1-1",{"person":1}]', '["1-2",{"person":2}]', '["1-3",{"person":1}]'
    queue.write_text(f"{first}\n{second}\n{third}\n")
    library.store.add_export(str(queue), (), NOON.isoformat())
    receipt = library.forget(1)
    assert queue.read_text() == f"{' ' * len(first)}\n{second}\n{' ' * len(third)}\n"
    assert receipt.files_rewritten == (str(queue),)


def test_kept_files_are_listed(library: Library) -> None:
    before = written(library, "before.csv", 1)
    assert library.forget(1, delete_files=False).files_left == (str(before),)
    assert before.exists()


def test_expired_people_leave_their_files_until_somebody_says_so(library: Library) -> None:
    mine, named = written(library, "mine.csv", 2, 1), written(library, "named.csv", 1)
    library.name(1, "Ann")
    library.expire(timedelta(days=1), now=NOON + timedelta(days=2))
    assert library.files_of_erased().left == [str(mine)]
    assert mine.exists()
    assert library.files_of_erased(delete=True).deleted == [str(mine)]
    assert named.exists()
