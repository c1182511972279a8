"""A drawn live run for the page: two cameras, two people who come and go, no models and no waiting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipelines.live.announcer import Announcer, Corrections
from pipelines.live.web.board import Board
from streamer.flow.stats import Load
from streamer.items import Assigned, Gap
from streamer.presence import Rules
from streamer.testing import Actor, Scene, Shot
from streamer.watching import Health, Seen

RULES = Rules(confirm=1, absence=2.0, cooldown=2.0, update_every=0.0, unknown_after=0.5)
START = 1_700_000_000.0
LEFT, RIGHT = (90.0, 120.0, 60.0), (230.0, 120.0, 60.0)
BOXES = ((60.0, 90.0, 120.0, 150.0), (200.0, 90.0, 260.0, 150.0))


class Run:
    """A board fed by an announcer; `time` is the clock of both."""

    def __init__(self, *cameras: str, sinks: Any = ()) -> None:
        self.time = START
        self.cameras = cameras or ("hall", "yard <b>&")
        self.board = Board(self.cameras, clock=lambda: self.time)
        self.announcer = Announcer(RULES, sinks, [self.board], clock=lambda: self.time)
        scene = Scene((Shot(1.0, (Actor(1, LEFT), Actor(4, RIGHT))),))
        self.frames = list(scene.frames())
        self.decided: list[tuple[str, dict[str, Any]]] = []
        self.names: dict[int, str] = {}
        self.load = Load("identify")
        self._seq = 0

    def step(self, *people: int, camera: str | None = None, seconds: float = 0.2) -> None:
        """A frame of a camera with these people in it; a track per person."""
        camera = camera or self.cameras[0]
        self.time += seconds
        faces = [Seen(p, BOXES[(p - 1) % 2], 0.9, p) for p in people]
        frame = replace(self.frames[0], time=self.time, source=camera)
        self.announcer.frame(camera, self.time, frame, faces)

    def assign(self, track: int, identity: int) -> None:
        self._seq += 1
        self.announcer.identities([Assigned(self._seq, track, identity, 0.1)])

    def health(self, state: str = "live", camera: str | None = None) -> None:
        self.announcer.health(
            Health(camera or self.cameras[0], state, START, 1, 24.8, 0.031, 500, 480, {"newer frame": 20}, 1, "")
        )

    def gap(self) -> None:
        self.announcer.gap(self.cameras[0], Gap(self.cameras[0], self.time, self.time + 3, "no data for 3 s"))

    def decide(self, what: str, told: dict[str, Any]) -> dict[str, Any]:
        """A library of names only."""
        self.decided.append((what, told))
        if what == "undo":
            self.names.clear()
        else:
            self.names[told["person"]] = told["name"]
        self.announcer.corrected(Corrections(dict(self.names)))
        return {"person": told.get("person")}
