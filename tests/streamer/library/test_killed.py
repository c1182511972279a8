"""kill -9 anywhere, the same command again, the same library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def killed(tmp_path: Path, kills: int, seed: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.streamer.library.killed", str(tmp_path), str(kills), str(seed)],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("kills", "seed"), [(8, 1), pytest.param(100, 2, marks=pytest.mark.slow)])
def test_a_killed_run_done_again_gives_the_unbroken_library(tmp_path: Path, kills: int, seed: int) -> None:
    assert "all equal" in killed(tmp_path, kills, seed)
