"""Consolidation: all exemplars clustered from scratch on a snapshot, and the numbering that changes least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from streamer.clustering.remerge import Bars, Links, Pool, agglomerate
from streamer.items import I64


@dataclass(frozen=True, slots=True)
class Diff:
    """Which exemplars (by key) belong together: `cluster` (n,) arbitrary numbers."""

    keys: I64
    cluster: I64


@dataclass(slots=True)
class Snapshot:
    """All a consolidation needs; nothing in it is shared with the clusterer. To be used once.

    `pool` makes the sums: that is not for the insert path.
    """

    keys: I64
    pool: Callable[[], Pool]
    edges: Links
    bars: Bars
    conflicts: Links
    together: Links

    def cluster(self) -> Diff:
        """Average linkage over the exemplars, on the graph of neighbours seen when they were made."""
        return Diff(self.keys, agglomerate(self.pool(), self.edges, self.bars, self.conflicts, self.together))


def plan(
    diff: Diff, keys: I64, number: I64, sizes: I64, pinned: set[int], new_identity: Callable[[], int]
) -> tuple[I64, list[tuple[int, int, bool]]]:
    """((n,) the new identity of every exemplar, steps (old, new, whole) in the order in which to tell them).

    Clusters keep the number they overlap most (in tracks), pinned numbers choose first, then the larger overlap,
    then the older number. Exemplars made after the snapshot follow the larger part of their identity. `whole`: the
    rest of `old` becomes `new`.
    """
    cluster = _cluster_of(diff, keys, number, sizes)
    base = int(cluster.max()) + 1 if len(cluster) else 1
    pair, inverse = np.unique(number * base + cluster, return_inverse=True)
    overlap = np.bincount(inverse, weights=sizes).astype(np.int64)
    old, new = (pair // base).tolist(), (pair % base).tolist()
    parts, whole = np.unique(pair // base, return_counts=True), np.unique(pair % base, return_counts=True)
    plain = (parts[1][np.searchsorted(parts[0], pair // base)] == 1) & (
        whole[1][np.searchsorted(whole[0], pair % base)] == 1
    )  # one identity, one cluster: nothing to decide
    name = {new[i]: old[i] for i in np.flatnonzero(plain).tolist()}
    home = {old[i]: new[i] for i in np.flatnonzero(plain).tolist()}
    ranked = sorted(
        np.flatnonzero(~plain).tolist(), key=lambda i: (old[i] not in pinned, -int(overlap[i]), old[i], new[i])
    )
    for i in ranked:
        if new[i] not in name and old[i] not in home:
            name[new[i]], home[old[i]] = old[i], new[i]
    for c in sorted(set(new) - set(name)):
        name[c] = new_identity()
    steps: list[tuple[int, int, bool]] = []
    last: list[tuple[int, int, bool]] = []
    for i in ranked:
        if home.get(old[i]) == new[i]:
            continue
        if old[i] in home:
            steps.append((old[i], name[new[i]], False))
        else:  # the number loses all: its smaller parts are moved, the largest takes the number along as an alias
            home[old[i]] = new[i]
            last.append((old[i], name[new[i]], True))
    renamed = np.asarray([name[c] for c in new], np.int64)
    return renamed[inverse] if len(pair) else number.copy(), steps + last


def _cluster_of(diff: Diff, keys: I64, number: I64, sizes: I64) -> I64:
    """(n,) the cluster of every exemplar; those the snapshot did not know go with the larger part of their identity."""
    base = int(diff.cluster.max()) + 1 if len(diff.cluster) else 1
    order = np.argsort(diff.keys, kind="stable")
    at = np.minimum(np.searchsorted(diff.keys[order], keys), max(0, len(order) - 1))
    known = diff.keys[order][at] == keys if len(order) else np.zeros(len(keys), bool)
    out = np.where(known, diff.cluster[order][at] if len(order) else 0, -1)
    strange = np.unique(number[~known])
    torn = strange[np.isin(strange, number[known])]
    out[~known] = base + number[~known]  # nothing of them was looked at: they stay as they are
    for one in torn.tolist():
        mine = (number == one) & known
        out[(number == one) & ~known] = np.bincount(out[mine], weights=sizes[mine]).argmax()
    return np.unique(out, return_inverse=True)[1].astype(np.int64)
