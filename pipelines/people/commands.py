"""`whowhen people ...`: the library on the command line.

Results go to stdout as tables (or JSON with --json), what was done to stderr. Exit code 2 for nobody, for a name that
fits several people and for anything the library refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.people.libraries import DEFAULT, LibraryFile, Who, opened
from pipelines.terminal.options import Json
from pipelines.terminal.tables import as_json as write_json
from pipelines.terminal.tables import clock, counted, place, remark, show

if TYPE_CHECKING:
    from streamer.ledger import Decision
    from streamer.library import Library

app = typer.Typer(
    help="Who is in the library: list, name, merge, split, hide, review, enrol, forget, undo.", no_args_is_help=True
)


@app.command("list")
def list_people(
    library: LibraryFile = DEFAULT,
    everybody: Annotated[bool, typer.Option("--all", "-a", help="Hidden people too.")] = False,
    as_json: Json = False,
) -> None:
    """Everybody, longest screen time first."""
    with opened(library, readonly=True) as found:
        people = found.people(hidden=everybody)
    if as_json:
        write_json([_about(p) for p in people])
        return
    columns = ("person", "name", "screen_s", "appearances", "tracks", "sources", "first", "last")
    rows = [
        (p.id, p.name, p.screen_time, p.appearances, p.tracks, len(p.sources), place(p.first), place(p.last),
         *((p.hidden,) if everybody else ()))
        for p in people
    ]  # fmt: skip
    show((*columns, "hidden") if everybody else columns, rows)


def _about(p: Any) -> dict[str, Any]:
    """A person as JSON; times in seconds of the source's own clock."""
    ends = {
        k: None if at is None else {"source": at[0], "time_s": at[1]}
        for k, at in (("first", p.first), ("last", p.last))
    }
    return {
        "person": p.id, "name": p.name, "screen_s": p.screen_time, "appearances": p.appearances, "tracks": p.tracks,
        "faces": p.faces, "sources": list(p.sources), **ends, "hidden": p.hidden,
    }  # fmt: skip


@app.command("show")
def show_person(
    who: Who,
    library: LibraryFile = DEFAULT,
    tracks: Annotated[bool, typer.Option("--tracks", help="Tracks too: what `split` wants.")] = False,
    as_json: Json = False,
) -> None:
    """When and where one person appears."""
    with opened(library, readonly=True) as found:
        person = found.person(who)
        mine = [a for a in found.appearances() if a.identity == person.id]
        one_by_one = [found.store.track(t) for t in found.tracks(person.id)] if tracks else []
    if as_json:
        told = _about(person) | {"appearances": [_stretch(a) for a in mine]}
        write_json(told | {"tracks": [_track(t) for t in one_by_one]} if tracks else told)
        return
    remark(f"{person.label} (person {person.id}): {person.screen_time:.1f} s on screen")
    if tracks:
        rows = [(t.id, t.source, clock(t.start), clock(t.end), t.count, t.quality) for t in one_by_one]
        show(("track", "source", "from", "to", "faces", "quality"), rows)
        return
    spans = [(a.source, clock(a.start), clock(a.end), a.duration, " ".join(map(str, a.tracks))) for a in mine]
    show(("source", "from", "to", "seconds", "tracks"), spans)


def _stretch(a: Any) -> dict[str, Any]:
    return {"source": a.source, "start_s": a.start, "end_s": a.end, "tracks": list(a.tracks), "faces": a.faces}


def _track(t: Any) -> dict[str, Any]:
    return {
        "track": t.id,
        "source": t.source,
        "start_s": t.start,
        "end_s": t.end,
        "faces": t.count,
        "quality": t.quality,
    }


# ---------------------------------------------------------------------- decisions
@app.command()
def name(
    who: Who,
    called: Annotated[str, typer.Argument(help="The name; empty takes it away.")],
    library: LibraryFile = DEFAULT,
    as_json: Json = False,
) -> None:
    """Give a person a name."""
    decide(library, as_json, lambda found: found.name(who, called))


@app.command()
def merge(kept: Who, dropped: Who, library: LibraryFile = DEFAULT, as_json: Json = False) -> None:
    """Two people are one: the first keeps its number."""
    decide(library, as_json, lambda found: found.merge(kept, dropped))


@app.command()
def same(a: Who, b: Who, library: LibraryFile = DEFAULT, as_json: Json = False) -> None:
    """Two people are one: the named, else the older number stays."""
    decide(library, as_json, lambda found: found.same(a, b))


@app.command("not-same")
def not_same(a: Who, b: Who, library: LibraryFile = DEFAULT, as_json: Json = False) -> None:
    """Two people are two people, for ever."""
    decide(library, as_json, lambda found: found.not_same(a, b))


