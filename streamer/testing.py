"""Drawn scenes with known truth and fakes of every model: public, for tests, the demo and benchmarks."""

from __future__ import annotations
