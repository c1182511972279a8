"""`whowhen people names`: the names somebody wrote into a report, or into people.csv, taken into the library."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.people.libraries import DEFAULT, LibraryFile, opened
from pipelines.terminal.tables import remark
from streamer.errors import ConfigError

if TYPE_CHECKING:
    from streamer.library import Library


def names(
    file: Annotated[Path, typer.Argument(help="names.csv saved from a report, or any CSV with person and name.")],
    library: LibraryFile = DEFAULT,
) -> None:
    """Name people from a CSV with the columns person and name; rows without a name, or with the one known, are left."""
    wanted = read_names(file)
    with opened(library) as found:
        known = {found.find(person): name for person, name in wanted}  # all are there before the first is named
        changed = [p for p, name in known.items() if _rename(found, p, name)]
    remark(f"{len(changed)} of {len(known)} people named anew" if known else f"{file} names nobody.")


def read_names(file: Path) -> list[tuple[int, str]]:
    """(person, name) of every row with a name. ConfigError for a file that is no such table."""
    from streamer.reports.escape import csv_original

    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            if not {"person", "name"} <= set(rows.fieldnames or ()):
                raise ConfigError(f"{file} has no columns person and name. Save it from a report, or take people.csv.")
            return [(int(r["person"]), csv_original(r["name"])) for r in rows if (r["name"] or "").strip()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{file} cannot be read: {error}.") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{file}, line {rows.line_num}: person is to be a number.") from error


def _rename(library: Library, person: int, name: str) -> bool:
    before = library.view.names.get(person, "")
    if " ".join(name.split()) == before:
        return False
    library.name(person, name)
    return library.view.names.get(person, "") != before
