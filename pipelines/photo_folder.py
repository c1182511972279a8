"""`whowhen photos`: a folder of pictures into person folders, a report and a people library."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.terminal.options import Device, Json, Models, OwnLibrary, Quiet
from streamer.errors import ConfigError

if TYPE_CHECKING:
    from streamer.album import Photo

MARK = ".made-by-whowhen"  # in the folder of person folders: only what bears it is ever removed
NO_FACE = "no face"
WARNING = 3


@dataclass(frozen=True, slots=True)
class SortedFace:
    """One face of one photo and whose it is; `person` None where it belongs to nobody, `truth` "" where unknown."""

    photo: int  # position in the listing
    face: int  # 1 is the largest
    box: tuple[float, float, float, float]
    person: int | None
    label: str
    truth: str


def photos(
    folder: Annotated[Path, typer.Argument(help="A folder of pictures, with sub-folders or without.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    models: Models = "open",
    library: OwnLibrary = None,
    truth: Annotated[
        str, typer.Option(help="Score against names: none, folders (ann/1.jpg), names (ann_001.jpg) or auto.")
    ] = "none",
    copy: Annotated[bool, typer.Option("--copy", help="Copy the pictures instead of linking to them.")] = False,
    at_least: Annotated[int, typer.Option(help="A folder for people on so many photos, no others.", min=1)] = 1,
    device: Device = "auto",
    force: Annotated[bool, typer.Option(help="Look for faces again though nothing has changed.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Sort a folder of pictures by person: person folders, report.html, photos.csv and a people library."""
    from pipelines.terminal.progress import Progress
    from streamer.album import photos_of
    from streamer.config import load
    from streamer.library import Library
    from streamer.models.packs import build, load_pack
    from streamer.processing.photos import PhotoWorker
    from streamer.processing.results import write_folder

    found = [p for p in photos_of(folder, truth) if not p.path.is_relative_to(out)]  # type: ignore[arg-type]
    loaded = build(load_pack(models), device)
    may_replace(out / "people")
    out.mkdir(parents=True, exist_ok=True)
    with (
        Library(library or out / "people.db", create=True) as people,
        Progress("none" if quiet or as_json else "auto") as progress,
    ):
        record, failed = PhotoWorker(people, loaded, load(), progress, force=force).folder(folder, found)
        people.refresh()
        write_folder(people, record, out)
        faces = list(sorted_faces(people, record, found))
        sort_into(out / "people", folder, found, faces, copy, at_least)
        write_table(out / "photos.csv", folder, found, faces)
        remember(people, out, faces)
    marks = score(faces, found)
    tell(found, faces, failed, marks, out, as_json)
    return WARNING if failed else 0


def sorted_faces(library: Any, record: int, photos: Sequence[Photo]) -> Iterator[SortedFace]:
    """Every face of the folder by photo, the largest first. The truth of a photo is that of its main face."""
    from streamer.album import central

    rows = list(library.store.iter_rows(record))
    labels, view = library.view.labels, library.view
    by_photo: dict[int, list[Any]] = {}
    for row in rows:
        by_photo.setdefault(row.frame, []).append(row)
    sizes = _sizes(photos, by_photo)
    for number, some in sorted(by_photo.items()):
        some.sort(key=lambda r: (r.box[0] - r.box[2], r.track))
        main = central([r.box for r in some], *sizes[number])
        for k, row in enumerate(some):
            person = labels.get(row.track)
            label = "" if person is None else view.label(person)
            truth = photos[number].person if k == main else ""
            yield SortedFace(number, k + 1, row.box, person, label, truth)


def _sizes(photos: Sequence[Photo], wanted: Any) -> dict[int, tuple[int, int]]:
    """(width, height) of photos with several faces; of the others nobody asks."""
    from streamer.sources.imagesize import image_size

    return {n: (image_size(photos[n].path) or (0, 0)) if len(some) > 1 else (0, 0) for n, some in wanted.items()}


def remember(library: Any, out: Path, faces: Sequence[SortedFace]) -> None:
    """So that forgetting a person takes its links and copies too, and the table with its name."""
    at = library.clock().isoformat()
    mine = {folder_name(f.label, f.person): f.person for f in faces if f.person is not None}
    with library.store.transaction():
        library.store.add_export(str((out / "photos.csv").absolute()), mine.values(), at)
        for name, person in mine.items():
            mine_at = (out / "people" / name).absolute()
            for path in (mine_at, *mine_at.glob("*")) if mine_at.is_dir() else ():
                library.store.add_export(str(path), [person], at)


