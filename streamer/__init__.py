"""Whowhen's library: streaming face clustering for video files and live cameras."""

from __future__ import annotations

__version__ = "0.1.0"
