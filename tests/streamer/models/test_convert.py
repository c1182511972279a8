"""Weights of installed packages to ONNX: exact, cached, and nothing unknown is unpickled."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from streamer.errors import ModelError
from streamer.models.convert import dlib, mtcnn, recipes

needs_mtcnn = pytest.mark.skipif(
    any(importlib.util.find_spec(p) is None for p in ("mtcnn", "onnx", "joblib")),
    reason="the packages of the extra `open` are not installed",
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHOWHEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(cache: Path) -> dict[str, bytes]:
    return {str(p.relative_to(cache)): p.read_bytes() for p in sorted(cache.rglob("*")) if p.is_file()}


@needs_mtcnn
def test_every_file_has_a_sidecar_with_its_source_and_hash(cache: Path) -> None:
    made = recipes.converted("mtcnn")
    assert sorted(made) == ["onet", "pnet", "rnet"]
    for role, path in made.items():
        assert json.loads((path.parent / f"{path.name}.json").read_text()) == {
            "source": f"mtcnn 1.0.0: assets/weights/{role}.lz4",
            "source_sha256": recipes.RECIPES["mtcnn"].sources[role].sha256,
            "converter": 1,
            "onnx_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    assert len(files(cache)) == 6  # no temporary file is left


@needs_mtcnn
def test_converting_again_gives_the_same_bytes(cache: Path) -> None:
    recipes.converted("mtcnn")
    first = files(cache)
    for path in cache.rglob("*.onnx"):
        path.unlink()
    recipes.converted("mtcnn")
    assert files(cache) == first


@needs_mtcnn
@pytest.mark.parametrize("what", ["flipped", "cut", "no sidecar", "bad sidecar"])
def test_a_damaged_cache_is_made_again(cache: Path, what: str) -> None:
    path = recipes.converted("mtcnn")["pnet"]
    whole, side = path.read_bytes(), path.parent / "pnet.onnx.json"
    if what == "flipped":
        path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    elif what == "cut":
        path.write_bytes(whole[:-1])
    elif what == "no sidecar":
        side.unlink()
    else:
        side.write_text("{")
    assert recipes.converted("mtcnn")["pnet"].read_bytes() == whole
    assert json.loads(side.read_text())["onnx_sha256"] == hashlib.sha256(whole).hexdigest()


@needs_mtcnn
def test_a_whole_cache_needs_the_package_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    first = recipes.converted("mtcnn")
    monkeypatch.setattr(recipes, "source_bytes", lambda *_: pytest.fail("the package was read"))
    assert recipes.converted("mtcnn") == first


@needs_mtcnn
def test_two_processes_that_convert_at_once_both_get_whole_files(cache: Path) -> None:
    code = "from streamer.models.convert.recipes import converted; converted('mtcnn')"
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [p.wait(60) for p in running] == [0, 0]
    made = recipes.RECIPES["mtcnn"]
    for role, source in made.sources.items():
        assert recipes.is_whole(recipes.cached_file(made, role), made, source)
    assert len(files(cache)) == 6


def test_weights_with_another_hash_are_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "pnet.lz4"
    fake.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    monkeypatch.setattr(recipes, "package_file", lambda *_: fake)
    monkeypatch.setattr(mtcnn, "keras_weights", lambda _: pytest.fail("unpickled"))
    with pytest.raises(ModelError, match=r"is not the file of mtcnn 1.0.0: expected SHA-256 ea6b0c3e.*found") as caught:
        recipes.converted("mtcnn")
    assert hashlib.sha256(fake.read_bytes()).hexdigest() in str(caught.value)
    assert "pip install --force-reinstall mtcnn==1.0.0" in str(caught.value)


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    made = replace(recipes.RECIPES["dlib"], package="no_such_package_here")
    monkeypatch.setattr(recipes, "RECIPES", MappingProxyType({"dlib": made}))
    with pytest.raises(ModelError, match=r'no_such_package_here is not installed.*pip install "whowhen\[open\]"'):
        recipes.converted("dlib")


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r'onnx is needed.*pip install "whowhen\[open\]"'):
        recipes.converted("dlib")


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WHOWHEN_CACHE", str(tmp_path / "file" / "under"))
    with pytest.raises(ModelError, match=r"cannot be written.*set WHOWHEN_CACHE"):
        recipes.write_whole(recipes.cached_file(recipes.RECIPES["mtcnn"], "pnet"), b"x")


def test_another_dlib_file_is_refused() -> None:
    pytest.importorskip("onnx")
    with pytest.raises(ModelError, match="not dlib's face ResNet: no tensor of 4736 values"):
        dlib.resnet(b"\x01\x02" * 500)


@needs_mtcnn
@pytest.mark.parametrize(
    ("part", "shape"), [("pnet", (2, 3, 61, 47)), ("rnet", (5, 3, 24, 24)), ("onet", (5, 3, 48, 48))]
)
def test_mtcnn_has_the_names_and_numbers_of_an_independent_conversion(
    shared_models: Path, part: str, shape: tuple[int, ...]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    mine = onnxruntime.InferenceSession(str(recipes.converted("mtcnn")[part]), providers=["CPUExecutionProvider"])
    theirs = onnxruntime.InferenceSession(str(shared_models / f"mtcnn_{part}.onnx"), providers=["CPUExecutionProvider"])
    for get in ("get_inputs", "get_outputs"):
        assert [(i.name, i.shape) for i in getattr(mine, get)()] == [(i.name, i.shape) for i in getattr(theirs, get)()]
    blob = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    for a, b in zip(mine.run(None, {"input": blob}), theirs.run(None, {"input": blob}), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
