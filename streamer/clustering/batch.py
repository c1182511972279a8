"""Batch clusterings for comparison and what-if: all items at once, labels 0..k-1 out, -1 = noise.

Every method takes vectors (n, d), n >= 0, and a metric: "cosine" works on unit rows with distance 1 - cos (methods that
know only Euclid get the unit rows, whose squared distance is 2 (1 - cos)), "euclid" on the rows as they are. Labels are
numbered in order of first appearance. Seeds are fixed: the same input gives the same labels.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamer.errors import ConfigError
from streamer.items import F64, I64

Linkage = Literal["ward", "average", "complete", "single", "centroid"]
LINKAGES: tuple[Linkage, ...] = get_args(Linkage)


def distances(vectors: ArrayLike, metric: str = "cosine") -> F64:
    """(n, n) distances, symmetric, zero on the diagonal."""
    from scipy.spatial.distance import cdist

    x = metric_rows(vectors, metric)
    d = np.clip(1.0 - x @ x.T, 0.0, 2.0) if metric == "cosine" else cdist(x, x)
    np.fill_diagonal(d, 0.0)
    return np.asarray((d + d.T) / 2, np.float64)


def k_means(vectors: ArrayLike, k: int, metric: str = "cosine", seed: int = 0) -> I64:
    """Labels by k-means (k-means++ starts, best of 10; scikit-learn)."""
    from sklearn.cluster import KMeans

    x = metric_rows(vectors, metric)
    return _numbered(KMeans(_at_most(k, x), n_init=10, random_state=seed).fit(x).labels_) if len(x) else _none()


def k_medoids(vectors: ArrayLike, k: int, metric: str = "cosine", rounds: int = 100) -> I64:
    """Labels by k-medoids: greedy build, then medoids and members in turn until nothing changes.

    The build is that of PAM (Kaufman and Rousseeuw 1990), the turns those of Park and Jun 2009.
    """
    d = distances(vectors, metric)
    if not len(d):
        return _none()
    medoids = _build(d, _at_most(k, d))
    for _ in range(rounds):
        nearest = d[:, medoids].argmin(1)
        members = [np.flatnonzero(nearest == j) for j in range(len(medoids))]
        better = [int(m[d[np.ix_(m, m)].sum(1).argmin()]) if len(m) else medoids[j] for j, m in enumerate(members)]
        if better == medoids:
            break
        medoids = better
    return _numbered(d[:, medoids].argmin(1))


def dbscan(vectors: ArrayLike, eps: float = 0.5, min_samples: int = 2, metric: str = "cosine") -> I64:
    """Labels by DBSCAN (Ester et al. 1996; scikit-learn). `eps` is a distance of the metric."""
    from sklearn.cluster import DBSCAN

    d = distances(vectors, metric)
    return (
        _numbered(DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit(d).labels_) if len(d) else _none()
    )


def hdbscan(vectors: ArrayLike, min_cluster_size: int = 2, min_samples: int = 1, metric: str = "cosine") -> I64:
    """Labels by HDBSCAN (Campello et al. 2013; the package hdbscan), Euclid on the metric's rows."""
    from hdbscan import HDBSCAN

    x = metric_rows(vectors, metric)
    if len(x) <= max(min_cluster_size, min_samples):
        return np.full(len(x), -1, np.int64)
    return _numbered(
        HDBSCAN(min_cluster_size=min_cluster_size, min_samples=min_samples, core_dist_n_jobs=1).fit(x).labels_
    )


def linkage(vectors: ArrayLike, method: Linkage = "average", metric: str = "cosine") -> F64:
    """SciPy's (n - 1, 4) merge table. Ward and centroid need Euclid: for cosine they run on the unit rows."""
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    if method not in LINKAGES:
        raise ConfigError(f"linkage {method!r} is not known. Linkages: {', '.join(LINKAGES)}.")
    if len(np.asarray(vectors)) < 2:
        return np.zeros((0, 4))
    if method in ("ward", "centroid"):
        return np.asarray(hierarchy.linkage(metric_rows(vectors, metric), method), np.float64)
    return np.asarray(hierarchy.linkage(squareform(distances(vectors, metric), checks=False), method), np.float64)


def agglomerative(
    vectors: ArrayLike,
    method: Linkage = "average",
    threshold: float | None = None,
    k: int | None = None,
    metric: str = "cosine",
) -> I64:
    """Labels by agglomerative clustering, cut at a height of the merge table or into at most k clusters.

    The height is in the units of `linkage`: for ward and centroid Euclidean on unit rows, sqrt(2 (1 - cos)) for a pair.
    """
    if (threshold is None) == (k is None):
        raise ConfigError(
            "an agglomerative clustering is cut by a threshold or into k clusters: give one of them, and only one "
            "(in the lab: --set threshold=0.5, or --set k=10)."
        )
    n = len(np.asarray(vectors))
    return cut(linkage(vectors, method, metric), threshold, k) if n > 1 else np.zeros(n, np.int64)


