"""`whowhen people forget|expire|export|backup|verify`: what is kept, and how it goes for good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.people.libraries import DEFAULT, LibraryFile, Who, opened
from pipelines.terminal.tables import inert, remark


def forget(
    who: Who,
    library: LibraryFile = DEFAULT,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    keep_files: Annotated[
        bool, typer.Option("--keep-files", help="List written files that show the person instead of deleting them.")
    ] = False,
) -> None:
    """Erase a person for good; the receipt goes to stdout."""
    with opened(library) as found:
        person = found.person(who)
        if not yes:
            typer.confirm(
                f"Erase {inert(person.label)} ({person.tracks} tracks)? This cannot be undone.", abort=True, err=True
            )
        receipt = found.forget(person.id, delete_files=not keep_files)
    print(receipt.text())
    if receipt.files_left:
        remark(f"{len(receipt.files_left)} files still show the person: see files_left")
    if receipt.files_rewritten:
        remark(f"{len(receipt.files_rewritten)} logs were rewritten without the person")
    if receipt.files_deleted:
        remark("reports that showed the person were deleted; the same `whowhen run` writes them again without it")


def expire(
    keep_unnamed: Annotated[str, typer.Option(help="How long people without a name are kept: 30d, 12h.")],
    library: LibraryFile = DEFAULT,
    delete_files: Annotated[
        bool, typer.Option("--delete-files", help="Also delete files written earlier that show somebody erased.")
    ] = False,
) -> None:
    """Erase people nobody named and nobody saw for a while. Reports written earlier stay unless --delete-files."""
    from streamer.library.retention import duration

    keep = duration(keep_unnamed)
    with opened(library) as found:
        gone = found.expire(keep)
        files = found.files_of_erased(delete=delete_files)
    remark(f"{gone} tracks erased")
    if files.left:
        remark(f"{len(files.left)} files written earlier show somebody erased; --delete-files deletes them:")
    for path in (*files.left, *files.deleted, *files.rewritten):
        print(inert(path))


def export(
    who: Who,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")],
    library: LibraryFile = DEFAULT,
) -> None:
    """Everything held about a person, for that person."""
    with opened(library) as found:
        files = found.export_person(who, out)
    for path in files:
        print(path)


def backup(
    copy: Annotated[Path, typer.Argument(help="The copy to write.")],
    library: LibraryFile = DEFAULT,
) -> None:
    """A consistent copy of the library, also while a run writes to it."""
    with opened(library, readonly=True) as found:
        found.store.backup(copy)
    remark(f"{copy} holds the library as it was just now. It is not erased with `people forget`: delete it yourself")


def verify(library: LibraryFile = DEFAULT) -> int:
    """Reads the whole library and says what is wrong with it. Code 1 when something is."""
    with opened(library, readonly=True) as found:
        wrong = found.store.verify()
    for line in wrong:
        print(inert(line))
    remark(f"{len(wrong)} faults" if wrong else "the library is whole")
    return 1 if wrong else 0
