"""Known people from photos: an enrolment is a source of one track, so names reach past and future by the usual way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from streamer.clustering.base import Clusterer
from streamer.errors import StoreError
from streamer.items import DETECTED, FaceSample, Track, Tracklet, TrackRows
from streamer.library.machine import open_clusterer, wanted_links
from streamer.library.search import bar, similarities
from streamer.vectors import mean_direction, weighted_mean

if TYPE_CHECKING:
    from streamer.library import Library


def enrol(
    library: Library, name: str, samples: Sequence[FaceSample], make: Callable[[], Clusterer], pair: float | None
) -> int:
    """The person these embedded photos show, called `name` from now on.

    Somebody already called so takes the photos over; the photos are split from somebody called otherwise who looks
    the same, and `people review` asks. With `pair`, the model's threshold for two photos, photos unlike the others are
    left out; StoreError when no two agree.
    """
    if not name.strip():
        raise StoreError("somebody without a name cannot be enrolled. Name the folder of the photos after the person.")
    if not samples or any(s.embedding is None for s in samples):
        raise StoreError(
            f"there is no usable face of {name!r} to enrol. Take a frontal photo of at least 80 pixels of face."
        )
    if pair is not None:
        samples = agreeing(library, name, samples, pair)
    track = _add(library, samples, make)
    library.refresh()
    person = library.view.labels[track]
    if person is None:
        raise StoreError(f"the photos of {name!r} could not be placed. Take sharper ones.")
    called = library.view.names.get(person, "")
    known = [p for p, n in library.view.names.items() if n.casefold() == name.strip().casefold() and p != person]
    if called and called.casefold() != name.strip().casefold():
        person = int(library.split(person, [track]).args["new"])
    if known:
        library.merge(known[0], person)
        return known[0]
    if library.view.names.get(person, "") != name.strip():
        library.name(person, name)
    return person


def agreeing(library: Library, name: str, samples: Sequence[FaceSample], pair: float) -> list[FaceSample]:
    """The photos that show one person: those like the photo that most others are like. One photo agrees with itself."""
    model = library.store.model()
    metric = model[2] if model else "cosine"
    rows = np.stack([s.embedding for s in samples if s.embedding is not None])
    alike = np.stack([similarities(metric, rows, r) for r in rows])
    votes = (alike >= bar(metric, pair)).sum(1)
    best = int(np.argmax(votes))
    if len(samples) > 1 and votes[best] < 2:
        raise StoreError(
            f"the {len(samples)} photos of {name!r} show different people: no two of them look alike to the "
            "model. Give photos of one person, or one photo."
        )
    return [s for s, like in zip(samples, alike[best], strict=True) if like >= bar(metric, pair)]


def _add(library: Library, samples: Sequence[FaceSample], make: Callable[[], Clusterer]) -> int:
    """The number of the track the photos became, stored and clustered."""
    store = library.store
    clusterer = open_clusterer(store, library.ledger, lambda: library.view, make, library.say)
    source = store.begin_source("enrolment", kind="enrolled", at=library.clock().isoformat(), state=clusterer.pages())
    track = _track(store.next_track(), source.name, samples)
    vectors = np.stack([s.embedding for s in samples if s.embedding is not None])
    weights = np.array([max(s.quality, 1e-3) for s in samples], np.float32)
    model = store.model()
    centre = (mean_direction if model is None or model[2] == "cosine" else weighted_mean)(vectors, weights)
    tracklet = Tracklet(
        track.number,
        source.name,
        track.start,
        track.end,
        len(samples),
        centre,
        vectors,
        model=model[0] if model else "",
    )
    events = [*clusterer.add([tracklet]), *clusterer.finish()]
    store.add_tracks(source.id, [track], events, vectors={track.number: centre})
    store.finish_source(source.id, state=clusterer.pages(), at=library.clock().isoformat())
    store.record([], clusterer.pages(), wanted_links(library.ledger, store))
    return track.number


def _track(number: int, source: str, samples: Sequence[FaceSample]) -> Track:
    n = len(samples)
    rows = TrackRows(
        np.arange(n, dtype=np.int64),
        np.arange(n, dtype=np.float64),
        np.array([s.box for s in samples], np.float32).reshape(n, 4),
        np.array([s.score for s in samples], np.float32),
        np.full(n, DETECTED, np.uint8),
    )
    return Track(number, source, rows, tuple(samples))