def cut(table: F64, threshold: float | None = None, k: int | None = None) -> I64:
    """Labels of a merge table cut at a height, or into at most k clusters."""
    from scipy.cluster.hierarchy import fcluster

    if k is None and threshold is None:
        raise ConfigError("a cut needs either threshold or k.")
    labels = fcluster(table, k, "maxclust") if k is not None else fcluster(table, float(threshold or 0), "distance")
    return _numbered(labels)


def chinese_whispers(
    vectors: ArrayLike, threshold: float = 0.5, rounds: int = 30, metric: str = "cosine", seed: int = 0
) -> I64:
    """Labels by Chinese whispers (Biemann 2006) on the graph of pairs closer than `threshold`.

    Each round visits all items in random order; an item takes the label with the greatest sum of closeness
    (threshold - distance) among its neighbours, the lowest label at a tie. Ends when a round changes nothing.
    """
    d = distances(vectors, metric)
    rng = np.random.default_rng(seed)
    near = [np.flatnonzero((row < threshold) & (np.arange(len(d)) != i)) for i, row in enumerate(d)]
    labels = np.arange(len(d))
    for _ in range(rounds):
        before = labels.copy()
        for i in rng.permutation(len(d)):
            if len(near[i]):
                seen, which = np.unique(labels[near[i]], return_inverse=True)
                labels[i] = seen[np.bincount(which, threshold - d[i, near[i]]).argmax()]
        if (labels == before).all():
            break
    return _numbered(labels)


def rank_order(vectors: ArrayLike, threshold: float = 1.0, neighbours: int = 20, metric: str = "cosine") -> I64:
    """Labels by approximate rank-order clustering (Otto, Wang and Jain 2016): one pass of transitive links.

    Two items are linked when the number of each one's nearest neighbours the other does not share, up to their own
    ranks and over the smaller rank, is below `threshold`. Only the first `neighbours` of each item are looked at.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    d = distances(vectors, metric)
    n = len(d)
    if n < 2:
        return np.zeros(n, np.int64)
    np.fill_diagonal(d, -1.0)  # an item is its own neighbour of rank 0, also among duplicates
    order = np.argsort(d, axis=1, kind="stable")[:, : neighbours + 1]
    rank = [{int(j): r for r, j in enumerate(row)} for row in order]
    links = [(a, b) for a in range(n) for b in rank[a] if b != a and _rank_distance(order, rank, a, b) < threshold]
    i, j = np.array(links, np.int64).reshape(-1, 2).T
    return _numbered(connected_components(coo_matrix((np.ones(len(i)), (i, j)), (n, n)), directed=False)[1])


def _rank_distance(order: NDArray[Any], rank: list[dict[int, int]], a: int, b: int) -> float:
    """The symmetric rank-order distance; a rank beyond the list counts as its end."""
    last = order.shape[1] - 1
    to, back = rank[a].get(b, last), rank[b].get(a, last)
    missing = sum(int(x) not in rank[b] for x in order[a, : to + 1])
    missing += sum(int(x) not in rank[a] for x in order[b, : back + 1])
    return float(missing / min(to, back))


@dataclass(frozen=True, slots=True)
class Method:
    """A method: `run(vectors, metric=..., **options)`; `knob` is what a sweep turns.

    `turns` says what the knob counts: a `distance` of the metric, a `height` of Euclidean merges on the metric's rows,
    a number of `clusters`; empty for a number with usual values of its own, in `grid`.
    """

    run: Callable[..., I64]
    knob: str
    turns: Literal["distance", "height", "clusters", ""] = "distance"
    grid: tuple[float, ...] = ()

    def values(self, distances: F64, steps: int = 16) -> tuple[float, ...]:
        """What a sweep tries on items at these distances (n, n).

        Thresholds run from half the usual distance to the nearest neighbour up to the usual distance of any two:
        models differ by a factor of ten there (nearest and usual 0.24 and 0.99 for EdgeFace, 0.03 and 0.15 for dlib).
        """
        n = len(distances)
        if self.grid or n < 3:
            return self.grid or (1.0,)
        if self.turns == "clusters":
            return tuple(float(k) for k in np.unique(np.geomspace(2, max(2, n / 2), steps).round()))
        low, high = usual(distances)
        found = np.linspace(low, high, steps)
        if self.turns == "height":  # a pair at cosine distance d stands at sqrt(2 d) on unit rows
            found = np.sqrt(2 * found)
        return tuple(float(f"{v:.3g}") for v in found)


def usual(distances: F64) -> tuple[float, float]:
    """Half the median distance to the nearest neighbour, and the median distance of any two of (n, n), n >= 2."""
    others = distances + np.diag(np.full(len(distances), np.inf))
    near = others.min(1)
    apart = float(np.median(distances[np.triu_indices(len(distances), 1)]))
    return min(float(np.median(near)) / 2, apart / 2), apart


def _linked(name: Linkage) -> Callable[..., I64]:
    def run(vectors: ArrayLike, threshold: float | None = None, k: int | None = None, metric: str = "cosine") -> I64:
        return agglomerative(vectors, name, threshold, k, metric)

    return run


METHODS: dict[str, Method] = {
    "k-means": Method(k_means, "k", "clusters"),
    "k-medoids": Method(k_medoids, "k", "clusters"),
    "dbscan": Method(dbscan, "eps"),
    "hdbscan": Method(hdbscan, "min_cluster_size", "", (2, 3, 5, 10)),
    "ward": Method(_linked("ward"), "threshold", "height"),
    "average": Method(_linked("average"), "threshold"),
    "complete": Method(_linked("complete"), "threshold"),
    "single": Method(_linked("single"), "threshold"),
    "centroid": Method(_linked("centroid"), "threshold", "height"),
    "chinese-whispers": Method(chinese_whispers, "threshold"),
    "rank-order": Method(rank_order, "threshold", "", (0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)),
}


def cluster(vectors: ArrayLike, method: str, metric: str = "cosine", **options: Any) -> I64:
    """Labels by a method of `METHODS`; ConfigError names the known ones and an option's place."""
    if method not in METHODS:
        raise ConfigError(f"{method} is not a clustering method. Methods: {', '.join(METHODS)}.")
    allowed = [p for p in inspect.signature(METHODS[method].run).parameters if p not in ("vectors", "metric")]
    for option in options:
        if option not in allowed:
            raise ConfigError(
                f"{option} is not an option of {method}. Its main option is {METHODS[method].knob}; "
                f"options: {', '.join(allowed)}."
            )
    if METHODS[method].turns == "clusters" and "k" not in options:
        raise ConfigError(f"{method} needs the number of clusters: k. Ask for one: whowhen lab suggest FILE")
    return METHODS[method].run(vectors, metric=metric, **options)


