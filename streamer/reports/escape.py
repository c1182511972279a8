"""Text made inert: names and file names come from outside and end up in spreadsheets, players and terminals."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

# C0 and C1 controls, line and paragraph separators, lone surrogates, and direction overrides: a name must not turn its
# line
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]+")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_LABEL = re.compile(r"[\s;]+")


def one_line(value: str) -> str:
    """The text without control characters; each run of them is one blank.

    >>> one_line("Ann\\nLee")
    'Ann Lee'
    """
    return _CONTROL.sub(" ", value).strip()


def csv_text(value: str) -> str:
    """A text cell no spreadsheet calculates: one line, an apostrophe before = + - @, quoted as RFC 4180 wants.

    >>> csv_text("=cmd|'/c calc'!A0"), csv_text("Lee, Ann")
    ("'=cmd|'/c calc'!A0", '"Lee, Ann"')
    """
    cell = one_line(value)
    if cell.lstrip("'").startswith(_FORMULA):
        cell = "'" + cell
    return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in '",;') else cell


def csv_original(cell: str) -> str:
    """What `csv_text` was given, apart from control characters; `cell` as a CSV reader returns it."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def xml_text(value: str) -> str:
    """Character data for XML 1.0."""
    return escape(one_line(value))


def label(value: str) -> str:
    """A field without blanks (RTTM): runs of white space become one underscore, an empty field "_".

    >>> label("Ann  Lee")
    'Ann_Lee'
    """
    return _LABEL.sub("_", one_line(value)) or "_"
