"""Questions like "A with B, not C, longer than 5s", answered by stretches of sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from streamer.errors import ConfigError
from streamer.intervals import Interval, gaps, join, overlap
from streamer.items import Appearance
from streamer.timeline import intervals

_TIME = re.compile(r"(?:(\d+):)?(?:(\d+):)?(\d+(?:\.\d+)?)\s*(s|sec|seconds?|m|min|minutes?|h|hours?)?", re.IGNORECASE)
_CLAUSE = re.compile(
    r"\s*(?:,|^)\s*(?:and\s+)?|\s+(?=(?:with|and|without|but not|not|or|longer than|shorter than|in)\s)", re.IGNORECASE
)
_EXAMPLE = '"Ann with Bob, not Cem, longer than 5s"'


@dataclass(frozen=True, slots=True)
class Query:
    """All of `present`, one of each group in `either` and nobody of `absent`, for `longer` to `shorter` seconds."""

    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    either: tuple[tuple[str, ...], ...] = ()
    longer: float = 0.0
    shorter: float = float("inf")
    source: str | None = None
    gap: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """One stretch [start, end) of a source that answers a query."""

    source: str
    start: float
    end: float
    people: tuple[int, ...]

    @property
    def duration(self) -> float:
        return self.end - self.start


def seconds(text: str) -> float:
    """Seconds of "5", "5s", "1.5 min", "2h" or "1:02:03". ConfigError for anything else."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no length of time. Write 5s, 2min or 1:02:03.")
    a, b, last, unit = match.groups()
    value = float(last) + 60 * float(b or 0) + (3600 if b else 60) * float(a or 0)
    return value * {"m": 60.0, "h": 3600.0}.get((unit or "s")[0].lower(), 1.0)


def parse(text: str) -> Query:
    """The query a sentence means. Clauses are joined by commas or by their first word:

    NAME - with NAME - and NAME - or NAME - not NAME - without NAME - longer than TIME - shorter than TIME - in SOURCE.
    Names with spaces or such words go in quotes. ConfigError where a sentence makes no sense.
    """
    quoted: list[str] = []

    def hide(match: re.Match[str]) -> str:
        quoted.append(match[1])
        return f"\0{len(quoted) - 1}\0"

    plain = re.sub(r'"([^"]*)"', hide, text)
    present: list[tuple[str, ...]] = []
    absent: list[str] = []
    rest: dict[str, str] = {}
    for clause in (c.strip() for c in _CLAUSE.split(plain)):
        if not clause:
            continue
        word, what = _word(clause)
        what = re.sub("\0(\\d+)\0", lambda m: quoted[int(m[1])], what).strip()
        if not what:
            raise ConfigError(f"{clause!r} in the query names nobody. A query looks like {_EXAMPLE}.")
        if word in ("longer than", "shorter than", "in"):
            rest[word] = what
        elif word in ("not", "without", "but not"):
            absent.append(what)
        elif word == "or" and present:
            present[-1] = (*present[-1], what)
        else:
            present.append((what,))
    if not present and not absent:
        raise ConfigError(f"the query {text!r} names nobody. A query looks like {_EXAMPLE}.")
    return Query(
        tuple(p[0] for p in present if len(p) == 1),
        tuple(absent),
        tuple(p for p in present if len(p) > 1),
        seconds(rest["longer than"]) if "longer than" in rest else 0.0,
        seconds(rest["shorter than"]) if "shorter than" in rest else float("inf"),
        rest.get("in"),
    )


def _word(clause: str) -> tuple[str, str]:
    for word in ("longer than", "shorter than", "but not", "without", "with", "and", "not", "or", "in"):
        if clause.lower().startswith(word + " ") or clause.lower() == word:
            return word, clause[len(word) :]
    return "", clause


def answer(
    query: Query,
    appearances: Iterable[Appearance],
    resolve: Callable[[str], int],
    sources: Sequence[tuple[str, float, float]],
) -> list[Found]:
    """Stretches that answer, in the order of `sources` (name, start, end). `resolve` finds people by name."""
    groups = [{resolve(p)} for p in query.present] + [{resolve(p) for p in g} for g in query.either]
    absent = [resolve(p) for p in query.absent]
    there = intervals(appearances)
    everybody = tuple(sorted({p for g in groups for p in g}))
    out: list[Found] = []
    for name, start, end in sources:
        if query.source is not None and query.source != name:
            continue
        stretches: list[Interval] = [(start, end)]
        for group in groups:
            stretches = overlap(stretches, [i for p in group for i in there.get(p, {}).get(name, [])])
        for person in absent:
            stretches = overlap(stretches, gaps(there.get(person, {}).get(name, []), (start, end)))
        found = (Found(name, s, e, everybody) for s, e in join(stretches, query.gap))
        out += [f for f in found if query.longer <= f.duration <= query.shorter]
    return out
