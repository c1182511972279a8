"""Clusterings of vectors by every method, scored; grids of them, resumable."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.lab.vectors import Vectors
from streamer.clustering import batch
from streamer.errors import ConfigError, suggest
from streamer.evaluation import internal_scores, scores
from streamer.items import F64, I64

ONLINE = "online"
LOWER_IS_BETTER = ("davies_bouldin",)
INTERNAL = ("silhouette", "davies_bouldin", "dunn", "calinski_harabasz")
# one minus the merge bar over one minus the link bar: 1.19 in the EdgeFace pack (0.31, 0.42), 1.23 in the dlib pack
MERGE_OVER_LINK = 1.2
Options = Mapping[str, float | int]
Point = tuple[str, dict[str, float | int]]


def methods() -> tuple[str, ...]:
    """Names of every batch method, then ours."""
    return (*batch.METHODS, ONLINE)


def check_method(name: str) -> None:
    """ConfigError where there is no such method."""
    if name not in methods():
        raise ConfigError(
            f"{name} is not a clustering method{suggest(name, methods())}. Methods: {', '.join(methods())}."
        )


def options_of(settings: Sequence[str]) -> dict[str, float | int]:
    """name=value pairs as numbers, whole ones as int."""
    out: dict[str, float | int] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        out[name] = number(value if equals else "", setting)
    return out


def written(options: Options) -> str:
    """The options as somebody would type them: `eps=0.5 min_samples=2`."""
    return " ".join(f"{k}={v:g}" for k, v in options.items())


def number(text: str, whole: str) -> float | int:
    """The number a text stands for; ConfigError names the setting it is part of."""
    try:
        found = float(text)
    except ValueError as error:
        raise ConfigError(f"{whole!r} is no option with a number. Write name=value, e.g. eps=0.5.") from error
    if not np.isfinite(found):
        raise ConfigError(f"{whole!r} is no number to work with. Write name=value, e.g. eps=0.5.")
    return int(found) if found == int(found) and "." not in text and "e" not in text.lower() else found


@dataclass(slots=True)
class Bench:
    """Vectors under a metric, with what several clusterings of them share: distances and merge tables."""

    vectors: Vectors
    metric: str
    _distances: F64 | None = None
    _tables: dict[str, F64] = field(default_factory=dict)

    @property
    def usual_score(self) -> str:
        """What decides where nothing is said: B-cubed F, where nobody has a name the silhouette."""
        return "bcubed_f" if self.vectors.identity is not None else "silhouette"

    @property
    def distances(self) -> F64:
        """(n, n) distances of the metric."""
        if self._distances is None:
            self._distances = batch.distances(self.vectors.rows, self.metric)
        return self._distances

    def table(self, linkage: str) -> F64:
        """SciPy's merge table of a linkage, computed once."""
        if linkage not in self._tables:
            if linkage not in batch.LINKAGES:
                raise ConfigError(f"{linkage} is not a linkage. Linkages: {', '.join(batch.LINKAGES)}.")
            self._tables[linkage] = batch.linkage(self.vectors.rows, linkage, self.metric)
        return self._tables[linkage]

    def labels(self, method: str, options: Options) -> I64:
        """Labels by a batch method or by ours; ConfigError for a method or an option that there is not."""
        check_method(method)
        if method == ONLINE:
            return online(self.vectors, self.metric, options)
        cut = {"threshold", "k"} & set(options)
        if method in batch.LINKAGES and len(cut) == 1 == len(options) and len(self.vectors) > 1:
            k = options.get("k")
            return batch.cut(self.table(method), options.get("threshold"), None if k is None else int(k))
        return batch.cluster(self.vectors.rows, method, self.metric, **options)

    def grid(self, method: str) -> dict[str, list[float | int]]:
        """What a sweep of the method tries where nothing is said: its main option over usual values."""
        if method == ONLINE:
            low, high = batch.usual(self.distances) if len(self.vectors) > 2 else (0.1, 1.0)
            bars = [max(float(f"{d:.4g}"), 1e-6) for d in np.linspace(low, low + (high - low) * 0.75, 12)]
            return {"link": [round(1 - d, 9) if self.metric == "cosine" else d for d in bars]}
        known = batch.METHODS[method]
        values = known.values(self.distances)
        return {known.knob: [int(v) if v == int(v) and known.turns in ("clusters", "") else v for v in values]}

    def marks(self, labels: I64, internal: bool = False) -> dict[str, float]:
        """External scores over the rows with true names; internal ones where there are none, or where asked for."""
        found: dict[str, float] = {}
        known = self.vectors.identity
        if known is not None:
            at = known != ""
            found = scores(known[at], labels[at])
        if known is None or internal:
            usual = "cosine" if self.metric == "cosine" else "euclidean"
            rows = batch.metric_rows(self.vectors.rows, self.metric)
            found |= {"clusters": float(len(np.unique(labels[labels >= 0]))), "noise": float((labels < 0).sum())}
            found |= internal_scores(rows, labels, usual)
        return found


