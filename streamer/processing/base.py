"""Who is told how far a run is, and what of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class SourceProgress:
    """What is known of one source while it runs."""

    name: str
    total: float | None = None  # seconds of video
    done: float = 0.0
    frames: int = 0
    faces: int = 0
    tracks: int = 0
    people: int = 0  # in this source, so far
    state: str = "waiting"


class Listener(Protocol):
    """Is shown a run's progress, and told in words what a person should know of it."""

    def source(self, name: str) -> SourceProgress:
        """The figures of a source, to be kept up to date by whoever processes it."""
        ...

    def tick(self, name: str, *, force: bool = False) -> None:
        """The figures of a source changed."""
        ...

    def say(self, text: str) -> None:
        """One line for a person: a warning, or what was done instead of what was asked."""
        ...


@dataclass(slots=True)
class Silent:
    """Shows nothing; keeps the figures and the words."""

    sources: dict[str, SourceProgress] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    def source(self, name: str) -> SourceProgress:
        return self.sources.setdefault(name, SourceProgress(name))

    def tick(self, name: str, *, force: bool = False) -> None:
        return

    def say(self, text: str) -> None:
        self.words.append(text)
