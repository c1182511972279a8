"""Moving items through stages: inline or threaded, with bounded links, and nothing about what the items are."""

from __future__ import annotations

from streamer.flow.batcher import Batcher
from streamer.flow.inline import iterate_inline, run_inline
from streamer.flow.overflow import Latest
from streamer.flow.stage import Stage
from streamer.flow.stats import FlowStats, StageStats
from streamer.flow.threaded import run_threaded

__all__ = ["Batcher", "FlowStats", "Latest", "Stage", "StageStats", "iterate_inline", "run_inline", "run_threaded"]
