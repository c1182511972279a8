"""The command line with models for drawn faces: `python -m tests.pipelines.drawn run CLIP -o OUT` needs no model files.

`WHOWHEN_TEST_HANG=NAME` lets the source of that name hang in a read behind its tenth frame.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from streamer.items import Frame
from streamer.models import packs
from streamer.testing import FakeDetector, FakeEmbedder, FakeQuality

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "tests.pipelines.drawn")


def whowhen(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command, run to its end in a process of its own."""
    options = {"capture_output": True, "timeout": 240, "errors": "surrogateescape", "cwd": ROOT, **options}
    return subprocess.run([*COMMAND, *map(str, arguments)], text=True, check=False, **options)


def use_drawn_faces(put: Callable[[object, str, object], object] = setattr) -> None:
    """From here on every pack in this process is the fakes of `streamer.testing`."""
    pack = packs.read_pack("open")

    def build(_: Any, device: str = "auto") -> packs.Models:
        return packs.Models(FakeDetector(), FakeEmbedder(), FakeQuality(), pack, ["detector: drawn faces"])

    put(packs, "load_pack", lambda spec: pack)
    put(packs, "build", build)


def let_hang(name: str) -> None:
    """The video file `name` gives ten frames, says so on stdout, and never comes back from the next read."""
    from streamer.sources.file import FileSource

    whole = FileSource.__iter__

    def hanging(source: FileSource) -> Iterator[Frame]:
        for frame in whole(source):
            yield frame
            if frame.index == 10 and source.path.name == name:
                print("hangs", flush=True)
                os.read(os.pipe()[0], 1)

    FileSource.__iter__ = hanging  # type: ignore[method-assign]


if __name__ == "__main__":
    from pipelines.cli import main

    use_drawn_faces()
    if hung := os.environ.get("WHOWHEN_TEST_HANG"):
        let_hang(hung)
    main()
