"""Where frames come from."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from streamer.errors import SourceError

VIDEOS = frozenset(
    f".{ending}"
    for ending in (
        *("mp4", "m4v", "mov", "mkv", "webm", "avi", "gif", "ts", "mts", "m2ts", "mpg", "mpeg", "flv", "ogv", "wmv"),
        *("3gp", "mxf", "y4m"),
    )
)


def expand(specs: Iterable[str]) -> list[Path]:
    """The files that paths, folders and globs stand for: folders give their videos, each file once, in order.

    SourceError for an address (that is for `watch`), for a folder without videos and for a glob without matches. A path
    that does not exist is kept: it fails on its own when it is opened.
    """
    out: dict[Path, None] = {}
    for spec in specs:
        if "://" in spec:
            raise SourceError(f"{spec.split('://')[0]}:// is an address, not a file. Only files can be run.")
        path = Path(spec)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in VIDEOS and p.is_file())
            if not found:
                raise SourceError(f"{path} holds no video. Endings looked for: {' '.join(sorted(VIDEOS))}.")
        elif not path.exists() and glob.has_magic(spec):
            found = sorted(Path(p) for p in glob.glob(spec, recursive=True) if Path(p).is_file())
            if not found:
                raise SourceError(f"{spec} matches no file.")
        else:
            found = [path]
        out.update(dict.fromkeys(found))
    return list(out)


def stem(path: Path, taken: set[str]) -> str:
    """A folder name for a source's results, not yet in `taken` (it is added): a.mp4 and a.mov become a and a-2."""
    wanted = name = path.stem.strip(". ") or "source"
    k = 1
    while name in taken:
        k += 1
        name = f"{wanted}-{k}"
    taken.add(name)
    return name
