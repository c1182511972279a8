"""What commands print: tables for people, JSON for machines, remarks on stderr. Nothing in it can steer a terminal."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Sequence


def show(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table: rich on a terminal, aligned plain text elsewhere."""
    cells = [[inert(_cell(v)) for v in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns)
        for row in cells:
            table.add_row(*(Text(c) for c in row))
        Console().print(table)
        return
    widths = [max(_width(c) for c in column) for column in zip(columns, *cells, strict=True)]
    for row in [list(columns), *cells]:
        print("  ".join(c + " " * (w - _width(c)) for c, w in zip(row, widths, strict=True)).rstrip())


def as_json(value: object) -> None:
    """Prints one JSON document."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def remark(text: str) -> None:
    """One line on stderr."""
    print(inert(text), file=sys.stderr)


def counted(number: int, one: str, many: str = "") -> str:
    """`1 person`, `2 people`, `0 inputs`; `many` is `one` with an s unless given."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def inert(text: str) -> str:
    """The text without anything a terminal obeys."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def clock(seconds: float) -> str:
    """1:02:03.4"""
    tenths = round(seconds * 10)
    h, rest = divmod(tenths, 36000)
    m, s = divmod(rest, 600)
    return f"{h}:{m:02}:{s // 10:02}.{s % 10}"


def place(where: tuple[str, float] | None) -> str:
    """ "clip.mp4 0:00:12.0", empty for nowhere."""
    return "" if where is None else f"{where[0]} {clock(where[1])}"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:.2f}" if isinstance(value, float) else "" if value is None else str(value)


def _width(text: str) -> int:
    """Columns a terminal gives the text: none to combining marks, two to wide characters."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
