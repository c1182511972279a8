"""Whether a newcomer may be somebody who was lost from sight just before.

A track that breaks off and begins again, or a shot that changes, often gives the same person a new number for a second
or two, until more of the face has been seen. Told at once, that would be an enter of somebody who is there already.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

import numpy as np

from streamer.geometry import iou
from streamer.presence.stays import Draft, Told

# s without sight and overlap of boxes up to which a face that is lost and one that is found may be one
LOST, SAME_PLACE = 0.5, 0.5


def doubted(draft: Draft, present: Iterable[Told], rivals: Container[int], now: float, absence: float) -> bool:
    """Whether the enter of `draft` should wait: it may be one of those `present` at the camera who are not in sight.

    That is one of `rivals`, whom the clusterer found nearest, or one last seen at the same place a moment ago. It ends
    when they count as gone or are found to be one, and never lasts longer than `absence`.
    """
    if now - draft.start > absence or not draft.fresh:
        return False
    others = [t for t in present if t.key != draft.key and not _together(t, draft)]
    return any(t.key[1] in rivals or _lost_there(t, draft) for t in others)


def _together(told: Told, draft: Draft) -> bool:
    """Whether both were seen at one time: then they are two."""
    return any(m.start <= draft.last and m.last >= draft.start for m in told.members)


def _lost_there(told: Told, draft: Draft) -> bool:
    before = max(told.members, key=lambda m: m.last)
    boxes = (before.box, draft.members[0].first)
    if not 0 <= draft.start - before.last <= LOST or None in boxes:
        return False
    return float(iou(*(np.array([b], np.float32) for b in boxes))[0, 0]) >= SAME_PLACE
