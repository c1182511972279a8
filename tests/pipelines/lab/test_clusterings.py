"""`whowhen lab` on written embedding files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.lab import clusterings as c
from pipelines.lab import commands as lab
from pipelines.lab.vectors import read_vectors
from streamer.errors import ConfigError, SourceError

NAMES = np.repeat(["ann", "bob", "cid"], [4, 3, 1])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three people that stand apart, one of them with a single row."""
    rng = np.random.default_rng(0)
    rows = np.eye(3)[np.repeat([0, 1, 2], [4, 3, 1])] + 0.05 * rng.standard_normal((8, 3))
    np.savez(tmp_path / "faces.npz", emb=rows.astype(np.float32), identity=NAMES)
    return tmp_path / "faces.npz"


def test_a_clustering_is_scored_and_written(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "labels.csv"
    lab.cluster_command(file, "average", settings=["threshold=0.5"], out=out, as_json=True)
    assert json.loads(capsys.readouterr().out)["bcubed_f"] == 1.0
    assert out.read_text().splitlines()[:2] == ["row,cluster,identity", "0,0,ann"]


def test_without_names_the_scores_are_internal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "v.npy", np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1.0]]))
    lab.cluster_command(tmp_path / "v.npy", "average", settings=["k=2"], as_json=True)
    assert json.loads(capsys.readouterr().out)["silhouette"] > 0.9
    with pytest.raises(ConfigError, match="no true names"):
        lab.verify_command(tmp_path / "v.npy")


def test_people_with_too_few_rows_are_left_out(file: Path) -> None:
    assert len(read_vectors(file)) == 8
    assert set(read_vectors(file, at_least=2).named(file)) == {"ann", "bob"}


@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_vectors_come_back_from_every_format(tmp_path: Path, file: Path, suffix: str) -> None:
    wanted = read_vectors(file)
    if suffix == "csv":
        lines = [",".join([name, *map(repr, map(float, row))]) for name, row in zip(NAMES, wanted.rows)]
        file = tmp_path / "faces.csv"
        file.write_text("identity,e0,e1,e2\n" + "\n".join(lines) + "\n")
    found = read_vectors(file)
    np.testing.assert_array_equal(found.rows, wanted.rows)
    assert found.named(file).tolist() == NAMES.tolist()


@pytest.mark.parametrize(("name", "text"), [("a.csv", "e0,e1\n1,oops\n"), ("a.txt", ""), ("a.npz", "no zip")])
def test_what_is_no_embedding_file_is_told(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=name):
        read_vectors(tmp_path / name)


