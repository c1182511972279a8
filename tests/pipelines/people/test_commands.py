"""The people commands, as somebody types them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines import cli
from pipelines.people import commands as people
from pipelines.people import known, libraries, query, recluster
from tests.streamer.library.town import opened, run
from tests.streamer.store.scene import person_vector


@pytest.fixture
def whowhen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that runs a command on a library of three people and gives (code, stdout, stderr)."""
    import typer

    with opened(tmp_path / "people.db") as library:
        run(library, [1, 2, 1, 3, 2, 1])
    app = typer.Typer()
    app.add_typer(people.app, name="people")
    for command in (known.search, query.query, recluster.recluster):
        app.command(command.__name__)(command)
    monkeypatch.setattr(cli, "application", lambda: app)
    monkeypatch.setenv("WHOWHEN_LIBRARY", str(tmp_path))
    monkeypatch.setattr("getpass.getuser", lambda: "ann")

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(words))
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return call


def test_the_list_is_a_plain_table(whowhen: Any) -> None:
    code, out, _ = whowhen("people", "list")
    assert code == 0
    assert out.splitlines()[0].split() == [
        "person",
        "name",
        "screen_s",
        "appearances",
        "tracks",
        "sources",
        "first",
        "last",
    ]
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["1", "2", "3"]


def test_the_list_is_json_for_machines(whowhen: Any) -> None:
    rows = json.loads(whowhen("people", "list", "--json")[1])
    assert [(r["person"], r["tracks"]) for r in rows] == [(1, 3), (2, 2), (3, 1)]


def test_a_day_of_corrections(whowhen: Any) -> None:
    assert whowhen("people", "name", "1", "Ann Lee")[0] == 0
    assert whowhen("people", "merge", "ann lee", "3")[0] == 0
    code, out, err = whowhen("people", "split", "Ann Lee", "1")
    assert (code, out.strip()) == (0, "4")
    assert "person 4 now" in err
    assert whowhen("people", "not-same", "1", "4")[0] == 0
    assert whowhen("people", "hide", "2")[0] == 0
    listed = json.loads(whowhen("people", "list", "--json")[1])
    assert {r["person"]: r["tracks"] for r in listed} == {1: 3, 4: 1}
    assert "hide) is undone: person 2 is shown" in whowhen("people", "undo")[2]
    assert "is undone" in whowhen("people", "undo", "2")[2]
    log = json.loads(whowhen("people", "log", "--json")[1])
    assert [(r["who"], r["what"], r["holds"]) for r in log] == [
        ("ann", "name", True), ("ann", "merge", False), ("ann", "split", True), ("ann", "not_same", True),
        ("ann", "hide", False), ("ann", "undo", True), ("ann", "undo", True),
    ]  # fmt: skip
    listed = json.loads(whowhen("people", "list", "--json")[1])
    assert {r["person"]: r["tracks"] for r in listed} == {1: 2, 2: 2, 3: 1, 4: 1}


