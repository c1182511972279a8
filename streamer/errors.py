"""Every error a caller can catch.

StreamerError
├── SourceError     a file, folder, camera or frame that cannot be read
│   └── PartialSourceError   read up to a point; what was read is valid
├── ModelError      a model, pack, provider or device that is missing, wrong or refused
│   └── DeviceError          the device that was asked for is not the one that would run
├── ConfigError     an option that does not exist or does not fit
├── StoreError      a people library that is busy, damaged, too new or of another model
└── StageError      a stage of the pipeline failed; `stage` names it, `__cause__` says why

A message says what happened, to which thing, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable


def suggest(word: str, known: Iterable[str]) -> str:
    """ " (did you mean eps?)" where one of the known words is near, else nothing."""
    import difflib

    near = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""


class StreamerError(Exception):
    """Root of all errors raised on purpose by this package."""


class SourceError(StreamerError):
    """A source that cannot be opened or read."""


class PartialSourceError(SourceError):
    """A source that ended before its time; the frames given before are valid."""


class ModelError(StreamerError):
    """A model file, pack or provider that is missing, wrong or refused."""


class DeviceError(ModelError):
    """The device that was asked for is not available."""


class ConfigError(StreamerError):
    """An option that does not exist, or a value that does not fit."""


class StoreError(StreamerError):
    """A people library that is busy, damaged, too new or made with another model."""


class StageError(StreamerError):
    """A stage failed. `stage` is its name; the cause is chained."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(f"stage {stage}: {message}")
        self.stage = stage
