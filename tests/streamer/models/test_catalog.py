"""What is told of packs on this machine, and one's own packs by import."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.errors import ConfigError, ModelError
from streamer.models import catalog, packs
from tests.streamer.models.test_packs import KNOWN, put, tree


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHOWHEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_list_has_every_registered_pack_with_its_state() -> None:
    listed = {row.name: row for row in catalog.list_packs()}
    assert list(listed) == KNOWN
    assert listed["buffalo_l"].state == "not fetched"
    assert listed["buffalo_l"].size == "about 326 MB by the publisher's list"
    assert listed["yunet-sface"].size == "38.9 MB"
    assert listed["open"].state in ("made on first use", "packages missing")


def test_an_imported_pack_is_known_by_its_name(tmp_path: Path) -> None:
    got = catalog.import_pack(put(tmp_path / "p", tree()))
    assert got.new
    assert packs.known() == [*KNOWN, "mine"]
    assert packs.load_pack("mine").model == packs.load_pack(tmp_path / "p").model
    assert catalog.list_packs()[-1].state == "ready"


def test_importing_twice_is_the_same_as_once(tmp_path: Path) -> None:
    catalog.import_pack(put(tmp_path / "p", tree()))
    catalog.import_pack(packs.packs_folder() / "mine")
    assert packs.load_pack("mine").name == "mine"


def test_a_damaged_pack_is_not_imported(tmp_path: Path) -> None:
    folder = put(tmp_path / "p", tree())
    (folder / "emb.onnx").write_bytes(b"x")
    with pytest.raises(ModelError, match="expected SHA-256"):
        catalog.import_pack(folder)
    assert packs.known() == KNOWN


def test_a_pack_cannot_take_a_registered_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="open is the name of a registered pack"):
        catalog.import_pack(put(tmp_path / "p", tree(name="open")))


def test_a_folder_that_could_be_several_packs_asks_which(tmp_path: Path) -> None:
    for name in ("det_500m.onnx", "w600k_mbf.onnx"):
        (tmp_path / name).write_bytes(name.encode())
    with pytest.raises(ConfigError, match="fits buffalo_s and buffalo_sc: say which with --name"):
        catalog.import_pack(tmp_path)
    assert catalog.import_pack(tmp_path, "buffalo_sc").pack.name == "buffalo_sc"
    assert packs.load_pack("buffalo_sc").model.startswith("w600k_mbf-")


def test_a_folder_with_nothing_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"holds no pack.yaml and no known pack"):
        catalog.import_pack(tmp_path / "empty")
    with pytest.raises(ConfigError, match="does not exist"):
        catalog.import_pack(tmp_path / "nowhere")


def test_a_git_lfs_pointer_is_not_imported(tmp_path: Path) -> None:
    stick = tmp_path / "buffalo_s"
    stick.mkdir()
    for name in ("det_500m.onnx", "w600k_mbf.onnx"):
        (stick / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match="Git LFS pointer"):
        catalog.import_pack(stick)


def test_verify_has_a_line_per_file_and_says_what_is_wrong(tmp_path: Path) -> None:
    folder = put(tmp_path / "p", tree())
    (folder / "emb.onnx").write_bytes(b"x")
    good, bad = catalog.verify(folder)
    assert (good.part, good.file, good.ok, good.detail) == ("detector", "det.onnx", True, "")
    assert (bad.part, bad.file, bad.ok) == ("embedder", "emb.onnx", False)
    assert "expected SHA-256" in bad.detail


def test_show_tells_where_a_pack_comes_from() -> None:
    told = catalog.show("antelopev2")
    assert told["address"].endswith("/model-zoo/antelopev2.zip")
    assert told["state"] == "not fetched"
    assert "non-commercial" in told["licence"]
    assert "pinned" in told["note"]