def test_one_person_is_shown_by_appearance_and_by_track(whowhen: Any) -> None:
    code, out, err = whowhen("people", "show", "2")
    assert code == 0
    assert "Person 2 (person 2)" in err
    assert out.splitlines()[1].split() == ["clip", "0:00:00.8", "0:00:01.2", "0.40", "2"]
    tracks = json.loads(whowhen("people", "show", "2", "--tracks", "--json")[1])
    assert [t["track"] for t in tracks["tracks"]] == [2, 5]
    assert [(a["start_s"], a["tracks"]) for a in tracks["appearances"]] == [(0.8, [2]), (3.2, [5])]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("people", "show", "99"), "there is no person 99 (near: 3, 2, 1)"),
        (("people", "name", "Eve", "Eva"), "nobody called 'Eve'"),
        (("people", "merge", "1", "1"), "merged with itself"),
        (("people", "split", "1", "77"), "has no track 77"),
        (("people", "undo"), "nothing to undo"),
        (("people", "expire", "--keep-unnamed", "soon"), "no length of time"),
        (("query", "Eve"), "nobody called 'Eve'"),
        (("query",), "names nobody"),
        (("query", "--with", "1", "--longer", "soon"), "no length of time"),
        (("people", "list", "--library", "nowhere.db"), "no people library at nowhere.db"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(whowhen: Any, words: tuple[str, ...], message: str) -> None:
    code, out, err = whowhen(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_forgetting_prints_a_receipt(whowhen: Any) -> None:
    whowhen("people", "name", "1", "Ann")
    receipt = json.loads(whowhen("people", "forget", "Ann", "--yes")[1])
    assert (receipt["person"], receipt["tracks"], receipt["probes_found"]) == (1, 3, 0)
    assert [r["person"] for r in json.loads(whowhen("people", "list", "--all", "--json")[1])] == [2, 3]


def test_an_export_lists_its_files(whowhen: Any, tmp_path: Path) -> None:
    code, out, _ = whowhen("people", "export", "2", "--out", str(tmp_path / "two"))
    assert code == 0
    assert {Path(line).name for line in out.splitlines()} >= {"person.json", "appearances.csv"}


def test_a_query_prints_stretches(whowhen: Any) -> None:
    _, out, err = whowhen("query", "2, longer than 0.3s")
    assert out.splitlines()[1].split() == ["clip", "0:00:00.8", "0:00:01.2", "0.40"]
    assert "2 stretches, 0.8 s" in err


def test_review_tells_how_much_each_answer_settles(whowhen: Any) -> None:
    code, out, err = whowhen("people", "review", "--merge", "-0.5")
    assert code == 0
    first = out.splitlines()[1]
    assert "are 1 and 2 one person?" in first
    assert "people same 1 2 | people not-same 1 2" in first
    assert err.strip() == "50 % of 2.4 s of screen time is sure; 3 of 3 answers bring it to 100 %, all to 100 %"
    assert out.splitlines()[3].rstrip().split("%")[0].endswith("100 ")


def test_names_cannot_steer_a_terminal(whowhen: Any) -> None:
    whowhen("people", "name", "1", "A\x1b[31mnn\nLee")
    _, out, err = whowhen("people", "list")
    assert "\x1b" not in out + err
    assert "A [31mnn Lee" in out


class Fake:
    """Models that see the person whose number is the photo's size."""

    class Detector:
        def detect(self, images: Any) -> Any:
            import numpy as np

            from streamer.items import Faces

            return [
                Faces(
                    np.array([[1, 1, 9, 9]], np.float32), np.ones(1, np.float32), np.full((1, 5, 2), np.nan, np.float32)
                )
            ]

    class Embedder:
        model, dimension, metric, template = "toy-1234", 16, "cosine", "arcface-112"
        thresholds = type("T", (), {"pair": 0.4, "link": 0.42, "merge": 0.31})

        def __init__(self, person: int) -> None:
            self.person = person

        def embed(self, crops: Any) -> Any:
            return person_vector(self.person, 77)[None].repeat(len(crops), axis=0)

    def __init__(self, person: int) -> None:
        self.detector, self.embedder, self.quality = Fake.Detector(), Fake.Embedder(person), None


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    import cv2

    from tests.streamer.store.scene import drawing

    path = tmp_path / "photos" / "Cem" / "one.png"
    path.parent.mkdir(parents=True)
    cv2.imwrite(str(path), drawing(1, 1, 64))
    return path


def test_search_answers_with_a_person_or_nobody(whowhen: Any, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whowhen("people", "name", "2", "Bob")
    monkeypatch.setattr(libraries, "load", lambda models, device: Fake(2))
    code, out, err = whowhen("search", str(photo))
    assert (code, out.splitlines()[1].split()[0]) == (0, "Bob")
    assert err.strip() == "answer: Bob, 0.8 s in 2 appearances of 1 source; `whowhen people show 2`"
    monkeypatch.setattr(libraries, "load", lambda models, device: Fake(9))
    assert whowhen("search", str(photo))[2].strip() == "answer: nobody"


def test_enrolment_names_whoever_was_seen(whowhen: Any, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "load", lambda models, device: Fake(3))
    code, out, _ = whowhen("people", "enrol", str(photo.parent.parent))
    assert (code, out.split()[-5:]) == (0, ["3", "Cem", "1", "0.40", "1"])
    table = photo.parent / "known.csv"
    table.write_text("name,photo\nDee,one.png\n")
    monkeypatch.setattr(libraries, "load", lambda models, device: Fake(8))
    assert "Dee" in whowhen("people", "enrol", str(table))[1]
    assert {r["name"] for r in json.loads(whowhen("people", "list", "--json")[1])} == {"", "Cem", "Dee"}


def test_a_photo_that_is_none_is_an_unreadable_source(
    whowhen: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "load", lambda models, device: Fake(2))
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    for path, message in ((text, "not a photo"), (tmp_path / "none.jpg", "is not a file")):
        code, out, err = whowhen("search", str(path))
        assert (code, out) == (6, "")
        assert message in err


def test_recluster_changes_nothing_without_apply(whowhen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "thresholds", lambda models: {"link": 0.42, "merge": 0.31})
    monkeypatch.setattr(libraries, "pack_model", lambda models: "toy-1234")
    code, _, err = whowhen("recluster")
    assert code == 0
    assert "3 people -> 3, 0.0 % of tracks move, names touched: none. Nothing was changed" in err
    assert "Nothing was changed" not in whowhen("recluster", "--apply")[2]
    assert len(json.loads(whowhen("people", "list", "--json")[1])) == 3


def test_another_model_moves_the_library_only_on_apply(whowhen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.streamer.library.test_renewal import Other

    loaded = Fake(1)
    loaded.embedder = Other()  # type: ignore[assignment]
    monkeypatch.setattr(Other, "thresholds", type("T", (), {"link": 0.42, "merge": 0.31}), raising=False)
    monkeypatch.setattr(libraries, "pack_model", lambda models: "other-8")
    monkeypatch.setattr(libraries, "load", lambda models, device: loaded)
    assert "12 faces would be embedded again: toy-1234 -> other-8" in whowhen("recluster")[2]
    assert "12 faces embedded again" in whowhen("recluster", "--apply")[2]


def test_the_cast_of_a_source_is_listed(whowhen: Any) -> None:
    _, out, _ = whowhen("people", "cast", "clip", "--json")
    assert [r["person"] for r in json.loads(out)] == [1, 2, 3]
    assert whowhen("people", "cast", "clop")[0] == 2


def test_help_is_quick() -> None:
    heavy = {"cv2", "onnxruntime", "sklearn", "faiss", "scipy"}
    code = f"import sys; import pipelines.people.commands; print(sorted({heavy!r} & set(sys.modules)))"
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_misspelt_name_is_answered_with_near_ones(whowhen: Any) -> None:
    whowhen("people", "name", "1", "Ann Lee")
    assert "nobody called 'Anm Lee' (did you mean Ann Lee (1)?)" in whowhen("people", "show", "Anm Lee")[2]
    assert "Ann Lee (person 1)" in whowhen("people", "show", "lee")[2]
    whowhen("people", "forget", "lee", "--yes")
    assert "person 1 was erased" in whowhen("people", "show", "1")[2]


def test_a_hidden_person_is_shown_again(whowhen: Any) -> None:
    whowhen("people", "hide", "2")
    assert "person 2 is shown" in whowhen("people", "unhide", "2")[2]
    assert json.loads(whowhen("people", "show", "2", "--json")[1])["hidden"] is False


def test_a_query_can_be_options(whowhen: Any) -> None:
    sentence = json.loads(whowhen("query", "2 or 3, not 1, longer than 0.3s, in clip", "--json")[1])
    words = ("query", "--any", "2", "--any", "3", "--not", "1", "--longer", "0.3s", "--in", "clip", "--json")
    assert json.loads(whowhen(*words)[1]) == sentence
    assert [s["start_s"] for s in sentence] == [0.8, 2.4, 3.2]


def test_who_is_together_is_told_in_seconds(whowhen: Any, tmp_path: Path) -> None:
    with opened(tmp_path / "people.db") as library:
        run(library, [1, 2], "talk", step=5)
        run(library, [3, 2], "chat", step=8)
    assert json.loads(whowhen("people", "together", "--json")[1]) == [
        {"a": 1, "b": 2, "seconds": pytest.approx(0.2)}, {"a": 2, "b": 3, "seconds": pytest.approx(0.08)}
    ]  # fmt: skip
    _, out, err = whowhen("people", "cast", "talk", "chat")
    assert [line.split() for line in out.splitlines()[1:]] == [["1", "0.40"], ["2", "0.40", "0.40"], ["3", "0.40"]]
    assert err.strip() == "1 in both, 1 only in talk, 1 only in chat"


def test_review_asks_and_carries_out_the_answers(whowhen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("what\nn\ny\n"))  # two answers settle all three questions
    code, out, err = whowhen("people", "review", "--merge", "-0.5", "--ask")
    assert code == 0
    assert "are 1 and 2 one person?" in out
    assert "first at clip 0:00:00.0" in out
    assert err.splitlines()[-1].startswith("2 answers given")
    assert "100 % of the screen time is sure after 2 answers" in err
    log = json.loads(whowhen("people", "log", "--json")[1])
    assert [(e["what"], *(e["about"][k] for k in ("a", "b", "kept", "dropped") if k in e["about"])) for e in log] == [
        ("not_same", 1, 2), ("same", 1, 3)
    ]  # fmt: skip
    # the question about 2 and 3 was settled by these two: 3 is 1, and 1 is not 2
    assert json.loads(whowhen("people", "review", "--merge", "-0.5", "--json")[1])["questions"] == []


def test_a_confirmed_track_is_not_asked_about_again(whowhen: Any) -> None:
    assert "1 track stays with person 1" in whowhen("people", "confirm", "1", "3")[2]
    assert "has no track 2" in whowhen("people", "confirm", "1", "2")[2]
    entry = json.loads(whowhen("people", "log", "--json")[1])[0]
    assert (entry["what"], entry["undo"]) == ("confirm", "the machine may move 1 tracks of person 1 again")
