"""Freed memory goes back to the system."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from streamer.processing.live import memory
from tests.pipelines.drawn import ROOT

# a heap whose top is in use, so that the C library returns nothing of itself; then what `give_back` makes of it
HOLES = """
import os
from streamer.processing.live import memory
def resident(): return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
held = [bytes(100_000) for _ in range(800)]
del held[:-1]
before = resident()
print(memory.give_back(), before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_what_was_freed_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], cwd=ROOT, capture_output=True, text=True, check=True)
    told, size = done.stdout.split()
    assert told == "True"
    assert int(size) > 50_000_000


def test_with_another_c_library_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    memory._trim.cache_clear()
    assert memory.give_back() is False
    memory._trim.cache_clear()
