from __future__ import annotations

import doctest
import os
import stat
import subprocess
from pathlib import Path

import pytest

from streamer.reports import atomic, captions, drawing, editing, escape, layout, timecode


def test_a_file_appears_whole_and_private(tmp_path: Path) -> None:
    place = tmp_path / "new" / "a.txt"
    with atomic.text(place) as out:
        out.write("half")
        assert not place.exists()
    assert place.read_text() == "half"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    dead = tmp_path / f".a.{child.pid}-0.part.txt"
    alive = tmp_path / f".a.{os.getppid()}-0.part.txt"
    other = tmp_path / f".b.{child.pid}-0.part.txt"
    for path in (dead, alive, other):
        path.write_text("half")
    atomic.write_bytes(tmp_path / "a.txt", b"whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([alive.name, other.name, "a.txt"])


def test_two_writers_of_one_path_do_not_mix(tmp_path: Path) -> None:
    place = tmp_path / "a.txt"
    with atomic.text(place) as one, atomic.text(place) as two:
        one.write("1" * 10_000)
        two.write("2" * 5_000)
    assert place.read_text() in ("1" * 10_000, "2" * 5_000)


@pytest.mark.parametrize("module", [escape, timecode, layout, drawing, captions, editing], ids=lambda m: m.__name__)
def test_examples_in_the_documentation_are_true(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
