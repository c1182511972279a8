"""A source done again, a library moved to another model: decisions stay where they are meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from streamer.clustering.base import Clusterer
from streamer.crops import align, template
from streamer.errors import StoreError
from streamer.geometry import area
from streamer.items import F32, U8
from streamer.ledger import Ledger, View
from streamer.library.machine import pin_named, rebuild, renumbered, wanted_links
from streamer.store import Store
from streamer.store.blobs import picture
from streamer.vectors import mean_direction, weighted_mean

SAME_FACE = 0.5  # IoU from which two boxes of one frame are the same face, as detectors are scored
BATCH = 64  # crops embedded at a time


class Embeds(Protocol):
    """The part of an embedder that is needed here."""

    model: str
    dimension: int
    metric: str
    template: str

    def embed(self, crops: U8) -> F32: ...


def replace_source(store: Store, ledger: Ledger, old: int, new: int, clusterer: Clusterer) -> dict[int, int]:
    """Puts the finished source `new` in the place of `old` (the same video, done again), name included.

    What was decided about an old track holds for the new track that shares most of its face boxes; the answer is that
    mapping. Old tracks leave the clusterer. Names stay although every track is new.
    """
    anchored = {t for e in ledger for v in e.args.values() if isinstance(v, list | tuple) for t in v}
    mapping = successors(store, old, new, anchored)
    gone = [t.id for t in store.tracks(old)]
    with store.transaction():
        store.succeed(mapping)
        store.record(
            clusterer.remove(gone), clusterer.pages(), {k for k in store.told() if not {k[0], k[1]} & set(gone)}
        )
        store.remove_tracks(gone)
        name = store.source(old).name
        store.remove_source(old)
        store.rename_source(new, name)
    return mapping


def successors(store: Store, old: int, new: int, wanted: set[int]) -> dict[int, int]:
    """Old track -> the new one it shares most boxes with; tracks nobody sees any more are left out."""
    fresh = {t.id: (t.first_frame, t.last_frame, store.track_rows(t.id)) for t in store.tracks(new)}
    out: dict[int, int] = {}
    for track in store.tracks(old):
        if track.id not in wanted:
            continue
        rows = store.track_rows(track.id)
        shared: Counter[int] = Counter()
        for number, (first, last, other) in fresh.items():
            if first <= track.last_frame and last >= track.first_frame:
                _, a, b = np.intersect1d(rows.frames, other.frames, return_indices=True)
                shared[number] = int((overlaps(rows.boxes[a], other.boxes[b]) >= SAME_FACE).sum())
        best = max(sorted(shared), key=lambda n: shared[n], default=0)
        if shared[best]:
            out[track.id] = best
    return out


def overlaps(a: F32, b: F32) -> F32:
    """(n,) intersection over union of box k of a (n, 4) with box k of b (n, 4)."""
    sides = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0)
    shared = sides[:, 0] * sides[:, 1]
    return np.asarray(shared / np.maximum(area(a) + area(b) - shared, 1e-9), np.float32)


def migrate(
    store: Store, ledger: Ledger, view: View, embedder: Embeds, make: Callable[[], Clusterer],
    told: Callable[[int, int], None] = lambda done, total: None,
) -> int:  # fmt: skip
    """Moves the library to another embedding model from its kept crops; how many faces were embedded.

    New vectors are collected beside the old ones, which stay in use until all are there; a killed migration goes on
    where it was. Then everything changes at once: vectors, model, clusterer. Numbers and decisions stay. StoreError
    where crops were not kept.
    """
    have = store.model()
    if have is None or have[0] == embedder.model:
        return 0
    if not store.template() and embedder.template:
        raise StoreError(
            f"{store.path} does not tell how its crops are aligned. Run the videos again with a new --library."
        )
    total, done = store.count_vectors(), store.staged(embedder.model)
    lacking = store.without_crop(embedder.model)
    if lacking:
        raise StoreError(
            f"{store.path} kept no crops of {len(lacking)} faces: they cannot be embedded again without their videos "
            "(streamer.processing.reembed, `whowhen recluster`)."
        )
    embedded = 0
    for keys, crops in _crops(store, embedder):
        store.stage_vectors(embedder.model, keys, embedder.embed(crops))
        embedded += len(keys)
        told(done + embedded, total)
    _adopt(store, ledger, view, embedder, make)
    return embedded


def _crops(store: Store, embedder: Embeds) -> Iterator[tuple[list[tuple[int, int]], U8]]:
    """What is still to be embedded, as crops aligned for the new model."""
    source = store.template()
    while found := store.unstaged(embedder.model, BATCH):
        images = [_fitted(picture(data), source, embedder.template) for _, _, data in found]
        yield [(track, number) for track, number, _ in found], np.stack(images)


def _fitted(crop: U8, source: str, target: str) -> U8:
    """A crop aligned to one template, aligned to another."""
    return crop if source == target else align(crop, template(source).array[None], target)[0]


def _adopt(store: Store, ledger: Ledger, view: View, embedder: Embeds, make: Callable[[], Clusterer]) -> None:
    mean = mean_direction if embedder.metric == "cosine" else weighted_mean
    with store.transaction():
        store.adopt(embedder.model, embedder.dimension, embedder.metric, embedder.template)
        for track in store.tracks_with_vectors():
            rates = [s.quality for s in sorted(store.samples(track), key=lambda s: s.number)]
            rows = store.vectors(track)
            weights = np.maximum(np.array(rates, np.float32), 1e-3)
            store.set_track_vector(track, mean(rows, weights if len(weights) == len(rows) else None))
        clusterer = make()
        rebuild(store, ledger, clusterer)
        events = renumbered(clusterer, store.labels(), store.last_seq())
        pin_named(clusterer, view)
        store.record(events, clusterer.pages(), wanted_links(ledger, store))
