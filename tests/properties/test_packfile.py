"""Whatever a pack file holds, the answer is a pack or one clear refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.errors import ConfigError
from streamer.models.packfile import pack_from, parse_tree
from tests.streamer.models.test_packs import tree

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=6), v, max_size=3))
KEYS = st.sampled_from(["name", "licence", "detector", "embedder", "quality", "archive", "origin", "extra"])


def refusal(work: Callable[[], object]) -> str:
    """What a ConfigError said, or nothing."""
    try:
        work()
    except ConfigError as error:
        return str(error)
    return ""


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="a:-[]{}&*!?|>#\n '\"%@,1.", max_size=80).map(str.encode))
def test_any_bytes_are_a_mapping_or_refused_in_one_line(data: bytes) -> None:
    found: list[Any] = []
    told = refusal(lambda: found.append(parse_tree(data, "x")))
    assert (told and "\n" not in told) or isinstance(found[0], dict)


@settings(max_examples=150, deadline=None)
@given(KEYS, VALUES)
def test_any_value_of_a_key_is_taken_or_refused_by_name(key: str, value: Any) -> None:
    told = refusal(lambda: pack_from({**tree(), key: value}, "x", Path()).model)
    assert not told or told.startswith("x: ") or "family" in told


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(tree()["embedder"])), VALUES)
def test_any_value_of_an_embedder_key_is_taken_or_refused_by_name(key: str, value: Any) -> None:
    told = refusal(lambda: pack_from(tree(embedder={**tree()["embedder"], key: value}), "x", Path()).model)
    assert not told or "embedder" in told
