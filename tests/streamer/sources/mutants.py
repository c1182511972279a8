"""Damages good videos at random and reads them: `python -m tests.streamer.sources.mutants COUNT SEED`.

Every mutant is a SourceError when opened, or is read to its end with rising times and counts that add up; anything else
is printed, and the exit code is 1. A crash of the decoder ends the process and names the mutant that did it.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from streamer.errors import SourceError
from streamer.sources.file import FileSource
from tests.streamer.sources.corpus import FRAGMENTED, encode

GOOD = {
    "a.mp4": {},
    "b.mkv": {},
    "c.ts": {},
    "d.avi": {"codec": "mpeg4"},
    "e.mov": {"codec": "mjpeg", "form": "yuvj420p"},
    "f.mp4": {"container": FRAGMENTED},
    "g.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime"}},
    "h.gif": {"codec": "gif", "form": "rgb8"},
}
SLOW_S = 5.0  # processor seconds for a clip of one second: something runs away


def mutant(data: bytes, seed: int) -> bytes:
    """`data` with bytes changed, one stretch moved or doubled, or an end cut off."""
    rng = random.Random(seed)
    out = bytearray(data)
    for _ in range(rng.choice((1, 3, 10, 60, 400))):
        out[rng.randrange(len(out))] = rng.randrange(256)
    at, length = rng.randrange(len(out)), rng.randrange(1, 2000)
    kind = rng.randrange(4)
    if kind == 0:
        del out[at:]
    elif kind == 1:
        del out[at : at + length]
    elif kind == 2:
        out[at:at] = out[at : at + length]
    return bytes(out)


def outcome(path: Path) -> str:
    """`refused`, `whole`, `partial`, or what went wrong."""
    begun = time.process_time()
    try:
        source = FileSource(path)
    except SourceError as error:
        return "refused" if "\n" not in str(error) else f"several lines: {error}"
    times = [frame.time for frame in source if frame.image.ndim == 3]
    stats = source.stats
    if times != sorted(set(times)):
        return "times do not rise"
    if stats.read != stats.given + sum(stats.dropped.values()) + stats.failed or stats.given != len(times):
        return "counts do not add up"
    if time.process_time() - begun > SLOW_S:
        return "slow"
    return "partial" if stats.warnings else "whole"


def main(count: int, seed: int) -> int:
    told: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        good = {}
        for name, options in GOOD.items():
            encode(Path(folder) / name, [k / 25 for k in range(25)], size=(96, 72), **options)
            good[name] = (Path(folder) / name).read_bytes()
        for k in range(count):
            name = list(good)[k % len(good)]
            path = Path(folder) / f"bad{Path(name).suffix}"
            path.write_bytes(mutant(good[name], seed + k))
            try:
                found = outcome(path)
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
            told[found] += 1
            if found not in ("refused", "whole", "partial"):
                print(f"{name}, seed {seed + k}: {found}")
    print(", ".join(f"{n} {what}" for what, n in told.most_common()))
    return 1 if set(told) - {"refused", "whole", "partial"} else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
