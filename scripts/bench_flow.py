"""Prints how much of the slowest stage's rate the threaded runner reaches with stages that only sleep.

Also the cost of handing one item over: processor time per item and link with stages that do nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

from streamer.flow import run_inline, run_threaded


class Sleeper:
    """A stage that sleeps `seconds` per item."""

    def __init__(self, name: str, seconds: float, batch: int = 1) -> None:
        self.name, self.seconds, self.batch = name, seconds, batch

    def process(self, items: Sequence[Any]) -> Sequence[Any]:
        if self.seconds:
            time.sleep(self.seconds * len(items))
        return items

    def flush(self) -> Sequence[Any]:
        return ()


def measure(milliseconds: Sequence[float], items: int) -> dict[str, float]:
    """Rates with sleeping stages, and what a hand-over costs."""
    run = {
        name: lambda stages, n, runner=runner: runner(range(n), stages, lambda item: None)
        for name, runner in (("inline", run_inline), ("threaded", run_threaded))
    }
    sleepers = [Sleeper(f"sleep-{k}", ms / 1000) for k, ms in enumerate(milliseconds)]
    # what the slowest stage alone reaches here: the operating system's own oversleeping is not the runner's
    start = time.perf_counter()
    for _ in range(items):
        time.sleep(max(milliseconds) / 1000)
    alone = items / (time.perf_counter() - start)
    rates = {}
    for name, runner in run.items():
        start = time.perf_counter()
        runner(sleepers, items)
        rates[name] = items / (time.perf_counter() - start)
    idle = [Sleeper(f"idle-{k}", 0) for k in range(3)]
    cpu = time.process_time()
    run["threaded"](idle, 20_000)
    cost = (time.process_time() - cpu) / 20_000 / 4
    return {
        "slowest_stage_per_s": alone,
        "inline_per_s": rates["inline"],
        "threaded_per_s": rates["threaded"],
        "share_of_slowest": rates["threaded"] / alone,
        "hand_over_cpu_us": cost * 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sleep-ms", type=float, nargs="+", default=[2, 5, 3, 1])
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument(
        "--repeat", type=int, default=3, help="best of so many runs: a shared machine only ever slows down"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    runs = [measure(args.sleep_ms, args.items) for _ in range(args.repeat)]
    result = max(runs, key=lambda r: r["share_of_slowest"])
    if args.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:22} {value:10.3f}")


if __name__ == "__main__":
    main()
