"""`whowhen recluster`: what other settings, or another model, would make of the library - and making it so."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.people import libraries
from pipelines.people.libraries import DEFAULT, LibraryFile, Models, opened
from pipelines.terminal.options import Device, Json
from pipelines.terminal.tables import as_json as write_json
from pipelines.terminal.tables import remark, show
from streamer.errors import ConfigError


def recluster(
    library: LibraryFile = DEFAULT,
    settings: Annotated[list[str] | None, typer.Option("--set", help="clusterer.key=value. Repeat for more.")] = None,
    models: Models = "open",
    device: Device = "auto",
    apply: Annotated[bool, typer.Option("--apply", help="Make it so; without it nothing changes.")] = False,
    as_json: Json = False,
) -> None:
    """What another setting would change: who would merge, split, move. No decoding.

    With another --models than the library was made with, --apply moves it to that model from the kept crops, or from
    the videos where crops were not kept. A killed move goes on where it was when the same command runs again.
    """
    from streamer.config import load

    given = load("balanced", None, tuple(settings or ()))
    with opened(library, readonly=not apply) as found:
        if _other_model(found, models):
            _move(found, models, device, apply, given, as_json)
            return
        config = given.over("clusterer", found.store.settings(), f"library {library}")
        change = found.what_if(_fresh(found, models, config), config.values.get("clusterer", {}))
        view = found.view
        if apply:
            found.apply(change)
    if as_json:
        write_json(_told(change, view.names) | {"applied": apply})
        return
    show(("did" if apply else "would", "people"), _rows(change, view))
    touched = ", ".join(view.label(p) for p in change.named)
    remark(
        f"{change.people_before} people -> {change.people_after}, {100 * change.churn:.1f} % of tracks move, "
        f"names touched: {touched or 'none'}" + ("" if apply else ". Nothing was changed; --apply makes it so.")
    )


def _rows(change: Any, view: Any) -> list[tuple[str, str]]:
    rows = [("merge", " + ".join(view.label(p) for p in group)) for group in change.merges]
    rows += [("split", f"{view.label(p)} into {n}") for p, n in change.splits]
    shown = {p for group in change.merges for p in group} | {p for p, _ in change.splits}
    return rows + [("change", view.label(p)) for p in change.changed if p not in shown]


def _told(change: Any, names: Any) -> dict[str, Any]:
    return {
        "people_before": change.people_before, "people_after": change.people_after,
        "merges": [list(g) for g in change.merges], "splits": [{"person": p, "into": n} for p, n in change.splits],
        "changed": list(change.changed), "moved_tracks": list(change.moved), "churn": change.churn,
        "named": [{"person": p, "name": names.get(p, "")} for p in change.named], "options": dict(change.options),
    }  # fmt: skip


def _other_model(found: Any, models: str) -> bool:
    have, wanted = found.store.model(), libraries.pack_model(models)
    return have is not None and bool(wanted) and have[0] != wanted


def _move(found: Any, models: str, device: str, apply: bool, given: Any, as_json: bool) -> None:
    """Moves the library to the model of a pack, or says what that would take."""
    from streamer.processing.choosing import IN_UNITS, maker

    have, wanted = found.store.model()[0], libraries.pack_model(models)
    faces = found.store.count_vectors()
    told = {"from": have, "to": wanted, "faces": faces, "applied": apply}
    if apply:
        from streamer.processing.reembed import reembed

        loaded = libraries.load(models, device)
        kept = {k: v for k, v in found.store.settings().items() if k not in IN_UNITS}
        config = given.over("clusterer", kept, "library")
        told["embedded"] = reembed(found, loaded, maker(config, loaded.embedder), _progress(as_json))
        found.store.keep_settings(config.values.get("clusterer", {}))
        told["people"] = len(found.people())
    if as_json:
        write_json(told)
    elif apply:
        remark(f"{told['embedded']} faces embedded again: {have} -> {wanted}; {told['people']} people")
    else:
        remark(f"{faces} faces would be embedded again: {have} -> {wanted}. --apply does it.")


def _progress(quiet: bool) -> Any:
    """Says every tenth part of the way."""
    at = [0]

    def told(done: int, total: int) -> None:
        if not quiet and 10 * done // max(total, 1) > at[0]:
            at[0] = 10 * done // max(total, 1)
            remark(f"{done} of {total} faces embedded")

    return told


def _fresh(found: Any, models: str, config: Any) -> Any:
    """A function that makes a clusterer for the library's own model with other options, at the thresholds that the
    library's own pairs lead to where none are given."""
    from streamer.clustering.calibrate import calibrate
    from streamer.processing.calibration import earlier
    from streamer.processing.choosing import made

    have = found.store.model()
    if have is None:
        raise ConfigError(f"{found.store.path} holds no vectors yet. Run `whowhen run` first.")
    bars = libraries.thresholds(models)
    own = {"link": bars["link"], "merge": bars["merge"]}
    if not own.keys() & config.component("clusterer").keys():
        known = calibrate(earlier(found.store, have[0]), **own, metric=have[2])
        own = {"link": known.link, "merge": known.merge}
    return lambda: made(config, have[1], metric=have[2], model=have[0], keep_vectors=False, **own)
