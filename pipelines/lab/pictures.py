"""`whowhen lab picture`: dendrogram, map, pair distances, confusion, segmentation; and all of it in one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.lab.options import File, Least, Method, Metric, Of, Out, Settings, Taken, opened

if TYPE_CHECKING:
    from pipelines.lab.clusterings import Bench
    from pipelines.lab.vectors import Vectors
    from streamer.items import I64

app = typer.Typer(help="Pictures of a clustering: PNG, SVG or PDF.", no_args_is_help=True)
MOST_POINTS = 3_000  # of a map; t-SNE of more takes minutes
MOST_FACES = 150  # pictures on a map; more hide each other
Points = Annotated[int, typer.Option(help="Draw at most so many rows, taken evenly.", min=4)]


@app.command("dendrogram")
def dendrogram_command(
    file: File,
    out: Out,
    linkage: Annotated[str, typer.Option(help="ward, average, complete, single or centroid.")] = "average",
    cut: Annotated[
        float | None, typer.Option(help="Height of the cut. Default: the widest gap between merges.")
    ] = None,
    metric: Metric = "",
    at_least: Least = 1,
    of: Taken = Of.TRACKS,
) -> None:
    """The merges of an agglomerative clustering as a tree, with the cut."""
    from pipelines.lab import charts

    bench = _bench(file, metric, at_least, of)
    print(charts.save(draw_dendrogram(bench, linkage, cut), out))


@app.command("map")
def map_command(
    file: File,
    out: Out,
    by: Annotated[str, typer.Option(help="pca, tsne or umap.")] = "tsne",
    method: Method = "average",
    settings: Settings = None,
    faces: Annotated[int, typer.Option(help="Draw so many faces, the rest as dots.", min=0)] = MOST_FACES,
    most: Points = MOST_POINTS,
    metric: Metric = "",
    at_least: Least = 1,
    of: Taken = Of.TRACKS,
) -> None:
    """All faces on a plane, coloured by cluster, as thumbnails where there are pictures."""
    from pipelines.lab import charts

    bench = _bench(file, metric, at_least, of)
    print(charts.save(draw_map(bench, by, _labels(bench, method, settings), faces, most), out))


@app.command("pairs")
def pairs_command(file: File, out: Out, metric: Metric = "", at_least: Least = 1, of: Taken = Of.TRACKS) -> None:
    """Distances of pairs of one person and of two, with the best threshold and those of FAR 1e-2 and 1e-3."""
    from pipelines.lab import charts

    bench = _bench(file, metric, at_least, of)
    print(charts.save(draw_pairs(bench, file), out))


@app.command("confusion")
def confusion_command(
    file: File,
    out: Out,
    method: Method = "average",
    settings: Settings = None,
    most: Annotated[int, typer.Option(help="People shown, those with most faces.", min=1)] = 30,
    metric: Metric = "",
    at_least: Least = 1,
    of: Taken = Of.TRACKS,
) -> None:
    """Which person's faces lie in which cluster."""
    from pipelines.lab import charts

    bench = _bench(file, metric, at_least, of)
    print(charts.save(draw_confusion(bench, file, _labels(bench, method, settings), most), out))


@app.command("segment")
def segment_command(
    photo: Annotated[Path, typer.Argument(help="A picture.")],
    out: Out,
    k: Annotated[list[int] | None, typer.Option("--k", help="Colours. Repeat for more; default 2, 3, 10.")] = None,
) -> None:
    """K-means segmentation of a picture by colour."""
    from pipelines.lab import charts
    from pipelines.lab.segment import segmented
    from streamer.sources.images import read_image

    image = read_image(photo)
    parts = {number: segmented(image, number) for number in k or (2, 3, 10)}
    print(charts.save(charts.segmentation(image, parts, "k-means on colours"), out))


def report_command(
    file: File,
    out: Annotated[Path, typer.Option("--out", "-o", help="Page to write (.html).")],
    method: Method = "average",
    settings: Settings = None,
    by: Annotated[str, typer.Option(help="Map: pca, tsne or umap.")] = "tsne",
    photo: Annotated[Path | None, typer.Option(help="A picture to segment on the page.")] = None,
    metric: Metric = "",
    at_least: Least = 1,
    of: Taken = Of.TRACKS,
) -> None:
    """One page with scores and every picture of a clustering; opens from disk, asks no network."""
    from pipelines.lab.page import write_page

    bench = _bench(file, metric, at_least, of)
    labels = _labels(bench, method, settings)
    print(write_page(out, bench, file, method, labels, by, photo))


def _bench(file: Path, metric: str, at_least: int, of: Of) -> Bench:
    from pipelines.lab.clusterings import Bench
    from streamer.errors import ConfigError

    vectors, chosen = opened(file, metric, at_least, of)
    if len(vectors) < 2:
        raise ConfigError(f"{file} has {len(vectors)} vectors: there is nothing to draw.")
    return Bench(vectors, chosen)


