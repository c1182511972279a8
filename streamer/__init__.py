"""Whowhen's library: streaming face clustering for video files and live cameras.

    import streamer

    with streamer.process("ep01.mp4") as found:
        for person in found.people:
            print(person.label, person.screen_time)

Everything is imported when first asked for: importing this package loads nothing but itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamer.config import Config as Config
    from streamer.errors import ConfigError as ConfigError
    from streamer.errors import DeviceError as DeviceError
    from streamer.errors import ModelError as ModelError
    from streamer.errors import PartialSourceError as PartialSourceError
    from streamer.errors import SourceError as SourceError
    from streamer.errors import StageError as StageError
    from streamer.errors import StoreError as StoreError
    from streamer.errors import StreamerError as StreamerError
    from streamer.items import Appearance as Appearance
    from streamer.library import Library as Library
    from streamer.presence import Notice as Notice
    from streamer.processing.calls import process as process
    from streamer.processing.live.session import Session as Session
    from streamer.processing.live.session import open as open
    from streamer.processing.result import FoundTrack as FoundTrack
    from streamer.processing.result import Result as Result

__version__ = "0.1.0"

_PUBLIC = {
    "Appearance": "streamer.items",
    "Config": "streamer.config",
    "FoundTrack": "streamer.processing.result",
    "Library": "streamer.library",
    "Notice": "streamer.presence",
    "Result": "streamer.processing.result",
    "Session": "streamer.processing.live.session",
    "open": "streamer.processing.live.session",
    "process": "streamer.processing.calls",
    **dict.fromkeys(
        ("StreamerError", "SourceError", "PartialSourceError", "ModelError", "DeviceError", "ConfigError",
         "StoreError", "StageError"),
        "streamer.errors",
    ),
}  # fmt: skip
__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'streamer' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
