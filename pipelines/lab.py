"""`whowhen lab`: clusterings, sweeps and verification on embedding files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamer.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.lab_files import Vectors
    from streamer.items import I64

app = typer.Typer(help="Compare clusterings and embedders on your own faces.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="Embedding file: npz, npy, parquet or csv.")]
Metric = Annotated[str, typer.Option(help="cosine or euclid, as the embedder wants.")]
Least = Annotated[int, typer.Option(help="Leave out people with fewer rows than this.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="An option of the method: name=value. Repeat for more.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
SHOWN = ("clusters", "bcubed_precision", "bcubed_recall", "bcubed_f", "pair_f", "nmi", "adjusted_rand", "wcp")


@app.command("cluster")
def cluster_command(
    file: File,
    method: Annotated[str, typer.Option("--method", "-m", help="Name of a method, see `lab methods`.")] = "average",
    metric: Metric = "cosine",
    at_least: Least = 1,
    settings: Settings = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="CSV with the cluster of every row.")] = None,
    as_json: Json = False,
) -> int:
    """Cluster the rows of a file and score them, against their names where the file has some."""
    from pipelines.lab_files import read_vectors, write_labels

    vectors = read_vectors(file, at_least)
    labels = labels_of(vectors, method, metric, options_of(settings or ()))
    if out:
        write_labels(out, labels, vectors.identity)
    found = marks(vectors, labels, metric)
    print(json.dumps(found, indent=2) if as_json else "\n".join(f"{k:20} {v:.4f}" for k, v in found.items()))
    return 0


@app.command("sweep")
def sweep_command(
    file: File,
    methods: Annotated[list[str] | None, typer.Option("--method", "-m", help="Repeat for more; default: all.")] = None,
    metric: Metric = "cosine",
    at_least: Least = 1,
    grid: Annotated[list[str] | None, typer.Option("--grid", help="name=v1,v2,... Default: the method's own.")] = None,
    by: Annotated[str, typer.Option(help="Score that decides what is best.")] = "bcubed_f",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="JSON lines; finished points are not done again.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Try a grid of options for each method; print the best of each by a score. The file must have true names."""
    import sys

    from pipelines.lab_files import read_vectors

    vectors = read_vectors(file, at_least)
    vectors.named(file)
    points = list(grid_points(methods or list(all_methods()), grid or ()))
    done: list[dict[str, Any]] = []
    for number, point in enumerate(swept(vectors, points, metric, out, str(file), at_least), 1):
        print(f"\r{number}/{len(points)} {point['method']:20}", end="", file=sys.stderr)
        done.append(point)
    print(file=sys.stderr)
    best = best_of_each(done, by)
    print(json.dumps(best, indent=2) if as_json else sweep_table(best))
    return 0


@app.command("verify")
def verify_command(file: File, at_least: Least = 1, as_json: Json = False) -> int:
    """ROC of all pairs of a file with true names: AUC, TAR at FAR, best threshold (cosine similarity)."""
    from pipelines.lab_files import read_vectors
    from streamer.evaluation.verification import FARS, all_pairs, verification

    vectors = read_vectors(file, at_least)
    try:
        result = verification(*all_pairs(vectors.rows, vectors.named(file)))
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from error
    found: dict[str, float] = {"same": result.same, "different": result.different, "auc": result.auc}
    found |= {f"tar_at_far_{far:g}": result.tar_at(far) for far in FARS}
    found |= {"best_threshold": result.best, "balanced_accuracy": result.accuracy}
    print(json.dumps(found, indent=2) if as_json else "\n".join(f"{k:20} {v:.5g}" for k, v in found.items()))
    return 0


@app.command("methods")
def methods_command() -> int:
    """Names of the clustering methods with their main option and the values a sweep tries."""
    from streamer.clustering.batch import METHODS

    for name, method in METHODS.items():
        print(f"{name:18} {method.knob:18} {', '.join(f'{v:g}' for v in method.grid)}")
    return 0


@app.command("suggest")
def suggest_command(
    file: File, metric: Metric = "cosine", most: Annotated[int, typer.Option(help="Greatest k.")] = 30
) -> int:
    """How many people there may be: elbow and silhouette of k-means, eigengap of the neighbour graph."""
    from pipelines.lab_files import read_vectors
    from streamer.clustering import batch

    rows = read_vectors(file).rows
    ks = range(1, min(most, len(rows) - 1) + 1)
    print(f"elbow       {batch.elbow(rows, ks, metric)}")
    print(f"silhouette  {batch.best_silhouette(rows, ks, metric)}")
    print(f"eigengap    {batch.eigengap(rows, most, metric=metric)}")
    return 0


def all_methods() -> Sequence[str]:
    """Names of every batch method."""
    from streamer.clustering.batch import METHODS

    return tuple(METHODS)


def options_of(settings: Sequence[str]) -> dict[str, float | int]:
    """name=value pairs as numbers, whole ones as int."""
    out: dict[str, float | int] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        out[name] = number(value, setting) if equals else number("", setting)
    return out