@app.command()
def split(
    who: Who,
    tracks: Annotated[list[int], typer.Argument(help="Tracks that are somebody else (`people show WHO --tracks`).")],
    library: LibraryFile = DEFAULT,
    as_json: Json = False,
) -> None:
    """Take tracks out of a person: they become a new one, whose number goes to stdout."""
    decision = decide(library, as_json, lambda found: found.split(who, tracks))
    if not as_json:
        print(decision.args["new"])


@app.command()
def confirm(
    who: Who,
    tracks: Annotated[list[int], typer.Argument(help="Tracks that are this person for sure.")],
    library: LibraryFile = DEFAULT,
    as_json: Json = False,
) -> None:
    """Tracks belong to a person: the machine never moves them, review does not ask again."""
    decide(library, as_json, lambda found: found.confirm(who, tracks))


@app.command()
def hide(
    who: Who,
    again: Annotated[bool, typer.Option("--show", help="Show the person again.")] = False,
    library: LibraryFile = DEFAULT,
    as_json: Json = False,
) -> None:
    """Leave a person out of lists and reports."""
    decide(library, as_json, lambda found: found.hide(who, hidden=not again))


@app.command()
def unhide(who: Who, library: LibraryFile = DEFAULT, as_json: Json = False) -> None:
    """Show a hidden person again."""
    decide(library, as_json, lambda found: found.hide(who, hidden=False))


@app.command()
def undo(
    entry: Annotated[
        int | None, typer.Argument(help="Number of the decision (`people log`); default: the last.")
    ] = None,
    library: LibraryFile = DEFAULT,
    as_json: Json = False,
) -> None:
    """Take a decision back."""
    decide(library, as_json, lambda found: found.undo(entry))


def decide(library: Path, as_json: bool, word: Callable[[Library], Decision]) -> Decision:
    """Carries a decision out and says what it did."""
    with opened(library) as found:
        decision = word(found)
        told = in_words(decision, found)
        holds = decision.id in found.ledger.active()
    if as_json:
        write_json(entry_of(decision, holds))
    else:
        remark(f"{told} (decision {decision.id})")
    return decision


def in_words(decision: Decision, found: Library) -> str:
    """What a decision did, for a person."""
    a = decision.args
    match decision.kind:
        case "name":
            return f"person {a['person']} is {a['name'] or 'without a name'}"
        case "merge" | "same":
            return f"person {a['dropped']} is person {a['kept']}"
        case "not_same":
            return f"persons {a['a']} and {a['b']} stay apart"
        case "split":
            many = len(a["tracks"]) != 1
            return f"{counted(len(a['tracks']), 'track')} {'are' if many else 'is'} person {a['new']} now"
        case "confirm":
            many = len(a["tracks"]) != 1
            return f"{counted(len(a['tracks']), 'track')} {'stay' if many else 'stays'} with person {a['person']}"
        case "hide":
            return f"person {a['person']} is {'hidden' if a['hidden'] else 'shown'}"
        case _:
            taken = found.ledger.entry(a["entry"])
            return f"decision {taken.id} ({taken.kind}) is undone: {taken.inverse}"


@app.command()
def log(library: LibraryFile = DEFAULT, as_json: Json = False) -> None:
    """Every decision: who, when, what, whether it holds, and what undoing it does."""
    with opened(library, readonly=True) as found:
        active = found.ledger.active()
        entries = found.log()
    if as_json:
        write_json([entry_of(e, e.id in active) for e in entries])
        return
    rows = [
        (e.id, e.at[:19].replace("T", " "), e.who, e.kind, _told(e.args), e.id in active, e.inverse) for e in entries
    ]
    show(("entry", "at (UTC)", "who", "what", "about", "holds", "undo"), rows)


def entry_of(e: Decision, holds: bool) -> dict[str, Any]:
    """An entry of the log as JSON."""
    return {
        "entry": e.id,
        "at": e.at,
        "who": e.who,
        "what": e.kind,
        "about": dict(e.args),
        "holds": holds,
        "undo": e.inverse,
    }


def _told(args: Any) -> str:
    """The payload of a decision in one line: lists as their length."""
    return ", ".join(f"{k} {f'({len(v)})' if isinstance(v, list | tuple) else v}" for k, v in args.items())


def _rest() -> None:
    """The commands that live in modules of their own."""
    from pipelines.people import known, names, privacy, query, questions

    for command in (privacy.forget, privacy.expire, privacy.export, privacy.backup, privacy.verify):
        app.command()(command)
    app.command("names")(names.names)
    app.command("review")(questions.review)
    app.command("enrol")(known.enrol)
    app.command("enroll", hidden=True)(known.enrol)
    app.command("cast")(query.cast)
    app.command("together")(query.together)


_rest()