def _labels(bench: Bench, method: str, settings: list[str] | None) -> I64:
    """The clustering asked for; without options, its main option where the score is best (names) or silhouette."""
    from pipelines.lab import clusterings as c

    options = c.options_of(settings or ())
    if options:
        return bench.labels(method, options)
    by = "bcubed_f" if bench.vectors.identity is not None else "silhouette"
    points = list(c.swept(bench, list(c.grid_points(bench, [method], ())), None, {}, by in c.INTERNAL))
    best = c.best_of_each(points, by)[0]
    return bench.labels(method, best["options"])


def draw_dendrogram(bench: Bench, linkage: str, cut: float | None) -> Any:
    """A dendrogram; without a height cut in the widest gap between two merges."""
    from pipelines.lab import charts

    table = bench.table(linkage)
    height = widest_gap(table[:, 2]) if cut is None else cut
    euclid = linkage in ("ward", "centroid") or bench.metric == "euclid"
    unit = "Euclidean distance" if euclid else "1 - cosine"
    known = bench.vectors.identity
    names = None if known is None else [n or "?" for n in known.tolist()]
    found = int((table[:, 2] > height).sum()) + 1
    title = f"{linkage} linkage of {len(bench.vectors)} faces, cut at {height:.3g}: {found} clusters"
    return charts.dendrogram(table, height, names, title, unit)


def widest_gap(heights: Any) -> float:
    """The middle of the widest gap between merge heights, in the upper half of them.

    Merges of one person are many and low, those of people high; the gap lies between. One merge: above it.
    """
    import numpy as np

    h = np.sort(np.asarray(heights, np.float64))
    if len(h) < 2:
        return float(h[0]) * 1.01 if len(h) else 1.0
    start = len(h) // 2
    upper = h[start:] if len(h) - start > 1 else h
    at = int(np.diff(upper).argmax())
    return float((upper[at] + upper[at + 1]) / 2)


def draw_map(bench: Bench, by: str, labels: I64, faces: int, most: int) -> Any:
    """A map of the rows, evenly thinned to `most`, with up to `faces` pictures."""
    import numpy as np

    from pipelines.lab import charts
    from streamer.clustering.batch import metric_rows

    n = len(bench.vectors)
    kept = np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.intp))
    points = charts.projected(metric_rows(bench.vectors.rows[kept], bench.metric), by)
    pictures: list[Any] = [None] * len(kept)
    shown = np.unique(np.linspace(0, len(kept) - 1, min(len(kept), faces)).round().astype(int)) if faces else ()
    for i, picture in zip(shown, bench.vectors.thumbnails([int(kept[i]) for i in shown])):
        pictures[i] = picture
    known = bench.vectors.identity
    names = known[kept].tolist() if known is not None and len(set(known[kept].tolist())) <= 20 else ()
    of = f"{len(kept)} of {n} faces" if len(kept) < n else f"{n} faces"
    return charts.embedding_map(points, labels[kept], f"{of} by {by}, coloured by cluster", pictures, names)


def draw_pairs(bench: Bench, file: Path) -> Any:
    """Distances of genuine and impostor pairs, of at most 3 000 rows with a name."""
    import numpy as np

    from pipelines.lab import charts
    from streamer.clustering.batch import distances
    from streamer.errors import ConfigError
    from streamer.evaluation.verification import verification

    vectors: Vectors = bench.vectors.known(file)
    if len(vectors) > MOST_POINTS:
        vectors = vectors.take(np.arange(MOST_POINTS))  # neighbours in the file: they hold the genuine pairs
    d = distances(vectors.rows, bench.metric)
    i, j = np.triu_indices(len(d), 1)
    names = vectors.named(file)
    same = names[i] == names[j]
    try:
        result = verification(-d[i, j], same)
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from error
    bars = {"best": -result.best}
    for far in (1e-2, 1e-3):
        accepted = result.thresholds[result.far <= far]
        if len(accepted) > 1:
            bars[f"FAR {far:g}"] = float(-accepted[-1])
    unit = "1 - cosine" if bench.metric == "cosine" else "Euclidean distance"
    title = f"pairs of {len(vectors)} faces: AUC {result.auc:.4f}, balanced accuracy {result.accuracy:.4f}"
    return charts.pair_distances(d[i, j][same], d[i, j][~same], bars, title, unit)


def draw_confusion(bench: Bench, file: Path, labels: I64, most: int) -> Any:
    """People against clusters."""
    from pipelines.lab import charts

    names = bench.vectors.named(file)
    known = names != ""
    counts, people, clusters = charts.crosstable(names[known], labels[known], most)
    more = len(set(names[known].tolist())) - len(people)
    return charts.confusion(counts, people, clusters, "faces in clusters" + (f" ({more} people more)" if more else ""))
