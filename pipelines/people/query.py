"""`whowhen query`, `people cast`, `people together`: who is there with whom, when, and who is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from pipelines.people.libraries import DEFAULT, LibraryFile, opened
from pipelines.terminal.options import Json
from pipelines.terminal.tables import as_json as write_json
from pipelines.terminal.tables import clock, counted, remark, show
from streamer.errors import ConfigError

Source = Annotated[str, typer.Argument(help="A source, as `people show` names it.")]


def query(
    question: Annotated[str, typer.Argument(help='"Ann with Bob, not Cem, longer than 5s"')] = "",
    present: Annotated[list[str] | None, typer.Option("--with", help="Somebody who is there. Repeat for more.")] = None,
    either: Annotated[list[str] | None, typer.Option("--any", help="One of these is there. Repeat for more.")] = None,
    absent: Annotated[
        list[str] | None, typer.Option("--not", help="Somebody who is not there. Repeat for more.")
    ] = None,
    longer: Annotated[str, typer.Option(help="Stretches of at least this: 5s, 2min, 1:02:03.")] = "",
    shorter: Annotated[str, typer.Option(help="Stretches of at most this.")] = "",
    source: Annotated[str | None, typer.Option("--in", help="Only this source.")] = None,
    gap: Annotated[str, typer.Option(help="Stretches no farther apart than this are one.")] = "",
    library: LibraryFile = DEFAULT,
    as_json: Json = False,
) -> None:
    """When several people are there together, alone, or not. A sentence, options, or both."""
    asked = _query(question, present or [], either or [], absent or [], source)
    asked = replace(asked, **_times(longer=longer, shorter=shorter, gap=gap))
    with opened(library, readonly=True) as found:
        answers = found.query(asked)
    if as_json:
        write_json(
            [{"source": f.source, "start_s": f.start, "end_s": f.end, "people": list(f.people)} for f in answers]
        )
        return
    show(("source", "from", "to", "seconds"), [(f.source, clock(f.start), clock(f.end), f.duration) for f in answers])
    remark(f"{counted(len(answers), 'stretch', 'stretches')}, {sum(f.duration for f in answers):.1f} s")


def _query(question: str, present: list[str], either: list[str], absent: list[str], source: str | None) -> Any:
    from streamer.library.query import Query, parse

    if not question and not present and not either and not absent:
        raise ConfigError('the query names nobody. Write "Ann with Bob, not Cem, longer than 5s", or --with Ann.')
    asked = parse(question) if question else Query()
    groups = (*asked.either, tuple(either)) if either else asked.either
    return replace(
        asked, present=(*asked.present, *present), absent=(*asked.absent, *absent), either=groups,
        source=source or asked.source,
    )  # fmt: skip


def _times(**texts: str) -> dict[str, float]:
    from streamer.library.query import seconds

    return {k: seconds(text) for k, text in texts.items() if text}


def cast(
    source: Source,
    other: Annotated[str | None, typer.Argument(help="A second one, to compare with.")] = None,
    library: LibraryFile = DEFAULT,
    as_json: Json = False,
) -> None:
    """Who appears in a source, or in which of two, and for how many seconds."""
    with opened(library, readonly=True) as found:
        casts = {name: found.cast(name) for name in (source, *((other,) if other is not None else ()))}
        names = found.view.names
    people = sorted({p for seconds in casts.values() for p in seconds})
    if as_json:
        write_json(
            [
                {"person": p, "name": names.get(p, ""), "screen_s": {s: c.get(p, 0.0) for s, c in casts.items()}}
                for p in people
            ]
        )
        return
    show(("person", "name", *casts), [(p, names.get(p, ""), *(c.get(p) for c in casts.values())) for p in people])
    if other is not None:
        a, b = casts[source].keys(), casts[other].keys()
        remark(f"{len(a & b)} in both, {len(a - b)} only in {source}, {len(b - a)} only in {other}")


def together(
    source: Annotated[str | None, typer.Option("--in", help="Only this source.")] = None,
    library: LibraryFile = DEFAULT,
    as_json: Json = False,
) -> None:
    """Who is in the picture at the same time as whom, longest first."""
    from streamer.timeline import copresence

    with opened(library, readonly=True) as found:
        shared = copresence(found.appearances(source))
        label, hidden = found.view.label, found.view.hidden
    pairs = sorted((kv for kv in shared.items() if not hidden & set(kv[0])), key=lambda kv: (-kv[1], kv[0]))
    if as_json:
        write_json([{"a": a, "b": b, "seconds": s} for (a, b), s in pairs])
        return
    show(("person", "person", "who", "with", "seconds"), [(a, b, label(a), label(b), s) for (a, b), s in pairs])
