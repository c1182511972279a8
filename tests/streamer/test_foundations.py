"""Items, geometry, vectors, intervals, aliases."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from streamer.aliases import Aliases
from streamer.geometry import area, clip, expand, iou
from streamer.intervals import gaps, join, overlap, total
from streamer.items import U8, ArrayPicture, Faces, Frame, OncePicture, Tracklet, TrackRows
from streamer.vectors import cosine_distance, mean_direction, unit, weighted_mean


def test_iou_of_half_overlapping_boxes_is_a_third() -> None:
    assert iou([[0, 0, 2, 2]], [[1, 0, 3, 2]])[0, 0] == pytest.approx(1 / 3)


def test_iou_of_empty_boxes_is_zero() -> None:
    assert iou([[1, 1, 1, 1]], [[1, 1, 1, 1]])[0, 0] == 0


def test_an_inverted_box_has_no_area() -> None:
    assert area([[2, 2, 1, 1], [0, 0, 2, 3]]).tolist() == [0, 6]


def test_clip_keeps_boxes_inside_the_frame() -> None:
    assert clip([[-5, 2, 30, 40]], 20, 10).tolist() == [[0, 2, 20, 10]]


def test_expand_grows_about_the_centre() -> None:
    assert expand([[0, 0, 10, 20]], 2.0).tolist() == [[-5, -10, 15, 30]]


def test_unit_leaves_a_zero_vector_alone() -> None:
    assert unit([[3, 4], [0, 0]]).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


def test_cosine_distance_of_orthogonal_vectors_is_one() -> None:
    assert cosine_distance([1, 0], [[0, 2], [5, 0]]).tolist() == [[1, 0]]


def test_mean_direction_follows_the_weights() -> None:
    assert mean_direction([[1, 0], [0, 1]], [1, 0]).tolist() == [1, 0]
    assert weighted_mean([[2, 0], [0, 2]], [3, 1]).tolist() == [1.5, 0.5]


def test_joining_bridges_gaps_up_to_the_limit() -> None:
    assert join([(2, 3), (0, 1), (3.5, 3.5)], gap=1) == [(0, 3)]
    assert join([(0, 1), (2.01, 3)], gap=1) == [(0, 1), (2.01, 3)]


def test_gaps_are_the_complement() -> None:
    assert gaps([(1, 2), (4, 9)], (0, 5)) == [(0, 1), (2, 4)]
    assert gaps([], (0, 5)) == [(0, 5)]


def test_overlap_is_where_both_are() -> None:
    assert overlap([(0, 5), (6, 8)], [(4, 7)]) == [(4, 5), (6, 7)]
    assert total([(0, 2), (1, 3)]) == 3


def test_merged_identities_resolve_to_the_survivor() -> None:
    aliases = Aliases()
    aliases.merge(1, 2)
    aliases.merge(3, 1)
    assert [aliases.resolve(i) for i in (1, 2, 3, 4)] == [3, 3, 3, 4]
    assert dict(Aliases(dict(aliases.items())).items()) == {1: 3, 2: 3}


def test_merging_an_identity_with_itself_changes_nothing() -> None:
    aliases = Aliases()
    aliases.merge(1, 1)
    assert len(aliases) == 0
    assert aliases.resolve(1) == 1


def test_faces_refuse_columns_of_different_length() -> None:
    with pytest.raises(ValueError, match="columns do not fit"):
        Faces(np.zeros((2, 4), np.float32), np.zeros(1, np.float32), np.zeros((2, 5, 2), np.float32))
    assert len(Faces.none()) == 0


def test_a_tracklet_with_nan_is_refused() -> None:
    bad = np.array([np.nan, 0], np.float32)
    with pytest.raises(ValueError, match="NaN"):
        Tracklet(1, "a", 0, 1, 1, bad, bad[None])


def test_rows_between_frames_are_cut_out() -> None:
    n = np.arange(5)
    rows = TrackRows(n, n * 0.1, np.zeros((5, 4), np.float32), np.ones(5, np.float32), np.ones(5, np.uint8))
    assert rows.between(1, 3).frames.tolist() == [1, 2, 3]


def test_an_array_picture_is_scaled_and_its_luma_is_small() -> None:
    picture = ArrayPicture(np.full((360, 640, 3), 200, np.uint8))
    frame = Frame("a", 0, 0.0, 640, 360, picture)
    assert frame.nbytes == 640 * 360 * 3
    assert picture.scaled(320, 180).shape == (180, 320, 3)
    assert picture.luma().shape == (90, 160)
    assert picture.luma()[0, 0] == 200


def test_importing_the_library_loads_nothing_heavy() -> None:
    heavy = ("cv2", "onnxruntime", "sklearn", "faiss", "av", "scipy")
    code = f"import streamer, sys; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_picture_that_is_looked_at_is_converted_once_for_each_size_in_turn() -> None:
    asked = []

    class Watched(ArrayPicture):
        def scaled(self, width: int, height: int) -> U8:
            asked.append((width, height))
            return super().scaled(width, height)

    picture = OncePicture(Watched(np.zeros((36, 64, 3), np.uint8)), (64, 36))
    assert picture.scaled(64, 36) is picture.bgr()
    assert picture.scaled(32, 18).shape == (18, 32, 3)
    assert picture.bgr().shape == (36, 64, 3)
    assert asked == [(64, 36), (32, 18), (64, 36)]
