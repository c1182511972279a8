"""When somebody counts as come, gone and strange."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from streamer.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Rules:
    """The block `presence:` of a camera file; all times in seconds.

    `confirm`: frames somebody is followed in before an enter. `absence`: not seen for longer is an exit. `cooldown`:
    who comes back within it takes the exit back instead of entering anew. `update_every`: while somebody stays (0:
    never). `unknown_after`: a person without a name who stays this long is told as unknown, again only after
    `unknown_cooldown`. `somebody`: tell faces that are not recognised yet, too, as person null. `remember`: how long
    what is over can still be corrected.
    """

    confirm: int = 2
    absence: float = 3.0
    cooldown: float = 10.0
    update_every: float = 10.0
    unknown_after: float = 2.0
    unknown_cooldown: float = 300.0
    somebody: bool = False
    remember: float = 86_400.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"presence.{f.name} is {value}: a number from 0 on is expected.")
        if self.confirm < 1 or self.absence <= 0:
            raise ConfigError("presence: confirm is at least 1 frame and absence is more than 0 s.")

    @property
    def join(self) -> float:
        """Seconds between two sightings that are still one stay."""
        return max(self.absence, self.cooldown)