def _build(d: F64, k: int) -> list[int]:
    """The first medoids: the most central item, then whichever shortens the sum of distances most.

    The gain of every candidate is kept up to date from the items whose nearest medoid changed: they get few, so 839
    medoids of 3 874 items cost 1.6 CPU-seconds, clustering included.
    """
    medoids = [int(d.sum(1).argmin())]
    nearest = d[:, medoids[0]].copy()
    gain = np.maximum(nearest[:, None] - d, 0).sum(0)
    while len(medoids) < k:
        gain[medoids] = -np.inf
        medoids.append(int(gain.argmax()))
        closer = np.flatnonzero(d[:, medoids[-1]] < nearest)
        rows, before, after = d[closer], nearest[closer, None], d[closer, medoids[-1], None]
        gain -= (np.maximum(before - rows, 0) - np.maximum(after - rows, 0)).sum(0)
        nearest[closer] = after[:, 0]
    return medoids


def metric_rows(vectors: ArrayLike, metric: str) -> F64:
    """The rows (n, d) whose Euclidean distances fit the metric: unit for cosine. ConfigError for what is no vectors."""
    x = np.asarray(vectors, np.float64)
    if metric not in ("cosine", "euclid"):
        raise ConfigError(f"metric {metric!r} is not known. Choose cosine or euclid.")
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ConfigError(f"vectors must be finite rows (n, d), not {x.shape} or with NaN.")
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) if metric == "cosine" else x


def _at_most(k: int, items: F64) -> int:
    if k < 1:
        raise ConfigError(f"k is {k}. It is the number of clusters, at least 1.")
    return min(int(k), len(items))


def _numbered(labels: NDArray[Any]) -> I64:
    """Labels renumbered 0.. in order of first appearance; -1 stays."""
    out = np.full(len(labels), -1, np.int64)
    kept = np.flatnonzero(np.asarray(labels) >= 0)
    _, first, which = np.unique(np.asarray(labels)[kept], return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    out[kept] = place[which]
    return out


def _none() -> I64:
    return np.zeros(0, np.int64)
