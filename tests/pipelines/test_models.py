"""The commands `whowhen models ...`: results on stdout, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines import models
from streamer.errors import ConfigError, ModelError
from tests.streamer.models.test_packs import KNOWN, put, tree


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHOWHEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def call(*arguments: str) -> Any:
    return models.app(args=list(arguments), prog_name="models", standalone_mode=False)


def test_list_has_a_line_per_pack(capsys: pytest.CaptureFixture[str]) -> None:
    call("list")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == KNOWN
    assert "non-commercial" in lines[1]


def test_list_as_json_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    call("list", "--json")
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == KNOWN


def test_show_tells_licence_and_thresholds(capsys: pytest.CaptureFixture[str]) -> None:
    call("show", "yunet-sface")
    out = capsys.readouterr().out
    assert "licence: detector: MIT; embedder: Apache-2.0" in out
    assert "    pair: 0.363" in out
    call("show", "yunet-sface", "--json")
    assert json.loads(capsys.readouterr().out)["embedder"]["dimension"] == 128


def test_verify_gives_4_for_a_file_that_is_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = put(tmp_path / "p", tree())
    assert call("verify", str(folder)) == 0
    (folder / "emb.onnx").write_bytes(b"x")
    assert call("verify", str(folder)) == 4
    out = capsys.readouterr().out
    assert "ok   mine" not in out  # the folder was given, so it is told by its path
    assert f"BAD  {folder}  embedder  emb.onnx" in out


def test_verify_without_a_name_checks_what_is_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("import", str(put(tmp_path / "p", tree())))
    capsys.readouterr()
    call("verify", "--json")
    told = json.loads(capsys.readouterr().out)
    assert all(check["ok"] for check in told["mine"])
    assert "buffalo_l" not in told


def test_import_prints_the_files_and_the_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("import", str(put(tmp_path / "p", tree())))
    got = capsys.readouterr()
    assert [Path(line).name for line in got.out.splitlines()] == ["det.onnx", "emb.onnx"]
    assert "--models mine" in got.err


def test_fetch_shows_the_plan_and_takes_no_answer_for_no(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match="was not fetched"):
        call("fetch", "buffalo_s")
    got = capsys.readouterr()
    assert got.out == ""
    assert "non-commercial research purposes only" in got.err
    assert "model-zoo/buffalo_s.zip" in got.err


def test_an_unknown_pack_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="did you mean buffalo_s"):
        call("show", "bufalo_s")
