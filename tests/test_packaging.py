"""What `pip install .` brings: the command, both packages, everything they read at run time, and little else."""

from __future__ import annotations

import configparser
import re
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
builders = pytest.importorskip("hatchling.builders.wheel")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return Path(next(builders.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))


def test_the_wheel_is_small_and_pure(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    assert wheel.stat().st_size < 1_000_000


def test_it_holds_every_file_of_both_packages_and_the_configs(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    for room in ("streamer", "pipelines"):
        files = {
            str(p.relative_to(ROOT)) for p in (ROOT / room).rglob("*")
            if p.is_file() and "__pycache__" not in p.parts and p.suffix != ".pyc"
        }  # fmt: skip
        assert files <= held
    assert {f"pipelines/configs/{p.name}" for p in (ROOT / "configs").glob("*.yaml")} <= held
    assert {name.split("/")[0].split("-")[0] for name in held} == {"streamer", "pipelines", "whowhen"}


def test_it_gives_the_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    name = next(n for n in archive.namelist() if n.endswith("entry_points.txt"))
    told = configparser.ConfigParser()
    told.read_string(archive.read(name).decode())
    assert dict(told["console_scripts"]) == {"whowhen": "pipelines.cli:main"}


def test_the_core_asks_for_one_opencv_and_no_inference_runtime(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    name = next(n for n in archive.namelist() if n.endswith("METADATA"))
    told = HeaderParser().parsestr(archive.read(name).decode())
    core = {re.match(r"[\w.-]+", r)[0] for r in told.get_all("Requires-Dist", []) if "extra ==" not in r}
    assert "opencv-python-headless" in core
    assert not {"onnxruntime", "onnxruntime-gpu", "opencv-python", "insightface", "torch", "tensorflow"} & core
    assert set(told["Requires-Python"].split(",")) == {">=3.11", "<3.15"}


def test_processor_and_card_never_meet_in_one_environment() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = told["project"]["optional-dependencies"]
    assert not any("onnxruntime-gpu" in r for r in extras["cpu"])
    assert [{"extra": "cpu"}, {"extra": "gpu"}] in told["tool"]["uv"]["conflicts"]
    patched = {m["name"]: m["requires-dist"] for m in told["tool"]["uv"]["dependency-metadata"]}
    assert not any(r.startswith(("onnxruntime", "opencv-python")) for r in patched["insightface"])
