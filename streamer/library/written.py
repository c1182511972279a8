"""Files written about people: which of them show somebody, and what an erasure does to them.

Most go as a whole. Three kinds go on for ever and are looked through instead: logs of notices (JSON lines, one notice a
line), queues of notices that are still to be sent (the same, in a folder `.spool`) and folders of clips with a
description beside each. They are remembered with nobody's number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamer.ledger import Decision
from streamer.reports.atomic import ReportError, write_bytes
from streamer.store import Store

QUEUES = ".spool"  # the folder in which queues of notices lie
ABOUT = ("person", "was", "into", "kept", "dropped")  # keys under which a notice or a clip tells a person's number


@dataclass(slots=True)
class Outcome:
    """Paths by what became of them; `left` still show the person."""

    deleted: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def numbers_of(store: Store, log: Iterable[Decision], person: int, tracks: Sequence[int]) -> set[int]:
    """Every number under which a file may show the person: those its tracks ever had, and those that decisions, also
    ones taken back, made it or took it from.
    """
    numbers = {person, *store.numbers_of(tracks)}
    entries = [e.args for e in log]
    before = -1
    while len(numbers) != before:
        before = len(numbers)
        for a in entries:
            if a.get("kept") in numbers or a.get("dropped") in numbers:
                numbers |= {a["kept"], a["dropped"]}
            if a.get("new") in numbers:
                numbers.add(a["person"])
    return numbers


def showing(store: Store, numbers: Collection[int]) -> list[str]:
    """Paths of files on disk that show one of these people as far as the library remembers; logs are looked through."""
    return [path for path, people in store.exports() if _shows(Path(path), people, numbers)]


def _shows(path: Path, people: Sequence[int], numbers: Collection[int]) -> bool:
    if people:
        return not set(people).isdisjoint(numbers)
    return any(_mentions(told, numbers) for one in _pieces(path) for told in _told(one))


def erase(store: Store, paths: Iterable[str], numbers: Collection[int]) -> Outcome:
    """Deletes these files; logs and folders of clips lose what is about these people."""
    known, out = dict(store.exports()), Outcome()
    for path in sorted(paths, reverse=True):  # a folder after what is in it
        try:
            if known.get(path):
                _remove(Path(path))
                store.remove_export(path)
                out.deleted.append(path)
            else:
                _look_through(Path(path), numbers, out)
        except (OSError, ReportError):
            out.left.append(path)
    return out


def _remove(path: Path) -> None:
    """A file or a link, or a folder that is empty by now."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _look_through(path: Path, numbers: Collection[int], out: Outcome) -> None:
    for one in _pieces(path):
        if not any(_mentions(told, numbers) for told in _told(one)):
            continue
        if path.is_dir():
            for file in (one.with_suffix(".mp4"), one):
                file.unlink(missing_ok=True)
                out.deleted.append(str(file))
        else:
            (_blank if path.parent.name == QUEUES else _thin)(one, numbers)
            out.rewritten.append(str(one))


def _thin(log: Path, numbers: Collection[int]) -> None:
    """The log without the lines about these people."""
    lines = log.read_bytes().splitlines(keepends=True)
    mode = log.stat().st_mode & 0o777
    write_bytes(log, b"".join(x for x in lines if not _mentions(_json(x), numbers)))
    os.chmod(log, mode)


def _blank(queue: Path, numbers: Collection[int]) -> None:
    """Blanks in the place of these lines: the queue is open, and who sends it counts its bytes."""
    at = 0
    with queue.open("r+b") as file:
        for line in queue.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and _mentions(_json(line), numbers):
                file.seek(at)
                file.write(b" " * (len(line) - 1))
            at += len(line)
        file.flush()
        os.fsync(file.fileno())


def _pieces(path: Path) -> list[Path]:
    """The descriptions in a folder of clips; or a log with the older ones that were put aside as PATH.1, PATH.2."""
    if path.is_dir():
        return sorted(path.glob("*.json"))
    older = (p for p in path.parent.glob(f"{path.name}.*") if p.suffix[1:].isdecimal())
    return sorted(p for p in (path, *older) if p.is_file())


def _told(path: Path) -> Iterable[Any]:
    with path.open("rb") as lines:
        yield from (_json(line) for line in lines)


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _mentions(told: Any, numbers: Collection[int]) -> bool:
    """Whether one of these people is told of somewhere in it."""
    if isinstance(told, dict):
        return any(told.get(k) in numbers for k in ABOUT if isinstance(told.get(k), int)) or any(
            _mentions(v, numbers) for v in told.values()
        )
    return isinstance(told, list) and any(_mentions(v, numbers) for v in told)
