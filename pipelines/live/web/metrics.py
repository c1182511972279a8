"""The figures of a live run as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pipelines.live.sinks import Figures
from pipelines.live.web.board import Board
from streamer.flow.stats import Distribution, Load
from streamer.watching import LIVE

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = dict[str, str]
Row = tuple[Labels, float]


class Exposition(Collector):
    """All metrics of a run, the process' memory and descriptors among them; asked for anew at every look."""

    def __init__(
        self, board: Board, sinks: Callable[[], Sequence[Figures]], loads: Callable[[], Sequence[Load]]
    ) -> None:
        self.board, self.sinks, self.loads = board, sinks, loads
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """What `/metrics` answers."""
        told: bytes = generate_latest(self._registry)
        return told

    def collect(self) -> Iterator[Metric]:
        yield from self._cameras()
        yield from self._people()
        yield from self._stages()
        yield from self._sinks()

    def _cameras(self) -> Iterator[Metric]:
        healths = sorted(self.board.healths.values(), key=lambda h: h.camera)
        by = [({"source": h.camera}, h) for h in healths]
        dropped = [({"source": h.camera, "reason": r}, float(n)) for h in healths for r, n in sorted(h.dropped.items())]
        yield _counter("frames", "Frames read.", ((s, h.read) for s, h in by))
        yield _counter("frames_processed", "Frames looked at.", ((s, h.processed) for s, h in by))
        yield _counter("frames_dropped", "Frames left out, by reason.", dropped)
        yield _gauge("source_up", "1 while a camera sends pictures.", ((s, float(h.state == LIVE)) for s, h in by))
        yield _counter("source_reconnects", "Connections made again.", ((s, h.reconnects) for s, h in by))
        yield _gauge("fps", "Frames processed a second.", ((s, h.fps) for s, h in by))
        yield _gauge("lag_seconds", "Age of a frame when it is picked up.", ((s, h.frame_age) for s, h in by))

    def _people(self) -> Iterator[Metric]:
        board, present = self.board, self.board.book.present()
        followed = (({"source": c}, len(t.seen)) for c, t in sorted(board.tiles.items()))
        inside = (({"source": c}, sum(p.camera == c for p in present)) for c in sorted(board.healths))
        lately = {s.person for s in board.book.stays.values()} - {None}
        yield _gauge("tracks_active", "Faces followed in the newest frame.", followed)
        yield _gauge("people_present", "People in view.", inside)
        yield _gauge("people", "Different people seen in the last hour.", [({}, float(len(lately)))])
        yield _counter("notices", "Notices sent.", (({"type": t}, n) for t, n in sorted(board.told.items())))
        yield _gauge("listeners", "Open streams of notices.", [({}, float(board.listeners))])

    def _stages(self) -> Iterator[Metric]:
        loads = [({"stage": x.stage, "source": x.source}, x) for x in self.loads()]
        yield _histogram("stage_seconds", "Time a call of a stage took.", ((s, x.seconds) for s, x in loads))
        yield _histogram("stage_batch", "Items a call of a stage took.", ((s, x.items) for s, x in loads))
        yield _gauge("stage_waiting", "Items that wait for a stage.", ((s, x.waiting) for s, x in loads))

    def _sinks(self) -> Iterator[Metric]:
        by = [({"sink": f.name}, f) for f in self.sinks()]
        yield _counter("sink_sent", "Notices delivered.", ((s, f.sent) for s, f in by))
        yield _counter("sink_lost", "Notices given up.", ((s, f.lost) for s, f in by))
        yield _gauge("sink_waiting", "Notices that wait.", ((s, f.waiting) for s, f in by))


def _counter(name: str, words: str, rows: Iterable[Row]) -> Metric:
    return _filled(CounterMetricFamily(f"whowhen_{name}", words), rows)


def _gauge(name: str, words: str, rows: Iterable[Row]) -> Metric:
    return _filled(GaugeMetricFamily(f"whowhen_{name}", words), rows)


def _filled(family: Metric, rows: Iterable[Row]) -> Metric:
    suffix = "_total" if family.type == "counter" else ""
    for labels, value in rows:
        family.add_sample(family.name + suffix, labels, float(value))
    return family


def _histogram(name: str, words: str, rows: Iterable[tuple[Labels, Distribution]]) -> Metric:
    family = HistogramMetricFamily(f"whowhen_{name}", words)
    for labels, spread in rows:
        counts = spread.cumulative()
        for bound, count in zip((*map(str, spread.bounds), "+Inf"), counts, strict=True):
            family.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, count)
        family.add_sample(f"{family.name}_count", labels, counts[-1])
        family.add_sample(f"{family.name}_sum", labels, spread.total)
    return family
