"""Where frames come from: files, pictures and cameras, all behind one contract (`streamer.sources.base`)."""

from __future__ import annotations

from streamer.sources.base import Source, SourceInfo, SourceStats
from streamer.sources.redact import redact
from streamer.sources.specs import expand, left_out, open_source, stem

__all__ = ["Source", "SourceInfo", "SourceStats", "expand", "left_out", "open_source", "redact", "stem"]
