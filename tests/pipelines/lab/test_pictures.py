"""Pictures of the lab: files of the right kind, numbers that are drawn, one page with all of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("matplotlib")

from pipelines.lab import charts, clusterings, drawings, pictures
from pipelines.lab.segment import segmented
from pipelines.lab.vectors import read_vectors
from streamer.clustering import batch
from streamer.errors import ConfigError
from tests.pipelines.album import drawn_photo

NAMES = np.repeat(["ann", "bob", "cid", "dee"], 6)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Four people apart, with photos of drawn faces."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(4), 6)
    rows = np.eye(8)[who] + 0.06 * rng.standard_normal((24, 8))
    paths = [drawn_photo(tmp_path / f"{NAMES[i]}_{i}.png", int(who[i]), seed=i).name for i in range(24)]
    np.savez(
        tmp_path / "faces.npz", embeddings=rows.astype(np.float32), identity=NAMES, path=np.array(paths),
        box=np.tile(np.array([[130, 30, 190, 105]], np.float32), (24, 1)),
    )  # fmt: skip
    return tmp_path / "faces.npz"


def test_thumbnails_come_from_the_photos_a_file_names(file: Path) -> None:
    found = read_vectors(file).take(np.array([6, 0])).thumbnails([0, 1])
    assert all(p is not None and max(p.shape) <= 64 for p in found)
    assert not np.array_equal(found[0], found[1])
    (file.parent / "ann_0.png").unlink()
    assert read_vectors(file).thumbnails([0, 1])[0] is None


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_pictures_are_of_the_kind_their_name_says_and_the_same_each_time(
    file: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"a.{ending}"
    pictures.dendrogram_command(file, out)
    first = out.read_bytes()
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])
    pictures.dendrogram_command(file, out)
    assert out.read_bytes() == first
    with pytest.raises(ConfigError, match=r"\.png, \.svg, \.pdf"):
        pictures.dendrogram_command(file, tmp_path / "a.bmp")


def test_the_dendrogram_is_cut_in_the_widest_gap_and_names_its_leaves(file: Path, tmp_path: Path) -> None:
    pictures.dendrogram_command(file, tmp_path / "a.svg", linkage="ward")
    text = (tmp_path / "a.svg").read_text()
    assert "4 clusters" in text
    assert all(f"<!-- {n} -->" in text for n in set(NAMES))
    assert drawings.widest_gap([0.1, 0.1, 0.15, 0.9, 1.0]) == pytest.approx((0.15 + 0.9) / 2)
    assert drawings.widest_gap([0.5]) > 0.5
    assert drawings.widest_gap([0.2, 0.9]) == pytest.approx(0.55)


def test_every_cluster_below_the_cut_has_one_colour() -> None:
    rows = np.eye(3)[np.repeat([0, 1, 2], 4)] + 0.01 * np.random.default_rng(0).standard_normal((12, 3))
    table = batch.linkage(rows)
    colour = charts._cluster_colours(table, 0.5)
    below = [colour(12 + k) for k in range(len(table)) if table[k, 2] <= 0.5]
    assert len(set(below)) == 3
    assert charts.PALE not in below
    assert {colour(12 + k) for k in range(len(table)) if table[k, 2] > 0.5} == {charts.PALE}


@pytest.mark.parametrize("by", ["pca", "tsne"])
def test_a_map_keeps_people_together(by: str) -> None:
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(3), 15)
    points = charts.projected((np.eye(8)[who] + 0.05 * rng.standard_normal((45, 8))).astype(np.float32), by)
    assert points.shape == (45, 2)
    d = np.linalg.norm(points[:, None] - points, axis=2) + np.diag(np.full(45, np.inf))
    assert (who[d.argmin(1)] == who).mean() > 0.9


def test_umap_is_asked_for_two_columns_with_a_fixed_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    class UMAP:  # the real one compiles for a minute
        def __init__(self, **options: Any) -> None:
            assert options == {"n_components": 2, "n_neighbors": 9, "random_state": 0, "init": "random"}

        def fit_transform(self, x: np.ndarray) -> np.ndarray:
            return x[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    rows = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
    np.testing.assert_allclose(charts.projected(rows, "umap"), rows[:, :2])
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ConfigError, match=r"whowhen\[umap\]"):
        charts.projected(rows, "umap")


def test_a_map_shows_the_faces(file: Path, tmp_path: Path) -> None:
    pictures.map_command(file, tmp_path / "map.svg", by="pca", settings=["threshold=0.5"], faces=7)
    assert (tmp_path / "map.svg").read_text().count("<image") == 7
    with pytest.raises(ConfigError, match="pca, tsne or umap"):
        pictures.map_command(file, tmp_path / "map.svg", by="mercator", settings=["threshold=0.5"])


def test_pairs_are_counted_and_the_threshold_parts_them(file: Path, tmp_path: Path) -> None:
    pictures.pairs_command(file, tmp_path / "pairs.svg")
    text = (tmp_path / "pairs.svg").read_text()
    assert f"one person ({4 * 15:,} pairs)" in text
    assert f"two people ({24 * 23 // 2 - 60:,} pairs)" in text
    assert "AUC 1.0000" in text
    np.save(tmp_path / "bare.npy", np.eye(4))
    with pytest.raises(ConfigError, match="no true names"):
        pictures.pairs_command(tmp_path / "bare.npy", tmp_path / "pairs.svg")


def test_confusion_has_people_in_rows_and_clusters_on_the_diagonal() -> None:
    names = np.array(["ann"] * 5 + ["bob"] * 4 + ["cid"] * 2)
    labels = np.array([7, 7, 7, 7, -1, 3, 3, 3, 7, 3, 3])
    counts, people, clusters = charts.crosstable(names, labels)
    assert people == ["ann", "bob", "cid"]
    assert [dict(zip(clusters, row)) for row in counts.tolist()] == [
        {"7": 4, "noise": 1, "3": 0}, {"7": 1, "noise": 0, "3": 3}, {"7": 0, "noise": 0, "3": 2}
    ]  # fmt: skip
    counts, people, clusters = charts.crosstable(names, labels, most=1)
    assert (people, counts.sum()) == (["ann"], 5)


def test_segmentation_gives_k_colours_near_the_pictures_own() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 20:40], image[:, 40:] = (200, 30, 30), (30, 200, 30)
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    out = segmented(noisy, 3)
    assert len(np.unique(out.reshape(-1, 3), axis=0)) == 3
    assert np.abs(out.astype(int) - image).max() < 12
    assert np.array_equal(segmented(image, 10), image)
    assert len(np.unique(segmented(noisy, 2).reshape(-1, 3), axis=0)) == 2
    with pytest.raises(ConfigError, match="at least 1"):
        segmented(image, 0)


def test_segment_command_draws_every_k(tmp_path: Path) -> None:
    photo = drawn_photo(tmp_path / "a.png", 3, 5)
    pictures.segment_command(photo, tmp_path / "s.svg")
    assert re.findall(r"<!-- (original|K = \d+) -->", (tmp_path / "s.svg").read_text()) == [
        "original", "K = 2", "K = 3", "K = 10"
    ]  # fmt: skip
    pictures.segment_command(photo, tmp_path / "s.png", k=[4])
    assert cv2.imread(str(tmp_path / "s.png")).shape[1] > 500


def test_the_page_holds_scores_and_every_picture_and_asks_no_network(file: Path, tmp_path: Path) -> None:
    pictures.report_command(file, tmp_path / "lab.html", by="pca", photo=file.parent / "ann_0.png")
    page = (tmp_path / "lab.html").read_text()
    assert page.count("<svg") == 5
    assert "bcubed f</th><td>1.0000" in page
    assert "silhouette" in page
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)


def test_the_page_says_what_cannot_be_drawn(tmp_path: Path) -> None:
    rows = np.eye(4)[[0, 0, 1, 1, 2, 2]] + 0.01 * np.random.default_rng(0).standard_normal((6, 4))
    np.save(tmp_path / "<b>.npy", rows)
    pictures.report_command(tmp_path / "<b>.npy", tmp_path / "lab.html", by="pca", settings=["threshold=0.5"])
    page = (tmp_path / "lab.html").read_text()
    assert page.count("Not drawn: ") == 2
    assert "&lt;b&gt;.npy" in page
    assert "<b>" not in page


def test_a_sweep_is_drawn_method_by_method(file: Path, tmp_path: Path) -> None:
    bench = clusterings.Bench(read_vectors(file), "cosine")
    points = list(clusterings.grid_points(bench, ["average", "k-means", "online"], ()))
    done = list(clusterings.swept(bench, points, None, {}))
    text = charts.svg(charts.sweep(done, "bcubed_f", "t"))
    assert all(f"<!-- {m} -->" in text for m in ("average", "k-means", "online"))
    best = clusterings.best_of_each(done, "bcubed_f")
    assert [p["scores"]["bcubed_f"] for p in best] == [1.0, 1.0, 1.0]
