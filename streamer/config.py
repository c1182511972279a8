"""YAML to components: the signature of a constructor is the schema of its section.

A section names a component, its keys are keyword parameters of that component's constructor. The key `class` puts
another component in its place: a name known here, or "my_package.module:Class". A value comes from, weakest first: the
default in the signature, a preset, the user's config file, `--config`, the environment (`WHOWHEN__SECTION__KEY`),
`--set section.key=value`. Every value remembers its origin.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamer.errors import ConfigError, suggest

SECTIONS: dict[str, str] = {
    "source": "streamer.sources.file:FileSource",
    "shots": "streamer.tracking.shots:ShotDetector",
    "stride": "streamer.tracking.stride:StrideController",
    "tracker": "streamer.tracking.overlap:OverlapTracker",
    "clusterer": "streamer.clustering.online:OnlineClusterer",
    "calibration": "streamer.clustering.calibrate:SelfCalibration",
}
NAMED: dict[str, dict[str, str]] = {
    "clusterer": {"online": SECTIONS["clusterer"], "dbscan": "streamer.clustering.dbscan:DBSCANClusterer"},
}
CLASS = "class"
ENVIRONMENT_PREFIX = "WHOWHEN__"


def load_class(target: str) -> Callable[..., Any]:
    """What `"module:Class"` names. ConfigError when it cannot be imported."""
    module, _, name = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{target} cannot be loaded: {error}. Write it as package.module:Class.") from error
    return typing.cast("Callable[..., Any]", found)


@dataclass(frozen=True, slots=True)
class Option:
    """One keyword of a component."""

    name: str
    default: Any
    annotation: Any


def options(section: str, target: str | None = None) -> dict[str, Option]:
    """The options of a section: the keyword parameters with plain defaults of its component."""
    component = load_class(target or SECTIONS[section])
    hints = typing.get_type_hints(component.__init__ if inspect.isclass(component) else component)
    return {
        name: Option(name, p.default, hints.get(name, type(p.default)))
        for name, p in inspect.signature(component).parameters.items()
        if p.default is not inspect.Parameter.empty and _plain(p.default)
    }


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | tuple | list)


def _fits(value: Any, annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if annotation is Any or isinstance(annotation, str):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, a) for a in typing.get_args(annotation))
    if origin is typing.Literal:
        return value in typing.get_args(annotation)
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and value == value
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is type(None) or annotation is None:
        return value is None
    kind = origin or annotation
    if kind in (tuple, list, Sequence):
        return isinstance(value, list | tuple)
    return isinstance(value, kind) if inspect.isclass(kind) else True


def checked(
    target: str, given: Any, place: str, *, extra: tuple[str, ...] = (), without: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A block of options as keyword arguments of what `target` names; ConfigError for what does not fit.

    `place` says where the block stands. `extra` names are listed as options although they were taken out before;
    `without` are keywords nobody may set.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(f"{place} wants a block of options, got {given!r}.")
    known = {k: o for k, o in options("", target).items() if k not in without}
    for key, value in given.items():
        if key not in known:
            names = [*extra, *known]
            raise ConfigError(
                f"{place}: {key} is not an option{suggest(str(key), names)}. Options: {', '.join(names)}."
            )
        if not _fits(value, known[key].annotation):
            wanted = getattr(known[key].annotation, "__name__", str(known[key].annotation))
            raise ConfigError(f"{place}: {key} wants {wanted}, got {value!r}.")
    return {str(k): v for k, v in given.items()}


@dataclass(slots=True)
class Config:
    """Values by section, each with where it came from. `component(section)` gives keyword arguments."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def set(self, path: str, value: Any, origin: str) -> None:
        """Sets `section.key`; ConfigError for a section, key or type that does not exist."""
        section, _, key = path.partition(".")
        place = "" if origin == "--set" else f"{origin}: "
        if section not in SECTIONS:
            raise ConfigError(
                f"{place}{section} is not a section{suggest(section, SECTIONS)}. Sections: {', '.join(SECTIONS)}."
            )
        if key == CLASS:
            self._choose(section, value, origin)
            return
        known = options(section, self.target(section))
        if key not in known:
            name = self.target(section).rpartition(":")[2]
            raise ConfigError(
                f"{place}{section}.{key} is not an option of {name}{suggest(key, known)}. Options: {', '.join(known)}."
            )
        if not _fits(value, known[key].annotation):
            wanted = getattr(known[key].annotation, "__name__", str(known[key].annotation))
            raise ConfigError(f"{section}.{key} wants {wanted}, got {value!r} ({origin}).")
        self.values.setdefault(section, {})[key] = value
        self.origins[path] = origin

    def _choose(self, section: str, value: Any, origin: str) -> None:
        """Another component for a section; what was set of the one before goes with it."""
        named = NAMED.get(section, {})
        target = named.get(str(value), str(value))
        if ":" not in target:
            known = f"Known: {', '.join(named)}; or write" if named else "Write"
            raise ConfigError(
                f"{section}.class {value!r} is not known{suggest(str(value), named)} ({origin}). "
                f"{known} my_package.module:Class."
            )
        load_class(target)
        if target != self.target(section):
            for key in self.values.pop(section, {}):
                self.origins.pop(f"{section}.{key}", None)
        self.values.setdefault(section, {})[CLASS] = target
        self.origins[f"{section}.{CLASS}"] = origin

    def target(self, section: str) -> str:
        """ "module:Class" of a section's component."""
        return str(self.values.get(section, {}).get(CLASS, SECTIONS[section]))

    def named(self, section: str) -> str:
        """The short name of a section's component, "module:Class" where it has none."""
        target = self.target(section)
        return next((name for name, known in NAMED.get(section, {}).items() if known == target), target)

    def update(self, tree: Mapping[str, Any], origin: str) -> None:
        """Sets every value of a nested mapping {section: {key: value}}."""
        for section, keys in tree.items():
            if not isinstance(keys, Mapping):
                raise ConfigError(f"{section} wants a block of options, got {keys!r} ({origin}).")
            for key in sorted(keys, key=lambda k: k != CLASS):  # the class first: it says which options there are
                self.set(f"{section}.{key}", keys[key], origin)

    def component(self, section: str) -> dict[str, Any]:
        """The keyword arguments that were set for a section (defaults left out)."""
        return {k: v for k, v in self.values.get(section, {}).items() if k != CLASS}

    def make(self, section: str, **usual: Any) -> Any:
        """The component of a section, built; `usual` stands where the user set nothing, as far as its constructor
        takes it.
        """
        made = load_class(self.target(section))
        known = inspect.signature(made).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
            usual = {k: v for k, v in usual.items() if k in known}
        try:
            return made(**{**usual, **self.component(section)})
        except TypeError as error:  # a class of the user's that wants more than there is
            if CLASS not in self.values.get(section, {}):
                raise
            raise ConfigError(f"{section}.class {self.target(section)} cannot be made: {error}.") from error

    def over(self, section: str, values: Mapping[str, Any], origin: str) -> Config:
        """A copy in which `values` of a section stand where this one has none. ConfigError for what does not fit."""
        out = Config()
        mine = self.values.get(section, {}).get(CLASS)
        if mine is None or mine == values.get(CLASS, SECTIONS[section]):
            out.update({section: values}, origin)
        for name, own in self.values.items():
            for key in sorted(own, key=lambda k: k != CLASS):
                out.set(f"{name}.{key}", own[key], self.origins.get(f"{name}.{key}", "default"))
        return out

    def show(self) -> list[tuple[str, Any, str]]:
        """(section.key, value, origin) for every option there is."""
        rows = []
        for section in SECTIONS:
            target = self.target(section)
            rows.append((f"{section}.{CLASS}", target, self.origins.get(f"{section}.{CLASS}", "default")))
            for name, option in options(section, target).items():
                path = f"{section}.{name}"
                value = self.values.get(section, {}).get(name, option.default)
                rows.append((path, value, self.origins.get(path, "default")))
        return rows

    def digest(self) -> str:
        """Hash of what was set: runs with equal digests give equal results. Flow options do not count."""
        told = {s: v for s, v in self.values.items() if s != "flow" and v}
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping; unknown syntax, duplicate keys and anything but a mapping are ConfigErrors."""
    import yaml

    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        keys = [loader.construct_object(k, deep=True) for k, _ in node.value]
        for key in keys:
            if isinstance(key, list | dict):
                raise ConfigError(f"{path}: {key!r} cannot be the name of an option. Write a word before the colon.")
        twice = {str(k) for k in keys if keys.count(k) > 1}
        if twice:
            raise ConfigError(f"{path}: {', '.join(sorted(twice))} is given twice.")
        return dict(zip(keys, (loader.construct_object(v, deep=True) for _, v in node.value), strict=True))

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        tree = yaml.load(path.read_text("utf-8"), Loader=Strict)  # noqa: S506 - Strict is a SafeLoader
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Check the path given to --config.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid YAML: {_told(error)}") from error
    if not isinstance(tree or {}, dict):
        raise ConfigError(f"{path}: a mapping of sections is expected, got {type(tree).__name__}.")
    return tree or {}


def _told(error: Exception) -> str:
    """What is wrong with a YAML file, and in which line."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return f"{where}{problem or str(error).splitlines()[0]}."


