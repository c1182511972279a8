"""Prints what reading costs over bare decoding: processor milliseconds per frame, best of a few interleaved runs.

Bare decoding is `for frame in container.decode(video=0)` with the same kind of threads.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

from streamer.sources.file import FileSource


def bare(path: Path, threads: str) -> int:
    """Frames decoded by nothing but PyAV."""
    import av

    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = threads
        return sum(1 for _ in container.decode(video=0))


def read(path: Path, threads: str, look: str) -> int:
    """Frames given by FileSource, each looked at as told."""
    source = FileSource(path, threads=threads)  # type: ignore[arg-type]
    count = 0
    for frame in source:
        if look == "luma":
            frame.picture.luma()
        elif look == "bgr":
            frame.picture.bgr()
        count += 1
    return count


def cost(run: Callable[[], int]) -> float:
    """Processor milliseconds per frame."""
    start = time.process_time()
    frames = run()
    return (time.process_time() - start) * 1000 / max(frames, 1)


def measure(path: Path, threads: str, repeat: int) -> dict[str, float]:
    runs: dict[str, Callable[[], int]] = {
        "bare": lambda: bare(path, threads),
        "read": lambda: read(path, threads, ""),
        "read_luma": lambda: read(path, threads, "luma"),
        "read_bgr": lambda: read(path, threads, "bgr"),
    }
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(repeat):
        for name, run in runs.items():
            best[name] = min(best[name], cost(run))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--threads", default="AUTO", choices=["AUTO", "FRAME", "SLICE"])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    results = {path.name: measure(path, args.threads, args.repeat) for path in args.files}
    total = {k: sum(r[k] for r in results.values()) / len(results) for k in ("bare", "read", "read_luma", "read_bgr")}
    results["mean"] = total
    if args.json:
        print(json.dumps(results))
        return
    print(f"{'CPU-ms per frame':24}{'bare':>8}{'read':>8}{'ratio':>8}{'+luma':>8}{'+bgr':>8}{'ratio':>8}")
    for name, r in results.items():
        print(
            f"{name:24}{r['bare']:8.3f}{r['read']:8.3f}{r['read'] / r['bare']:8.3f}"
            f"{r['read_luma']:8.3f}{r['read_bgr']:8.3f}{r['read_bgr'] / r['bare']:8.3f}"
        )


if __name__ == "__main__":
    main()
