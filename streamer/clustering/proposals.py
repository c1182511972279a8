"""What a person may want to look at: identities that may be one, tracks that may be in the wrong one (HDBSCAN).

HDBSCAN (Campello, Moulavi, Sander 2013) over the exemplars has no threshold, so it sees structure that average
linkage at a fixed bar does not. It splits people by pose and merges relatives, so it only proposes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from streamer.clustering.people import People
from streamer.clustering.remerge import vetoed
from streamer.items import I64

LIMIT = 4000  # exemplars; HDBSCAN takes about a second for 2000 and its time grows with the square


@dataclass(frozen=True, slots=True)
class MergeProposal:
    """`a` < `b` may be one person: `share` of the smaller one's exemplars lie in a cluster of the other."""

    a: int
    b: int
    share: float
    distance: float  # average linkage, in the metric's own distance


@dataclass(frozen=True, slots=True)
class Unsure:
    """A track that lies nearly as near to identity `alternative` as to its own.

    `margin` is by how much its own one is nearer (mean dissimilarity, as a share of the link bar; below 0: the other
    is). `membership` is HDBSCAN's soft membership in the clusters that are mostly its own identity's.
    """

    track: int
    identity: int
    alternative: int
    margin: float
    membership: float


def propose(people: People, *, min_cluster_size: int = 2, share: float = 0.3) -> list[MergeProposal]:
    """Pairs of identities that may be one person, nearest first; those seen together too often are left out.

    A pair is proposed when HDBSCAN puts `share` of the exemplars of both into one cluster, or when an exemplar of one
    is nearer to the other than to the rest of its own. Few people are left in pieces, so few proposals are right: on
    generated streams of 4000 to 6000 tracks 1 of 28, 0 of 8 and 0 of 21 (relatives come first). A person decides.
    """
    rows, owner = _exemplars(people)
    total = Counter(owner.tolist())
    found = _sharing(_fit(people, rows, min_cluster_size)[0], owner, total, share)
    margin, rival = _margins(people, rows, owner)
    strays = Counter((int(a), int(b)) for a, b in zip(owner[margin < 0], rival[margin < 0]))
    for (i, j), n in strays.items():
        pair = (min(i, j), max(i, j))
        found[pair] = max(found.get(pair, 0.0), n / total[i])
    number = people.identities.number
    out = [
        MergeProposal(min(a, b), max(a, b), s, people.distance_between(a, b))
        for (i, j), s in found.items()
        for a, b in [(int(number[i]), int(number[j]))]
        if not _seen_together(people, i, j)
    ]
    return sorted(out, key=lambda p: (p.distance, p.a, p.b))


def unsure(people: People, *, link: float, margin: float = 0.17, min_cluster_size: int = 2) -> list[Unsure]:
    """Tracks with less than `margin` between their own and another identity, the least sure first.

    `link` is the pack's threshold. On a generated stream of 4000 tracks with 5 % wrong labels a third of the tracks
    with less than 0.17 are wrong, and they are a third of all wrong ones; soft membership alone tells nothing (12 %).
    """
    rows, owner = _exemplars(people)
    labels, soft = _fit(people, rows, min_cluster_size)
    gap, rival = _margins(people, rows, owner)
    gap = gap / people.space.dissimilarity(link)
    home = [Counter(owner[labels == c].tolist()).most_common(1)[0][0] for c in range(soft.shape[1])]
    number = people.identities.number
    out = []
    for i in np.flatnonzero(gap < margin).tolist():
        own = float(sum(soft[i, c] for c, slot in enumerate(home) if slot == owner[i]))
        for at in people.exemplars.members[int(rows[i])]:
            track, mine, other = int(people.tracks.number[at]), int(number[owner[i]]), int(number[rival[i]])
            out.append(Unsure(track, mine, other, float(gap[i]), own))
    return sorted(out, key=lambda u: (u.margin, u.track))


def _sharing(labels: I64, owner: I64, total: Counter[int], share: float) -> dict[tuple[int, int], float]:
    """Pairs of slots with `share` of their exemplars in one cluster, and the smaller one's share."""
    found: dict[tuple[int, int], float] = {}
    for label in range(int(labels.max()) + 1 if len(labels) else 0):
        inside = Counter(owner[labels == label].tolist())
        slots = sorted(s for s in inside if inside[s] / total[s] >= share)
        for i, j in combinations(slots, 2):
            small = min((i, j), key=lambda s: total[s])
            found[i, j] = max(found.get((i, j), 0.0), inside[small] / total[small])
    return found


def _margins(people: People, rows: I64, owner: I64) -> tuple[NDArray[np.float64], I64]:
    """How much nearer each exemplar is to the rest of its identity than to the nearest other one, and which that is.

    Infinite where an identity has no other exemplar, or is the only one.
    """
    ids, ex = people.identities, people.exemplars
    slots = np.unique(owner)
    if len(slots) < 2:
        return np.full(len(rows), np.inf), np.zeros(len(rows), np.int64)
    w, rest = ex.weight[rows], ids.weight[owner] - ex.weight[rows]
    sums, own_energy = ex.sums(rows), ex.energy[rows] / ex.weight[rows]
    alone = rest < 0.5
    dots = np.einsum("ij,ij->i", ids.sums[owner] - sums, sums) / (np.maximum(rest, 1e-9) * w)
    own = own_energy + (ids.energy[owner] - ex.energy[rows]) / np.maximum(rest, 1e-9) - dots
    means = ids.sums[slots] / ids.weight[slots][:, None].astype(np.float32)
    others = own_energy[:, None] + (ids.energy[slots] / ids.weight[slots])[None] - sums @ means.T / w[:, None]
    others[np.arange(len(rows)), np.searchsorted(slots, owner)] = np.inf
    margin = others.min(1) - own
    margin[alone] = np.inf
    return margin, slots[others.argmin(1)]


def _exemplars(people: People) -> tuple[I64, I64]:
    """(rows, owners) of the exemplars looked at: those of the largest identities when there are too many."""
    n = len(people.exemplars)
    owner = people.exemplars.owner[:n].copy()
    rows = np.arange(n)
    if n > LIMIT:
        order = np.argsort(-people.identities.count[owner], kind="stable")[:LIMIT]
        rows = np.sort(order)
    return rows, owner[rows]


def _fit(people: People, rows: I64, min_cluster_size: int) -> tuple[I64, NDArray[np.float64]]:
    """(labels (n,), soft membership (n, clusters)); all noise where there is too little."""
    import hdbscan

    x = people.exemplars.index.take(rows)[:, : people.space.dimension].astype(np.float64)
    none = np.full(len(rows), -1, np.int64)
    if len(rows) < max(4, 2 * min_cluster_size):
        return none, np.zeros((len(rows), 0))
    model = hdbscan.HDBSCAN(min_cluster_size=min_cluster_size, min_samples=1, prediction_data=True, core_dist_n_jobs=1)
    labels = np.asarray(model.fit_predict(x), np.int64)
    if labels.max() < 0:
        return none, np.zeros((len(rows), 0))
    soft = np.asarray(hdbscan.all_points_membership_vectors(model), np.float64)
    return labels, soft.reshape(len(rows), -1)


def _seen_together(people: People, i: int, j: int) -> bool:
    """Whether conflicts speak against one person in slots i and j."""
    place = np.full(len(people.identities.rows), -1, np.int64)
    place[[i, j]] = 0, 1
    total = np.array([int(people.conflicts(place).weight.sum())])
    count = people.identities.count
    return bool(vetoed(total, count[[i]], count[[j]])[0])
