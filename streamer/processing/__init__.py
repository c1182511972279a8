"""Sources into a people library: the stages put together and run, for one file after another."""

from __future__ import annotations

from streamer.processing.base import Listener, Silent, SourceProgress
from streamer.processing.file import Done, FileWorker

__all__ = ["Done", "FileWorker", "Listener", "Silent", "SourceProgress"]
