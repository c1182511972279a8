"""The clusterer behind a library: restored, told what the user said, rebuilt, tried with other settings.

The store's fold of events is the truth. A rebuilt clusterer counts on from the highest number ever used and then says,
 by Merged events, which old number each of them is: ids stay, and nothing needs to know of the rebuild.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamer.clustering import kept as stored
from streamer.clustering.base import Clusterer
from streamer.errors import ConfigError, StoreError
from streamer.items import F32, Assigned, Event, Merged, Tracklet
from streamer.ledger import Ledger, View
from streamer.store import Snapshot, Store

Make = Callable[[], Clusterer]
Say = Callable[[str], None]
BATCH = 2048  # tracklets read at a time when a clusterer is rebuilt: 30 MB of vectors


def vectors_from(store: Store) -> Callable[[Sequence[int]], F32]:
    """Track numbers -> (n, d) their vectors, read from the store. StoreError for a track without one."""

    def read(tracks: Sequence[int]) -> F32:
        numbers, vectors = store.track_vectors(tracks)
        place = {int(t): k for k, t in enumerate(numbers)}
        absent = [t for t in tracks if t not in place]
        if absent:
            raise StoreError(f"the library holds no vector of track {absent[0]}.")
        return vectors[[place[t] for t in tracks]]

    return read


def tracklets(store: Store, after: int = 0) -> Iterator[list[Tracklet]]:
    """The library's tracks with a vector, by number, in batches, as the clusterer saw them (but for float16)."""
    enemies: dict[int, set[int]] = {}
    for a, b in store.cannot_links():
        enemies.setdefault(b, set()).add(a)
    model = store.model()
    records = {r.id: r for s in store.sources(enrolled=True) for r in store.tracks(s.id) if r.id > after}
    wanted = sorted(records)
    for k in range(0, len(wanted), BATCH):
        numbers, vectors = store.track_vectors(wanted[k : k + BATCH])
        yield [
            Tracklet(
                id=int(t), source=records[int(t)].source, start=records[int(t)].start, end=records[int(t)].end,
                count=records[int(t)].count, embedding=v, exemplars=v[None], quality=records[int(t)].quality,
                cannot_link=frozenset(enemies.get(int(t), ())), model=model[0] if model else "",
            )
            for t, v in zip(numbers, vectors, strict=True)
        ]  # fmt: skip


def open_clusterer(store: Store, ledger: Ledger, view: Callable[[], View], make: Make, say: Say) -> Clusterer:
    """The clusterer to go on with: restored from the snapshot (or rebuilt without one), up to date with every track
    and decision in the store. What that changes is in the store when this returns. `view` is asked for when needed,
    `say` told why something is rebuilt.
    """
    fresh = make()
    kept, restored = restored_from(store, say, type(fresh).restore)
    if kept is None or restored is None:
        if count := len(store.labels()):
            say(f"{store.path}: the clusterer is made anew from {count} stored tracks; ids, names and decisions stay")
        store.drop_state()  # a damaged piece would pass for the same piece of the new state
        clusterer = fresh
        clusterer.vectors = clusterer.vectors or vectors_from(store)
        rebuild(store, ledger, clusterer)
        events = renumbered(clusterer, store.labels(), store.last_seq())
    else:
        clusterer = restored
        if store.last_seq() > kept.seq:
            store.rewind(kept.seq)
        later = tracklets(store, kept.track) if store.next_track() - 1 > kept.track else ()
        events = [e for batch in later for e in clusterer.add(batch)]
    known = kept.seq if kept is not None else 0  # a state knows the numbers of its events
    clusterer.next_identity = max(clusterer.next_identity, store.last_identity(known) + 1)
    told = tell(store, ledger, clusterer) if kept is not None else []
    if ledger.entries:
        pin_named(clusterer, view())
    if events or told or kept is None:
        store.record(events + told, clusterer.pages(), wanted_links(ledger, store))
    return clusterer


def restored_from(
    store: Store, say: Say, restore: Callable[..., Clusterer] = stored.restore
) -> tuple[Snapshot | None, Clusterer | None]:
    """The snapshot and its clusterer; (None, None) without one, or where it is damaged or of an older layout, which
    `say` is told: it is a cache, the tracks are the truth. `restore` is that of the clusterer that is wanted.
    """
    model = store.model()
    try:
        kept = store.state()
        if kept is None:
            return None, None
        return kept, restore(
            kept.state, model=model[0] if model else None, dimension=model[1] if model else None,
            vectors=vectors_from(store),
        )  # fmt: skip
    except StoreError as error:
        say(f"{store.path}: the kept state of the clusterer is of no use: {error}")
        return None, None


def wanted_links(ledger: Ledger, store: Store) -> set[tuple[int, int, bool]]:
    """What the user's decisions ask of the clusterer, over tracks that exist."""
    must, cannot = ledger.constraints()
    if not must and not cannot:
        return set()
    known = set(store.labels())
    links = {(a, b, True) for a, b in must} | {(min(a, b), max(a, b), False) for a, b in cannot}
    return {link for link in links if link[0] in known and link[1] in known}


def tell(store: Store, ledger: Ledger, clusterer: Clusterer) -> list[Event]:
    """Brings the clusterer's constraints in step with the ledger: what was taken back first, then what is new."""
    wanted, known = wanted_links(ledger, store), store.told()
    events: list[Event] = []
    for a, b, _ in sorted(known - wanted):
        events += clusterer.unlink(a, b)
    for must in (True, False):
        for a, b, kind in sorted(wanted - known):
            if kind is must:
                try:
                    events += clusterer.must_link(a, b) if must else clusterer.cannot_link(a, b)
                except ConfigError:  # an indirect contradiction: the ledger's view still says the last word
                    continue
    return events


