"""Every command line printed in the README and in docs/ is one the program understands: names, options, values."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import application

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(?:sh|bash|console)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(whowhen [^`]+)`")


def printed(page: Path) -> list[str]:
    """The whowhen commands of a page, comments left out, continued lines joined."""
    text = page.read_text("utf-8")
    lines = [
        line.strip().removeprefix("$ ")
        for block in FENCE.findall(text)
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [line for line in [*lines, *INLINE.findall(text)] if line.startswith("whowhen ")]


COMMANDS = sorted({(page.name, line) for page in PAGES for line in printed(page)})


def words(line: str) -> list[str]:
    """The arguments of a line; what a pipe or a redirection does is the shell's."""
    found = shlex.split(line, comments=True)[1:]
    ends = [k for k, word in enumerate(found) if word in ("|", ">", "2>", "&&", "<")]
    return found[: ends[0]] if ends else found


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_printed_command_is_understood(page: str, line: str) -> None:
    from typer.main import get_command

    command: Any = get_command(application())
    rest = [word for word in words(line) if word != "--help"]
    assert "..." not in rest, "a command with dots cannot be typed"
    while rest and hasattr(command, "commands"):
        assert rest[0] in command.commands, f"{page}: there is no command {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    if rest:
        command.make_context("whowhen", rest)


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMANDS) > 40