def parse_value(text: str) -> Any:
    """`"0.5"` -> 0.5, `"true"` -> True, `"[1, 2]"` -> [1, 2], anything else stays text."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def presets_folder() -> Path:
    """Where the packaged configs are: inside the wheel, or the checkout's `configs/`."""
    root = Path(__file__).resolve().parent.parent
    packaged = root / "pipelines" / "configs"
    return packaged if packaged.is_dir() else root / "configs"


def load(
    preset: str = "balanced",
    file: Path | None = None,
    settings: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Config:
    """The config of a run. `settings` are `section.key=value` texts. ConfigError names what does not fit."""
    config = Config()
    folder = folder or presets_folder()
    chosen = folder / f"{preset}.yaml"
    if not chosen.is_file():
        known = {p.stem: p for p in sorted(folder.glob("*.yaml"))}
        raise ConfigError(f"{preset} is not a preset{suggest(preset, known)}. Presets: {', '.join(known)}.")
    config.update(read_yaml(chosen), f"preset {preset}")
    if file is not None:
        config.update(read_yaml(file), str(file))
    given = (os.environ if environment is None else environment).items()
    told = [(n[len(ENVIRONMENT_PREFIX) :], t) for n, t in sorted(given) if n.startswith(ENVIRONMENT_PREFIX)]
    for name, text in sorted(told, key=lambda nt: not nt[0].endswith(f"__{CLASS.upper()}")):
        path = name.lower().replace("__", ".")
        config.set(path, parse_value(text), f"environment {ENVIRONMENT_PREFIX}{name}")
    for path, text in sorted(map(_setting, settings), key=lambda pt: not pt[0].endswith(f".{CLASS}")):
        config.set(path, parse_value(text), "--set")
    return config


def _setting(text: str) -> tuple[str, str]:
    """ "section.key=value" as path and text."""
    path, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text}: write section.key=value.")
    return path.strip(), value
