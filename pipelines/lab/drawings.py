"""What the pictures of the lab show: a clustering made into a dendrogram, a map, pair distances, a confusion table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.lab.clusterings import Bench
    from pipelines.lab.vectors import Vectors
    from streamer.items import I64

MOST_POINTS = 3_000  # of a map; t-SNE of more takes minutes
MOST_FACES = 150  # pictures on a map; more hide each other


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
