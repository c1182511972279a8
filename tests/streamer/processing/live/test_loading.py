"""What a live run loads before it takes its first frame."""

from __future__ import annotations

import subprocess
import sys

from tests.pipelines.drawn import ROOT

# which libraries come in after a run was made, while it follows two people and says who they are
LATE = """
import sys, tempfile
from pathlib import Path
from streamer.config import Config
from streamer.library import Library
from streamer.processing.live import Live
from tests.streamer.processing.live.reel import Reel
from tests.streamer.processing.live.test_run import models, pair
reel = Reel(pair())
with tempfile.TemporaryDirectory() as name, Library(Path(name) / "people.db", create=True) as library:
    live = Live(library, models(), Config(), {"cam": reel})
    before = set(sys.modules)
    with live:
        reel.done.wait(60)
print(*{n.partition(".")[0] for n in set(sys.modules) - before} & {"scipy", "faiss", "cv2", "av", "sklearn", "PIL"})
"""


def test_no_camera_waits_for_a_library_to_be_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", LATE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
