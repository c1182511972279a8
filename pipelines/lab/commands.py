"""`whowhen lab methods`, `cluster`, `sweep`, `suggest`, `verify`: clusterings, how many people, verification."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.lab.counting import Counter
from pipelines.lab.options import File, Json, Least, Method, Metric, Of, Plot, Settings, Taken, opened

MOST_ROWS = 20_000  # (n, n) distances of so many take 3.2 GB


def cluster_command(
    file: File,
    method: Method = "average",
    metric: Metric = "",
    at_least: Least = 1,
    of: Taken = Of.TRACKS,
    settings: Settings = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="CSV with the cluster of every row.")] = None,
    as_json: Json = False,
) -> int:
    """Cluster the rows of a file and score them, against their names where the file has some.

    Without --set, the method's main option is the one that scores best (silhouette where nobody has a name).
    """
    from pipelines.lab.clusterings import Bench, chosen_labels, options_of, written
    from pipelines.lab.vectors import write_labels

    vectors, metric = opened(file, metric, at_least, of)
    bench = Bench(vectors, metric)
    given = options_of(settings or ())
    labels, options = chosen_labels(bench, method, given)
    if not given:
        print(f"{method} {written(options)}, the best of its grid (whowhen lab sweep)", file=sys.stderr)
    if out:
        write_labels(out, labels, vectors.identity)
    found = bench.marks(labels)
    print(json.dumps(found, indent=2) if as_json else "\n".join(f"{k:20} {v:.4f}" for k, v in found.items()))
    return 0


def sweep_command(
    file: File,
    methods: Annotated[list[str] | None, typer.Option("--method", "-m", help="Repeat for more; default: all.")] = None,
    metric: Metric = "",
    at_least: Least = 1,
    of: Taken = Of.TRACKS,
    grid: Annotated[list[str] | None, typer.Option("--grid", help="name=v1,v2,... Default: the method's own.")] = None,
    by: Annotated[
        str, typer.Option(help="Score that decides what is best. Default: bcubed_f, without names silhouette.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="JSON lines; finished points are not done again.")
    ] = None,
    plot: Plot = None,
    every: Annotated[bool, typer.Option("--all", help="Print every point, not only the best of each method.")] = False,
    as_json: Json = False,
) -> int:
    """Try a grid of options for each method; print the best of each by a score."""
    from pipelines.lab import clusterings as c

    vectors, metric = opened(file, metric, at_least, of)
    bench = c.Bench(vectors, metric)
    by = by or bench.usual_score
    points = list(c.grid_points(bench, methods or list(c.methods()), grid or ()))
    about = {"file": str(file), "of": of.value, "at_least": at_least, "rows": len(vectors)}
    done: list[dict[str, Any]] = []
    counter = Counter("sweep", len(points))
    for number, point in enumerate(c.swept(bench, points, out, about, by in c.INTERNAL), 1):
        counter(number, f"{point['method']} {c.written(point['options'])}")
        done.append(point)
    counter.end()
    best = c.best_of_each(done, by, len(vectors))
    if plot:
        from pipelines.lab import charts

        charts.save(charts.sweep(done, by, f"{by} of {len(vectors)} vectors"), plot)
    shown = done if every else best
    print(json.dumps(shown, indent=2) if as_json else c.sweep_table(shown))
    if best and not as_json:
        first = best[0]
        told = f"{first['method']} {c.written(first['options'])} {first['scores'][by]:.4f}"
        print(f"best {by}: {told}", file=sys.stderr)
    return 0


def suggest_command(
    file: File,
    metric: Metric = "",
    of: Taken = Of.TRACKS,
    most: Annotated[int, typer.Option(help="Greatest k.", min=3)] = 30,
    plot: Plot = None,
    as_json: Json = False,
) -> int:
    """How many people there may be: elbow and silhouette of k-means, eigengap of the neighbour graph."""
    from streamer.clustering import suggest
    from streamer.errors import ConfigError

    vectors, metric = opened(file, metric, 1, of)
    rows = vectors.rows
    if len(rows) < 4:
        raise ConfigError(f"{file} has {len(rows)} vectors; a number of people can be guessed from 4 on.")
    ks = suggest.spread(min(most, len(rows) - 1))
    found = {
        "elbow": suggest.elbow(rows, ks, metric),
        "silhouette": suggest.silhouettes(rows, ks, metric),
        "eigengap": suggest.eigengap(rows, most, metric=metric),
    }
    if plot:
        from pipelines.lab import charts

        charts.save(charts.suggestions(found, f"how many people are these {len(rows)} faces?"), plot)
    if as_json:
        print(json.dumps({name: s.k for name, s in found.items()}))
    else:
        for name, s in found.items():
            print(f"{name:12}{s.k}")
    return 0


def verify_command(
    file: File, at_least: Least = 1, of: Taken = Of.TRACKS, plot: Plot = None, as_json: Json = False
) -> int:
    """ROC of all pairs of a file with true names: AUC, TAR at FAR, best threshold (cosine similarity)."""
    from streamer.errors import ConfigError
    from streamer.evaluation.verification import FARS, all_pairs, verification

    vectors, _ = opened(file, "cosine", at_least, of)
    vectors = vectors.known(file)
    try:
        result = verification(*all_pairs(vectors.rows, vectors.named(file)))
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from error
    found = {"same": result.same, "different": result.different, "auc": result.auc}
    found |= {f"tar_at_far_{f:g}": result.tar_at(f) for f in FARS}
    found |= {"best_threshold": result.best, "balanced_accuracy": result.accuracy}
    if plot:
        from pipelines.lab import charts

        charts.save(
            charts.roc({file.stem: result}, f"{result.same:,} same, {result.different:,} different pairs"), plot
        )
    print(json.dumps(found, indent=2) if as_json else "\n".join(f"{k:20} {v:.5g}" for k, v in found.items()))
    return 0


def methods_command() -> int:
    """Names of the clustering methods with their main option and what it counts."""
    from streamer.clustering.batch import METHODS

    told = {"distance": "a distance", "height": "a height of Euclidean merges", "clusters": "how many clusters"}
    for name, method in METHODS.items():
        usual = ", ".join(f"{v:g}" for v in method.grid)
        print(f"{name:18} {method.knob:18} {told.get(method.turns) or f'a number, usually {usual}'}")
    print(f"{'online':18} {'link':18} a similarity (cosine) or distance (euclid), as in a model pack")
    return 0
