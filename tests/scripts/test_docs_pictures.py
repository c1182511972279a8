"""The pages about the lab are true: every command on them runs, and made the pictures they show."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("docs_pictures", ROOT / "scripts" / "docs_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_command_runs_and_makes_the_pictures_shown(script: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    written = script.made(tmp_path)
    shown = {p for page in script.PAGES for p in script.shown_in(ROOT / "docs" / page)}
    assert len(shown) > 10
    assert shown <= set(written)
    assert shown == {p.name for p in (ROOT / "docs" / "pictures").iterdir()}
    assert all(written[p].stat().st_size > 1000 for p in shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_every_clustering_method_has_its_place_on_the_page() -> None:
    from streamer.clustering.batch import METHODS

    text = (ROOT / "docs" / "clustering.md").read_text(encoding="utf-8")
    assert all(name in text for name in METHODS)


def test_every_detector_has_its_place_on_the_page() -> None:
    from streamer.models import DETECTORS

    text = (ROOT / "docs" / "detectors.md").read_text(encoding="utf-8")
    assert all(f"**{name}**" in text for name in DETECTORS)
