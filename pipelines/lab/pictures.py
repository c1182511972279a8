"""`whowhen lab picture`: dendrogram, map, pair distances, confusion, segmentation; and all of it in one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.lab.drawings import MOST_FACES, MOST_POINTS, draw_confusion, draw_dendrogram, draw_map, draw_pairs
from pipelines.lab.options import File, Least, Method, Metric, Of, Out, Settings, Taken, opened

if TYPE_CHECKING:
    from pipelines.lab.clusterings import Bench
    from streamer.items import I64

app = typer.Typer(help="Pictures of a clustering: PNG, SVG or PDF.", no_args_is_help=True)
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
    from pipelines.lab.clusterings import chosen_labels, options_of
    from pipelines.lab.page import write_page

    bench = _bench(file, metric, at_least, of)
    labels, options = chosen_labels(bench, method, options_of(settings or ()))
    print(write_page(out, bench, file, method, labels, options, by, photo))


def _bench(file: Path, metric: str, at_least: int, of: Of) -> Bench:
    from pipelines.lab.clusterings import Bench
    from streamer.errors import ConfigError

    vectors, chosen = opened(file, metric, at_least, of)
    if len(vectors) < 2:
        raise ConfigError(f"{file} has {len(vectors)} vectors: there is nothing to draw.")
    return Bench(vectors, chosen)


def _labels(bench: Bench, method: str, settings: list[str] | None) -> I64:
    from pipelines.lab.clusterings import chosen_labels, options_of

    return chosen_labels(bench, method, options_of(settings or ()))[0]
