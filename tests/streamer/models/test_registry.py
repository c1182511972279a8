"""Families by name, and by "package.module:Class"."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streamer import models
from streamer.errors import ConfigError


@pytest.mark.parametrize(("role", "name"), [(r, n) for r, names in models.ROLES.items() for n in names])
def test_every_registered_family_can_be_loaded(role: str, name: str) -> None:
    assert callable(models.family(role, name))


def test_a_class_of_ones_own_is_named_by_its_module() -> None:
    from streamer.models.quality import Sharpness

    made = models.create("quality", "streamer.models.quality:Sharpness", {"reject_below": 0.3})
    assert isinstance(made, Sharpness)
    assert made.reject_below == 0.3


@pytest.mark.parametrize(
    ("role", "name", "words"),
    [
        ("detector", "retina", "retina is not a detector family. Families: scrfd"),
        ("embedder", "nowhere.at.all:Thing", "cannot be loaded"),
        ("quality", "streamer.models.quality:Thing", "cannot be loaded"),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(role: str, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        models.family(role, name)


def test_an_option_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"quality\.reject is not an option of sharpness\. Options: reject_below"):
        models.create("quality", "sharpness", {"reject": 0.3})


def test_the_registry_imports_nothing_heavy() -> None:
    heavy = "('cv2', 'onnxruntime', 'onnx')"
    code = f"import sys, streamer.models, streamer.crops; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
