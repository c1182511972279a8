"""The loop everybody writes and this pipeline, side by side: processor seconds, per stage, against the floors.

Ours is the main job of `whowhen run` up to the written library, in one thread. Both sides use the same weights, one
thread a session, and decode with one thread, so that every second has one place.
"""

from __future__ import annotations

import copy
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.bench.meter import Meter, Side, metered
from pipelines.bench.naive import Loop, chosen
from streamer.config import Config
from streamer.errors import SourceError

PROBES = 40  # frames on which detect() is compared with the bare session


def ours(path: Path, models: Any, config: Config) -> Side:
    """The main job up to the library, in one thread."""
    from streamer.library import Library
    from streamer.processing import FileWorker

    meter = Meter()
    with tempfile.TemporaryDirectory(prefix="whowhen_bench_") as folder:
        began = time.process_time()
        with Library(Path(folder) / "people.db", create=True) as library:
            done = FileWorker(library, metered(models, meter), config, inline=True).one(path)
            total = time.process_time() - began
            if done.record is None:
                raise done.error or SourceError(f"{path}: {done.state}")
            stats = library.store.source(done.record).stats
            faces = sum(1 for _ in library.store.iter_rows(done.record))
            people = len({label for label in library.view.labels.values() if label is not None})
    cpu = stats["stages"]
    known = {
        "read": cpu["source"],
        "follow": cpu["follow"] - meter.seconds["detect"],
        "align and relate": cpu["embed"] - meter.seconds["embed"] - meter.seconds["rate faces"],
        "cluster": cpu["cluster"],
        "store": cpu["sink"],
    }
    stages = {k: max(0.0, float(v)) for k, v in (known | dict(meter.seconds)).items()}
    stages["other"] = total - sum(stages.values())
    return Side(total, stages, meter.calls["detect"], meter.calls["embed"], faces, people)


def floors(path: Path, models: Any) -> dict[str, float]:
    """Seconds of bare decoding and of reading, and what detect() costs over the session it calls."""
    from streamer.sources import open_source
    from streamer.sources.floor import decode_only

    meter = Meter()
    for _ in range(2):
        with meter("decode"):
            decode_only(path)
        with meter("read"):
            for _frame in open_source(path, threads="NONE"):
                pass
    return {"decode": meter.seconds["decode"] / 2, "read": meter.seconds["read"] / 2, **_raw(path, models.detector)}


def _raw(path: Path, detector: Any) -> dict[str, float]:
    """Seconds a picture of detect() and of its session alone on the same shape; empty for detectors of several nets."""
    from streamer.sources import open_source

    if len(getattr(detector, "sessions", ())) != 1 or detector.sessions[0].takes_bytes:
        return {}
    session, meter = detector.sessions[0], Meter()
    feeds: dict[str, Any] = {}
    original = session.backend.run

    def spied(given: Any) -> Any:
        feeds.update({k: v.copy() for k, v in given.items()})
        return original(given)

    source = open_source(path, threads="NONE")
    for frame, _ in zip(source, range(PROBES), strict=False):
        if not feeds:
            session.backend.run = spied
            detector.detect_pictures([frame.picture], [(frame.width, frame.height)])
            del session.backend.run
        with meter("detect"):
            detector.detect_pictures([frame.picture], [(frame.width, frame.height)])
        with meter("session"):
            session.backend.run(feeds)
    source.close()
    return {k: meter.seconds[k] / meter.calls[k] for k in ("detect", "session")}


def measure(paths: Sequence[Path], models: Any, config: Config, loop: Loop) -> dict[str, Any]:
    """Both sides of every video, and all of them together. SourceError for one that cannot be read."""
    config = copy.deepcopy(config)
    config.set("source.threads", "NONE", "bench")
    videos = {str(p): _video(p, models, config, loop) for p in paths}
    return {
        "machine": machine(models),
        "loop": loop.__name__,
        "videos": videos,
        "pooled": pooled(list(videos.values())),
    }


def _video(path: Path, models: Any, config: Config, loop: Loop) -> dict[str, Any]:
    from dataclasses import asdict

    low = floors(path, models)
    mine, theirs = ours(path, models, config), loop(path, models)
    told = {"frames": theirs.detections, "floors": low, "naive": asdict(theirs), "ours": asdict(mine)}
    return told | {"ratios": ratios(told)}


def pooled(videos: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All videos as one."""
    out: dict[str, Any] = {"frames": sum(v["frames"] for v in videos)}
    for side in ("floors", "naive", "ours"):
        out[side] = _summed([v[side] for v in videos])
    shares = [k for k in ("detect", "session") if k in out["floors"]]
    out["floors"] |= {k: out["floors"][k] / len(videos) for k in shares}
    return out | {"ratios": ratios(out)}


def _summed(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            out[key] = _summed([out.get(key, {}), value]) if isinstance(value, dict) else out.get(key, 0) + value
    return out


def ratios(told: dict[str, Any]) -> dict[str, float]:
    """The figures that are promised, from the seconds."""
    low, mine, theirs = told["floors"], told["ours"], told["naive"]
    work = low["decode"] + sum(mine["stages"].get(k, 0.0) for k in ("detect", "embed", "rate faces"))
    out = {
        "naive / ours": theirs["total"] / mine["total"],
        "glue": (mine["total"] - work) / mine["total"],
        "reader / decoding": low["read"] / low["decode"],
        "detector calls a frame": mine["detections"] / told["frames"],
        "faces in frames an embedding": mine["faces"] / max(1, mine["embeddings"]),
        "ms a frame, naive": 1000 * theirs["total"] / told["frames"],
        "ms a frame, ours": 1000 * mine["total"] / told["frames"],
    }
    if "session" in low:
        out["detect() / session"] = low["detect"] / low["session"]
    return out


def run(
    sources: Sequence[str], pack: str, device: str, preset: str, settings: Sequence[str], loop: str, as_json: bool
) -> None:
    """Measures and prints; without sources the demo's clip is composed and used."""
    import json

    from pipelines.bench.table import table
    from pipelines.demo import compose
    from streamer.config import load
    from streamer.models import packs
    from streamer.sources import expand

    config = load(preset, None, tuple(settings))
    models = packs.build(packs.load_pack(pack), device)
    with tempfile.TemporaryDirectory(prefix="whowhen_bench_") as folder:
        paths = expand(tuple(sources)) if sources else [Path(folder) / "demo.mp4"]
        if not sources:
            compose(paths[0], models.detector)
        told = measure(paths, models, config, chosen(loop, models))
    print(json.dumps(told, indent=2) if as_json else table(told))


def machine(models: Any) -> dict[str, Any]:
    """Where it was measured."""
    from streamer.processing.manifest import installed

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        name = next((v.strip() for k, _, v in lines if k.strip() == "model name"), name)
    return {
        "processor": name, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2),
        "models": models.pack.name, "devices": models.devices, "packages": installed(),
    }  # fmt: skip
