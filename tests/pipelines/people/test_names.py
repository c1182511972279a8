"""`whowhen people names`: what was written into a report comes into the library."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cli import main
from streamer.library import Library
from tests.streamer.library.town import opened, run


@pytest.fixture
def library(tmp_path: Path) -> Path:
    with opened(tmp_path / "people.db") as found:
        run(found, [1, 2, 3])
        found.name(2, "Bo")
    return tmp_path / "people.db"


def take(library: Path, content: str | bytes) -> int:
    table = library.parent / "names.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SystemExit) as ended:
        main(["people", "names", str(table), "-l", str(library)])
    return int(ended.value.code or 0)


def names(library: Path) -> dict[int, str]:
    with Library(library, readonly=True) as found:
        return {p.id: p.name for p in found.people()}


def test_names_saved_from_a_report_are_taken(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert take(library, 'person,name\n1,"Ann, the first"\n3,"\'=Zoë"\n2,"Bo"\n') == 0
    assert names(library) == {1: "Ann, the first", 2: "Bo", 3: "=Zoë"}
    assert "2 of 3 people named anew" in capsys.readouterr().err


def test_a_people_table_with_empty_names_changes_nobody(library: Path) -> None:
    assert take(library, "person,name,screen_time_s\n1,,3.0\n2,Bo,1.0\n") == 0
    assert names(library) == {1: "", 2: "Bo", 3: ""}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("who,what\n1,Ann\n", "has no columns person and name"),
        ("person,name\nx,Ann\n", "line 2: person is to be a number"),
        ("person,name\n1,Ann\n99,Bob\n", "no person 99"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_table_that_does_not_fit_names_nobody(
    library: Path, content: str | bytes, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert take(library, content) == 2
    error = capsys.readouterr().err
    assert line in error
    assert len(error.splitlines()) == 1
    assert names(library) == {1: "", 2: "Bo", 3: ""}
