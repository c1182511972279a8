"""The little language of queries."""

from __future__ import annotations

import pytest

from streamer.errors import ConfigError
from streamer.items import Appearance
from streamer.library.query import Query, answer, parse, seconds

PEOPLE = {"a": 1, "b": 2, "c": 3}


def stretch(identity: int, start: float, end: float, source: str = "x") -> Appearance:
    return Appearance(source, identity, start, end, (1,), 1, 1.0)


SCENE = [stretch(1, 0, 10), stretch(2, 2, 4), stretch(2, 6, 12), stretch(3, 7, 8), stretch(1, 0, 3, "y")]
SOURCES = [("x", 0.0, 20.0), ("y", 0.0, 5.0)]


def ask(text: str) -> list[tuple[str, float, float]]:
    found = answer(parse(text), SCENE, PEOPLE.__getitem__, SOURCES)
    return [(f.source, f.start, f.end) for f in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [("x", 0, 10), ("y", 0, 3)]),
        ("a with b", [("x", 2, 4), ("x", 6, 10)]),
        ("a and b", [("x", 2, 4), ("x", 6, 10)]),
        ("a, b", [("x", 2, 4), ("x", 6, 10)]),
        ("a with b, not c", [("x", 2, 4), ("x", 6, 7), ("x", 8, 10)]),
        ("a with b not c, longer than 1.5s", [("x", 2, 4), ("x", 8, 10)]),
        ("b without a", [("x", 10, 12)]),
        ("b or c", [("x", 2, 4), ("x", 6, 12)]),
        ("a, in y", [("y", 0, 3)]),
        ("a with b, shorter than 3s", [("x", 2, 4)]),
        ("not a", [("x", 10, 20), ("y", 3, 5)]),
        ("a with c, longer than 1min", []),
    ],
)
def test_a_query_is_answered_in_stretches(text: str, expected: list[tuple[str, float, float]]) -> None:
    assert ask(text) == expected


def test_names_with_spaces_and_key_words_go_in_quotes() -> None:
    assert parse('"Ann with an E" and "Not Bob", not Person 3') == Query(("Ann with an E", "Not Bob"), ("Person 3",))
    assert parse("Ann Lee with Bob Ray, longer than 1:02:03") == Query(("Ann Lee", "Bob Ray"), longer=3723.0)
    assert parse("Andrea with Notker or Orin") == Query(("Andrea",), either=(("Notker", "Orin"),))


@pytest.mark.parametrize("text", ["", "  ,", "with", "longer than 5s", "a, longer than soon"])
def test_nonsense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"names nobody|no length of time"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5), ("5s", 5), ("1.5 min", 90), ("2h", 7200), ("1:30", 90), ("1:00:01", 3601)]
)
def test_times_are_read_in_every_common_form(text: str, value: float) -> None:
    assert seconds(text) == value
