"""What people say about tracks, carried out at once: one person, two persons, forget them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from streamer.clustering.consolidate import Diff
from streamer.clustering.constraints import MUST
from streamer.clustering.events import REMOVED
from streamer.clustering.remerge import USER, Bars, Links, Pool, agglomerate
from streamer.clustering.repair import Repair
from streamer.errors import ConfigError, StoreError
from streamer.items import F32, Assigned, Dissolved


def must_link(people: Repair, a: int, b: int) -> None:
    """Merges the identities of two tracks; a conflict seen between just these two is taken for wrong."""
    at = _positions(people, a, b, must=True)
    if at is None:
        return
    i, j = at
    si, sj = people.slot(i), people.slot(j)
    number = people.identities.number
    apart = si >= 0 and sj >= 0 and si != sj and people.parted(int(number[si]), int(number[sj]), (i, j))
    for one, slot in ((i, sj), (j, si)):
        others = (o for o in people.constraints.of(one, USER) if {o, one} != {i, j})
        apart |= slot >= 0 and people.slot(one) < 0 and slot in {people.slot(o) for o in others}
    if apart:
        raise ConfigError(
            f"tracks {a} and {b} cannot be one person: their identities hold tracks "
            "that were said to be two persons. Take that back first (unlink)."
        )
    for one, other in ((i, j), (j, i)):
        if people.slot(one) < 0:
            seat(people, one, people.slot(other))
    people.constraints.require(i, j)
    si, sj = people.slot(i), people.slot(j)
    if si != sj:
        people.merge(int(number[si]), int(number[sj]), "user")
    people.settle_conflicts()


def cannot_link(people: Repair, a: int, b: int) -> None:
    """Parts two tracks: their identity falls into as few pieces as the user allows, the nearest staying together."""
    at = _positions(people, a, b, must=False)
    if at is None:
        return
    i, j = at
    said = people.constraints.must & {(i, j)}
    people.constraints.must -= said
    units = people.constraints.components()
    if i in units and units[i] == units.get(j):
        people.constraints.must |= said
        raise ConfigError(
            f"tracks {a} and {b} cannot be two persons: others were said to be the same as both. "
            "Take that back first (unlink)."
        )
    people.constraints.forbid(i, j, USER)
    if people.slot(i) >= 0 and people.slot(i) == people.slot(j):
        if people.tracks.row[i] == people.tracks.row[j]:
            detach(people, i if people.tracks.light[i] and not people.tracks.light[j] else j)
        _part(people, people.slot(i))
    people.settle_conflicts()


def unlink(people: Repair, a: int, b: int) -> None:
    """Takes back must-link and cannot-link of two tracks, and the machine's conflict with it."""
    waiting = people.constraints.waiting
    for late, other in ((a, b), (b, a)):
        waiting[late] = [w for w in waiting.get(late, []) if w[0] != other]
        if not waiting[late]:
            del waiting[late]
    known = people.tracks.position
    if a in known and b in known:
        i, j = sorted((known[a], known[b]))
        people.constraints.must.discard((i, j))
        people.constraints.forget([(i, j)])
        people.settle_conflicts()


def erase(people: Repair, tracks: Iterable[int]) -> None:
    """Takes tracks out of everything. What shared an exemplar with them is summed anew."""
    numbers = sorted({t for t in tracks if t in people.tracks.position})
    gone = {people.tracks.position[t] for t in numbers}
    rows = sorted({int(people.tracks.row[at]) for at in gone} - {-1})
    stay = {row: [m for m in people.exemplars.members[row] if m not in gone] for row in rows}
    heavy = {row: [m for m in members if not people.tracks.light[m]] for row, members in stay.items()}
    was = {row: sum(not people.tracks.light[m] for m in people.exemplars.members[row]) for row in rows}
    sums = {
        row: people.vectors_of(m) for row, m in heavy.items() if m and len(m) < was[row]
    }  # may raise: nothing is changed yet
    orphans = {row: stay[row] for row in rows if stay[row] and not heavy[row]}
    adopted = {row: people.vectors_of(m[:1]) for row, m in orphans.items()}
    slots = sorted({int(people.exemplars.owner[row]) for row in rows})
    for row in rows:
        people.exemplars.members[row] = stay[row]
        if row in sums:
            _refill(people, row, sums[row])
    for (
        row,
        vector,
    ) in adopted.items():  # only low-quality tracks are left: the first of them carries the exemplar from now on
        _refill(people, row, vector)
        people.tracks.light[orphans[row][0]] = False
    for row in sorted((r for r in rows if not stay[r]), reverse=True):
        _drop(people, row)
    _forget(people, numbers, gone)
    for slot in slots:
        _refresh(people, slot)
    people.settle_conflicts()


def _forget(people: Repair, numbers: list[int], gone: set[int]) -> None:
    """Every other trace of the tracks."""
    people.end_exile(sorted(gone), REMOVED)
    people.constraints.forget_tracks(gone)
    for number in numbers:
        at = people.tracks.position.pop(number)
        people.constraints.waiting.pop(number, None)
        people.pending.pop(at, None)
        people.tracks.number[at], people.tracks.row[at] = 0, -1
        if people.tracks.keep_vectors:
            people.tracks.vectors[at] = 0.0
        people.emit(Assigned(people.next_seq(), number, None, float("nan"), reason=REMOVED))


