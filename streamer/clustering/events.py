"""The labels that a log of events adds up to."""

from __future__ import annotations

from collections.abc import Iterable

from streamer.aliases import Aliases
from streamer.items import Assigned, Dissolved, Event, Merged, Split

REMOVED = "removed"  # the reason of the Assigned that takes an erased track out of the labels


def replay(events: Iterable[Event]) -> dict[int, int | None]:
    """track -> identity with aliases resolved; equal to `labels()` of the clusterer that wrote the events.

    The last Assigned or Split that names a track counts, Merged is an alias for ever, an erased track is left out.
    """
    labels: dict[int, int | None] = {}
    aliases = Aliases()
    for event in events:
        match event:
            case Assigned(reason="removed", track=track):
                labels.pop(track, None)
            case Assigned(track=track, identity=identity):
                labels[track] = identity
            case Split(new=new, tracks=tracks):
                labels.update(dict.fromkeys(tracks, new))
            case Merged(kept=kept, dropped=dropped):
                aliases.merge(kept, dropped)
            case Dissolved():
                pass
    return {t: None if i is None else aliases.resolve(i) for t, i in labels.items()}
