"""DBSCANClusterer: identities that at every moment are the clusters of DBSCAN over all tracks, whatever their order.

For who wants DBSCAN's meaning exactly rather than the best identities: a chain of look-alikes makes one cluster of two
people, and neither conflicts of a frame nor quality are looked at. Every insertion searches all tracks, so it is for
some 10,000 of them. What people say about tracks is laid over the clusters by the library's ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from streamer.aliases import Aliases
from streamer.clustering import snapshot
from streamer.clustering.events import REMOVED
from streamer.clustering.exact import Change, ExactDBSCAN
from streamer.clustering.people import Vectors
from streamer.clustering.space import Space
from streamer.items import Assigned, Dissolved, Event, Merged, Split, Tracklet
from streamer.pages import Pages

KIND = "dbscan"
NAN = float("nan")


class DBSCANClusterer:
    """Clusters of `sklearn.cluster.DBSCAN(eps, min_samples)` as identities; see streamer.clustering.base.

    `eps` is a distance of the pack's metric (cosine: 1 - cos); without one it follows the threshold `link`. A track
    with fewer than `min_samples` tracks around it, itself counted, and none of those core, belongs to nobody.
    """

    consolidation_due = False

    def __init__(
        self,
        dimension: int,
        *,
        metric: str = "cosine",
        link: float = 0.42,
        model: str = "",
        eps: float | None = None,
        min_samples: int = 2,
        vectors: Vectors | None = None,
    ) -> None:
        self.space, self.model, self.vectors = Space(metric, dimension), model, vectors
        self.options: dict[str, Any] = {"metric": metric, "link": link, "eps": eps, "min_samples": min_samples}
        self.seq, self.next_identity = 0, 1
        self.pinned: set[int] = set()
        self.aliases = Aliases()
        self._points = self._empty()
        self._identity: dict[int, int] = {}  # component -> identity
        self._label: dict[int, int | None] = {}  # track -> identity, aliases not resolved
        self._events: list[Event] = []

    def _empty(self) -> ExactDBSCAN:
        o = self.options
        eps = self.space.distance(self.space.dissimilarity(o["link"])) if o["eps"] is None else o["eps"]
        return ExactDBSCAN(eps, o["min_samples"], o["metric"])

    # ------------------------------------------------------------------ tracks
    def add(self, tracklets: Sequence[Tracklet]) -> list[Event]:
        """The events of these tracklets. One that was there already (it grew) is taken out and put in anew."""
        for t in tracklets:
            x = self.space.vector(t, self.model)
            if t.id in self._points:
                before = self.labels()
                self._points.remove([t.id])
                self._points.insert(t.id, x)
                self._compare(before)
            else:
                self._follow(self._points.insert(t.id, x), t.id)
        return self._take()

    def _follow(self, change: Change, track: int) -> None:
        """Carries an insertion over to identities: joined ones first, then every track whose cluster changed."""
        for kept, swallowed in change.joined:
            mine, other = self._identity.get(kept), self._identity.pop(swallowed, None)
            if mine is None and other is not None:
                self._identity[kept] = other
            elif mine is not None and other is not None:
                stays, goes = sorted((mine, other), key=lambda i: (i not in self.pinned, i))
                self._identity[kept] = stays
                self._merge(stays, goes)
        for row in change.touched.tolist():
            key, home = self._points.key(row), self._points.home(row)
            label = None if home < 0 else self._named(home)
            if key == track or label != self.identity_of(key):
                self._assign(key, label, self._points.nearest(row) if key == track else NAN, "new")

    def _named(self, home: int) -> int:
        if home not in self._identity:
            self._identity[home] = self.next_identity
            self.next_identity += 1
        return self._identity[home]

    def _merge(self, kept: int, dropped: int) -> None:
        if dropped in self.pinned:
            self.pinned.discard(dropped)
            self.pinned.add(kept)
        self.aliases.merge(kept, dropped)
        self._emit(Merged(self._next(), kept, dropped, NAN, KIND))

    def _assign(self, track: int, label: int | None, distance: float, reason: str) -> None:
        self._label[track] = label
        self._emit(Assigned(self._next(), track, label, distance, reason=reason))

    def _compare(self, before: Mapping[int, int | None]) -> None:
        """The events from the labels `before` to what holds now. A component gets the identity it shares most tracks
        with, pinned ones and old numbers first; an identity without one is merged where all its tracks went, or gone.
        """
        homes = {t: h for t, h in self._points.homes().items() if t in before}
        shared = Counter((b, h) for t, h in homes.items() if (b := before[t]) is not None and h >= 0)
        self._identity = {}
        taken: set[int] = set()
        for (old, home), _ in sorted(shared.items(), key=lambda s: (s[0][0] not in self.pinned, -s[1], *s[0])):
            if old not in taken and home not in self._identity:
                self._identity[home] = old
                taken.add(old)
        for home in dict.fromkeys(h for h in homes.values() if h >= 0 and h not in self._identity):
            self._part(home, [t for t, h in homes.items() if h == home], before)
        gone = sorted({b for b in before.values() if b is not None} - taken)
        for old in gone:
            if len(now := [home for identity, home in shared if identity == old]) == 1:
                self._merge(self._identity[now[0]], old)
        for track, home in homes.items():
            label = None if home < 0 else self._identity[home]
            if label != self.identity_of(track):
                self._assign(track, label, NAN, KIND)
        for old in gone:
            if self.aliases.resolve(old) == old:
                self._emit(Dissolved(self._next(), old))

    def _part(self, home: int, tracks: list[int], before: Mapping[int, int | None]) -> None:
        """A component without an identity becomes a new one, split off where its tracks come from."""
        origin = next((b for t in tracks if (b := before[t]) is not None), None)
        new = self._named(home)
        if origin is not None:
            self._label.update(dict.fromkeys(tracks, new))
            self._emit(Split(self._next(), origin, new, tuple(tracks), KIND))

    def remove(self, tracks: Iterable[int]) -> list[Event]:
        """Erases tracks; the rest is clustered as if they had never been there. Unknown ones are passed over."""
        gone = [t for t in dict.fromkeys(tracks) if t in self._points]
        before = self.labels()
        self._points.remove(gone)
        for track in gone:
            self._assign(track, None, NAN, REMOVED)
            del self._label[track]
        self._compare(before)
        return self._take()

    # ------------------------------------------------------------------ the rest of the contract
    def retune(self, link: float, merge: float) -> None:
        """From now on this link threshold holds, where no `eps` was set; all tracks are clustered anew."""
        self.options["link"] = link
        fresh = self._empty()
        if fresh.eps == self._points.eps:
            return
        columns = self._points.columns()
        for track, x in zip(columns["keys"].tolist(), columns["exact"]):
            fresh.insert(track, x)
        self._points = fresh
        self._compare(self.labels())

    def remerge(self) -> list[Event]:
        """Nothing is left to repair at any time; what `retune` changed."""
        return self._take()

    finish = remerge

    def must_link(self, a: int, b: int) -> list[Event]:
        """No event: DBSCAN knows no constraints, the ledger's view holds what was said."""
        return []

    cannot_link = unlink = must_link

    def pin(self, identity: int, protected: bool = True) -> None:
        """A pinned (named) identity keeps its number when it is joined with another."""
        (self.pinned.add if protected else self.pinned.discard)(self.aliases.resolve(identity))

    def identity_of(self, track: int) -> int | None:
        """The identity of a track, None: nobody's, or not known."""
        label = self._label.get(track)
        return None if label is None else self.aliases.resolve(label)

    def labels(self) -> dict[int, int | None]:
        """track -> identity with aliases resolved."""
        return {t: self.identity_of(t) for t in self._label}

    def _emit(self, event: Event) -> None:
        self._events.append(event)

    def _next(self) -> int:
        self.seq += 1
        return self.seq

    def _take(self) -> list[Event]:
        out, self._events = self._events, []
        return out

    # ------------------------------------------------------------------ state
    def pages(self) -> Pages:
        """`state` for whoever stores it at once."""
        header = {
            "kind": KIND, "model": self.model, "dimension": self.space.dimension, "options": self.options,
            "seq": self.seq, "next_identity": self.next_identity, "pinned": sorted(self.pinned),
        }  # fmt: skip
        pairs = {
            "components": sorted(self._identity.items()), "aliases": sorted(self.aliases.items()),
            "labels": [(t, i or 0) for t, i in self._label.items()],
        }  # fmt: skip
        tables = {name: np.asarray(rows, np.int64).reshape(-1, 2) for name, rows in pairs.items()}
        return snapshot.written(header, tables | self._points.columns())

    def state(self) -> bytes:
        """Everything, as one block with a header and a checksum and without pickle; `restore` continues bit-equal."""
        return bytes(self.pages())

    @classmethod
    def restore(
        cls,
        state: bytes | Pages,
        *,
        model: str | None = None,
        dimension: int | None = None,
        vectors: Vectors | None = None,
    ) -> DBSCANClusterer:
        """The clusterer that wrote `state`; StoreError for damaged bytes, another clusterer, model or dimension."""
        with snapshot.opened(state, KIND, model, dimension) as (header, arrays):
            out = cls(header["dimension"], model=header["model"], vectors=vectors, **header["options"])
            out.seq, out.next_identity, out.pinned = header["seq"], header["next_identity"], set(header["pinned"])
            out._points.load(arrays)
            out._identity = dict(arrays["components"].tolist())
            out._label = {t: i or None for t, i in arrays["labels"].tolist()}
            for dropped, kept in arrays["aliases"].tolist():
                out.aliases.merge(kept, dropped)
        return out
