"""`whowhen people review`: open questions, those first that settle most screen time; asked on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.people import libraries
from pipelines.people.libraries import DEFAULT, LibraryFile, Models, opened
from pipelines.terminal.options import Json
from pipelines.terminal.tables import as_json as write_json
from pipelines.terminal.tables import inert, place, remark, show

if TYPE_CHECKING:
    from streamer.library import Library


def review(
    library: LibraryFile = DEFAULT,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many questions.", min=1)] = 20,
    merge_bar: Annotated[float | None, typer.Option("--merge", help="The model's merge threshold.")] = None,
    models: Models = "open",
    ask: Annotated[
        bool | None, typer.Option("--ask/--list", help="Ask, or only list (default: ask on a terminal).")
    ] = None,
    structure: Annotated[
        bool, typer.Option("--structure", help="Also ask what HDBSCAN would, which knows no threshold (slower).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Open questions, those first that settle most screen time, and how much is settled after each.

    On a terminal they are asked one by one; every answer is a decision that `people undo` takes back.
    """
    asks = (sys.stdin.isatty() and sys.stdout.isatty() and not as_json) if ask is None else ask
    with opened(library, readonly=not asks) as found:
        bar = merge_bar if merge_bar is not None else libraries.thresholds(models)["merge"]
        questions = found.review(merge=bar, limit=10**9)
        if structure:
            asked = {(q.kind, q.a, q.b, q.track) for q in questions}
            questions += [q for q in found.structure() if (q.kind, q.a, q.b, q.track) not in asked]
            questions.sort(key=lambda q: -q.seconds)
        screen = sum(p.screen_time for p in found.people())
        settled = _settled(questions, screen)
        if asks:
            remark(_summary(settled, screen))
            _ask(found, questions, limit, screen)
            return
        rows = [_row(found, q, s) for q, s in zip(questions[:limit], settled[1:], strict=False)]
    if as_json:
        told = {"screen_s": screen, "settled": settled[0], "open": len(questions), "questions": rows}
        write_json(told)
        return
    columns = ("question", "nearness", "seconds", "settled", "answer with")
    show(
        columns,
        [(r["question"], r["nearness"], r["seconds"], f"{100 * r['settled']:.0f} %", r["answer"]) for r in rows],
    )
    remark(_summary(settled, screen))


def _settled(questions: Any, screen: float) -> list[float]:
    """Share of the screen time that is sure before the first answer and after each; see `_sure`."""
    last = {_subject(q): k for k, q in enumerate(questions)}
    left = sum({_subject(q): q.seconds for q in questions}.values())
    out = [left]
    for k, q in enumerate(questions):
        if last[_subject(q)] == k:
            left -= q.seconds
        out.append(max(left, 0.0))
    return [1.0 - min(s / screen, 1.0) if screen else 1.0 for s in out]


def _sure(unanswered: Any, screen: float) -> float:
    """Share of the screen time no open question is about.

    A stretch counts as settled when the last question about it is answered; a "yes" may settle it earlier.
    """
    left = sum({_subject(q): q.seconds for q in unanswered}.values())
    return 1.0 - min(left / screen, 1.0) if screen else 1.0


def _subject(q: Any) -> tuple[str, int]:
    """Whose time the answer settles: that of a track, or of the person seen less."""
    return (q.kind, q.track) if q.kind == "split" else (q.kind, q.subject)


def _summary(settled: list[float], screen: float) -> str:
    n = len(settled) - 1
    if not n:
        return f"no open questions about {screen:.1f} s of screen time"
    few = next(k for k in range(n + 1) if settled[k] - settled[0] >= 0.9 * (settled[-1] - settled[0]))
    return (
        f"{100 * settled[0]:.0f} % of {screen:.1f} s of screen time is sure; "
        f"{few} of {n} answers bring it to {100 * settled[few]:.0f} %, all to {100 * settled[-1]:.0f} %"
    )


def _question(found: Library, q: Any) -> str:
    a, b = (inert(found.view.label(p)) for p in (q.a, q.b))
    if q.kind == "same":
        return f"are {q.a} and {q.b} one person?" if not _named(found, q) else f"are {a} and {b} one person?"
    return f"is track {q.track} person {q.a}, or {q.b}?"


def _named(found: Library, q: Any) -> bool:
    return q.a in found.view.names or q.b in found.view.names


def _row(found: Library, q: Any, settled: float) -> dict[str, Any]:
    answers = {
        "same": f"people same {q.a} {q.b} | people not-same {q.a} {q.b}",
        "split": f"people confirm {q.a} {q.track} | people split {q.a} {q.track}",
    }
    return {
        "kind": q.kind, "question": _question(found, q), "a": q.a, "b": q.b, "track": q.track, "nearness": q.similarity,
        "seconds": q.seconds, "settled": settled, "answer": answers[q.kind],
    }  # fmt: skip


def _ask(found: Library, questions: Any, limit: int, screen: float) -> None:
    """Asks until the end, `q` or the end of the input; what an earlier answer has settled is passed over."""
    answers = 0
    for q in questions[:limit]:
        q = found.still_open(q)
        if q is None:
            continue
        print(f"{_question(found, q)} (nearness {q.similarity:.2f}, {q.seconds:.1f} s)")
        for who in (q.a, q.b):
            p = found.person(who)
            print(f"  {inert(p.label)}: {p.screen_time:.1f} s, first at {inert(place(p.first))}")
        word = _answer()
        if word == "q":
            break
        if word != "s":
            _carry_out(found, q, word == "y")
            answers += 1
            left = [o for o in questions if found.still_open(o) is not None]
            remark(f"{100 * _sure(left, screen):.0f} % of the screen time is sure after {answers} answers")
    remark(f"{answers} answers given; `whowhen people log` lists them, `people undo` takes one back")


def _answer() -> str:
    while True:
        try:
            word = input("[y]es, [n]o, [s]kip, [q]uit: ").strip().lower()[:1]
        except EOFError:
            return "q"
        if word in ("y", "n", "s", "q"):
            return word


def _carry_out(found: Library, q: Any, yes: bool) -> None:
    if q.kind == "same":
        (found.same if yes else found.not_same)(q.a, q.b)
    elif yes:
        found.confirm(q.a, [q.track])
    else:
        found.split(q.a, [q.track])
