"""Known people from real photos over a real run: the right names, and nobody for the distractor."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from pipelines import file
from pipelines.people import libraries
from pipelines.people.photos import faces
from pipelines.terminal.progress import Progress
from streamer.config import Config
from streamer.errors import StoreError
from streamer.geometry import iou
from streamer.library import Library
from streamer.processing.choosing import chosen, maker


def labelled_person(data: Path, library: Library, video: str, tracks: list[int]) -> str:
    """The label most boxes of these tracks fall on."""
    with (data / "labels" / "boxes" / f"{video}.csv").open() as text:
        boxes = [r for r in csv.DictReader(text) if r["kind"] != "ignore"]
    votes: Counter[str] = Counter()
    for track in tracks:
        rows = library.store.track_rows(track)
        for box in boxes:
            near = abs(rows.times - float(box["t_s"]))
            k = int(near.argmin())
            if near[k] < 0.075 and iou(rows.boxes[k], [[float(box[c]) for c in ("x1", "y1", "x2", "y2")]])[0, 0] > 0.3:
                votes[box["person"]] += 1
    return votes.most_common(1)[0][0] if votes else "absent"


def test_every_listed_photo_names_the_right_person_and_the_absent_one_nobody(
    shared_models: Path, shared_data: Path, tmp_path: Path
) -> None:
    with (shared_data / "labels" / "enroll.csv").open() as text:
        listed = list(csv.DictReader(text))
    videos = sorted({r["video"] for r in listed})
    job = file.Job(
        sources=tuple(str(shared_data / "videos" / v) for v in videos),
        out=tmp_path / "out",
        library=tmp_path / "people.db",
        models=str(shared_models),
        inline=True,
    )
    file.run(job, Progress("none"))
    loaded = libraries.load(str(shared_models), "cpu")
    pair = loaded.embedder.thresholds.pair
    with libraries.opened_for(tmp_path / "people.db", loaded) as library:
        for row in listed:
            photos = sorted((shared_data / row["photo_set"] / row["identity"]).iterdir())
            looks = [faces(p, loaded)[0] for p in photos]
            for look in looks:  # each photo alone, by search
                assert look.embedding is not None
                best = library.search(look.embedding, pair=pair, link=loaded.embedder.thresholds.link)[0]
                if row["person"] == "absent":
                    assert not best.accepted
                else:
                    assert best.accepted
                    assert (
                        labelled_person(shared_data, library, row["video"], library.tracks(best.person or 0))
                        == row["person"]
                    )
            if row["person"] == "absent":
                with pytest.raises(StoreError, match="show different people"):
                    library.enrol(
                        row["identity"], looks, maker(chosen(library.store, Config()), loaded.embedder), pair=pair
                    )
                assert row["identity"] not in library.view.names.values()
            else:  # all photos together, by enrolment
                person = library.enrol(
                    row["identity"], looks, maker(chosen(library.store, Config()), loaded.embedder), pair=pair
                )
                seen = [t for t in library.tracks(person) if library.store.track(t).source == row["video"]]
                assert labelled_person(shared_data, library, row["video"], seen) == row["person"]
                assert library.person(person).name == row["identity"]
