"""`whowhen people ...`, `search`, `recluster`, `query`: the library on the command line.

Results go to stdout as tables (or JSON with --json), what was done to stderr. Exit code 2 for nobody, for a name that
fits several people and for anything the library refuses.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamer.errors import ConfigError

if TYPE_CHECKING:
    from streamer.library import Library

app = typer.Typer(help="Who is in the library: list, name, merge, split, hide, forget, undo.", no_args_is_help=True)

LibraryFile = Annotated[
    Path,
    typer.Option(
        "--library", "-l", envvar="WHOWHEN_LIBRARY", help="The people library, or the folder that holds people.db."
    ),
]
Who = Annotated[str, typer.Argument(help="A person: number or name.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Models = Annotated[
    str, typer.Option("--models", "-m", envvar="WHOWHEN_PACK", help="Model pack the library was made with.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, tensorrt or openvino.")]
DEFAULT = Path("people.db")


def opened(path: Path, *, readonly: bool = False) -> Library:
    """The library of that path, signed by the user who is logged in."""
    import getpass

    from streamer.library import Library

    try:
        who = getpass.getuser()
    except (KeyError, OSError):  # a container without a user entry
        who = "user"
    return Library(path / "people.db" if path.is_dir() else path, readonly=readonly, who=who)


def show(columns: Sequence[str], rows: Sequence[Sequence[object]], *, as_json: bool = False) -> None:
    """Prints a table: rich on a terminal, aligned plain text elsewhere, a list of objects as JSON."""
    if as_json:
        print(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], ensure_ascii=False, indent=2))
        return
    cells = [[inert(_cell(v)) for v in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns)
        for row in cells:
            table.add_row(*(Text(c) for c in row))
        Console().print(table)
        return
    widths = [max(len(c) for c in column) for column in zip(columns, *cells, strict=True)]
    for row in [list(columns), *cells]:
        print("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:.2f}" if isinstance(value, float) else "" if value is None else str(value)


def inert(text: str) -> str:
    """The text without anything a terminal obeys."""
    return "".join(c if c.isprintable() else " " for c in text)


def clock(seconds: float) -> str:
    """1:02:03.4"""
    tenths = round(seconds * 10)
    h, rest = divmod(tenths, 36000)
    m, s = divmod(rest, 600)
    return f"{h}:{m:02}:{s // 10:02}.{s % 10}"


def done(text: str) -> None:
    print(inert(text), file=sys.stderr)


@app.command("list")
def list_people(
    library: LibraryFile = DEFAULT,
    everybody: Annotated[bool, typer.Option("--all", "-a", help="Hidden people too.")] = False,
    as_json: Json = False,
) -> None:
    """Everybody, longest screen time first."""
    with opened(library, readonly=True) as found:
        people = found.people(hidden=everybody)
    columns = ("person", "name", "screen_s", "appearances", "tracks", "sources", "first", "hidden")
    rows = [
        (p.id, p.name, p.screen_time, p.appearances, p.tracks, len(p.sources), _place(p.first), p.hidden)
        for p in people
    ]
    show(columns, rows, as_json=as_json)


def _place(where: tuple[str, float] | None) -> str:
    return "" if where is None else f"{where[0]} {clock(where[1])}"


@app.command("show")
def show_person(
    who: Who,
    library: LibraryFile = DEFAULT,
    tracks: Annotated[bool, typer.Option(help="Tracks instead of appearances (what `split` wants).")] = False,
    as_json: Json = False,
) -> None:
    """When and where one person appears."""
    with opened(library, readonly=True) as found:
        person = found.person(who)
        mine = [a for a in found.appearances() if a.identity == person.id]
        one_by_one = [found.store.track(t) for t in found.tracks(person.id)] if tracks else []
    done(f"{person.label} (person {person.id}): {person.screen_time:.1f} s on screen")
    if tracks:
        rows = [(t.id, t.source, clock(t.start), clock(t.end), t.count, t.quality) for t in one_by_one]
        show(("track", "source", "from", "to", "faces", "quality"), rows, as_json=as_json)
        return
    spans = [(a.source, clock(a.start), clock(a.end), a.duration, " ".join(map(str, a.tracks))) for a in mine]
    show(("source", "from", "to", "seconds", "tracks"), spans, as_json=as_json)


@app.command()
def name(
    who: Who,
    called: Annotated[str, typer.Argument(help="The name; empty takes it away.")],
    library: LibraryFile = DEFAULT,
) -> None:
    """Give a person a name."""
    with opened(library) as found:
        decision = found.name(who, called)
    done(f"person {decision.args['person']} is {decision.args['name'] or 'without a name'} (decision {decision.id})")


@app.command()
def merge(kept: Who, dropped: Who, library: LibraryFile = DEFAULT) -> None:
    """Two people are one: the first keeps its number."""
    with opened(library) as found:
        decision = found.merge(kept, dropped)
    done(f"person {decision.args['dropped']} is person {decision.args['kept']} (decision {decision.id})")


@app.command()
def same(a: Who, b: Who, library: LibraryFile = DEFAULT) -> None:
    """Two people are one: the named, else the older number stays."""
    with opened(library) as found:
        decision = found.same(a, b)
    done(f"person {decision.args['dropped']} is person {decision.args['kept']} (decision {decision.id})")


@app.command("not-same")
def not_same(a: Who, b: Who, library: LibraryFile = DEFAULT) -> None:
    """Two people are two people, for ever."""
    with opened(library) as found:
        decision = found.not_same(a, b)
    done(f"persons {decision.args['a']} and {decision.args['b']} stay apart (decision {decision.id})")


@app.command()
def split(
    who: Who,
    tracks: Annotated[list[int], typer.Argument(help="Tracks that are somebody else (`people show WHO --tracks`).")],
    library: LibraryFile = DEFAULT,
) -> None:
    """Take tracks out of a person: they become a new one."""
    with opened(library) as found:
        decision = found.split(who, tracks)
    print(decision.args["new"])
    done(f"{len(decision.args['tracks'])} tracks are person {decision.args['new']} now (decision {decision.id})")


@app.command()
def hide(
    who: Who,
    again: Annotated[bool, typer.Option("--show", help="Show the person again.")] = False,
    library: LibraryFile = DEFAULT,
) -> None:
    """Leave a person out of lists and reports."""
    with opened(library) as found:
        decision = found.hide(who, hidden=not again)
    done(f"person {decision.args['person']} is {'shown' if again else 'hidden'} (decision {decision.id})")


@app.command()
def forget(
    who: Who,
    library: LibraryFile = DEFAULT,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    keep_files: Annotated[
        bool, typer.Option(help="List written files that show the person instead of deleting them.")
    ] = False,
) -> None:
    """Erase a person for good; the receipt goes to stdout."""
    with opened(library) as found:
        person = found.person(who)
        if not yes:
            typer.confirm(
                f"Erase {inert(person.label)} ({person.tracks} tracks)? This cannot be undone.", abort=True, err=True
            )
        receipt = found.forget(person.id, delete_files=not keep_files)
    print(receipt.text())


@app.command()
def expire(
    keep_unnamed: Annotated[str, typer.Option(help="How long people without a name are kept: 30d, 12h.")],
    library: LibraryFile = DEFAULT,
) -> None:
    """Erase people nobody named and nobody saw for a while."""
    with opened(library) as found:
        gone = found.expire(duration(keep_unnamed))
    done(f"{gone} tracks erased")


def duration(text: str) -> timedelta:
    """30d, 12h, 45m, 90s. ConfigError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([dhms])", text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no length of time. Write 30d, 12h, 45m or 90s.")
    unit = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}[match[2]]
    return timedelta(**{unit: float(match[1])})


