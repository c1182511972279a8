"""Where the optional real models and videos are, and a skip with its reason where they are not."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from streamer.models.runtime import keep_offline

# a busy machine is no failure: no example is measured by the clock
settings.register_profile("whowhen", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("whowhen")

keep_offline()  # also tests that import onnxruntime themselves

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, scope="session")
def heard() -> Iterator[None]:
    """Signals as in a terminal, also where the tests run in the background (nohup, CI) and would ignore them."""
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _folder(variable: str, default: Path) -> Path:
    path = Path(os.environ.get(variable, default))
    if not path.is_dir():
        pytest.skip(f"{variable}: no folder {path} (real files for tests are not shipped)")
    return path


@pytest.fixture(scope="session")
def shared_models() -> Path:
    return _folder("WHOWHEN_MODELS", ROOT.parent / "shared" / "models")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    return _folder("WHOWHEN_DATA", ROOT.parent / "shared" / "data")
