"""The clips of a folder, their descriptions, and which of them may go."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamer.reports.atomic import replacing


def described(path: Path, told: Mapping[str, Any]) -> None:
    """Writes the description of a clip."""
    with replacing(path) as part:
        part.write_text(json.dumps(told, ensure_ascii=False), "utf-8")


def remove(clip: Path) -> None:
    """Removes a clip and its description, if they are there."""
    clip.unlink(missing_ok=True)
    clip.with_suffix(".json").unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip on disk."""

    path: Path
    end: float
    size: int
    keep: bool


class Shelf:
    """The clips of a folder: what is there, how much it is, and what may go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._clips: dict[Path, Clip] = {}
        for path in sorted(folder.glob("*.mp4")):
            if not path.name.startswith("."):
                self.add(path)
        for stray in folder.glob(".*.part.*"):
            stray.unlink(missing_ok=True)
        for lone in folder.glob("*.json"):
            if not lone.name.startswith(".") and lone.with_suffix(".mp4") not in self._clips:
                lone.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """Bytes of all clips."""
        return sum(c.size for c in self._clips.values())

    def __iter__(self) -> Iterator[Clip]:
        return iter(sorted(self._clips.values(), key=lambda c: (c.end, c.path.name)))

    def add(self, path: Path) -> None:
        """Takes a file into account."""
        with contextlib.suppress(OSError):
            self._clips[path] = Clip(path, *_about(path))

    def mark(self, path: Path, keep: bool = True) -> None:
        """A clip that a person wants to keep is never removed by `tidy`."""
        beside = path.with_suffix(".json")
        told = json.loads(beside.read_text("utf-8")) | {"keep": keep}
        described(beside, told)
        self.add(path)

    def tidy(self, now: float, seconds: float, size: int) -> list[Path]:
        """Removes clips older than `seconds`, then the oldest until all are at most `size` bytes; what went."""
        gone = []
        for clip in list(self):
            keep = clip.keep or _about(clip.path)[2]  # somebody may have marked it since
            if not keep and (clip.end < now - seconds or self.size > size):
                remove(clip.path)
                del self._clips[clip.path]
                gone.append(clip.path)
        return gone


def _about(path: Path) -> tuple[float, int, bool]:
    """(end, size, keep) of a clip; one without a readable description counts by its own age and may go."""
    size = path.stat().st_size
    try:
        told = json.loads(path.with_suffix(".json").read_text("utf-8"))
        return float(told["end"]), size, told["keep"] is True
    except (OSError, ValueError, KeyError, TypeError):
        return os.path.getmtime(path), size, False