def number(text: str, whole: str) -> float | int:
    """The number a text stands for; ConfigError names the setting it is part of."""
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError as error:
        raise ConfigError(f"{whole!r} is no option with a number. Write name=value, e.g. eps=0.5.") from error


def labels_of(vectors: Vectors, method: str, metric: str, options: dict[str, float | int]) -> I64:
    """Labels by a batch method or by ours (`online`: options link, merge)."""
    if method == "online":
        return _online(vectors, metric, options)
    from streamer.clustering.batch import cluster

    return cluster(vectors.rows, method, metric, **options)


def _online(vectors: Vectors, metric: str, options: dict[str, float | int]) -> I64:
    """Every row as a track of one face, in the file's order."""
    import numpy as np

    from streamer.clustering.online import OnlineClusterer
    from streamer.items import Tracklet
    from streamer.vectors import unit

    rows = unit(vectors.rows) if metric == "cosine" else vectors.rows
    keywords: dict[str, Any] = dict(options)
    clusterer = OnlineClusterer(rows.shape[1], metric=metric, **keywords)
    clusterer.add([Tracklet(i + 1, "", float(i), float(i), 1, r, r[None]) for i, r in enumerate(rows)])
    clusterer.finish()
    found = clusterer.labels()
    return np.array([-1 if (label := found.get(i + 1)) is None else label for i in range(len(rows))], np.int64)


def marks(vectors: Vectors, labels: I64, metric: str) -> dict[str, float]:
    """External scores where the rows have names, internal ones otherwise."""
    from streamer.evaluation import internal_scores, scores

    if vectors.identity is not None:
        return scores(vectors.identity, labels)
    return internal_scores(vectors.rows, labels, "cosine" if metric == "cosine" else "euclidean")


def grid_points(methods: Sequence[str], grid: Sequence[str]) -> Iterator[tuple[str, dict[str, float | int]]]:
    """Every (method, options) of the grid; without one, the usual values of each method's main option."""
    from streamer.clustering.batch import METHODS

    axes: dict[str, list[float | int]] = {}
    for axis in grid:
        name, _, values = axis.partition("=")
        axes[name] = [number(v, axis) for v in values.split(",")]
    for method in methods:
        if method not in METHODS and method != "online":
            raise ConfigError(f"{method} is not a clustering method. Methods: {', '.join(METHODS)}, online.")
        own: dict[str, list[float | int]] = axes
        if not own:
            own = {METHODS[method].knob: list(METHODS[method].grid)} if method in METHODS else {}
        for chosen in product(*own.values()):
            yield method, dict(zip(own, chosen))


def swept(
    vectors: Vectors,
    points: Sequence[tuple[str, dict[str, float | int]]],
    metric: str,
    out: Path | None,
    file: str = "",
    at_least: int = 1,
) -> Iterator[dict[str, Any]]:
    """Scores of every point, in order. Points that `out` already holds for this file are read, new ones appended."""
    known = _finished(out)
    if out and out.is_file() and not out.read_bytes().endswith(b"\n"):
        with out.open("a", encoding="utf-8") as lines:  # a line cut short by a kill must not swallow the next one
            lines.write("\n")
    for method, options in points:
        key = {"file": file, "at_least": at_least, "metric": metric, "method": method, "options": options}
        text = json.dumps(key, sort_keys=True)
        if text not in known:
            labels = labels_of(vectors, method, metric, options)
            known[text] = key | {"scores": marks(vectors, labels, metric)}
            if out:
                with out.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(known[text], sort_keys=True) + "\n")
        yield known[text]


def _finished(out: Path | None) -> dict[str, dict[str, Any]]:
    """Points of an earlier sweep by their key; a half-written last line is passed over."""
    found: dict[str, dict[str, Any]] = {}
    if out is None or not out.is_file():
        return found
    for line in out.read_text(encoding="utf-8").splitlines():
        try:
            point = json.loads(line)
        except ValueError:
            continue
        found[json.dumps({k: v for k, v in point.items() if k != "scores"}, sort_keys=True)] = point
    return found


def best_of_each(points: Sequence[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    """The best point of every method by a score (the first at a tie), best method first."""
    best: dict[str, dict[str, Any]] = {}
    for point in points:
        if by not in point["scores"]:
            raise ConfigError(f"{by} is not a score here. Scores: {', '.join(point['scores'])}.")
        if point["method"] not in best or point["scores"][by] > best[point["method"]]["scores"][by]:
            best[point["method"]] = point
    return sorted(best.values(), key=lambda p: -p["scores"][by])


def sweep_table(points: Sequence[dict[str, Any]]) -> str:
    """One line per point: method, options, scores."""
    head = "| method | options | " + " | ".join(SHOWN) + " |"
    lines = [head, "|" + " --- |" * (len(SHOWN) + 2)]
    for p in points:
        options = " ".join(f"{k}={v:g}" for k, v in p["options"].items()) or "defaults"
        cells = [f"{p['scores'][s]:.0f}" if s == "clusters" else f"{p['scores'][s]:.4f}" for s in SHOWN]
        lines.append(f"| {p['method']} | {options} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
