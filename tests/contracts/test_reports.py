"""What every format promises, run over all that are registered."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamer import reports
from streamer.errors import ConfigError
from streamer.items import ArrayPicture, Frame
from streamer.reports.anonymous import anonymise
from streamer.reports.base import RunData
from tests.streamer.reports.drawn import drawn_run, empty_run, hostile_run, one_frame

RUNS = {"drawn": drawn_run, "nobody": empty_run, "one frame": one_frame, "hostile": hostile_run}


def frames(data: RunData) -> Iterator[Frame]:
    s = data.sources[0]
    for i in range(3):
        image = np.full((s.height, s.width, 3), 40 * i, np.uint8)
        yield Frame(s.name, i, s.start + i / 25, s.width, s.height, ArrayPicture(image))


def options(name: str, data: RunData) -> dict[str, Any]:
    return {"frames": lambda: frames(data)} if reports.FORMATS[name].pictures else {}


def written(name: str, data: RunData, folder: Path) -> bytes:
    if name == "parquet" and importlib.util.find_spec("pyarrow") is None:
        pytest.skip("pyarrow (extra `frames`) is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    return reports.write(name, data, folder, **options(name, data)).read_bytes()


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", reports.FORMATS)
def test_every_run_can_be_written_and_gives_the_same_bytes_twice(name: str, run: str, tmp_path: Path) -> None:
    first = written(name, RUNS[run](), tmp_path / "a")
    assert first or name in ("mot", "rttm", "srt")  # these have no header, so nobody is an empty file
    assert first == written(name, RUNS[run](), tmp_path / "b")


@pytest.mark.parametrize("name", reports.FORMATS)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(name: str, tmp_path: Path) -> None:
    place = tmp_path / reports.FORMATS[name].filename
    place.write_bytes(b"old")

    class Broken(RunData):
        def __getattribute__(self, key: str) -> Any:
            if key in ("rows", "people", "appearances", "manifest", "shown_appearances"):
                raise RuntimeError("the store went away")
            return super().__getattribute__(key)

    data = Broken("drawn.mp4", drawn_run().sources)
    with pytest.raises((RuntimeError, ConfigError)):
        reports.write(name, data, place, **options(name, drawn_run()))
    assert place.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == [place.name]


@pytest.mark.parametrize("name", [n for n, f in reports.FORMATS.items() if not f.pictures])
def test_an_anonymous_run_names_nobody_in_any_format(name: str, tmp_path: Path) -> None:
    secret = drawn_run(names=("Quintessa Vexley", "", "Bo Zarnowski"))
    content = written(name, anonymise(secret, salt="fixed"), tmp_path)
    for word in (b"Quintessa", b"Vexley", b"Zarnowski", b"drawn.mp4", b"/films"):
        assert word not in content


@pytest.mark.parametrize("name", reports.FORMATS)
def test_a_misspelt_option_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match="colour_of_everything"):
        reports.create(name, colour_of_everything=1)


def test_an_unknown_format_is_refused_with_the_list() -> None:
    with pytest.raises(ConfigError, match=r"docx is not a format\. Formats: faces, appearances"):
        reports.create("docx")


@pytest.mark.parametrize("name", reports.FORMATS)
def test_the_file_name_of_a_format_leads_back_to_it(name: str) -> None:
    assert reports.format_of(Path("out") / reports.FORMATS[name].filename) == name


def test_an_ending_is_enough_for_a_format() -> None:
    wanted = {
        "ep01.csv": "appearances",
        "ep01.json": "json",
        "ep01.eaf": "eaf",
        "ep01.srt": "srt",
        "a.cvat.xml": "cvat",
    }
    assert {n: reports.format_of(n) for n in wanted} == wanted
    with pytest.raises(ConfigError, match=r"notes\.txt"):
        reports.format_of("notes.txt")


@pytest.mark.parametrize("name", reports.FORMATS)
def test_a_format_says_whether_it_describes_one_source_only(name: str, tmp_path: Path) -> None:
    one = drawn_run()
    two = replace(one, sources=(*one.sources, replace(one.sources[0], name="other.mp4")))
    if reports.FORMATS[name].single:
        with pytest.raises(ConfigError, match="one source, not 2"):
            written(name, two, tmp_path)
    else:
        assert written(name, two, tmp_path)


def test_formats_are_named_with_commas_or_as_all() -> None:
    assert reports.formats_of(["srt, vtt", "srt", "eaf"]) == ["srt", "vtt", "eaf"]
    everything = reports.formats_of(["all"])
    assert "blurred" not in everything
    assert {"html", "otio", "mot"} <= set(everything)
    with pytest.raises(ConfigError, match="docx is not a format"):
        reports.formats_of(["srt,docx"])


class Lines:
    """A line per appearance."""

    filename = "lines.txt"

    def write(self, data: RunData, path: Path) -> None:
        path.write_text("".join(f"{a.identity}\n" for a in data.appearances))


def test_a_format_of_ones_own_is_named_by_its_class(tmp_path: Path) -> None:
    name = f"{__name__}:Lines"
    assert reports.about(name).filename == "lines.txt"
    assert reports.write(name, drawn_run(), tmp_path).read_text() == "1\n2\n3\n1\n"
    with pytest.raises(ConfigError, match="cannot be loaded"):
        reports.about("streamer.reports:Nothing")
