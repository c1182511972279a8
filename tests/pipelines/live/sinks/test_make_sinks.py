"""The block `sinks:` of a camera file, strictly read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.live.sinks import make_sinks
from streamer.errors import ConfigError


def test_a_file_names_its_sinks_in_one_list(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("k3y\n")
    secret.chmod(0o600)
    blocks = [
        {"type": "jsonl", "path": "events.jsonl", "types": ["enter", "exit"]},
        {"type": "webhook", "url": "https://example.org/${HOOK}", "secret_file": "secret"},
        {"type": "mqtt", "host": "localhost", "user": "u", "password_env": "MQ"},
    ]
    sinks = make_sinks(blocks, tmp_path, environment={"HOOK": "T0ken", "MQ": "pw"})
    assert [s.kind for s in sinks] == ["jsonl", "webhook", "mqtt"]
    assert (tmp_path / "events.jsonl").is_file()
    assert sinks[1].secrets()[0] == "k3y"
    assert sinks[2].secrets() == ("pw",)
    assert "T0ken" not in sinks[1].name
    for sink in sinks:
        sink.closed()


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"type": "jsonl"}, "wants path"),
        ({"type": "jsnl", "path": "x"}, "did you mean jsonl"),
        ({"type": "jsonl", "path": "x", "rotate": 3}, "did you mean rotate_mb"),
        ({"type": "jsonl", "path": "x", "keep": "3"}, "keep wants int"),
        ({"type": "jsonl", "path": "x", "types": "enter"}, "types wants"),
        ({"type": "jsonl", "path": "x", "types": ["leave"]}, "is no type of notice"),
        ({"type": "webhook", "url": "https://a/", "secret": "k3y"}, "does not belong in the file"),
        ({"type": "webhook", "url": "https://a/", "secret_env": "NOPE"}, "NOPE is not set"),
        ({"type": "webhook", "url": "https://a/${NOPE}"}, "NOPE"),
        ({"type": "webhook", "url": "https://a/", "spool": "/x"}, "spool is not an option"),
        ({"type": "mqtt", "host": "h", "discover": "some"}, "discover is named or all"),
        ("jsonl", "wants options"),
    ],
)
def test_what_does_not_fit_is_named(block: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        make_sinks([block], tmp_path, origin="cameras.yaml: sinks", environment={})
    assert str(caught.value).startswith("cameras.yaml: sinks[0]")
    assert "k3y" not in str(caught.value)


def test_a_secret_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("word")
    (tmp_path / "s").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        make_sinks([{"type": "webhook", "url": "https://a/", "secret_file": "s"}], tmp_path)


def test_a_block_that_is_no_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wants a list"):
        make_sinks({"type": "jsonl"}, tmp_path)
