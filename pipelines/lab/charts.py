"""Charts of the lab: numbers in, a matplotlib figure out. `save` writes PNG, SVG or PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError
from streamer.items import F32, F64, I64, U8

FORMATS = (".png", ".svg", ".pdf")
INK, PALE, GENUINE, IMPOSTOR, LINE = "#1f2933", "#9aa5b1", "#2a7d4f", "#b4552d", "#3b5b92"
COLOURS = ("#3b5b92", "#b4552d", "#2a7d4f", "#8a5a9e", "#b8902f", "#2f8f9d", "#a63d57", "#5b6b7a", "#7a7f2a", "#d0729a")
MOST_LEAVES = 80  # of a dendrogram; of more items only the upper merges are drawn


def figure(width: float = 8, height: float = 5) -> Any:
    """An empty figure, inches. ConfigError where matplotlib is missing."""
    try:
        from matplotlib import rcParams
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError('pictures need matplotlib. Run: pip install "whowhen[lab]"') from error
    rcParams.update({"svg.hashsalt": "whowhen", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    return Figure(figsize=(width, height), layout="constrained")


def save(made: Any, path: Path) -> Path:
    """Writes a figure in the format of the path's ending; the same figure gives the same bytes."""
    from streamer.reports.atomic import replacing

    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"{path}: pictures are written as {', '.join(FORMATS)}.")
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {"Software": None}}
    with replacing(path) as part:
        made.savefig(part, dpi=130, metadata=dates[path.suffix.lower()])
    return path


def svg(made: Any) -> str:
    """The figure as an SVG element to stand inside a page."""
    import io

    out = io.StringIO()
    made.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def dendrogram(
    table: F64, height: float | None, names: Sequence[str] | None, title: str, unit: str = "distance"
) -> Any:
    """A merge table as a tree, cut at a height: every cluster below the cut in a colour of its own."""
    from matplotlib.collections import LineCollection
    from scipy.cluster import hierarchy

    n = len(table) + 1
    few = n <= MOST_LEAVES
    drawn = hierarchy.dendrogram(
        table,
        no_plot=True,
        truncate_mode=None if few else "lastp",
        p=MOST_LEAVES,
        color_threshold=0 if height is None else height,
        above_threshold_color=PALE,
        link_color_func=_cluster_colours(table, height),
        leaf_label_func=lambda i: _leaf(i, n, names, table),
    )
    made = figure(10, 5)
    axes = made.subplots()
    tree = [list(zip(x, y)) for x, y in zip(drawn["icoord"], drawn["dcoord"])]
    axes.add_collection(LineCollection(tree, colors=drawn["color_list"], linewidths=1.1))
    axes.set_xlim(0, 10 * len(drawn["ivl"]))
    axes.set_ylim(0, max(float(table[:, 2].max()), height or 0) * 1.05)
    axes.set_xticks(5 + 10 * np.arange(len(drawn["ivl"])), drawn["ivl"], rotation=90, fontsize=6 if few else 5)
    if height is not None:
        axes.axhline(height, color=INK, linestyle="--", linewidth=1)
        axes.text(10 * len(drawn["ivl"]), height, f" {height:.3g}", va="center", fontsize=8)
    axes.set_ylabel(unit)
    axes.set_title(title)
    return made


def _cluster_colours(table: F64, height: float | None) -> Any:
    """Colour of a merge by its number: merges above the cut are pale, those below take their cluster's colour."""
    from scipy.cluster import hierarchy

    n = len(table) + 1
    if height is None:
        return lambda k: LINE
    labels = hierarchy.fcluster(table, height, "distance")
    first = np.arange(2 * n - 1)
    for k, row in enumerate(table):
        first[n + k] = first[int(row[0])]
    return lambda k: PALE if table[k - n, 2] > height else COLOURS[int(labels[first[k]]) % len(COLOURS)]


def _leaf(i: int, n: int, names: Sequence[str] | None, table: F64) -> str:
    if i < n:
        return names[i][:18] if names else str(i)
    return f"({int(table[i - n, 3])})"


