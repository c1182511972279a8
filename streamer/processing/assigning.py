"""The end of a source's chain: its tracks become people and go to the store, a few at a time, all in one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from streamer.flow.stage import guarded
from streamer.stages import Assign, Embedded, Outcome

# Tracks clustered at a time. The clusterer says the same whatever the number, and a search for 16 faces among 24,000
# exemplars costs as much as for one (0.01 s): with one at a time a 15 s clip searched ten times.
BATCH = 16


@dataclass(slots=True)
class Assigning:
    """A sink for embedded tracks. `record` keeps what the clusterer said; `between` runs after it, when neither the
    clusterer nor the store is at work, and may change both. `cpu_s` is the clusterer's processor time.
    """

    assign: Assign
    record: Callable[[Outcome], None]
    between: Callable[[], None] = lambda: None
    cpu_s: float = 0.0
    _waiting: list[Embedded] = field(default_factory=list)

    def take(self, item: Embedded) -> None:
        """One track more. StageError `cluster` when the clusterer failed."""
        self._waiting.append(item)
        if len(self._waiting) >= BATCH:
            self._work()

    def finish(self) -> None:
        """The tracks left over, and the clusterer's last word."""
        self._work()
        self._keep(self.assign.flush)

    def _work(self) -> None:
        if not self._waiting:
            return
        items, self._waiting = self._waiting, []
        self._keep(lambda: self.assign.process(items))
        self.between()

    def _keep(self, step: Callable[[], Iterable[Outcome]]) -> None:
        began = time.thread_time()
        outcomes = list(guarded(self.assign.name, step))
        self.cpu_s += time.thread_time() - began
        for outcome in outcomes:
            self.record(outcome)
