"""Where the optional real models and videos are, and a skip with its reason where they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# a busy machine is no failure: no example is measured by the clock
settings.register_profile("whowhen", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("whowhen")

ROOT = Path(__file__).resolve().parent.parent


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
