"""The scripts of a fresh checkout: what they do twice, and what they say where something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "dirname", "cat", "tr", "cksum", "cut", "rm", "mkdir", "echo", "cp", "chmod")

# stands in for Python: answers what scripts/install asks, notes what it is asked, fails where FAIL names its arguments
STUB = """#!/bin/sh
echo "$*" >>"$NOTES"
case "$*" in *"$FAIL"*) exit 1 ;; esac
case "$*" in
*"-m venv"*) for last; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """An environment with the usual tools and a Python that is a stub."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name) or "/bin/false")
    (tools / "python3").write_text(STUB)
    (tools / "python3").chmod(0o755)
    return {
        "PATH": str(tools),
        "NOTES": str(tmp_path / "notes"),
        "FAIL": "nothing fails",
        "WHOWHEN_VENV": str(tmp_path / "venv"),
    }


def install(machine: dict[str, str], extras: str = "cpu", **changed: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(machine["PATH"]) / "sh"), str(ROOT / "scripts" / "install"), extras]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**machine, **changed})


def asked(machine: dict[str, str]) -> list[str]:
    notes = Path(machine["NOTES"])
    return notes.read_text().splitlines() if notes.exists() else []


def test_twice_is_once(machine: dict[str, str]) -> None:
    first = install(machine)
    assert first.returncode == 0, first.stderr
    assert "==> making " in first.stderr
    assert "==> installing whowhen[cpu] into " in first.stderr
    once = [line for line in asked(machine) if "install" in line]
    again = install(machine)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert [line for line in asked(machine) if "install" in line] == once


def test_other_extras_are_installed_into_the_same_environment(machine: dict[str, str]) -> None:
    install(machine)
    more = install(machine, "cpu,demo")
    assert "making" not in more.stderr
    assert "==> installing whowhen[cpu,demo]" in more.stderr
    assert any("--no-deps insightface" in line for line in asked(machine))


def test_no_python_is_said(machine: dict[str, str]) -> None:
    os.remove(Path(machine["PATH"]) / "python3")
    done = install(machine)
    assert done.returncode == 2
    assert done.stderr == "whowhen needs Python 3.11 or newer; none was found (set PYTHON=/path/to/python).\n"


def test_a_python_that_is_too_old_is_no_python(machine: dict[str, str]) -> None:
    done = install(machine, FAIL="import sys")
    assert (done.returncode, "3.11 or newer" in done.stderr) == (2, True)


def test_a_missing_venv_module_is_named_with_the_package_that_brings_it(machine: dict[str, str]) -> None:
    done = install(machine, FAIL="-m venv")
    assert done.returncode == 2
    assert "The module venv is missing: install it (Debian: apt-get install python3-venv)" in done.stderr


def test_a_registry_that_does_not_answer_is_named_and_asked_again_next_time(machine: dict[str, str]) -> None:
    done = install(machine, FAIL="pip install")
    assert done.returncode == 2
    assert "check that the package registry can be reached" in done.stderr
    assert install(machine).returncode == 0
    assert sum("pip install" in line for line in asked(machine)) == 2


def test_an_environment_whose_making_was_interrupted_is_made_anew(machine: dict[str, str]) -> None:
    assert install(machine).returncode == 0
    broken = install(machine, FAIL="-m pip --version")
    assert broken.returncode == 0
    assert "==> making " in broken.stderr


@pytest.mark.parametrize("name", ["demo", "test", "check", "install"])
def test_scripts_are_plain_shell_and_can_be_run(name: str) -> None:
    path = ROOT / "scripts" / name
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", str(path)], check=True)
