"""The examples of docs/python.md run, one after the other in one folder, on drawn faces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamer.testing import two_shots
from tests.pipelines.drawn import use_drawn_faces
from tests.streamer.processing.live.reel import Reel
from tests.streamer.processing.live.test_run import pair

PAGE = Path(__file__).resolve().parent.parent / "docs" / "python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
NEEDS = {"to_pandas": "pandas", "to_pyannote": "pyannote.core"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with two episodes, the current one; every pack is one for drawn faces, every camera a drawn reel."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("ep01.mp4", "ep02.mp4"):
        scene = two_shots()
        replace(scene, name=name, first=0.0 if name == "ep01.mp4" else 0.4).write(folder)
    with pytest.MonkeyPatch.context() as patch:
        use_drawn_faces(patch.setattr)
        patch.chdir(folder)
        patch.setattr("streamer.sources.camera.CameraSource", lambda address: Reel(pair()))
        yield folder


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(number: int, place: Path) -> None:
    code = EXAMPLES[number]
    for word, module in NEEDS.items():
        if word in code:
            pytest.importorskip(module, reason=f"{module} is not installed")
    names: dict[str, Any] = {}
    exec(compile("import streamer\n" + code, f"{PAGE.name}, example {number + 1}", "exec"), names)


def test_the_examples_wrote_what_they_say(place: Path) -> None:
    for name in ("ep01.html", "ep01.eaf", "ep01.vtt", "anonymous.html", "ann.html", "blurred.mp4"):
        assert (place / name).stat().st_size > 0
    assert "Ann Lee" not in (place / "anonymous.html").read_text()
