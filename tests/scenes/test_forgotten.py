"""A person forgotten after a real run: no byte of it is left in any file the command wrote."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipelines import cli
from streamer.library import Library

NAME = "Zanzibar Unmistakable"


def whowhen(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(w) for w in words])
    return int(ended.value.code or 0)


def traces(library: Library, person: int) -> Iterator[bytes]:
    """Byte patterns of a person: name, vectors at every width, pictures as they are and as a page embeds them."""
    yield NAME.encode()
    for track in library.tracks(person):
        for vector in library.store.vectors(track):
            yield vector.astype("<f2").tobytes()
            yield vector.astype("<f4").tobytes()
        _, mean = library.store.track_vectors([track])
        yield mean[0].astype("<f2").tobytes()
        for sample in library.store.samples(track):
            for picture in (library.store.thumbnail(track, sample.number), library.store.crop(track, sample.number)):
                assert picture is not None
                yield picture[-300:]
                yield base64.b64encode(picture)[1200:1500]


def holding(folder: Path, patterns: list[bytes]) -> dict[str, int]:
    """Files under a folder -> how many of the patterns they hold."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found[path.name] = sum(p in content for p in patterns)
    return {name: n for name, n in found.items() if n}


def test_no_byte_of_a_forgotten_person_is_left(
    shared_models: Path, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out"
    video = shared_data / "videos" / "headpose_pair.gif"
    run = ("run", video, "-o", out, "-m", shared_models, "-q")
    library = ("--library", out)
    assert whowhen(*run) == 0
    assert whowhen("people", "name", "1", NAME, *library) == 0
    assert whowhen(*run) == 0  # the reports again, with the name
    assert whowhen("people", "export", "1", "--out", out / "export", *library) == 0
    for path in (tmp_path / "new").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path

    with Library(out / "people.db", readonly=True) as found:
        patterns = list(traces(found, 1))
        looks = np.concatenate([found.store.vectors(t) for t in found.tracks(1)])
    before = holding(out, patterns)
    assert {"people.db", "people.csv", "report.html", "person.json", "person_1.jpg"} <= set(before)
    assert before["people.db"] >= 10

    capsys.readouterr()
    assert whowhen("people", "forget", NAME, "--yes", *library) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert holding(tmp_path, patterns) == {}
    assert receipt["probes"] > 0
    assert receipt["probes_found"] == 0
    assert receipt["files_left"] == []
    assert any(p.endswith("person_1.jpg") for p in receipt["files_deleted"])
    assert NAME not in json.dumps(receipt)
    with Library(out / "people.db", readonly=True) as found:
        assert [p.id for p in found.people()] == [2]
        pair = 0.4
        assert not any(m.accepted and m.person != 2 for v in looks for m in found.search(v, pair=pair))
        assert found.store.buried() == [1]
        assert found.store.verify() == []
    assert whowhen(*run) == 0  # the same command goes on: the video is known, the person does not come back
    assert holding(tmp_path, patterns) == {}
