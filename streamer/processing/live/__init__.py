"""Cameras at work: a thread reads each and one follows it, one says who it is, one tells whoever listens."""

from __future__ import annotations

from streamer.processing.live.run import STOP_WITHIN, Live

__all__ = ["STOP_WITHIN", "Live"]
