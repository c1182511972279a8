"""Kills `whowhen run` at random moments and runs it again: `python -m tests.pipelines.killed FOLDER KILLS SEED`.

Three drawn videos go into one library. Every child is killed with SIGKILL after a random share of the time an unbroken
run takes, then the same command runs again, is killed again, until one comes through. Prints kills and runs; exits 1 at
the first table that differs from the unbroken run's.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from streamer.testing import Actor, Scene, Shot, meeting, two_shots
from tests.pipelines.drawn import use_drawn_faces

TABLES = ("faces.csv", "appearances.csv", "people.csv")


def scenes() -> list[Scene]:
    """Four people over three videos; two of the videos end in the middle of a shot."""
    walk = Shot(1.5, (Actor(2, (80, 120, 60), (220, 120, 64)), Actor(3, (240, 110, 50), (120, 116, 50))))
    return [
        two_shots(),
        meeting(),
        Scene((walk, Shot(1.0, (Actor(1, (160, 120, 80)),), background=2)), name="walk.mp4"),
    ]


def command(videos: Path, out: Path) -> list[str]:
    return ["run", *(str(videos / s.name) for s in scenes()), "-o", str(out), "-q"]


def start(arguments: list[str], log: Path) -> int:
    """Pid of a process that runs the command; forked, for what it imports is imported already."""
    pid = os.fork()
    if pid:
        return pid
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    from pipelines.cli import main

    try:
        main(arguments)
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(99)


def finished(arguments: list[str], log: Path, kill_after: float | None) -> bool:
    """Whether a run came through, rather than being killed after so many seconds."""
    pid = start(arguments, log)
    handle = os.pidfd_open(pid)  # names this child only, also when its number is given to another
    if not select.select([handle], [], [], kill_after)[0]:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.close(handle)
    status = os.waitpid(pid, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"a run ended with {os.WEXITSTATUS(status)}: {log.read_text()}")
    return os.WIFEXITED(status)


def tables(out: Path) -> dict[str, bytes]:
    return {f"{s.name}/{t}": (out / Path(s.name).stem / t).read_bytes() for s in scenes() for t in TABLES}


def main(folder: Path, kills: int, seed: int) -> int:
    use_drawn_faces()
    import streamer.clustering.online
    import streamer.reports.html
    import streamer.stages  # noqa: F401 - imported once, before the forks

    rng = random.Random(seed)
    videos, log = folder / "videos", folder / "log"
    for scene in scenes():
        scene.write(videos)
    begun = time.monotonic()
    finished(command(videos, folder / "unbroken"), log, None)
    whole = time.monotonic() - begun
    expected = tables(folder / "unbroken")
    done = runs = 0
    while done < kills:
        out = folder / f"run-{runs}"
        runs += 1
        while not finished(command(videos, out), log, rng.uniform(0, whole) if rng.random() < 0.8 else None):
            done += 1
        wrong = [name for name, content in tables(out).items() if content != expected[name]]
        if wrong:
            print(f"{out}: {', '.join(wrong)} differ from the unbroken run's after {done} kills")
            return 1
    left = [p.name for p in folder.glob("run-*/**/.*.part*")]
    print(f"{done} kills, {runs} runs, all tables equal to the unbroken one's; {len(left)} temporary files left")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