@app.command()
def undo(
    entry: Annotated[
        int | None, typer.Argument(help="Number of the decision (`people log`); default: the last.")
    ] = None,
    library: LibraryFile = DEFAULT,
) -> None:
    """Take a decision back."""
    with opened(library) as found:
        decision = found.undo(entry)
        taken = found.ledger.entry(decision.args["entry"])
    done(f"decision {taken.id} ({taken.kind}) is undone: {taken.inverse} (decision {decision.id})")


@app.command()
def log(library: LibraryFile = DEFAULT, as_json: Json = False) -> None:
    """Every decision: who, when, what, and whether it holds."""
    with opened(library, readonly=True) as found:
        active = found.ledger.active()
        rows = [(e.id, e.at, e.who, e.kind, told(e.args), e.id in active, e.inverse) for e in found.log()]
    show(("entry", "at", "who", "what", "about", "holds", "undo"), rows, as_json=as_json)


def told(args: Any) -> str:
    """The payload of a decision in one line: lists as their length."""
    return ", ".join(f"{k} {f'({len(v)})' if isinstance(v, list | tuple) else v}" for k, v in args.items())


@app.command()
def review(
    library: LibraryFile = DEFAULT,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many questions.")] = 20,
    merge_bar: Annotated[float | None, typer.Option("--merge", help="The model's merge threshold.")] = None,
    models: Models = "open",
    as_json: Json = False,
) -> None:
    """Open questions, those first that settle most screen time, and how much is settled after each."""
    with opened(library, readonly=True) as found:
        bar = merge_bar if merge_bar is not None else _thresholds(models)["merge"]
        everything = found.review(merge=bar, limit=10**9)
    total = sum(q.seconds for q in everything) or 1.0
    settled = 0.0
    rows: list[tuple[object, ...]] = []
    for q in everything[:limit]:
        settled += q.seconds
        answer = (
            f"people same {q.a} {q.b} | people not-same {q.a} {q.b}"
            if q.kind == "same"
            else f"people split {q.a} {q.track}"
        )
        question = (
            f"are {q.a} and {q.b} one person?" if q.kind == "same" else f"is track {q.track} person {q.a}, or {q.b}?"
        )
        rows.append((question, q.similarity, q.seconds, f"{100 * settled / total:.0f} %", answer))
    show(("question", "nearness", "seconds", "settled", "answer with"), rows, as_json=as_json)
    done(f"{len(everything)} open questions about {total if everything else 0.0:.1f} s of screen time")


