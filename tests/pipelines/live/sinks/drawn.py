"""A short stream of notices to deliver: one person comes, stays and goes."""

from __future__ import annotations

from streamer.presence import Notice, Presence, Rules
from streamer.watching import Seen

RULES = Rules(confirm=1, absence=1.0, cooldown=1.0, update_every=0.0, unknown_after=1e9)


def stream(people: int = 1, camera: str = "hall", epoch: int = 9) -> list[Notice]:
    """begin, then enter and exit of each person: 1 + 2 x people notices."""
    presence = Presence(epoch, RULES, names={1: "Ann Lee"})
    out = presence.begin(100.0)
    for p in range(1, people + 1):
        out += presence.frame(camera, 100.0 + 10 * p, [Seen(p, (1.0, 2.0, 30.0, 40.0), 0.9, p)])
        out += presence.frame(camera, 105.0 + 10 * p, [])
    return out
