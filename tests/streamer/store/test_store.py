"""What a store keeps, and what it refuses."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamer.errors import StoreError
from streamer.items import Assigned, Dissolved, Event, Merged, Split
from streamer.store import Store, content_hash, schema
from streamer.timeline import fold

from .scene import DIMENSION, MODEL, PERIOD, everything, fill, make_track, new, person_vector


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.db"


def test_a_track_comes_back_as_it_went_in(path: Path) -> None:
    track = make_track(1, person=3, first=7, frames=5)
    with Store(path) as store:
        store.check_model(MODEL, DIMENSION, "cosine")
        source = store.begin_source("clip", period=PERIOD)
        store.add_tracks(source.id, [track], [Assigned(1, 1, 1, float("nan"))], vectors={1: person_vector(3)})
        store.finish_source(source.id)
    with Store(path, readonly=True) as store:
        rows = store.track_rows(1)
        for name in ("frames", "times", "boxes", "scores", "kinds"):
            assert np.array_equal(getattr(rows, name), getattr(track.rows, name))
            assert getattr(rows, name).dtype == getattr(track.rows, name).dtype
        record = store.track(1)
        assert (record.source, record.start, record.count, record.first_frame) == ("clip", 7 * PERIOD, 5, 7)
        assert record.end == pytest.approx(12 * PERIOD)
        best = store.samples(1)[0]
        assert (best.number, best.frame, best.quality, best.pose) == (1, 8, 0.6, (1.0, 2.0, 3.0))
        assert np.abs(store.vectors(1)[1] - track.samples[1].embedding).max() < 1e-3
        keys, vectors = store.track_vectors()
        assert keys.tolist() == [1]
        assert float(vectors[0] @ person_vector(3)) == pytest.approx(1.0, abs=2e-3)
        assert store.thumbnail(1, 0)[:2] == store.crop(1, 0)[:2] == b"\xff\xd8"


def test_rows_stream_in_frame_order(path: Path) -> None:
    with new(path) as store:
        source = store.begin_source("clip", period=PERIOD)
        store.add_tracks(source.id, [make_track(1, 0, 5, 6), make_track(2, 1, 0, 8), make_track(3, 2, 30, 2)])
        found = [(r.frame, r.track) for r in store.iter_rows(source.id)]
    assert found == sorted(found)
    assert len(found) == 16


def test_events_come_back_and_labels_are_their_fold(path: Path) -> None:
    events: list[Event] = [
        Assigned(1, 1, 1, float("nan")),
        Assigned(2, 2, 2, 0.25, 1, 0.5, "nearest"),
        Assigned(4, 3, None, float("nan"), reason="gate"),
        Merged(5, 1, 2, 0.125),
        Split(6, 1, 3, (2,)),
        Assigned(7, 3, 2, 0.5),
        Dissolved(9, 2),
    ]
    with new(path) as store:
        source = store.begin_source("clip")
        store.add_tracks(source.id, [make_track(n) for n in (1, 2, 3)], events)
        assert repr(list(store.events())) == repr(events)
        assert store.labels() == fold(events) == {1: 1, 2: 3, 3: 1}
        store.relabel_all()
        assert store.labels() == {1: 1, 2: 3, 3: 1}
        assert [e.seq for e in store.events(after=6)] == [7, 9]


def test_an_event_out_of_order_is_refused_and_changes_nothing(path: Path) -> None:
    with Store(path) as store:
        fill(store, [1, 2])
        with pytest.raises(StoreError, match="event 2 comes after event 2"):
            store.add_events([Dissolved(3, 7), Assigned(2, 1, 5, 0.0)][::-1])
        assert store.last_seq() == 2


def test_a_track_number_is_given_once(path: Path) -> None:
    with Store(path) as store:
        fill(store, [1, 2])
        with pytest.raises(StoreError, match="next number of this library is 3"):
            store.add_tracks(1, [make_track(2)])


def test_another_model_is_refused_with_both_names(path: Path) -> None:
    with Store(path) as store:
        store.check_model(MODEL, DIMENSION, "cosine")
        store.check_model(MODEL, DIMENSION, "cosine")
        with pytest.raises(StoreError, match=r"model toy-1234 \(16 numbers.*would use other \(512 numbers"):
            store.check_model("other", 512, "cosine")


def test_the_file_is_private(path: Path) -> None:
    with Store(path) as store:
        fill(store, [1])
        for file in path.parent.iterdir():
            assert file.stat().st_mode & 0o077 == 0, file


def test_a_second_writer_is_told_who_has_it(path: Path) -> None:
    with Store(path) as store:
        fill(store, [1])
        with pytest.raises(StoreError, match=f"in use by pid {os.getpid()}"):
            Store(path)
        with Store(path, readonly=True) as reader:
            assert len(reader.tracks()) == 1
            with pytest.raises(StoreError, match="reading only"):
                reader.begin_source("x")
    with Store(path) as store:
        assert store.next_track() == 2


def test_the_lock_of_a_dead_process_is_taken_over(path: Path) -> None:
    code = "import os, sys; from streamer.store import Store; Store(sys.argv[1]); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    with Store(path) as store:
        assert store.next_track() == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello, this is text" * 20, "not a people library"),
        (b"SQLite format 3\0" + bytes(84), "another program"),
        (b"short", "not a people library"),
    ],
)
def test_a_strange_file_is_refused_and_left_alone(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match=message):
        Store(path)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_the_database_of_another_program_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE places (url TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        Store(path)
    assert path.read_bytes() == before


def test_a_torn_file_is_refused_and_left_alone(path: Path) -> None:
    with Store(path) as store:
        fill(store, [1, 2, 3])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 5000])
    with pytest.raises(StoreError, match="cut off"):
        Store(path)
    assert path.read_bytes() == whole[: len(whole) - 5000]


def test_a_file_that_a_killed_checkpoint_left_short_opens_with_all_that_is_in_its_log(
    path: Path, tmp_path: Path
) -> None:
    killed = tmp_path / "killed.db"
    with Store(path) as store:
        fill(store, [1, 2, 3] * 20)
        (pages,) = store._db.one("PRAGMA page_count") or (0,)
        for ending in ("", "-wal"):  # as they lie there while it is open: the pages are in the log
            killed.with_name(killed.name + ending).write_bytes(path.with_name(path.name + ending).read_bytes())
    with killed.open("r+b") as file:  # the first page was copied, with the new length, and then the process died
        file.seek(28)
        file.write(pages.to_bytes(4, "big"))
    assert killed.stat().st_size < pages * 4096
    with Store(killed) as store:
        assert len(store.tracks()) == 60
    assert everything(killed) == everything(path)


def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    Store(path).close()
    raw = bytearray(path.read_bytes())
    raw[60:64] = (schema.VERSION + 1).to_bytes(4, "big")
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="newer version"):
        Store(path)
    assert path.read_bytes() == bytes(raw)


def test_a_library_that_is_not_there_is_not_made_by_a_reader(path: Path) -> None:
    for options in ({"readonly": True}, {"create": False}):
        with pytest.raises(StoreError, match="no people library"):
            Store(path, **options)
    assert not path.exists()


def test_an_older_store_is_copied_and_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(path) as store:
        fill(store, [1, 2])
    now = schema.VERSION
    monkeypatch.setattr(schema, "VERSION", now + 1)
    monkeypatch.setitem(schema.MIGRATIONS, now + 1, "CREATE TABLE extra (x INTEGER)")
    with Store(path) as store:
        assert store.labels() == {1: 1, 2: 2}
    monkeypatch.setattr(schema, "VERSION", now)
    copy = path.with_name(f"people.db.v{now}.bak")
    assert copy.stat().st_mode & 0o077 == 0
    with Store(copy, readonly=True) as store:
        assert store.labels() == {1: 1, 2: 2}


def test_a_library_of_the_first_release_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as m:
        m.setattr(schema, "VERSION", 1)
        with Store(path) as store:
            store.check_model("toy-1234", 16, "cosine")
            source = store.begin_source("clip")
            store.add_tracks(
                source.id, [make_track(1), make_track(2)], [Assigned(1, 1, 1, 0.1), Assigned(2, 2, 2, 0.1)]
            )
            store.finish_source(source.id)
    with Store(path) as store:
        assert store.labels() == {1: 1, 2: 2}
        assert store.state() is None  # the next run makes it from the tracks
        store.save_state(b"new")
        assert store.verify() == []


def test_a_state_is_stored_in_pieces_and_only_what_changed_is_written(path: Path) -> None:
    import random

    from streamer.pages import PAGE

    with Store(path) as store:
        state = random.Random(1).randbytes(10 * PAGE + 5)
        store.save_state(state)
        changed = state[: 3 * PAGE] + bytes([state[3 * PAGE] ^ 1]) + state[3 * PAGE + 1 :]
        before = {r[0] for r in store._db.rows("SELECT rowid FROM chunks")}
        store.save_state(changed)
        after = {r[0] for r in store._db.rows("SELECT rowid FROM chunks")}
        assert (len(after), len(after - before)) == (11, 1)
        kept = store.state()
        assert kept is not None
        assert bytes(kept.state) == changed


def test_a_migration_that_fails_leaves_the_old_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(path) as store:
        fill(store, [1, 2])
    with monkeypatch.context() as m:
        m.setattr(schema, "VERSION", schema.VERSION + 1)
        m.setitem(schema.MIGRATIONS, schema.VERSION, "CREATE TABLE extra (x INTEGER); CREATE TABLE extra (x INTEGER)")
        with pytest.raises(StoreError, match="already exists"):
            Store(path)
    with Store(path) as store:
        assert store.labels() == {1: 1, 2: 2}


def test_a_full_disk_keeps_what_was_committed(path: Path) -> None:
    with Store(path) as store:
        fill(store, [1])
        pages = store._db.connection.execute("PRAGMA page_count").fetchone()[0]
        store._db.connection.execute(f"PRAGMA max_page_count={pages}")
        source = store.begin_source("second")
        with pytest.raises(StoreError, match="full"):
            store.add_tracks(source.id, [make_track(n, samples=5) for n in range(2, 60)])
        assert store.next_track() == 2
        assert len(store.tracks()) == 1


def test_the_same_content_is_found_under_another_name(path: Path, tmp_path: Path) -> None:
    a, b, c = tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4"
    a.write_bytes(bytes(range(256)) * 12000)
    b.write_bytes(a.read_bytes())
    c.write_bytes(a.read_bytes()[:-1] + b"x")
    assert content_hash(a) == content_hash(b) != content_hash(c)
    with Store(path) as store:
        source = store.begin_source("a", content_hash=content_hash(a), config="k")
        store.finish_source(source.id)
        found = store.find_source(content_hash(b), "k")
        assert found is not None
        assert (found.name, found.status) == ("a", "done")
        assert store.find_source(content_hash(c)) is None
        assert store.begin_source("a").name == "a (2)"


def test_names_and_figures_of_sources_come_without_enrolments(path: Path) -> None:
    with Store(path) as store:
        for name, kind in (("a", "file"), ("known", "enrolled"), ("b", "live")):
            source = store.begin_source(name, kind=kind)
            store.finish_source(source.id, stats={"of": name})
        assert store.source_names() == {1: "a", 3: "b"}
        assert store.source_names(enrolled=True) == {1: "a", 2: "known", 3: "b"}
        assert [s["of"] for s in store.newest_stats()] == ["b", "a"]


def test_a_damaged_snapshot_is_noticed(path: Path) -> None:
    with Store(path) as store:
        fill(store, [1])
        state = store.state()
        assert state is not None
        assert (bytes(state.state), state.seq, state.track) == (b"state 1", 1, 1)
        with store._db.write() as sql:
            sql.execute("UPDATE chunks SET data = x'00'")
        with pytest.raises(StoreError, match="snapshot is missing or damaged"):
            store.state()


def _without_state(path: Path) -> list[str]:
    return [row for row in everything(path) if "snapshots" not in row and "chunks" not in row]


def test_what_a_killed_run_left_is_discarded_without_a_trace(path: Path) -> None:
    with Store(path) as store:
        fill(store, [1, 2])
    before = _without_state(path)
    with Store(path) as store:
        source = store.begin_source("second", state=b"other")
        store.add_tracks(source.id, [make_track(3, 1)], [Assigned(3, 3, 1, 0.1), Merged(4, 1, 2, 0.2)], state=b"more")
        assert store.labels() == {1: 1, 2: 1, 3: 1}
    with Store(path) as store:
        assert store.discard_unfinished() == ["second"]
        assert store.labels() == {1: 1, 2: 2}
        assert store.next_track() == 3
        assert bytes(store.state().state) == b"other"  # of begin_source, not of the half-done run
        store._db.connection.execute("DELETE FROM snapshots WHERE id > 1")
    assert _without_state(path) == before


def test_discarding_one_of_two_interleaved_sources_keeps_the_other(path: Path) -> None:
    with Store(path) as store:
        store.check_model(MODEL, DIMENSION, "cosine")
        a = store.begin_source("a", state=b"s")
        b = store.begin_source("b")
        store.add_tracks(a.id, [make_track(1)], [Assigned(1, 1, 1, 0.0)])
        store.add_tracks(b.id, [make_track(2)], [Assigned(2, 2, 1, 0.0)])
        store.finish_source(b.id)
        assert store.discard_unfinished() == ["a"]
        assert store.labels() == {2: 1}
        assert store.next_track() == 3
        assert store.state() is None


def test_a_camera_is_not_discarded(path: Path) -> None:
    with new(path) as store:
        source = store.begin_source("hall", kind="live")
        store.add_tracks(source.id, [make_track(1)], [Assigned(1, 1, 1, 0.0)], position=0.5)
        assert store.discard_unfinished() == []
        assert store.source(source.id).position == 0.5


def test_a_copy_on_a_medium_that_cannot_be_written_is_read(path: Path) -> None:
    import os
    import subprocess
    import sys

    with Store(path) as store:
        fill(store, [1, 2])
    path.chmod(0o444)
    path.parent.chmod(0o555)
    for folder in path.parents:  # pytest's folders are private; who looks at the medium is somebody else
        if folder.stat().st_uid == os.getuid() and folder != path.parent and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    code = f"""if True:
        import os
        import streamer.aliases, numpy, urllib.request  # before the way to them is barred
        from streamer.store import Store
        if os.getuid() == 0:  # nobody is stopped by nothing
            os.setgid(65534)
            os.setuid(65534)
        store = Store({str(path)!r}, readonly=True)
        print(store.labels())
        store.close()"""
    env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
        assert (done.stdout.strip(), done.stderr) == ("{1: 1, 2: 2}", "")
        assert sorted(p.name for p in path.parent.iterdir()) == ["people.db", "people.db.lock"]
    finally:
        path.parent.chmod(0o755)


def test_a_reader_brings_an_older_library_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as m:
        m.setattr(schema, "VERSION", 1)
        Store(path).close()
    with Store(path, readonly=True) as store:
        assert store.labels() == {}
    assert path.with_name("people.db.v1.bak").exists()


def test_a_copy_made_during_a_run_is_consistent(path: Path, tmp_path: Path) -> None:
    from streamer.timeline import fold

    with new(path) as store:
        source = store.begin_source("clip", period=PERIOD)
        for k in range(1, 11):
            with store.transaction():
                store.add_tracks(source.id, [make_track(k)], [Assigned(k, k, 1 + k % 3, 0.1)])
                with Store(path, readonly=True) as reader:  # in the middle of a transaction
                    reader.backup(tmp_path / f"{k}.db")
        for k in range(1, 11):
            with Store(tmp_path / f"{k}.db") as copy:
                assert copy.verify() == []
                assert len(copy.labels()) == k - 1
                assert fold(copy.events()) == copy.labels()
                assert (tmp_path / f"{k}.db").stat().st_mode & 0o077 == 0
                assert copy.discard_unfinished() == ["clip"]
