"""Which clusterer works on a library: the model's thresholds, the library's own settings, the config of a run.

A library keeps the settings it was begun with, or was moved to by `recluster --apply`: else two runs with different
ones would leave people that neither of them would have found. Only `link` and `merge` may differ from run to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streamer.clustering.base import Clusterer
from streamer.config import CLASS, Config, options
from streamer.errors import ConfigError
from streamer.models.base import Embedder
from streamer.store import Store

SECTION = "clusterer"
PER_RUN = ("link", "merge")
IN_UNITS = ("link", "merge", "eps")  # mean nothing to another model


def chosen(store: Store, config: Config) -> Config:
    """`config` with the library's settings under it; an empty library takes over those of `config`.

    ConfigError where they differ.
    """
    wanted = {k: v for k, v in config.values.get(SECTION, {}).items() if k not in PER_RUN}
    if store.next_track() == 1 and not store.settings():
        if wanted:
            store.keep_settings(wanted)
        return config
    kept = store.settings()
    _refuse(store, config, kept, wanted)
    return config.over(SECTION, kept, f"library {store.path}")


def _refuse(store: Store, config: Config, kept: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    """ConfigError for the first of `wanted` that is not as the library has it."""
    here = Config()
    here.update({SECTION: kept}, f"library {store.path}")
    have = {name: o.default for name, o in options(SECTION, here.target(SECTION)).items()} | kept
    have[CLASS], asked = here.named(SECTION), dict(wanted)
    if CLASS in asked:
        asked[CLASS] = config.named(SECTION)
    other = {k: v for k, v in asked.items() if k not in have or have[k] != v}
    if other:
        key, value = next(iter(other.items()))
        again = " ".join(f"--set {SECTION}.{k}={v}" for k, v in other.items())
        raise ConfigError(
            f"{store.path} was made with {SECTION}.{key} {have.get(key)}, this run asks for {value} "
            f"({config.origins.get(f'{SECTION}.{key}', 'default')}). Leave it out, or move the whole library: "
            f"whowhen recluster -l {store.path} {again} --apply"
        )


def maker(
    config: Config, embedder: Embedder, *, merge: float | None = None, keep_vectors: bool = False
) -> Callable[[], Clusterer]:
    """Makes fresh clusterers of a `chosen` config for a model; `merge` in the place of the model's threshold."""
    e = embedder
    bars = {"link": e.thresholds.link, "merge": e.thresholds.merge if merge is None else merge}
    return lambda: made(config, e.dimension, metric=e.metric, model=e.model, keep_vectors=keep_vectors, **bars)


def made(config: Config, dimension: int, **usual: Any) -> Clusterer:
    """The clusterer of a config; ConfigError for a class that is none. `usual` stands where nothing was set."""
    found: Clusterer = config.make(SECTION, dimension=dimension, **usual)
    lacking = [n for n in vars(Clusterer) if not n.startswith("_") and not hasattr(found, n)]
    lacking += [n for n in Clusterer.__annotations__ if not hasattr(found, n)]
    if lacking:
        raise ConfigError(
            f"{SECTION}.{CLASS} {config.target(SECTION)} is no clusterer: it lacks {', '.join(lacking)}. "
            "See streamer.clustering.base.Clusterer."
        )
    return found
