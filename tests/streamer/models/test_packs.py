"""Packs: what a file may say, what is refused, and what a pack builds."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from streamer.errors import ConfigError, DeviceError, ModelError
from streamer.models import packs
from streamer.models.packfile import parse_tree
from tests.streamer.models import tiny

KNOWN = ["open", "buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2", "yunet-sface"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHOWHEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tree(**changes: Any) -> dict[str, Any]:
    return {
        "name": "mine",
        "licence": "MIT",
        "detector": {"family": "scrfd", "file": "det.onnx", "sha256": digest(tiny.scrfd()), "score": 0.5},
        "embedder": {
            "family": "aligned",
            "file": "emb.onnx",
            "sha256": digest(tiny.embedder()),
            "template": "arcface-112",
            "colour": "rgb",
            "mean": 127.5,
            "std": 127.5,
            "dimension": 16,
            "metric": "cosine",
            "thresholds": {"pair": 0.3, "link": 0.42, "merge": 0.31},
        },
        **changes,
    }


def put(folder: Path, told: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "det.onnx").write_bytes(tiny.scrfd())
    (folder / "emb.onnx").write_bytes(tiny.embedder())
    (folder / "pack.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    return folder


def embedder(**changes: Any) -> dict[str, Any]:
    told = {**tree()["embedder"], **changes}
    return tree(embedder={k: v for k, v in told.items() if v is not None})


def test_the_registered_packs_are_known_by_name_and_each_reads() -> None:
    assert packs.known() == KNOWN
    for name in KNOWN:
        assert packs.read_pack(name).name == name


def test_every_registered_pack_states_licence_origin_and_thresholds_and_no_half_hash() -> None:
    for name in KNOWN:
        pack = packs.read_pack(name)
        assert pack.licence
        assert pack.origin
        assert {"pair", "link", "merge"} <= set(pack.thresholds)
        assert all(f.sha256 is None or len(f.sha256) == 64 for f in pack.files)


def test_a_pack_is_read_from_its_file_or_from_its_folder(tmp_path: Path) -> None:
    folder = put(tmp_path / "p", tree())
    assert packs.load_pack(folder) == packs.load_pack(folder / "pack.yaml") == packs.load_pack(str(folder))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"bufalo_s is not a pack \(did you mean buffalo_s\?\)"):
        packs.load_pack("bufalo_s")


def test_a_pack_that_was_not_fetched_says_how_to_fetch_it() -> None:
    with pytest.raises(ModelError, match=r"not on this machine.*whowhen models fetch buffalo_s$"):
        packs.load_pack("buffalo_s")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (tree(licens="MIT"), r"licens is not a key of a pack \(did you mean licence\?\)"),
        (tree(detector={**tree()["detector"], "scor": 0.5}), r"detector.scor .* \(did you mean score\?\)"),
        (embedder(thresholds={"pair": 0.3, "link": 0.4, "merg": 0.3}), r"thresholds.merg .* \(did you mean merge\?\)"),
        (embedder(thresholds={"pair": 0.3, "link": 0.4}), "embedder.thresholds.merge: a number is expected, got None"),
        (
            embedder(thresholds={"pair": 0.3, "link": 0.4, "merge": 0.3, "strangers": 0.3}),
            "embedder.thresholds.strangers: less than pair 0.3 is expected",
        ),
        (embedder(thresholds=None), "embedder.thresholds is missing"),
        (embedder(mean=float("nan")), "embedder.mean is nan"),
        (embedder(std=float("inf")), "embedder.std is inf"),
        (embedder(sha256="abc"), "embedder.sha256 'abc': 64 hexadecimal digits"),
        (embedder(file="../emb.onnx"), "inside the pack's own folder"),
        (embedder(file="/etc/passwd"), "inside the pack's own folder"),
        (embedder(address="ftp://x/y"), "an https:// address is expected"),
        (embedder(size=-3), "embedder.size -3"),
        (embedder(device="cuda"), "embedder.device is not a key of a pack"),
        (embedder(template=["arcface-112"]), r"embedder.template \['arcface-112'\]: str is expected"),
        (embedder(dimension="512"), "embedder.dimension '512': int is expected"),
        (embedder(flip=1), "embedder.flip 1: bool is expected"),
        (embedder(mean=["a", "b", "c"]), "embedder.mean"),
        (embedder(colour="rbg"), "embedder.colour 'rbg'"),
        (embedder(family="alinged"), "alinged is not a embedder family"),
        (embedder(files={"file": "emb.onnx"}), "embedder has file and files"),
        (embedder(convert="dlib"), "embedder has file and convert"),
        (tree(name="../../x"), "name '../../x'"),
        (tree(name=7), "name 7: text is expected"),
        (tree(detector=None), "detector is missing"),
        (tree(detector=[1]), "detector wants a block of keys"),
    ],
)
def test_what_does_not_fit_the_contract_is_refused_by_its_key(
    tmp_path: Path, told: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        packs.load_pack(put(tmp_path / "p", told))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nname: b\n", "name is given twice, line 2"),
        ("a: &x 1\nb: *x\n", "aliases are not taken, line 2"),
        ("a: " + "[" * 50 + "]" * 50, "nested too deeply"),
        ("a: [[[[[[[1]]]]]]]\n", "deeper than 6 levels"),
        ("- 1\n", "a mapping is expected, got list"),
        ("a: !!python/object:os.system {}\n", "could not determine a constructor"),
        ("1: a\n", "the key 1, which is not text"),
        ("? [1, 2]\n: a\n", "a key that is not text"),
        ("a: [\n", "line 2"),
        ("\xff", "not a pack file|mapping is expected"),
    ],
)
def test_a_file_that_is_not_plain_yaml_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_tree(text.encode("latin-1"), "pack.yaml")


def test_a_file_too_large_to_be_a_pack_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "pack.yaml").write_text("a: 1\n" + "#" * 70_000)
    with pytest.raises(ConfigError, match="larger than 64 KiB"):
        packs.load_pack(tmp_path)


def test_a_missing_hash_is_refused_and_the_line_to_write_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"write: sha256: {digest(tiny.embedder())}"):
        packs.load_pack(put(tmp_path / "p", embedder(sha256=None)))


def test_another_file_under_the_name_is_refused_with_both_hashes(tmp_path: Path) -> None:
    folder = put(tmp_path / "p", tree())
    (folder / "emb.onnx").write_bytes(b"something else")
    with pytest.raises(ModelError) as caught:
        packs.load_pack(folder)
    for told in ("emb.onnx", digest(tiny.embedder()), digest(b"something else")):
        assert told in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = put(tmp_path / "p", tree())
    (folder / "det.onnx").unlink()
    with pytest.raises(ModelError, match=r"det.onnx is missing"):
        packs.load_pack(folder)


def test_a_git_lfs_pointer_is_recognised(tmp_path: Path) -> None:
    folder = put(tmp_path / "p", tree())
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9134994\n"
    (folder / "emb.onnx").write_bytes(pointer)
    with pytest.raises(ModelError, match=f"Git LFS pointer of {len(pointer)} bytes"):
        packs.load_pack(folder)


def test_a_pack_builds_models_that_work_and_say_what_runs_them(tmp_path: Path) -> None:
    models = packs.build(packs.load_pack(put(tmp_path / "p", tree())), "cpu")
    assert models.devices == ["detector: cpu: asked for", "embedder: cpu: asked for"]
    assert models.quality is None
    assert len(models.detector.detect([np.zeros((64, 64, 3), np.uint8)])) == 1
    vectors = models.embedder.embed(np.full((2, 112, 112, 3), 90, np.uint8))
    assert vectors.shape == (2, 16)
    assert models.embedder.model == models.pack.model
    assert models.embedder.thresholds.link == 0.42


def test_a_device_that_is_not_there_is_an_error_not_a_fallback(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(DeviceError, match="cuda"):
        packs.build(packs.load_pack(put(tmp_path / "p", tree())), "cuda")


def test_the_model_id_follows_the_embedder_and_its_preprocessing_only(tmp_path: Path) -> None:
    def model(i: int, told: dict[str, Any]) -> str:
        return packs.read_pack(put(tmp_path / str(i), told)).model

    first = model(0, tree())
    assert first.startswith(f"emb-{digest(tiny.embedder())[:8]}-")
    same = [tree(name="other"), tree(detector={**tree()["detector"], "score": 0.7})]
    same += [embedder(thresholds={"pair": 0.1, "link": 0.2, "merge": 0.3}), embedder(layout="nchw")]
    assert {model(i, t) for i, t in enumerate(same, 1)} == {first}
    other = [embedder(colour="bgr"), embedder(mean=0), embedder(metric="euclid"), embedder(flip=True)]
    other += [embedder(template="facenet-160"), embedder(sha256="0" * 64)]
    found = {model(i, t) for i, t in enumerate(other, 10)}
    assert len(found) == 6
    assert first not in found


def test_a_quality_model_is_told_the_template_its_crops_have(tmp_path: Path) -> None:
    folder = put(tmp_path / "p", {})
    (folder / "q.onnx").write_bytes(tiny.quality())
    quality = {"family": "streamer.models.quality:LightQNet", "file": "q.onnx", "sha256": digest(tiny.quality())}
    told = embedder(template="dlib-150")
    told["embedder"]["sha256"] = digest(tiny.embedder(side=150))
    (folder / "emb.onnx").write_bytes(tiny.embedder(side=150))
    (folder / "pack.yaml").write_text(yaml.safe_dump({**told, "quality": {**quality, "reject_below": 0.45}}))
    models = packs.build(packs.load_pack(folder), "cpu")
    assert models.quality is not None
    assert models.quality.reject_below == 0.45
    assert getattr(models.quality, "template", None) == "dlib-150"


def test_the_description_names_hashes_licences_and_preprocessing(tmp_path: Path) -> None:
    told = packs.describe(packs.read_pack(put(tmp_path / "p", tree())))
    assert told["licence"] == "MIT"
    assert told["embedder"]["files"] == {"emb.onnx": digest(tiny.embedder())}
    assert told["embedder"]["thresholds"]["link"] == 0.42
    assert packs.describe(packs.read_pack("open"))["detector"]["files"]["mtcnn 1.0.0: assets/weights/pnet.lz4"] == (
        "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5"
    )


@pytest.mark.parametrize("name", ["pack.yaml", "mbf-128.yaml"])
def test_the_real_packs_load_and_build(shared_models: Path, name: str) -> None:
    models = packs.build(packs.load_pack(shared_models / name), "cpu")
    assert models.embedder.embed(np.zeros((1, 112, 112, 3), np.uint8)).shape == (1, models.embedder.dimension)
    assert (models.quality is not None) == (name == "pack.yaml")
