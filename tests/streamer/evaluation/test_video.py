"""Runs against labels: matching, what is scored, what is left out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from streamer.errors import SourceError
from streamer.evaluation import (
    FaceRows,
    Presence,
    Truth,
    evaluate,
    extra_people,
    make_truth,
    read_faces,
    read_truth,
    write_truth,
)
from streamer.evaluation.truth import truth_videos

A, B = (0.0, 0.0, 40.0, 40.0), (100.0, 0.0, 140.0, 40.0)
Row = tuple[float, str, str, tuple[float, float, float, float]]  # time, track, person, box


def faces(*rows: Row) -> FaceRows:
    times = np.array([r[0] for r in rows], np.float64)
    return FaceRows(
        np.round(times * 25).astype(np.int64),
        times,
        np.array([r[1] for r in rows], np.str_),
        np.array([r[2] for r in rows], np.str_),
        np.array([r[3] for r in rows], np.float32).reshape(-1, 4),
    )


def boxes(*rows: tuple[float, tuple[float, float, float, float], str, str]) -> Truth:
    return make_truth("clip.mp4", [(t, *box, person, kind) for t, box, person, kind in rows])


def test_a_perfect_run_scores_one() -> None:
    truth = boxes((0.0, A, "P1", "visible"), (0.0, B, "P2", "visible"), (0.1, A, "P1", "visible"))
    score = evaluate(faces((0.0, "1", "7", A), (0.0, "2", "8", B), (0.1, "1", "7", A)), truth)
    assert (score.recall, score.bcubed_f, score.pair_f, score.nmi) == (1, 1, 1, 1)
    assert (score.people_found, score.people_true, score.violations, score.switches) == (2, 2, 0, 0)


@pytest.mark.parametrize(("late", "found"), [(0.0, 1), (0.075, 1), (0.09, 0)])
def test_a_box_is_found_within_the_tolerance_only(late: float, found: int) -> None:
    score = evaluate(faces((1 + late, "1", "1", A)), boxes((1.0, A, "P1", "visible")))
    assert score.visible_found == found


@pytest.mark.parametrize(("shift", "found"), [(20, 1), (22, 0)])
def test_a_box_is_found_with_enough_overlap_only(shift: float, found: int) -> None:
    moved = (shift, 0.0, shift + 40, 40.0)  # IoU 1/3 and 0.29
    assert evaluate(faces((1.0, "1", "1", moved)), boxes((1.0, A, "P1", "visible"))).visible_found == found


def test_one_face_does_not_find_two_people() -> None:
    near = (5.0, 0.0, 45.0, 40.0)
    truth = boxes((1.0, A, "P1", "visible"), (1.0, near, "P2", "visible"))
    assert evaluate(faces((1.0, "1", "1", A), (1.04, "1", "1", near)), truth).visible_found == 1


def test_the_match_finds_as_many_as_possible_before_the_best() -> None:
    left, middle, right = (0.0, 0.0, 40.0, 40.0), (10.0, 0.0, 50.0, 40.0), (24.0, 0.0, 64.0, 40.0)
    truth = boxes((1.0, left, "P1", "visible"), (1.0, middle, "P2", "visible"))
    score = evaluate(faces((1.0, "1", "1", middle), (1.0, "2", "2", right)), truth)
    assert score.visible_found == 2


def test_hard_is_no_miss_but_counts_when_found() -> None:
    truth = boxes((0.0, A, "P1", "visible"), (0.0, B, "P2", "hard"))
    missed = evaluate(faces((0.0, "1", "1", A)), truth)
    wrong = evaluate(faces((0.0, "1", "1", A), (0.0, "2", "1", B)), truth)
    assert (missed.recall, missed.bcubed_f, missed.people_true) == (1, 1, 1)
    assert (wrong.recall, wrong.bcubed_precision, wrong.people_true, wrong.violations) == (1, 0.5, 2, 1)


def test_ignored_boxes_and_ranges_are_left_out() -> None:
    rows = [(0.0, *A, "P1", "visible"), (0.0, *B, "P2", "ignore"), (1.0, *B, "P3", "visible")]
    truth = make_truth("clip.mp4", rows, [Presence(0.9, 1.1, "P3", "ignore"), Presence(0, 2, "-", "ignore")])
    score = evaluate(faces((0.0, "1", "1", A), (0.0, "2", "1", B), (1.0, "3", "1", B)), truth)
    assert (score.scored, score.bcubed_f, score.people_true) == (1, 1, 1)


def test_unassigned_faces_are_singletons_and_nobody() -> None:
    truth = boxes(*[(t / 10, A, "P1", "visible") for t in range(3)])
    score = evaluate(faces((0.0, "1", "", A), (0.1, "1", "", A), (0.2, "2", "4", A)), truth)
    assert (score.recall, score.bcubed_precision, score.bcubed_recall) == pytest.approx((1, 1, 1 / 3))
    assert (score.people_found, score.switches) == (1, 0)


def test_a_change_of_name_is_a_switch() -> None:
    truth = boxes(*[(t / 10, A, "P1", "visible") for t in range(4)])
    rows = faces(*[(t / 10, "1", name, A) for t, name in enumerate("1221")])
    assert evaluate(rows, truth).switches == 2


def test_violations_count_where_nothing_is_labelled_too() -> None:
    rows = faces((0.0, "1", "1", A), (5.0, "2", "3", A), (5.0, "3", "3", B), (6.0, "4", "", A), (6.0, "5", "", B))
    assert evaluate(rows, boxes((0.0, A, "P1", "visible"))).violations == 1


def test_where_nobody_is_labelled_everybody_found_is_too_many() -> None:
    score = evaluate(faces((0.0, "1", "1", A), (1.0, "2", "2", A), (1.0, "3", "", B)), make_truth("deer.mp4"))
    assert (score.level, score.people_found, score.people_true) == ("nobody", 2, 0)
    assert math.isnan(score.bcubed_f)
    assert score.as_dict()["bcubed_f"] is None


def test_times_alone_are_scored_by_seconds() -> None:
    truth = make_truth("talk.mp4", (), [Presence(0, 1, "ann"), Presence(1, 2, "bob"), Presence(2, 3, "ann")])
    one = faces(*[(f / 25, "1", "1", A) for f in range(75)])
    two = faces(*[(f / 25, "1", "2" if 25 <= f < 50 else "1", A) for f in range(75)])
    merged, right = evaluate(one, truth), evaluate(two, truth)
    assert (right.level, right.people_found) == ("time", 2)
    assert (right.recall, right.bcubed_f, right.time_error) == pytest.approx((1, 1, 0))
    assert merged.bcubed_precision == pytest.approx((4 / 3 + 1 / 3) / 3)
    assert merged.time_error == pytest.approx(1 / 3)


def test_truth_comes_back_as_written(tmp_path: Path) -> None:
    truth = make_truth("clip.mp4", [(0.04, *A, "P1", "visible")], [Presence(0, 1, "P1"), Presence(1, 2, "-", "ignore")])
    write_truth(truth, tmp_path)
    for path in (tmp_path, tmp_path / "boxes" / "clip.mp4.csv"):
        back = read_truth(path, "clip.mp4")
        assert (back.video, back.persons, back.presence) == ("clip.mp4", ("P1",), truth.presence)
        np.testing.assert_array_equal(back.boxes, truth.boxes)


def test_rttm_gives_presence(tmp_path: Path) -> None:
    path = tmp_path / "show.rttm"
    path.write_text("; comment\nSPEAKER show 1 1.50 2.00 <NA> <NA> ann <NA> <NA>\n")
    assert read_truth(path, "show.mp4").presence == (Presence(1.5, 3.5, "ann"),)
    with pytest.raises(SourceError, match="nothing about other"):
        read_truth(path, "other.mp4")


def test_an_unlabelled_video_is_no_video_without_people(tmp_path: Path) -> None:
    (tmp_path / "videos.csv").write_text("video,people_visible\ndeer.mp4,0\ncrowd.mp4,?\n")
    assert truth_videos(tmp_path) == ["deer.mp4"]
    with pytest.raises(SourceError, match=r"no labels for crowd.mp4.*deer.mp4"):
        read_truth(tmp_path, "crowd.mp4")


@pytest.mark.parametrize(
    ("text", "told"), [("a,b\n1,2\n", "no column"), ("t_s,x1,y1,x2,y2,person,kind\n1,x,2,3,4,P,visible\n", "line 2")]
)
def test_a_broken_boxes_file_is_told_by_its_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "clip.mp4.csv").write_text(text)
    with pytest.raises(SourceError, match=told):
        read_truth(tmp_path / "clip.mp4.csv")


def test_faces_are_read_by_their_column_names(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    path.write_text("source,frame,time_s,track,person,x1,y1,x2,y2,score,kind\nv,3,0.12,5,,1,2,3,4,0.9,tracked\n")
    rows = read_faces(path)
    assert (len(rows), rows.frames[0], rows.times[0], rows.tracks[0], rows.people()) == (1, 3, 0.12, "5", [])
    path.write_text("source,frame,time_s\n")
    with pytest.raises(SourceError, match="no column track"):
        read_faces(path)


def test_the_hand_made_labels_score_one_against_themselves(shared_data: Path) -> None:
    truth = read_truth(shared_data, "sitcom_six.mp4")
    n = len(truth.times)
    tracks = np.array([str(i) for i in range(n)])
    frames = np.unique(truth.times, return_inverse=True)[1]
    score = evaluate(FaceRows(frames, truth.times, tracks, np.array(truth.persons), truth.boxes), truth)
    assert (score.recall, score.bcubed_f, score.people_found, score.people_true) == (1, 1, 6, 6)


def test_a_person_on_no_label_is_extra_unless_anybody_may_be_there() -> None:
    truth = make_truth(
        "clip.mp4", [(0.0, *A, "P1", "visible"), (0.0, *B, "P2", "ignore")], [Presence(5.0, 6.0, "-", "ignore")]
    )
    rows = faces((0.0, "1", "1", A), (0.0, "2", "2", B), (1.0, "3", "3", A), (5.5, "4", "4", A), (1.0, "5", "", B))
    assert (extra_people(rows, truth), evaluate(rows, truth).people_extra) == ({"3"}, 1)