def online(vectors: Vectors, metric: str, options: Options) -> I64:
    """Every row as a track, in the file's order, by our clusterer.

    Options are its numbers: link, merge, remerge_every, ... `merge` follows `link` where only that is given.
    """
    import inspect

    from streamer.clustering.online import OnlineClusterer
    from streamer.items import Tracklet
    from streamer.vectors import unit

    allowed = [p for p in inspect.signature(OnlineClusterer).parameters if p not in ("dimension", "metric", "vectors")]
    for option in options:
        if option not in allowed:
            raise ConfigError(f"{option} is not an option of online. Options: {', '.join(allowed)}.")
    keywords: dict[str, Any] = dict(options)
    if "link" in keywords and "merge" not in keywords:
        keywords["merge"] = merge_for(keywords["link"], metric)
    rows = unit(vectors.rows) if metric == "cosine" else vectors.rows
    foes: dict[int, set[int]] = {}
    for a, b in vectors.cannot_link:
        foes.setdefault(max(a, b), set()).add(min(a, b) + 1)
    worth = np.ones(len(rows)) if vectors.quality is None else vectors.quality
    clusterer = OnlineClusterer(rows.shape[1], metric=metric, **keywords)
    clusterer.add(
        [
            Tracklet(i + 1, "", float(i), float(i), 1, r, r[None], float(worth[i]), frozenset(foes.get(i, ())))
            for i, r in enumerate(rows)
        ]
    )
    clusterer.finish()
    found = clusterer.labels()
    return np.array([-1 if (label := found.get(i + 1)) is None else label for i in range(len(rows))], np.int64)


def merge_for(link: float, metric: str) -> float:
    """The merge bar that goes with a link bar, in the units of the pack."""
    if metric == "cosine":
        return 1 - MERGE_OVER_LINK * (1 - link)
    return float(link * np.sqrt(MERGE_OVER_LINK))  # bars are compared as squared distances


def grid_points(bench: Bench, chosen: Sequence[str], grid: Sequence[str]) -> Iterator[Point]:
    """Every (method, options) of the grid; without one, the usual values of each method's main option."""
    axes: dict[str, list[float | int]] = {}
    for axis in grid:
        name, equals, values = axis.partition("=")
        axes[name] = [number(v, axis) for v in values.split(",")] if equals else [number("", axis)]
    for method in chosen:
        check_method(method)
        own = axes or bench.grid(method)
        for chosen_values in product(*own.values()):
            yield method, dict(zip(own, chosen_values))


def swept(
    bench: Bench, points: Sequence[Point], out: Path | None, about: Mapping[str, Any], internal: bool = False
) -> Iterator[dict[str, Any]]:
    """Scores of every point, in order. Points that `out` already holds of the same thing (`about`) are read, new ones
    appended as they are done."""
    known = _finished(out)
    if out and out.is_file() and not out.read_bytes().endswith(b"\n"):
        _append(out, "\n")  # a line cut short by a kill must not swallow the next one
    for method, options in points:
        key = {**about, "metric": bench.metric, "internal": internal, "method": method, "options": options}
        text = json.dumps(key, sort_keys=True)
        if text not in known:
            known[text] = key | {"scores": bench.marks(bench.labels(method, options), internal)}
            if out:
                _append(out, json.dumps(known[text], sort_keys=True) + "\n")
        yield known[text]


def _append(out: Path, line: str) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("a", encoding="utf-8") as lines:
            lines.write(line)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}. Choose another file.") from error


def chosen_labels(bench: Bench, method: str, options: Options) -> tuple[I64, Options]:
    """The clustering asked for and its options; without any, its main option where the usual score is best: no value
    suits every model's distances."""
    if not options:
        by = bench.usual_score
        points = list(swept(bench, list(grid_points(bench, [method], ())), None, {}, by in INTERNAL))
        options = best_of_each(points, by, len(bench.vectors))[0]["options"]
    return bench.labels(method, options), options


def _finished(out: Path | None) -> dict[str, dict[str, Any]]:
    """Points of an earlier sweep by their key; a half-written last line is passed over."""
    found: dict[str, dict[str, Any]] = {}
    if out is None or not out.is_file():
        return found
    for line in out.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            point = json.loads(line)
            found[json.dumps({k: v for k, v in point.items() if k != "scores"}, sort_keys=True)] = point
        except (ValueError, AttributeError):
            continue
    return found


def better(score: str, rows: int = 0) -> Any:
    """A sort key that puts the best value of a score first, and NaN last.

    An internal score of `rows` rows counts for the share of them that is not noise: else three pairs of twins and
    sixty faces thrown away would be the best clustering.
    """

    def key(point: Mapping[str, Any]) -> float:
        value = float(point["scores"][score])
        share = 1.0 - point["scores"].get("noise", 0.0) / rows if rows and score in INTERNAL else 1.0
        if np.isnan(value) or share <= 0:
            return float("inf")
        return value / share if score in LOWER_IS_BETTER else -value * share

    return key


def best_of_each(points: Sequence[dict[str, Any]], by: str, rows: int = 0) -> list[dict[str, Any]]:
    """The best point of every method by a score (the first at a tie), best method first; see `better`."""
    key = better(by, rows)
    best: dict[str, dict[str, Any]] = {}
    for point in points:
        if by not in point["scores"]:
            raise ConfigError(f"{by} is not a score here. Scores: {', '.join(point['scores'])}.")
        if point["method"] not in best or key(point) < key(best[point["method"]]):
            best[point["method"]] = point
    return sorted(best.values(), key=key)


SHOWN = ("clusters", "bcubed_precision", "bcubed_recall", "bcubed_f", "pair_f", "nmi", "adjusted_rand", "wcp")


def sweep_table(points: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table: method, options, scores."""
    has = points[0]["scores"] if points else {}
    shown = [s for s in (*SHOWN, "noise", *INTERNAL) if s in has]
    lines = ["| method | options | " + " | ".join(shown) + " |", "|" + " --- |" * (len(shown) + 2)]
    for p in points:
        options = written(p["options"]) or "defaults"
        cells = [f"{p['scores'][s]:.0f}" if s in ("clusters", "noise") else f"{p['scores'][s]:.4f}" for s in shown]
        lines.append(f"| {p['method']} | {options} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
