"""`whowhen search PHOTO` and `whowhen people enrol`: known faces, asked for and told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.people import libraries
from pipelines.people.libraries import DEFAULT, LibraryFile, Models, opened, opened_for
from pipelines.terminal.options import Device, Json
from pipelines.terminal.tables import as_json as write_json
from pipelines.terminal.tables import clock, counted, inert, remark, show
from streamer.errors import ConfigError, SourceError, StoreError


def search(
    photo: Annotated[Path, typer.Argument(help="A photo with a face.")],
    library: LibraryFile = DEFAULT,
    models: Models = "open",
    device: Device = "auto",
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many candidates.")] = 5,
    face: Annotated[int, typer.Option(help="Which face of the photo: 1 is the largest.", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Was this face ever here, where, when? Over unnamed history too; strangers are answered with "nobody"."""
    from pipelines.people.photos import faces

    with opened(library, readonly=True) as found:
        loaded = libraries.load(models, device)
        libraries.same_model(found, loaded)
        seen = faces(photo, loaded)
        if face > len(seen):
            raise ConfigError(f"{photo} shows {len(seen)} faces, --face {face} is too high.")
        if len(seen) > 1:
            remark(f"{photo} shows {len(seen)} faces; face {face} is looked for (1 is the largest; choose with --face)")
        vector = seen[face - 1].embedding
        bars = loaded.embedder.thresholds
        matches = [] if vector is None else found.search(vector, pair=bars.pair, link=bars.link, limit=limit)
        rows = [_row(found, m) for m in matches]
        best = next((m for m in matches if m.accepted), None)
        places = [a for a in found.appearances() if best is not None and a.identity == best.person]
    answer = {"person": best.person, "name": rows[matches.index(best)]["name"]} if best is not None else None
    if as_json:
        where = [{"source": a.source, "start_s": a.start, "end_s": a.end} for a in places]
        write_json({"answer": answer, "appearances": where, "candidates": rows})
        return
    columns = ("who", "person", "similarity", "match", "source", "time", "track")
    show(columns, [tuple(clock(r["time_s"]) if c == "time" else r[c] for c in columns) for r in rows])
    also = [r for r in rows if r["match"] and (best is None or r["person"] != best.person)]
    remark(f"answer: {rows[matches.index(best)]['who'] if best is not None else 'nobody'}{_where(places)}")
    for r in also:
        remark(f"also like {r['who']} ({'track ' + str(r['track']) if r['person'] is None else r['person']})")


def _row(found: Any, m: Any) -> dict[str, Any]:
    who = "a face of nobody's" if m.person is None else found.view.label(m.person)
    return {
        "who": who, "person": m.person, "name": found.view.names.get(m.person, ""), "similarity": m.similarity,
        "match": m.accepted, "source": m.source, "time_s": m.time, "track": m.track,
    }  # fmt: skip


def _where(places: list[Any]) -> str:
    """How often and where first, for a person."""
    if not places:
        return ""
    sources = len({a.source for a in places})
    total = sum(a.duration for a in places)
    often = f"{counted(len(places), 'appearance')} of {counted(sources, 'source')}"
    return f", {total:.1f} s in {often}; `whowhen people show {places[0].identity}`"


def enrol(
    photos: Annotated[
        Path, typer.Argument(help="A folder with a folder of photos per person, or a CSV with name,photo.")
    ],
    library: LibraryFile = DEFAULT,
    models: Models = "open",
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """Known people from photos: their names reach past and future. Code 5 when some people could not be enrolled."""
    from pipelines.people.photos import known_people

    known = list(known_people(photos))
    loaded = libraries.load(models, device)
    rows: list[dict[str, Any]] = []
    with opened_for(library, loaded) as found:
        for called, paths in known:
            try:
                rows.append(_one(found, called, paths, loaded))
            except (SourceError, StoreError) as error:
                remark(f"{type(error).__name__}: {error}")
    if as_json:
        write_json(rows)
    else:
        columns = ("person", "name", "photos", "seen_s", "sources")
        show(columns, [tuple(r[c] for c in columns) for r in rows])
    return 5 if len(rows) < len(known) else 0


def _one(found: Any, called: str, paths: list[Path], loaded: Any) -> dict[str, Any]:
    """Enrols one person; photos without a face are told and left out."""
    from streamer.config import Config
    from streamer.processing.choosing import chosen, maker

    pair = loaded.embedder.thresholds.pair
    samples = _looks(called, paths, loaded)
    person = found.enrol(called, samples, maker(chosen(found.store, Config()), loaded.embedder), pair=pair)
    who = found.person(person)
    for other in _alike(found, samples, loaded.embedder.thresholds, person):
        remark(
            f"the photos of {inert(called)} also look like {inert(found.view.label(other))} (person {other}): "
            f"`whowhen people same {other} {person}` if they are one"
        )
    return {
        "person": person, "name": who.name, "photos": len(samples), "seen_s": who.screen_time,
        "sources": len(who.sources),
    }  # fmt: skip


def _looks(called: str, paths: list[Path], loaded: Any) -> list[Any]:
    from pipelines.people.photos import faces

    found: list[Any] = []
    for path in paths:
        try:
            seen = faces(path, loaded)
        except SourceError as error:
            remark(f"{error} Left out of {inert(called)}.")
            continue
        if len(seen) > 1:
            remark(f"{path} shows {len(seen)} faces; the largest is taken for {inert(called)}")
        found.append(seen[0])
    return found


def _alike(found: Any, samples: list[Any], bars: Any, person: int) -> list[int]:
    """Other people some of the photos are accepted for, nearest first."""
    others: dict[int, float] = {}
    for s in samples:
        for m in found.search(s.embedding, pair=bars.pair, link=bars.link):
            if m.accepted and m.person not in (None, person):
                others[m.person] = max(m.similarity, others.get(m.person, m.similarity))
    return sorted(others, key=lambda p: -others[p])
