"""Options, their origins, and what is said when they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from streamer import config as module
from streamer.config import Config, load, options, parse_value, read_yaml
from streamer.errors import ConfigError


class Toy:
    def __init__(self, source: object, *, eps: float = 0.4, linkage: Literal["average", "single"] = "average") -> None:
        self.eps, self.linkage, self.source = eps, linkage, source


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECTIONS", {"clusterer": f"{__name__}:Toy"})
    monkeypatch.setattr(module, "load_class", lambda target: Toy)


def test_the_signature_is_the_schema() -> None:
    assert set(options("clusterer")) == {"eps", "linkage"}


def test_a_misspelt_option_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"clusterer.ep is not an option of Toy \(did you mean eps\?\)"):
        Config().set("clusterer.ep", 1, "--set")


def test_an_unknown_section_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean clusterer"):
        Config().set("cluster.eps", 1, "--set")


@pytest.mark.parametrize("value", ["0.3", None, True, float("nan")])
def test_a_value_of_the_wrong_type_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="wants float"):
        Config().set("clusterer.eps", value, "--set")


def test_a_literal_takes_only_its_words() -> None:
    with pytest.raises(ConfigError, match="linkage"):
        Config().set("clusterer.linkage", "ward", "--set")


def test_every_value_knows_its_origin(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("clusterer: {eps: 0.1}")
    config = load("p", None, ("clusterer.linkage=single",), {}, tmp_path)
    assert config.show() == [
        ("clusterer.class", f"{__name__}:Toy", "default"),
        ("clusterer.eps", 0.1, "preset p"),
        ("clusterer.linkage", "single", "--set"),
    ]


def test_stronger_origins_win(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("clusterer: {eps: 0.1}")
    (tmp_path / "own.yaml").write_text("clusterer: {eps: 0.2}")
    environment = {"WHOWHEN__CLUSTERER__EPS": "0.3"}
    assert load("p", tmp_path / "own.yaml", (), environment, tmp_path).component("clusterer") == {"eps": 0.3}
    assert (
        load("p", tmp_path / "own.yaml", ("clusterer.eps=0.5",), environment, tmp_path).make("clusterer", source=0).eps
        == 0.5
    )


def test_an_unknown_preset_is_named_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "fast.yaml").write_text("")
    with pytest.raises(ConfigError, match=r"fats is not a preset \(did you mean fast\?\). Presets: fast"):
        load("fats", folder=tmp_path)


def test_a_set_without_equals_is_explained(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("")
    with pytest.raises(ConfigError, match=r"write section.key=value"):
        load("p", None, ("clusterer.eps",), {}, tmp_path)


@pytest.mark.parametrize(
    ("text", "said"), [("a: 1\na: 2", "given twice"), ("- 1", "a mapping"), ("a: [", "not valid YAML")]
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_yaml(tmp_path / "c.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_yaml(tmp_path / "none.yaml")


def test_texts_become_values() -> None:
    assert [parse_value(t) for t in ("0.5", "true", "[1, 2]", "word")] == [0.5, True, [1, 2], "word"]


def test_the_digest_follows_the_values() -> None:
    a, b = Config(), Config()
    assert a.digest() == b.digest()
    b.set("clusterer.eps", 0.2, "--set")
    assert a.digest() != b.digest()


def test_what_the_user_set_stands_before_what_is_usual(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("clusterer: {eps: 0.1}")
    toy = load("p", None, (), {}, tmp_path).make("clusterer", source=None, eps=0.7, linkage="single")
    assert (toy.eps, toy.linkage) == (0.1, "single")


def test_bad_yaml_is_told_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("clusterer:\n\teps: 1\n")
    with pytest.raises(ConfigError, match=r"a.yaml is not valid YAML: line 2, column 1: found character"):
        read_yaml(tmp_path / "a.yaml")


def test_a_key_that_is_no_word_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("[a, b]: {eps: 1}\n")
    with pytest.raises(ConfigError, match="cannot be the name of an option"):
        read_yaml(tmp_path / "a.yaml")


def test_a_wrong_option_of_a_file_is_told_with_the_file() -> None:
    with pytest.raises(ConfigError, match=r"^my.yaml: clusterer.ep is not an option"):
        Config().set("clusterer.ep", 1, "my.yaml")


class Other:
    def __init__(self, dimension: int, *, deep: int = 3) -> None:
        self.dimension, self.deep = dimension, deep


class Asking:
    def __init__(self, secret: str) -> None:
        self.secret = secret


@pytest.fixture
def classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real look-up
    monkeypatch.setattr(module, "SECTIONS", {"clusterer": f"{__name__}:Toy"})
    monkeypatch.setattr(module, "NAMED", {"clusterer": {"toy": f"{__name__}:Toy", "other": f"{__name__}:Other"}})


@pytest.mark.usefixtures("classes")
class TestAnotherClass:
    def test_its_signature_is_the_schema_whatever_the_order(self, tmp_path: Path) -> None:
        (tmp_path / "p.yaml").write_text("clusterer: {deep: 5, class: other}")
        config = load("p", None, (), {}, tmp_path)
        assert config.make("clusterer", dimension=7, eps=0.1).deep == 5
        assert config.named("clusterer") == "other"
        told = ("clusterer.eps=0.2", f"clusterer.class={__name__}:Toy")
        assert load("p", None, told, {}, tmp_path).component("clusterer") == {"eps": 0.2}
        environment = {"WHOWHEN__CLUSTERER__CLASS": "toy", "WHOWHEN__CLUSTERER__A": "1"}
        with pytest.raises(ConfigError, match="clusterer.a is not an option of Toy"):
            load("p", None, (), environment, tmp_path)

    def test_options_of_the_class_before_go_with_it(self) -> None:
        config = Config()
        config.set("clusterer.eps", 0.1, "preset")
        config.set("clusterer.class", "other", "--set")
        assert config.component("clusterer") == {}
        assert [row for row in config.show() if row[2] != "default"] == [
            ("clusterer.class", f"{__name__}:Other", "--set")
        ]

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("othr", r"'othr' is not known \(did you mean other\?\) \(--set\). Known: toy, other; or write"),
            ("no.such:Thing", "no.such:Thing cannot be loaded"),
            (f"{__name__}:Nothing", "cannot be loaded"),
        ],
    )
    def test_one_that_is_not_there_is_refused(self, value: str, said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            Config().set("clusterer.class", value, "--set")

    def test_one_that_wants_more_than_there_is_cannot_be_made(self) -> None:
        config = Config()
        config.set("clusterer.class", f"{__name__}:Asking", "--set")
        with pytest.raises(ConfigError, match="Asking cannot be made: .*secret"):
            config.make("clusterer", dimension=7)

    def test_values_laid_under_a_config_give_way_to_its_own(self) -> None:
        config = Config()
        config.set("clusterer.eps", 0.1, "--set")
        under = config.over("clusterer", {"eps": 0.7, "linkage": "single"}, "library")
        assert under.component("clusterer") == {"eps": 0.1, "linkage": "single"}
        assert under.origins["clusterer.linkage"] == "library"
        config.set("clusterer.class", "other", "--set")
        assert config.over("clusterer", {"eps": 0.7}, "library").component("clusterer") == {}
