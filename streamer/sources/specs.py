"""From what a user writes (files, folders, globs) to sources."""

from __future__ import annotations

import glob
import inspect
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streamer.errors import SourceError
from streamer.sources.base import Source
from streamer.sources.images import PICTURES, ImageFolder, is_animated_png, pictures_in
from streamer.sources.inspect import refuse_url
from streamer.sources.redact import redact, shown

VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".flv", ".ogv"}
    | {".wmv", ".asf", ".3gp", ".mxf", ".vob", ".y4m", ".apng", ".m2v", ".mpv", ".f4v", ".3g2", ".qt", ".divx", ".dv"}
    | {".ogm", ".nut", ".ivf", ".h264", ".264", ".h265", ".265", ".hevc", ".mjpeg", ".mjpg", ".rm", ".rmvb"}
    | {".m1v", ".wtv", ".trp", ".mj2"}
)
ENDINGS_TOLD = 6  # of the files that are left out
LONGEST_STEM = 80  # characters: with every report's ending still a legal file name when written in UTF-8


def expand(specs: Iterable[str | Path]) -> list[Path]:
    """The files and picture folders that `specs` stand for, each once, in the order given, folders sorted.

    A folder gives the videos in and below it, or, where there is none, every folder of pictures in it. A glob gives
    what it matches. A single spec that does not exist or stands for nothing is kept, and fails on its own when opened;
    SourceError when nothing at all was found, and for an address.
    """
    found: dict[str, Path] = {}
    nothing: list[str] = []
    something = False
    for spec in specs:
        text = os.fspath(spec)
        if not text:
            raise SourceError("An empty name was given as a source. Name a file, a folder or a pattern.")
        refuse_url(text)
        paths, why = _expand(text)
        something = something or bool(paths)
        if not paths:
            nothing.append(why)
            paths = [Path(text)]
        for path in paths:
            found.setdefault(os.path.realpath(path), path)
    if not something:
        raise SourceError(" ".join(nothing) or "No video was given. Name files, folders or patterns.")
    return list(found.values())


def open_source(spec: str | Path, **options: Any) -> Source:
    """A video file, a picture or a folder of pictures, opened. `options` the kind does not have are left out.

    SourceError for an address, for anything that cannot be read, and for a folder of videos (`expand` lists those).
    """
    from streamer.sources.file import FileSource

    refuse_url(os.fspath(spec))
    path = Path(spec)
    if is_animated_png(path):
        return FileSource(path, **_fitting(FileSource, options))
    if path.is_dir():
        if not pictures_in(path) and _videos(path):
            raise SourceError(f"{shown(path)}: is a folder of videos. Open them one by one.")
        return ImageFolder(path, **_fitting(ImageFolder, options))
    if path.suffix.lower() in PICTURES:
        return ImageFolder(path, **_fitting(ImageFolder, options))
    return FileSource(path, **_fitting(FileSource, options))


def stem(spec: str | Path, taken: set[str]) -> str:
    """A safe folder name for a source's results, not yet in `taken` (it is added): a.mp4 and a.mov become a and a-2."""
    text = redact(str(spec))
    plain = re.sub(r"[\x00-\x1f\x7f/\\:*?\"<>|\ud800-\udfff\u202a-\u202e\u2066-\u2069]+", "_", Path(text).stem)
    plain = plain.strip(". ").lstrip("-")[:LONGEST_STEM].rstrip(". ") or "source"
    name, number = plain, 1
    while name.casefold() in {t.casefold() for t in taken}:  # two folders on file systems that ignore case
        number += 1
        name = f"{plain}-{number}"
    taken.add(name)
    return name


def _expand(spec: str) -> tuple[list[Path], str]:
    """What one spec stands for, and why there is nothing where there is nothing."""
    path = Path(spec)
    if path.is_dir():
        return _folder(path), f"{shown(spec)}: holds no video and no picture. Give another folder."
    if os.path.lexists(path):
        return [path], ""
    if not glob.has_magic(spec):
        return [], f"{shown(spec)}: does not exist. Check the path."
    matches = sorted(Path(p) for p in glob.glob(spec, recursive=True))
    paths = [p for m in matches for p in (_folder(m) if m.is_dir() else [m])]
    return paths, f"{shown(spec)}: matches no file. Check the pattern."


def _folder(folder: Path) -> list[Path]:
    """The videos in and below a folder; else the folders in and below it that hold pictures."""
    videos = _videos(folder)
    if videos:
        return videos
    return [d for d in _walk(folder) if pictures_in(d)]


def _videos(folder: Path) -> list[Path]:
    """The video files in and below a folder by their ending, hidden ones left out."""
    files = (d / f for d in _walk(folder) for f in sorted(os.listdir(d)))
    return [f for f in files if f.suffix.lower() in VIDEOS and not f.name.startswith(".") and f.is_file()]


def left_out(specs: Iterable[str | Path], out: Path) -> list[str]:
    """A line for every folder among `specs` in which `expand` passes files over, by their endings, `out` apart."""
    return [line for spec in specs if Path(spec).is_dir() and (line := _left_out(Path(spec), out.resolve()))]


def _left_out(folder: Path, out: Path) -> str:
    taken = PICTURES if not _videos(folder) else VIDEOS
    places = [d for d in _walk(folder) if out not in (d.resolve(), *d.resolve().parents)]
    files = [d / f for d in places for f in sorted(os.listdir(d)) if not f.startswith(".")]
    other = [f for f in files if f.suffix.lower() not in taken and f.is_file()]
    if not other:
        return ""
    endings = sorted({f.suffix.lower() or "no ending" for f in other})
    told = ", ".join(endings[:ENDINGS_TOLD]) + (", ..." if len(endings) > ENDINGS_TOLD else "")
    what, kind = ("1 file", "no video") if len(other) == 1 else (f"{len(other)} files", "no videos")
    kind = kind if taken is VIDEOS else kind.replace("video", "picture")
    return f"{shown(folder)}: {what} left out, {kind} by the ending ({told})"


def _walk(folder: Path) -> list[Path]:
    """A folder and those below it that can be listed, sorted; hidden ones and links to folders left out."""
    found: list[Path] = []
    for root, folders, _ in os.walk(folder, onerror=_unlisted):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        found.append(Path(root))
    return found


def _unlisted(error: OSError) -> None:
    raise SourceError(f"{shown(error.filename)}: cannot be listed ({error.strerror}). Check its rights.") from error


def _fitting(kind: type, options: dict[str, Any]) -> dict[str, Any]:
    known = inspect.signature(kind).parameters
    return {name: value for name, value in options.items() if name in known}
