"""Kills runs at random moments and runs them again: `python -m tests.streamer.library.killed FOLDER KILLS SEED`.

Every child writes the same two files into a library and is killed (SIGKILL) by SQLite's progress call after a random
number of steps of its virtual machine: in the middle of a statement, between statements, inside a commit. Then the same
command runs again, is killed again, until one comes through. Prints kills done and runs; exits 1 where the result
differs from an unbroken run.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

from tests.streamer.library.town import opened, run
from tests.streamer.store.scene import everything

FILES = {"first": [1, 2, 1, 3], "second": [2, 4, 1, 1, 5, 2]}


def work(path: Path, kill_after: int | None) -> None:
    """What `whowhen run` does with a library: discard what is half done, skip what is done, do the rest."""
    library = opened(path)
    if kill_after is not None:
        steps = [0]

        def tick() -> int:
            steps[0] += 1
            if steps[0] >= kill_after:
                os.kill(os.getpid(), signal.SIGKILL)
            return 0

        library.store._db.connection.set_progress_handler(tick, 20)
    library.store.discard_unfinished()
    if not any(d.kind == "name" for d in library.log()):
        if library.store.find_source("first") is None:
            run(library, FILES["first"], "first", batch=1)
        library.name(1, "Ann")
    if library.store.find_source("second") is None:
        run(library, FILES["second"], "second", batch=1)
    library.close()


def child(path: Path, kill_after: int | None) -> bool:
    """Whether a run in a process of its own came through."""
    pid = os.fork()
    if pid == 0:
        try:
            work(path, kill_after)
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a run failed instead of being killed")
    return os.WIFEXITED(status)


def steps_of(path: Path) -> int:
    """Progress calls of one unbroken run."""
    library = opened(path)
    count = [0]

    def tick() -> int:
        count[0] += 1
        return 0

    library.store._db.connection.set_progress_handler(tick, 20)
    run(library, FILES["first"], "first", batch=1)
    library.name(1, "Ann")
    run(library, FILES["second"], "second", batch=1)
    library.close()
    return count[0]


def main(folder: Path, kills: int, seed: int) -> int:
    rng = random.Random(seed)
    steps = steps_of(folder / "reference.db")
    expected = everything(folder / "reference.db")
    done = runs = 0
    while done < kills:
        path = folder / f"{runs}.db"
        runs += 1
        while not child(path, rng.randint(1, steps) if rng.random() < 0.9 else None):
            done += 1
        if everything(path) != expected:
            print(f"library {path} differs from the unbroken one")
            return 1
    print(f"{done} kills, {runs} libraries, all equal to the unbroken one")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
