"""The figures of a live run as Prometheus reads them (text format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipelines.live.sinks import Figures
from pipelines.live.web.board import Board
from streamer.watching import LIVE

Row = tuple[dict[str, str], float]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(board: Board, sinks: Sequence[Figures]) -> str:
    """All metrics of a run."""
    healths = sorted(board.healths.values(), key=lambda h: h.camera)
    present = board.book.present()
    by = [({"source": h.camera}, h) for h in healths]
    dropped = [({"source": h.camera, "reason": r}, float(n)) for h in healths for r, n in sorted(h.dropped.items())]
    out = [
        _metric("frames_total", "counter", "Frames read.", ((s, h.read) for s, h in by)),
        _metric("frames_processed_total", "counter", "Frames looked at.", ((s, h.processed) for s, h in by)),
        _metric("frames_dropped_total", "counter", "Frames left out, by reason.", dropped),
        _metric("source_up", "gauge", "1 while a camera sends pictures.", ((s, float(h.state == LIVE)) for s, h in by)),
        _metric("source_reconnects_total", "counter", "Connections made again.", ((s, h.reconnects) for s, h in by)),
        _metric("fps", "gauge", "Frames processed a second.", ((s, h.fps) for s, h in by)),
        _metric("lag_seconds", "gauge", "Age of a frame when it is picked up.", ((s, h.frame_age) for s, h in by)),
        _metric("tracks_active", "gauge", "Faces followed in the newest frame.",
                (({"source": c}, len(t.seen)) for c, t in sorted(board.tiles.items()))),
        _metric("people_present", "gauge", "People in view.",
                ((s, sum(p.camera == h.camera for p in present)) for s, h in by)),
        _metric("people", "gauge", "Different people seen in the last hour.",
                [({}, float(len({s.person for s in board.book.stays.values()} - {None})))]),
        _metric("notices_total", "counter", "Notices sent.", (({"type": t}, n) for t, n in sorted(board.told.items()))),
        _metric("sink_sent_total", "counter", "Notices delivered.", (({"sink": f.name}, f.sent) for f in sinks)),
        _metric("sink_lost_total", "counter", "Notices given up.", (({"sink": f.name}, f.lost) for f in sinks)),
        _metric("sink_waiting", "gauge", "Notices that wait.", (({"sink": f.name}, f.waiting) for f in sinks)),
        _metric("listeners", "gauge", "Open streams of notices.", [({}, float(board.listeners))]),
    ]  # fmt: skip
    return "".join(out)


def _metric(name: str, kind: str, words: str, rows: Iterable[Row]) -> str:
    lines = [f"# HELP whowhen_{name} {words}", f"# TYPE whowhen_{name} {kind}"]
    for labels, value in rows:
        told = ",".join(f'{k}="{_escaped(v)}"' for k, v in labels.items())
        lines.append(f"whowhen_{name}{'{' + told + '}' if told else ''} {float(value):g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