def _thresholds(models: str) -> Any:
    from streamer.models.packs import load_pack

    return load_pack(models).thresholds


@app.command()
def export(
    who: Who,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")],
    library: LibraryFile = DEFAULT,
) -> None:
    """Everything held about a person, for that person."""
    with opened(library) as found:
        files = found.export_person(who, out)
    for path in files:
        print(path)


@app.command()
def enrol(
    photos: Annotated[
        Path, typer.Argument(help="A folder with a folder of photos per person, or a CSV with name,photo.")
    ],
    library: LibraryFile = DEFAULT,
    models: Models = "open",
    device: Device = "auto",
) -> int:
    """Known people from photos: their names reach past and future. Code 5 when some people could not be enrolled."""
    from pipelines.photos import faces, known_people
    from streamer.errors import SourceError, StoreError

    known = list(known_people(photos))
    loaded = _load(models, device)
    failed = 0
    with _for_models(library, loaded) as found:
        for called, paths in known:
            try:
                samples = [faces(path, loaded)[0] for path in paths]
                person = found.enrol(called, samples, _make(loaded), pair=loaded.embedder.thresholds.pair)
            except (SourceError, StoreError) as error:
                done(f"{type(error).__name__}: {error}")
                failed += 1
                continue
            print(f"{person}\t{inert(called)}\t{len(samples)} photos\t{len(found.tracks(person)) - 1} tracks")
    return 5 if failed else 0


def _load(models: str, device: str) -> Any:
    from streamer.models.packs import build, load_pack

    return build(load_pack(models), device)


def _for_models(path: Path, loaded: Any) -> Library:
    """The library, made when it is not there; StoreError when it holds vectors of another model."""
    from streamer.library import Library

    found = Library(path / "people.db" if path.is_dir() else path, create=True)
    try:
        e = loaded.embedder
        found.store.check_model(e.model, e.dimension, e.metric, e.template)
    except BaseException:
        found.close()
        raise
    return found


def _make(loaded: Any, **options: Any) -> Any:
    """A function that makes a fresh clusterer for these models."""
    from streamer.clustering.online import OnlineClusterer

    e = loaded.embedder
    fixed = {"metric": e.metric, "link": e.thresholds.link, "merge": e.thresholds.merge, "model": e.model}
    return lambda: OnlineClusterer(e.dimension, **(fixed | {"keep_vectors": False} | options))


def search(
    photo: Annotated[Path, typer.Argument(help="A photo with a face.")],
    library: LibraryFile = DEFAULT,
    models: Models = "open",
    device: Device = "auto",
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many candidates.")] = 5,
    as_json: Json = False,
) -> None:
    """Was this face ever here, where, when? Over unnamed history too; strangers are answered with "nobody"."""
    from pipelines.photos import faces

    loaded = _load(models, device)
    with opened(library, readonly=True) as found:
        if found.store.model() is not None:
            _same_model(found, loaded)
        seen = faces(photo, loaded)
        if len(seen) > 1:
            done(f"{photo} shows {len(seen)} faces; the largest is looked for")
        vector = seen[0].embedding
        matches = [] if vector is None else found.search(vector, pair=loaded.embedder.thresholds.pair, limit=limit)
        names = {m.person: found.view.label(m.person) for m in matches if m.person is not None}
        rows = [
            (
                names.get(m.person, "nobody's track"),
                m.person,
                m.similarity,
                m.accepted,
                m.source,
                clock(m.time),
                m.track,
            )
            for m in matches
        ]
    best = next((m for m in matches if m.accepted), None)
    show(("who", "person", "similarity", "match", "source", "time", "track"), rows, as_json=as_json)
    done(f"answer: {names.get(best.person, 'a face nobody was given') if best else 'nobody'}")