def test_a_sweep_gives_the_best_of_each_method(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab.sweep_command(file, ["single", "average"], grid=["threshold=0.0001,0.5"], as_json=True)
    best = json.loads(capsys.readouterr().out)
    assert {p["method"]: p["options"] for p in best} == {"single": {"threshold": 0.5}, "average": {"threshold": 0.5}}


def test_without_options_the_best_of_the_methods_grid_is_taken_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(5)
    centres = np.vstack([np.eye(6) + 3.0, [9, 0, 0, 0, 0, 0]])  # six alike, as dlib's vectors, one far away
    rows = np.vstack([c + rng.normal(0, 0.03, (8, 6)) for c in centres])
    np.save(tmp_path / "faces.npy", rows)
    for method in ("dbscan", "average", "online", "k-means"):
        lab.cluster_command(tmp_path / "faces.npy", method)
        told = capsys.readouterr()
        assert told.err.startswith(method)
        assert "the best of its grid" in told.err
        found = dict(line.split() for line in told.out.splitlines())
        assert float(found["noise"]) <= 2, method
        assert float(found["clusters"]) >= 2, method


def test_noise_is_not_the_way_to_a_good_silhouette() -> None:
    pure = {"method": "dbscan", "options": {"eps": 0.1}, "scores": {"silhouette": 0.98, "noise": 60.0}}
    whole = {"method": "dbscan", "options": {"eps": 0.3}, "scores": {"silhouette": 0.80, "noise": 0.0}}
    assert c.best_of_each([pure, whole], "silhouette", 66) == [whole]
    assert c.best_of_each([pure, whole], "silhouette") == [pure]


def test_an_interrupted_sweep_goes_on_where_it_stopped(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, out = c.Bench(read_vectors(file), "cosine"), tmp_path / "sweep.jsonl"
    points = list(c.grid_points(bench, ["average"], ["threshold=0.1,0.5,0.9"]))
    whole = list(c.swept(bench, points, None, {}))
    several = c.swept(bench, points, out, {})
    next(several), next(several)
    out.write_text(out.read_text() + '{"method": "aver')  # killed while writing
    done = []
    monkeypatch.setattr(c.Bench, "labels", lambda self, *point: done.append(point) or np.zeros(8, int))
    rest = list(c.swept(bench, points, out, {}))
    assert rest[:2] == whole[:2]
    assert [options for _, options in done] == [{"threshold": 0.9}]
    assert len(c._finished(out)) == 3


def test_verification_tells_the_best_threshold(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab.verify_command(file, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["same"], found["different"], found["auc"], found["tar_at_far_0.0001"]) == (9, 19, 1.0, 1.0)
    assert 0.5 < found["best_threshold"] < 1


def test_the_number_of_people_is_suggested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    np.save(tmp_path / "v.npy", np.eye(8)[np.repeat(np.arange(3), 10)] + 0.03 * rng.standard_normal((30, 8)))
    lab.suggest_command(tmp_path / "v.npy", most=8)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["3", "3", "3"]


@pytest.mark.parametrize(("settings", "told"), [(["eps"], "name=value"), (["eps=many"], "name=value")])
def test_a_setting_that_is_no_number_is_told(settings: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        c.options_of(settings)


def test_an_unknown_method_or_score_is_told(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"Methods: .*online"):
        lab.sweep_command(file, ["dbskan"])
    with pytest.raises(ConfigError, match="Scores: bcubed_precision"):
        lab.sweep_command(file, ["average"], by="beauty")


def test_tracks_and_faces_of_a_library_are_clustered_with_the_names_given(tmp_path: Path) -> None:
    from tests.streamer.library.town import opened, run

    path = tmp_path / "people.db"
    with opened(path) as library:
        run(library, [1, 2, 1, 2, 3])
    assert read_vectors(path).identity is None
    with opened(path) as library:
        library.name(1, "Ann")
    found = read_vectors(tmp_path)  # the folder of a run
    assert found.named(path).tolist() == ["Ann", "", "Ann", "", ""]
    assert found.metric == "cosine"
    faces = read_vectors(path, of="faces")
    assert len(faces) > len(found) == 5
    assert all(p is not None for p in [*found.thumbnails([0, 4]), *faces.thumbnails([0])])
    assert c.Bench(found, "cosine").marks(np.array([0, 1, 0, 1, 2]))["bcubed_f"] == 1.0
    with opened(tmp_path / "empty.db"):
        pass


def test_tracks_that_share_a_frame_are_kept_apart_by_our_clusterer() -> None:
    rows = np.eye(4, dtype=np.float32)[[0, 0, 1]]
    from pipelines.lab.vectors import Vectors

    apart = c.online(Vectors(rows, None, cannot_link=((0, 1),)), "cosine", {})
    assert apart[0] != apart[1]
    assert c.online(Vectors(rows, None), "cosine", {}).tolist()[0] == c.online(Vectors(rows, None), "cosine", {})[1]


def test_internal_scores_choose_where_nobody_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    np.save(tmp_path / "v.npy", np.eye(8)[np.repeat(np.arange(3), 10)] + 0.03 * rng.standard_normal((30, 8)))
    lab.sweep_command(tmp_path / "v.npy", ["average", "k-means"], as_json=True)  # by the silhouette
    best = json.loads(capsys.readouterr().out)
    assert [p["scores"]["clusters"] for p in best] == [3, 3]
    lab.sweep_command(tmp_path / "v.npy", ["k-means"], by="davies_bouldin", as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["scores"]["clusters"] == 3
    worst = {"scores": {"davies_bouldin": float("nan")}}
    assert c.better("davies_bouldin")(best[0]) < c.better("davies_bouldin")(worst)


@pytest.mark.parametrize("option", ["epsilon=0.5", "dimension=3"])
def test_an_option_a_method_does_not_have_is_told(file: Path, option: str) -> None:
    for method in ("average", "online"):
        with pytest.raises(ConfigError, match=f"not an option of {method}"):
            lab.cluster_command(file, method, settings=[option])


def test_merge_follows_link_in_both_metrics() -> None:
    assert c.merge_for(0.5, "cosine") == pytest.approx(0.4)
    assert c.merge_for(1.0, "euclid") ** 2 == pytest.approx(1.2)
