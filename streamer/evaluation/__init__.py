"""How good an answer is: external and internal cluster scores, and whole runs on labelled videos."""

from streamer.evaluation.external import PRF, Contingency, Pairs, scores, time_error
from streamer.evaluation.internal import calinski_harabasz, davies_bouldin, dunn, internal_scores, silhouette
from streamer.evaluation.rows import FaceRows, read_faces, spans
from streamer.evaluation.truth import Presence, Truth, make_truth, read_truth, truth_videos, write_truth
from streamer.evaluation.verification import Verification, all_pairs, verification
from streamer.evaluation.video import VideoScore, evaluate, extra_people, match, violations

__all__ = [
    "PRF",
    "Contingency",
    "FaceRows",
    "Pairs",
    "Presence",
    "Truth",
    "Verification",
    "VideoScore",
    "all_pairs",
    "calinski_harabasz",
    "davies_bouldin",
    "dunn",
    "evaluate",
    "extra_people",
    "internal_scores",
    "make_truth",
    "match",
    "read_faces",
    "read_truth",
    "scores",
    "silhouette",
    "spans",
    "time_error",
    "truth_videos",
    "verification",
    "violations",
    "write_truth",
]