def _same_model(found: Library, loaded: Any) -> None:
    from streamer.errors import StoreError

    have = found.store.model()
    if have is not None and have[0] != loaded.embedder.model:
        raise StoreError(
            f"{found.store.path} holds vectors of the model {have[0]}, --models {loaded.embedder.model} "
            "cannot be compared with them. Choose the pack the library was made with."
        )


def query(
    question: Annotated[str, typer.Argument(help='"Ann with Bob, not Cem, longer than 5s"')],
    library: LibraryFile = DEFAULT,
    as_json: Json = False,
) -> None:
    """When several people are there together, alone, or not."""
    with opened(library, readonly=True) as found:
        answers = found.query(question)
    rows = [(f.source, clock(f.start), clock(f.end), f.duration) for f in answers]
    show(("source", "from", "to", "seconds"), rows, as_json=as_json)
    done(f"{len(answers)} stretches, {sum(f.duration for f in answers):.1f} s")


@app.command()
def cast(
    source: Annotated[str, typer.Argument(help="A source, as `people show` names it.")],
    other: Annotated[str | None, typer.Argument(help="A second one, to compare with.")] = None,
    library: LibraryFile = DEFAULT,
    as_json: Json = False,
) -> None:
    """Who appears in a source, or in which of two."""
    with opened(library, readonly=True) as found:
        here = found.cast(source)
        there = found.cast(other) if other is not None else set()
        rows = [
            (p, found.view.names.get(p, ""), p in here, *((p in there,) if other is not None else ()))
            for p in sorted(here | there)
        ]
    show(("person", "name", source, *((other,) if other is not None else ())), rows, as_json=as_json)


def recluster(
    library: LibraryFile = DEFAULT,
    settings: Annotated[list[str] | None, typer.Option("--set", help="clusterer.key=value. Repeat for more.")] = None,
    models: Models = "open",
    device: Device = "auto",
    apply: Annotated[bool, typer.Option("--apply", help="Make it so; without it nothing changes.")] = False,
    as_json: Json = False,
) -> None:
    """What another setting would change: who would merge, split, move. No decoding.

    With another --models than the library was made with, --apply moves it to that model from the kept crops.
    """
    from streamer.config import load

    options = load("balanced", None, tuple(settings or ())).component("clusterer")
    with opened(library, readonly=not apply) as found:
        if _moves(found, models, device, apply, options):
            return
        change = found.what_if(_fresh(found, models, options), options)
        rows = [("merge", " + ".join(found.view.label(p) for p in group)) for group in change.merges]
        rows += [("split", f"{found.view.label(p)} into {n}") for p, n in change.splits]
        touched = ", ".join(found.view.label(p) for p in change.named)
        if apply:
            found.apply(change)
    show(("would" if not apply else "did", "people"), rows, as_json=as_json)
    done(
        f"{change.people_before} people -> {change.people_after}, {100 * change.churn:.1f} % of tracks move, "
        f"names touched: {touched or 'none'}" + ("" if apply else ". Nothing was changed; --apply makes it so.")
    )


def _moves(found: Library, models: str, device: str, apply: bool, options: Any) -> bool:
    """Whether the library is to move to another model; moves it when it is to be applied."""
    have, wanted = found.store.model(), _pack_model(models)
    if have is None or not wanted or have[0] == wanted:
        return False
    if not apply:
        done(f"{found.store.count_vectors()} faces would be embedded again: {have[0]} -> {wanted}. --apply does it.")
        return True
    loaded = _load(models, device)
    moved = found.migrate(loaded.embedder, _make(loaded, **dict(options)))
    done(f"{moved} faces embedded again: {have[0]} -> {loaded.embedder.model}; {len(found.people())} people")
    return True


def _pack_model(models: str) -> str:
    from streamer.models.packs import load_pack

    return load_pack(models).model


def _fresh(found: Library, models: str, options: Any) -> Any:
    """A function that makes a clusterer for the library's own model with other options."""
    from streamer.clustering.online import OnlineClusterer

    have = found.store.model()
    if have is None:
        raise ConfigError(f"{found.store.path} holds no vectors yet. Run `whowhen run` first.")
    bars = _thresholds(models)
    fixed = {"metric": have[2], "model": have[0], "link": bars["link"], "merge": bars["merge"], "keep_vectors": False}
    return lambda: OnlineClusterer(have[1], **(fixed | dict(options)))
