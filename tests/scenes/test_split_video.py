"""A video cut in two at its middle, done one half after the other: the people of the whole one."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import av
import pytest

from pipelines import file
from pipelines.evaluate import score_folder
from pipelines.terminal.progress import Progress
from streamer.evaluation import VideoScore


def cut(video: Path, folder: Path) -> tuple[list[Path], float]:
    """The packets of a video in two files, parted at the key frame nearest its middle; the seconds of that frame."""
    with av.open(str(video)) as read:
        stream = read.streams.video[0]
        packets = [p for p in read.demux(stream) if p.pts is not None]
        middle = max(p.pts for p in packets) / 2
        at = min((p.pts for p in packets if p.is_keyframe), key=lambda pts: abs(pts - middle))
        first = next(k for k, p in enumerate(packets) if p.pts == at)
        halves = []
        for k, part in enumerate((packets[:first], packets[first:])):
            halves.append(folder / f"half{k + 1}.mp4")
            with av.open(str(halves[-1]), "w") as write:
                out = write.add_stream_from_template(stream)
                shift = min(p.dts for p in part)
                for p in part:
                    p.pts, p.dts, p.stream = p.pts - shift, p.dts - shift, out
                    write.mux(p)
        return halves, float(at * stream.time_base)


def run(out: Path, sources: list[Path], models: Path) -> file.Result:
    job = file.Job(sources=tuple(map(str, sources)), out=out, library=out / "people.db", models=str(models))
    return file.run(job, Progress("none"))


def joined(out: Path, later: float, name: str) -> Path:
    """The faces of both halves as one source, on the clock of the whole video."""
    rows: list[dict[str, Any]] = []
    for k, shift in ((1, 0.0), (2, later)):
        with (out / f"half{k}" / "faces.csv").open(newline="", encoding="utf-8") as text:
            found = list(csv.DictReader(text))
        before = 1 + max((int(r["frame"]) for r in rows), default=-1)
        for r in found:
            rows.append(r | {"source": name, "frame": int(r["frame"]) + before, "time_s": float(r["time_s"]) + shift})
    folder = out / "joined"
    folder.mkdir()
    with (folder / "faces.csv").open("w", newline="", encoding="utf-8") as text:
        table = csv.DictWriter(text, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def scores(
    shared_data: Path, shared_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[VideoScore, VideoScore]:
    """(unsplit, split) over montage_a: 106 s, 9 people, all of whom come back."""
    folder = tmp_path_factory.mktemp("split")
    video = shared_data / "videos" / "montage_a.mp4"
    halves, at = cut(video, folder)
    labels = shared_data / "labels"
    run(folder / "whole", [video], shared_models)
    run(folder / "split", [halves[0]], shared_models)
    run(folder / "split", [halves[1]], shared_models)  # another process' run into the same library
    # the first half's folder was written before the second half was known: write it again with the people of now
    run(folder / "split", halves, shared_models)
    both = joined(folder / "split", at, video.name)
    return score_folder(folder / "whole" / video.stem, labels)[0], score_folder(both, labels)[0]


@pytest.mark.slow  # 212 s of video, 20 s of CPU
def test_two_halves_have_the_people_of_the_whole(scores: tuple[VideoScore, VideoScore]) -> None:
    whole, split = scores
    print(f"B-cubed F: whole {whole.bcubed_f:.4f}, halves {split.bcubed_f:.4f}; people {split.people_found}")
    assert split.bcubed_f >= whole.bcubed_f - 0.01
    assert split.people_found == whole.people_found
    assert split.violations == 0
