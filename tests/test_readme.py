"""README and docs say nothing that is not so: commands and options exist, formats and columns are listed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from streamer import reports
from streamer.reports import tables

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FORMATS = (ROOT / "docs" / "formats.md").read_text("utf-8")


def commands() -> list[tuple[str, str]]:
    """(page, command line) of every line of a shell block that runs the command or a script; comments taken off."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            joined = block.replace("\\\n", " ")
            found += [(page.name, line.split(" #")[0].strip()) for line in joined.splitlines()]
    return [(page, line) for page, line in found if line.startswith(("whowhen", "scripts/"))]


def parse(command: Any, words: list[str]) -> None:
    """Reads a command line as the command would, without running it."""
    context = command.make_context(command.name, list(words))
    if hasattr(command, "commands"):
        name, _, rest = command.resolve_command(context, list(words))  # a usage error where there is no such command
        parse(command.commands[name], rest)


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_that_is_shown_can_be_typed(page: str, line: str) -> None:
    from typer.main import get_command

    from pipelines.cli import application

    words = shlex.split(line)
    if words[0].startswith("scripts/"):
        assert (ROOT / words[0]).stat().st_mode & 0o111, f"{words[0]} is no script"
        return
    parse(get_command(application()), words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_pictures_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_picture_of_the_report_is_small_and_a_picture() -> None:
    picture = (ROOT / "docs" / "report.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    assert len(picture) < 200_000


@pytest.mark.parametrize("name", reports.FORMATS)
def test_every_format_is_on_its_page(name: str) -> None:
    about = reports.FORMATS[name]
    row = next(line for line in FORMATS.splitlines() if line.startswith(f"| `{name}` |"))
    assert about.filename in row
    assert row.endswith("| one |") is about.single


@pytest.mark.parametrize("column", [*",".join((tables.FACES, tables.APPEARANCES, tables.PEOPLE)).split(",")])
def test_every_column_is_on_the_page(column: str) -> None:
    assert f"`{column}`" in FORMATS