def rebuild(store: Store, ledger: Ledger, clusterer: Clusterer) -> None:
    """Tells a fresh clusterer what the user said and feeds it every track of the store; see `renumbered`."""
    clusterer.seq, clusterer.next_identity = store.last_seq(), store.last_identity() + 1
    tell_all(store, ledger, clusterer)
    for batch in tracklets(store):
        clusterer.add(batch)
    clusterer.finish()


def renumbered(clusterer: Clusterer, before: Mapping[int, int | None], seq: int) -> list[Event]:
    """Events from the labels `before` to the clusterer's: an Assigned per track, a Merged per known identity."""
    after = clusterer.labels()
    nan = float("nan")
    events: list[Event] = []
    for track, identity in sorted(after.items()):
        seq += 1
        events.append(Assigned(seq, track, identity, nan, reason="recluster"))
    for new, old in sorted(matched(before, after).items()):
        seq += 1
        events.append(Merged(seq, old, new, nan, reason="recluster"))
    clusterer.seq = max(clusterer.seq, seq)
    return events


def matched(before: Mapping[int, int | None], after: Mapping[int, int | None]) -> dict[int, int]:
    """new identity -> the old one it shares most tracks with, each old one once, largest overlap first."""
    shared = Counter((before[t], new) for t, new in after.items() if new is not None and before.get(t) is not None)
    out: dict[int, int] = {}
    taken: set[int] = set()
    for (old, new), _ in sorted(shared.items(), key=lambda kv: (-kv[1], kv[0][0] or 0, kv[0][1])):
        if old is not None and old not in taken and new not in out:
            out[new] = old
            taken.add(old)
    return out


def pin_named(clusterer: Clusterer, view: View) -> None:
    """Named people keep their number in merges. The view's number may be an alias away from the clusterer's."""
    by_person: dict[int, Counter[int]] = {}
    for track, person in view.labels.items():
        if person is not None and person in view.names and (identity := clusterer.identity_of(track)) is not None:
            by_person.setdefault(person, Counter())[identity] += 1
    wanted = {min(tally, key=lambda i: (-tally[i], i != p, i)) for p, tally in by_person.items()}
    for identity in sorted(clusterer.pinned - wanted):
        clusterer.pin(identity, protected=False)
    for identity in sorted(wanted):
        clusterer.pin(identity)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What another clustering would change. Nothing is changed until it is applied.

    `merges` are people who would be one, `splits` one who would be several; `churn` is the share of tracks that
    would be with other people, `named` the named people among the changed.
    """

    people_before: int
    people_after: int
    merges: tuple[tuple[int, ...], ...]
    splits: tuple[tuple[int, int], ...]  # person, into how many
    changed: tuple[int, ...]  # people who would gain or lose a track, by the number they have now
    moved: tuple[int, ...]  # tracks
    churn: float
    named: tuple[int, ...]
    clusterer: Clusterer = field(repr=False, compare=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0  # of the library it was worked out for


def what_if(store: Store, ledger: Ledger, clusterer: Clusterer, options: Mapping[str, Any]) -> WhatIf:
    """The difference a freshly built clusterer would make to what the user sees."""
    machine = store.labels()
    rebuild(store, ledger, clusterer)
    names = matched(machine, clusterer.labels())
    after = machine | {t: None if i is None else names.get(i, i) for t, i in clusterer.labels().items()}
    return difference(ledger.apply(machine), ledger.apply(after), clusterer, options, store.last_seq())


def tell_all(store: Store, ledger: Ledger, clusterer: Clusterer) -> None:
    """Tells a fresh clusterer everything the user said."""
    for a, b, must in sorted(wanted_links(ledger, store), key=lambda link: (not link[2], link)):
        try:
            (clusterer.must_link if must else clusterer.cannot_link)(a, b)
        except ConfigError:
            continue


def difference(before: View, after: View, clusterer: Clusterer, options: Mapping[str, Any], seq: int) -> WhatIf:
    """Who would merge, split and move between two views of the same tracks."""
    old = {t: p for t, p in before.labels.items() if p is not None}
    new = {t: p for t, p in after.labels.items() if p is not None}
    merges = _groups((new[t], old[t]) for t in old if t in new)
    splits = _groups((old[t], new[t]) for t in old if t in new)
    moved = tuple(sorted(t for t in before.labels if before.labels[t] != after.labels.get(t)))
    touched = {p for g in merges.values() if len(g) > 1 for p in g} | {p for p, g in splits.items() if len(g) > 1}
    touched |= {p for t in moved for p in (before.labels[t], after.labels.get(t)) if p in set(old.values())}
    return WhatIf(
        len(set(old.values())),
        len(set(new.values())),
        tuple(sorted(tuple(sorted(g)) for g in merges.values() if len(g) > 1)),
        tuple(sorted((p, len(g)) for p, g in splits.items() if len(g) > 1)),
        tuple(sorted(touched)),
        moved,
        len(moved) / max(len(before.labels), 1),
        tuple(sorted(touched & set(before.names))),
        clusterer,
        dict(options),
        seq,
    )


def _groups(pairs: Iterable[tuple[int, int]]) -> dict[int, set[int]]:
    out: dict[int, set[int]] = {}
    for key, value in pairs:
        out.setdefault(key, set()).add(value)
    return out