def _drop(people: Repair, row: int) -> None:
    """Removes an exemplar without members; the last one moves into its row."""
    ex, ids = people.exemplars, people.identities
    ids.rows[int(ex.owner[row])].remove(row)
    last = ex.remove(row)
    if last != row:
        people.tracks.row[ex.members[row]] = row
        rows = ids.rows[int(ex.owner[row])]
        rows[rows.index(last)] = row


def _refresh(people: Repair, slot: int) -> None:
    """Sums of an identity anew from its exemplars; an empty one ends."""
    ids = people.identities
    if ids.rows[slot]:
        ids.recompute(slot, ids.rows[slot], people.exemplars)
        return
    number = int(ids.number[slot])
    ids.pinned.discard(number)
    ids.end(slot)
    people.emit(Dissolved(people.next_seq(), number, REMOVED))


def _refill(people: Repair, row: int, vectors: F32) -> None:
    """The exemplar is the sum of these vectors."""
    energy = float(people.space.energy(vectors).sum())
    people.exemplars.replace(row, np.asarray(vectors.sum(0), np.float32), energy, float(len(vectors)))


def withdraw(people: Repair, at: int) -> None:
    """A low-quality track leaves its identity (or the waiting ones) without an event; it is in no sum."""
    row = int(people.tracks.row[at])
    if row >= 0:
        people.exemplars.members[row].remove(at)
        people.identities.count[people.slot(at)] -= 1
    people.pending.pop(at, None)
    people.tracks.row[at] = -1
    people.end_exile([at], "gate")


def revise(people: Repair, at: int, vector: F32) -> None:
    """A track's vector is replaced by a newer one; needs kept vectors, or a reader of those of the other tracks."""
    row = int(people.tracks.row[at])
    if people.tracks.keep_vectors:
        people.tracks.vectors[at] = vector
    others = [m for m in people.exemplars.members[row] if m != at and not people.tracks.light[m]]
    _refill(people, row, np.vstack([vector[None], people.vectors_of(others)]) if others else vector[None])
    _refresh(people, people.slot(at))


def seat(people: Repair, at: int, slot: int, reason: str = "user") -> None:
    """A track of nobody goes to an identity (at its first exemplar), or to a new one when slot is -1."""
    ids, ex = people.identities, people.exemplars
    vector = people.pending.pop(at)
    if slot < 0:
        slot = ids.create(people.new_identity())
        energy = float(people.space.energy(vector[None])[0])
        ids.rows[slot].append(ex.create(vector, energy, 1.0, slot))
        ids.absorb(slot, vector, energy)
        people.tracks.light[at] = False
    row = ids.rows[slot][0]
    ex.members[row].append(at)
    people.tracks.row[at] = row
    ids.count[slot] += 1
    people.move(at, int(ids.number[slot]), reason)


def detach(people: Repair, at: int) -> None:
    """The track gets an exemplar of its own in its identity; without kept vectors the old one's mean stands for it."""
    ex, row, slot = people.exemplars, int(people.tracks.row[at]), people.slot(at)
    rest = [m for m in ex.members[row] if m != at]
    heavy = [m for m in rest if not people.tracks.light[m]]
    try:
        vector, others = people.vectors_of([at])[0], people.vectors_of(heavy)
    except StoreError:
        vector = np.asarray(ex.sums(row) / np.float32(ex.weight[row]), np.float32)
        others = np.repeat(vector[None], len(heavy), 0)
    ex.members[row] = rest
    _refill(people, row, others)
    new = ex.create(vector, float(people.space.energy(vector[None])[0]), 1.0, slot, ex.key[np.array([row])])
    ex.members[new] = [at]
    people.tracks.row[at], people.tracks.light[at] = new, False
    people.identities.recompute(slot, [*people.identities.rows[slot], new], ex)


def _part(people: Repair, slot: int) -> None:
    """Re-clusters one identity's exemplars under the user's words alone."""
    ex, n = people.exemplars, len(people.exemplars)
    rows = np.asarray(people.identities.rows[slot], np.int64)
    local = np.full(n, -1, np.int64)
    local[rows] = np.arange(len(rows))
    track_row = people.tracks.row[: people.tracks.count]
    place = np.where(track_row >= 0, local[track_row], -1)
    said = people.constraints.between(place)
    hard = said.weight >= USER
    a, b = np.triu_indices(len(rows), 1)
    pool = Pool(
        ex.sums(rows), ex.weight[rows], ex.energy[rows], np.ones(len(rows), np.int64), np.zeros(len(rows), np.int64)
    )
    root = agglomerate(
        pool, Links(a, b, np.zeros(0)), Bars(np.inf, np.inf), Links(said.a[hard], said.b[hard], said.weight[hard]),
        people.constraints.together(place),
    )  # fmt: skip
    cluster = ex.owner[:n].copy()
    cluster[rows] = root + len(people.identities.rows)
    people.renumber(Diff(ex.key[:n].copy(), cluster), "user")


def _positions(people: Repair, a: int, b: int, *, must: bool) -> tuple[int, int] | None:
    """Ascending positions of two tracks, or None after noting what to do when the missing one comes."""
    if a == b:
        raise ConfigError(f"track {a} cannot be linked with itself. Name two tracks.")
    known = people.tracks.position
    if a in known and b in known:
        i, j = sorted((known[a], known[b]))
        return i, j
    for late, other in ((a, b), (b, a)):
        if late not in known:
            people.constraints.waiting.setdefault(late, []).append((other, MUST if must else USER))
    return None