def may_replace(folder: Path) -> None:
    """ConfigError where the folder of person folders was made by somebody else."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise ConfigError(f"{folder} is there already and was not made by this command. Choose another --out.")


def sort_into(
    target: Path, folder: Path, photos: Sequence[Photo], faces: Sequence[SortedFace], copy: bool, at_least: int
) -> None:
    """A folder per person with links to (or copies of) the photos; made beside the old one, then put in its place."""
    where: dict[str, dict[int, None]] = {}
    for face in faces:
        if face.person is not None:
            where.setdefault(folder_name(face.label, face.person), {})[face.photo] = None
    where = {name: some for name, some in where.items() if len(some) >= at_least}
    bare = set(range(len(photos))) - {f.photo for f in faces}
    if bare:
        where[NO_FACE] = dict.fromkeys(sorted(bare))
    fresh = target.with_name(f".{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        (fresh / MARK).touch()
        for name, some in where.items():
            (fresh / name).mkdir()
            for number in some:
                _place(photos[number].path, fresh / name / flat_name(photos[number].path, folder), target / name, copy)
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror or error}. Choose another --out.") from error


def _place(photo: Path, at: Path, home: Path, copy: bool) -> None:
    if copy:
        shutil.copy2(photo, at)
    else:
        at.symlink_to(os.path.relpath(photo.resolve(), home.resolve()))


def folder_name(label: str, person: int) -> str:
    """A person's label as the name of a folder, with the number where it is not in it: two people may share a name."""
    clean = re.sub(r"[^\w .,'()-]", "_", label).strip(" .")[:80] or "Person"
    return clean if clean == f"Person {person}" else f"{clean} ({person})"


def flat_name(photo: Path, folder: Path) -> str:
    """The photo's path below the folder as one name."""
    return "_".join(photo.relative_to(folder).parts)


def write_table(path: Path, folder: Path, photos: Sequence[Photo], faces: Sequence[SortedFace]) -> None:
    """photos.csv: a row per face, and one per photo without any."""
    from streamer.reports.atomic import text

    with text(path) as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["photo", "face", "person", "name", "x1", "y1", "x2", "y2", "truth"])
        seen = {f.photo for f in faces}
        for f in faces:
            box = [f"{v:.1f}" for v in f.box]
            person = "" if f.person is None else f.person
            writer.writerow([photos[f.photo].path.relative_to(folder), f.face, person, f.label, *box, f.truth])
        for number in sorted(set(range(len(photos))) - seen):
            writer.writerow(
                [photos[number].path.relative_to(folder), "", "", "", "", "", "", "", photos[number].person]
            )


def score(faces: Sequence[SortedFace], photos: Sequence[Photo]) -> dict[str, float]:
    """External scores over the main faces of photos with a true name; empty where there is none.

    `no_face` counts photos with a name on which no face was found: they are in no other figure.
    """
    from streamer.evaluation import scores

    known = [f for f in faces if f.truth]
    named = {n for n, p in enumerate(photos) if p.person}
    if not known:
        return {}
    marks = scores([f.truth for f in known], [-1 if f.person is None else f.person for f in known])
    return marks | {"scored": float(len(known)), "no_face": float(len(named - {f.photo for f in known}))}


def tell(
    photos: Sequence[Photo],
    faces: Sequence[SortedFace],
    failed: Sequence[str],
    marks: dict[str, float],
    out: Path,
    as_json: bool,
) -> None:
    """What was found, on stdout."""
    counts: dict[str, int] = {}
    for f in faces:
        if f.person is not None:
            name = folder_name(f.label, f.person)
            counts[name] = counts.get(name, 0) + 1
    bare = len(photos) - len({f.photo for f in faces}) - len(failed)
    if as_json:
        told = {"photos": len(photos), "faces": len(faces), "people": counts, "no_face": bare, "scores": marks}
        print(json.dumps(told | {"failed": list(failed), "out": str(out)}, indent=2, ensure_ascii=False))
        return
    print(f"{len(photos)} photos, {len(faces)} faces, {len(counts)} people, {bare} photos without a face")
    for name, count in sorted(counts.items(), key=lambda t: (-t[1], t[0]))[:20]:
        print(f"  {name:24} {count:6} faces")
    if len(counts) > 20:
        print(f"  and {len(counts) - 20} more")
    for name in ("bcubed_precision", "bcubed_recall", "bcubed_f", "pair_f", "nmi", "scored", "no_face"):
        if name in marks:
            print(
                f"{name:20} {marks[name]:.4f}" if "_f" in name or marks[name] <= 1 else f"{name:20} {marks[name]:.0f}"
            )
    print(f"report: {out / 'report.html'}; person folders: {out / 'people'}")
