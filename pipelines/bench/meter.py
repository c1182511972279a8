"""Processor seconds by what they were spent on."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from streamer.models.base import PartDetector


@dataclass(slots=True)
class Meter:
    """Processor seconds and calls by what they were spent on."""

    seconds: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    running: set[str] = field(default_factory=set)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = time.process_time()
        try:
            yield
        finally:
            self.seconds[name] += time.process_time() - began  # type: ignore[assignment]
            self.calls[name] += 1

    def wrapped(self, name: str, call: Callable[..., Any], single: bool = False) -> Callable[..., Any]:
        """`call`, measured; an item of its first argument counts as a call, or all of it where it is a `single` one.

        What a measured call of the same name does inside is its own business, and not counted twice.
        """

        def measured(items: Any, *rest: Any) -> Any:
            if name in self.running:
                return call(items, *rest)
            self.running.add(name)
            try:
                with self(name):
                    out = call(items, *rest)
            finally:
                self.running.discard(name)
            self.calls[name] += 0 if single else len(items) - 1
            return out

        return measured


def metered(models: Any, meter: Meter) -> Any:
    """The models with their work counted; sessions and weights are shared with the originals."""
    detector, embedder, quality = (copy.copy(m) for m in (models.detector, models.embedder, models.quality))
    detector.detect = meter.wrapped("detect", detector.detect)
    detector.detect_pictures = meter.wrapped("detect", detector.detect_pictures)
    if isinstance(detector, PartDetector):
        part: Any = detector
        part.detect_part = meter.wrapped("detect", part.detect_part, single=True)
    embedder.embed = meter.wrapped("embed", embedder.embed)
    if quality is not None:
        quality.rate = meter.wrapped("rate faces", quality.rate)
    out = copy.copy(models)
    for name, value in (("detector", detector), ("embedder", embedder), ("quality", quality)):
        object.__setattr__(out, name, value)
    return out


@dataclass(slots=True)
class Side:
    """What one way of doing it cost, in processor seconds."""

    total: float
    stages: dict[str, float]
    detections: int  # pictures given to the detector
    embeddings: int
    faces: int  # faces in the result: boxes over all frames
    people: int


def stages(meter: Meter, total: float) -> dict[str, float]:
    """Seconds by stage, with what no stage accounts for under `other`."""
    known = {k: float(v) for k, v in meter.seconds.items()}
    return known | {"other": total - sum(known.values())}
