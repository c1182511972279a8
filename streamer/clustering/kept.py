"""A stored state becomes the clusterer that wrote it, whichever of ours that was."""

from __future__ import annotations

from streamer.clustering import snapshot
from streamer.clustering.base import Clusterer
from streamer.clustering.dbscan import KIND, DBSCANClusterer
from streamer.clustering.online import OnlineClusterer
from streamer.clustering.people import Vectors
from streamer.errors import StoreError
from streamer.pages import Pages


def restore(
    state: bytes | Pages, *, model: str | None = None, dimension: int | None = None, vectors: Vectors | None = None
) -> Clusterer:
    """StoreError for damaged bytes, another model or dimension, and for the state of a class of the user's."""
    pages = state if isinstance(state, Pages) else Pages.of(state)
    kind = snapshot.kind(pages)
    if kind == KIND:
        return DBSCANClusterer.restore(pages, model=model, dimension=dimension, vectors=vectors)
    if kind not in (snapshot.ONLINE, ""):  # what cannot be read is refused in the same words by any of them
        raise StoreError(f"it was written by another clusterer ({kind}).")
    return OnlineClusterer.restore(pages, model=model, dimension=dimension, vectors=vectors)
