"""What really ran: counts that add up, and everything it takes to repeat a run."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from streamer import __version__
from streamer.config import Config

PACKAGES = ("numpy", "opencv-python-headless", "opencv-python", "av", "faiss-cpu", "onnxruntime", "onnxruntime-gpu")


def run_stats(source: Any, follow: Any, embed: Any, cpu: float) -> dict[str, Any]:
    """Counts that add up: read = processed + dropped by reason + failed. `cpu` is process CPU seconds."""
    s = source.stats
    return {
        "frames": {"read": s.read, "processed": follow.frames, "dropped": dict(s.dropped), "failed": s.failed},
        "detector_calls": follow.looks,
        "faces_detected": follow.faces,
        "faces_embedded": embed.embedded,
        "rejected": {**follow.tracker.rejected, **embed.rejected},
        "cuts": follow.cuts,
        "tracks_split": embed.splits,
        "tracks_joined": embed.relations.joined,
        "stride": {**follow.stride.told(), "check": follow.check.told() if follow.check else None},
        "warnings": list(s.warnings),
        "gaps": [{"start": g.start, "end": g.end, "reason": g.reason, "frames": g.frames} for g in s.gaps],
        "cpu_seconds": round(cpu, 3),
        "cpu_ms_per_frame": round(1000 * cpu / max(1, follow.frames), 3),
    }


def manifest(config: Config, models: Any, info: Any, stats: dict[str, Any], content: str) -> dict[str, Any]:
    """What it takes to repeat the run, and what really ran. `content` is the hash that stands for the source."""
    from streamer.models.packs import describe

    shown = dict(stats)
    if "calibration" in stats:
        shown["calibration"] = {k: v for k, v in stats["calibration"].items() if k != "pairs"}
    return {
        "whowhen": __version__,
        "python": platform.python_version(),
        "packages": installed(),
        "source": {
            "path": info.uri,
            "codec": info.codec,
            "width": info.width,
            "height": info.height,
            "content": content,
            "notes": list(info.notes),
        },
        "config": {p: {"value": v, "origin": o} for p, v, o in config.show()},
        "models": describe(models.pack),
        "model_id": models.embedder.model,
        "devices": models.devices,
        **shown,
    }


def installed() -> dict[str, str]:
    """Version of every package that has a say in the result, of those that are here."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
