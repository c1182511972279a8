"""The command line with models for drawn faces: `python -m tests.pipelines.drawn run CLIP -o OUT` needs no files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from streamer.models import packs
from streamer.testing import FakeDetector, FakeEmbedder, FakeQuality

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "tests.pipelines.drawn")


def whowhen(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command, run to its end in a process of its own."""
    command = [*COMMAND, *map(str, arguments)]
    options = {"capture_output": True, "timeout": 240, "errors": "surrogateescape", **options}
    return subprocess.run(command, text=True, check=False, cwd=ROOT, **options)


def use_drawn_faces() -> None:
    """From here on every pack in this process is the fakes of `streamer.testing`."""
    pack = packs.read_pack("open")

    def build(_: Any, device: str = "auto") -> packs.Models:
        return packs.Models(FakeDetector(), FakeEmbedder(), FakeQuality(), pack, ["detector: drawn faces"])

    packs.load_pack = lambda spec: pack
    packs.build = build


if __name__ == "__main__":
    from pipelines.cli import main

    use_drawn_faces()
    main()