def embedding_map(
    points: F64, labels: I64, title: str, pictures: Sequence[U8 | None] = (), names: Sequence[str] = ()
) -> Any:
    """Points (n, 2) as dots in their clusters' colours (grey: noise), or as the faces themselves, framed in them."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    made = figure(9, 8)
    axes = made.subplots()
    colours = [PALE if c < 0 else COLOURS[int(c) % len(COLOURS)] for c in labels]
    axes.scatter(points[:, 0], points[:, 1], s=14, c=colours, linewidths=0)
    for point, colour, picture in zip(points, colours, pictures):
        if picture is None:
            continue
        rgb = np.ascontiguousarray(picture[..., ::-1])
        face = AnnotationBbox(
            OffsetImage(rgb, zoom=26 / max(rgb.shape[:2])), point, pad=0.1, bboxprops={"edgecolor": colour, "lw": 1.4}
        )
        axes.add_artist(face)
    for name in sorted(set(names) - {""}):
        at = np.array([n == name for n in names])
        axes.annotate(name[:20], np.median(points[at], 0), fontsize=7, color=INK, ha="center")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.06)
    axes.set_title(title)
    return made


def pair_distances(
    genuine: F64, impostor: F64, thresholds: Mapping[str, float], title: str, unit: str = "distance"
) -> Any:
    """Both kinds of pairs as densities over their distance, with lines for thresholds."""
    made = figure(8, 4.5)
    axes = made.subplots()
    both = np.concatenate([genuine, impostor])
    edges = np.linspace(float(both.min()), float(both.max()) or 1.0, 61)
    for values, colour, label in ((genuine, GENUINE, "one person"), (impostor, IMPOSTOR, "two people")):
        axes.hist(values, edges, density=True, color=colour, alpha=0.55, label=f"{label} ({len(values):,} pairs)")
    top = axes.get_ylim()[1]
    for i, (name, value) in enumerate(sorted(thresholds.items(), key=lambda t: t[1])):
        axes.axvline(value, color=INK, linewidth=1, linestyle="--")
        axes.text(value, top * (0.97 - 0.08 * (i % 4)), f" {name} {value:.3g}", fontsize=8)
    axes.set_xlabel(unit)
    axes.set_ylabel("density")
    axes.legend(frameon=False)
    axes.set_title(title)
    return made


def confusion(counts: I64, people: Sequence[str], clusters: Sequence[str], title: str) -> Any:
    """How many faces of each person (rows) lie in each cluster (columns)."""
    made = figure(1.8 + 0.32 * len(clusters), 1.6 + 0.24 * len(people))
    axes = made.subplots()
    axes.imshow(counts / np.maximum(counts.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(counts):
        if value:
            dark = value > counts[i].sum() * 0.6
            axes.text(j, i, str(value), ha="center", va="center", fontsize=6, color="white" if dark else INK)
    axes.set_xticks(range(len(clusters)), clusters, rotation=90, fontsize=6)
    axes.set_yticks(range(len(people)), [p[:24] for p in people], fontsize=6)
    axes.set_xlabel("cluster")
    axes.set_title(title)
    return made


def segmentation(image: U8, parts: Mapping[int, U8], title: str) -> Any:
    """A picture and its segmentations side by side, BGR."""
    made = figure(3.2 * (len(parts) + 1), 3.4)
    row = made.subplots(1, len(parts) + 1, squeeze=False)[0]
    for axes, (label, picture) in zip(row, [("original", image), *((f"K = {k}", p) for k, p in parts.items())]):
        axes.imshow(np.ascontiguousarray(picture[..., ::-1]))
        axes.set_title(label)
        axes.axis("off")
    made.suptitle(title)
    return made


def sweep(points: Sequence[Mapping[str, Any]], by: str, title: str) -> Any:
    """A score over the option that is turned, one small chart per method."""
    chosen: dict[str, list[Mapping[str, Any]]] = {}
    for p in points:
        if len(p["options"]):
            chosen.setdefault(p["method"], []).append(p)
    if not chosen:
        raise ConfigError("nothing to draw: no method was swept over an option.")
    columns = min(4, len(chosen))
    rows = -(-len(chosen) // columns)
    made = figure(3 * columns, 2.4 * rows + 0.4)
    grid = made.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(chosen) :]:
        axes.axis("off")
    for axes, (method, some) in zip(grid, chosen.items()):
        option = next(iter(some[0]["options"]))
        x = np.array([p["options"][option] for p in some], float)
        y = np.array([p["scores"].get(by, np.nan) for p in some], float)
        order = np.argsort(x, kind="stable")
        axes.plot(x[order], y[order], marker="o", markersize=3, color=LINE)
        if option in ("k", "min_cluster_size") and (x > 0).all():
            axes.set_xscale("log")
        axes.set_title(method, fontsize=9)
        axes.set_xlabel(option, fontsize=8)
    made.suptitle(title)
    return made


def suggestions(found: Mapping[str, Any], title: str) -> Any:
    """The curves of elbow, silhouette and eigengap, with the k each suggests."""
    made = figure(4 * len(found), 3.4)
    for axes, (name, s) in zip(made.subplots(1, len(found), squeeze=False)[0], found.items()):
        axes.plot(s.ks, s.values, marker="o", markersize=3, color=LINE)
        axes.axvline(s.k, color=IMPOSTOR, linestyle="--", linewidth=1)
        axes.set_title(f"{name}: k = {s.k}")
        axes.set_xlabel("k")
        axes.set_ylabel(s.shows, fontsize=8)
    made.suptitle(title)
    return made


def roc(curves: Mapping[str, Any], title: str) -> Any:
    """TAR over FAR (logarithmic) of verifiers by name."""
    made = figure(6.5, 5)
    axes = made.subplots()
    least = 1.0
    for (name, v), colour in zip(curves.items(), COLOURS * 3):
        floor = 0.5 / v.different
        least = min(least, floor)
        axes.step(np.maximum(v.far, floor), v.tar, where="post", color=colour, label=f"{name} (AUC {v.auc:.4f})")
    axes.set_xscale("log")
    axes.set_xlim(least, 1)
    axes.set_ylim(0, 1.01)
    axes.set_xlabel("false accept rate")
    axes.set_ylabel("true accept rate")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    axes.set_title(title)
    return made


def projected(rows: F32 | F64, how: str, seed: int = 0) -> F64:
    """(n, 2): the rows on a plane by `pca`, `tsne` or `umap`. ConfigError for another name or a missing package."""
    x = np.asarray(rows, np.float64)
    if how not in ("pca", "tsne", "umap"):
        raise ConfigError(f"{how} is not a map. Choose pca, tsne or umap.")
    if len(x) < 4:
        raise ConfigError(f"a map needs at least 4 vectors, there are {len(x)}.")
    if how == "pca":
        from sklearn.decomposition import PCA

        return np.asarray(PCA(2, random_state=seed).fit_transform(x), np.float64)
    if how == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(x) - 1) / 3)
        return np.asarray(TSNE(2, perplexity=perplexity, random_state=seed, init="pca").fit_transform(x), np.float64)
    return _umap(x, seed)


def _umap(x: F64, seed: int) -> F64:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that TensorFlow is missing, which only parametric maps need
            from umap import UMAP
    except ImportError as error:
        raise ConfigError(
            'a UMAP map needs umap-learn. Run: pip install "whowhen[umap]", or take --by tsne.'
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fixed seed means one thread, which it says at each call
        made = UMAP(n_components=2, n_neighbors=min(15, len(x) - 1), random_state=seed, init="random")
        return np.asarray(made.fit_transform(x), np.float64)


def crosstable(identity: NDArray[Any], labels: I64, most: int = 30) -> tuple[I64, list[str], list[str]]:
    """(people, clusters) counts, people with most faces first, clusters in the order that makes a diagonal.

    At most `most` people, and the clusters they are in; what lies in smaller clusters of theirs is summed as "others".
    """
    names, counts = np.unique(identity, return_counts=True)
    people = np.sort(names[np.argsort(-counts, kind="stable")][:most])
    rows = np.isin(identity, people)
    found, column = np.unique(labels[rows], return_inverse=True)
    table = np.zeros((len(people), len(found)), np.int64)
    np.add.at(table, (np.searchsorted(people, identity[rows]), column), 1)
    return _diagonal(table, people.tolist(), ["noise" if c < 0 else str(c) for c in found], most)


def _diagonal(table: I64, people: list[str], clusters: list[str], most: int) -> tuple[I64, list[str], list[str]]:
    by_size = np.argsort(-table.sum(1), kind="stable")
    table = table[by_size]
    best = table.argmax(0)
    order = np.lexsort((-table.max(0), best))
    kept = order[np.isin(order, np.argsort(-table.max(0), kind="stable")[: most + 10])]
    rest = np.setdiff1d(order, kept)
    shown = table[:, kept]
    names = [clusters[c] for c in kept]
    if len(rest):
        shown = np.concatenate([shown, table[:, rest].sum(1, keepdims=True)], 1)
        names.append(f"{len(rest)} others")
    return shown, [people[i] for i in by_size], names
