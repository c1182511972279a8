from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamer import reports
from streamer.errors import ConfigError
from streamer.items import DETECTED, TRACKED, ArrayPicture, Frame
from streamer.reports.atomic import ReportError
from streamer.reports.base import FaceRow, RunData
from streamer.reports.boxes import by_track
from streamer.reports.contact import ContactSheet
from streamer.reports.drawing import ascii_name, named_box
from streamer.reports.video import Alive, between
from tests.streamer.reports.drawn import drawn_run, empty_run, hostile_run, person, source

TIMES = [0.852, 0.9, 1.0, 1.1001, 1.5, 1.6]  # variable frame rate, first time stamp not 0


def checks(height: int = 91, width: int = 161) -> np.ndarray:
    """A fine chequerboard: the most detail a picture can have."""
    y, x = np.mgrid[:height, :width]
    return np.repeat((((x // 2 + y // 2) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)


def run(rows: list[FaceRow]) -> RunData:
    film = source("v.mp4", width=161, height=91, fps=10.0, start=0.852)
    return RunData("v.mp4", (film,), (person(1, [], name="Ann Lee"), person(2, [])), rows=lambda: iter(rows))


def frames() -> Iterator[Frame]:
    for i, time in enumerate(TIMES):
        yield Frame("v.mp4", i, time, 161, 91, ArrayPicture(checks()))


def row(frame: int, track: int, person: int | None, x: float, kind: int = DETECTED) -> FaceRow:
    return FaceRow("v.mp4", frame, TIMES[frame], track, person, (x, 30.0, x + 20, 60.0), 0.9, kind)


ROWS = [row(0, 1, 1, 20.0), row(0, 2, None, 110.0), row(1, 1, 1, 22.0, TRACKED), row(4, 1, 1, 28.0)]


def decoded(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as file:
        return [(float(f.time or 0), f.to_ndarray(format="bgr24")) for f in file.decode(video=0)]


def detail(image: np.ndarray, x: float) -> float:
    """Contrast of neighbouring pixels inside the box that begins at x."""
    return float(image[34:56, int(x) + 3 : int(x) + 17].astype(float).std())


def test_every_frame_keeps_its_own_time(tmp_path: Path) -> None:
    for name in ("annotated", "blurred"):
        found = decoded(reports.write(name, run(ROWS), tmp_path, frames=frames))
        assert [t for t, _ in found] == pytest.approx(TIMES, abs=1e-4)


def test_an_odd_size_is_padded_by_one_pixel(tmp_path: Path) -> None:
    assert decoded(reports.write("annotated", run(ROWS), tmp_path, frames=frames))[0][1].shape == (92, 162, 3)


def test_blurring_all_hides_faces_given_to_nobody_too(tmp_path: Path) -> None:
    _, first = decoded(reports.write("blurred", run(ROWS), tmp_path, frames=frames))[0]
    assert detail(first, 20) < 25
    assert detail(first, 110) < 25
    assert detail(first, 70) > 80  # between them nothing is touched


def test_blurring_all_but_some_leaves_those(tmp_path: Path) -> None:
    path = reports.write("blurred", run(ROWS), tmp_path, frames=frames, blur="but", people={1})
    _, first = decoded(path)[0]
    assert detail(first, 20) > 80
    assert detail(first, 110) < 25


def test_blurring_only_some_leaves_the_others(tmp_path: Path) -> None:
    path = reports.write("blurred", run(ROWS), tmp_path, frames=frames, blur="only", people={1})
    _, first = decoded(path)[0]
    assert detail(first, 20) < 25
    assert detail(first, 110) > 80


def test_frames_the_detector_missed_inherit_the_box(tmp_path: Path) -> None:
    found = decoded(reports.write("blurred", run(ROWS), tmp_path, frames=frames, blur="only", people={1}))
    for i, x in ((2, 24.0), (3, 26.0), (5, 28.0)):  # a pause, and after the end
        assert detail(found[i][1], x) < 25


def test_between_two_looks_the_box_moves_in_a_straight_line() -> None:
    track = by_track(ROWS)[0]
    assert between(track, 1, 3) == pytest.approx((26.0, 30.0, 46.0, 60.0))
    assert between(track, -1, 0) == track.box(0)


def test_a_track_is_held_on_both_sides_for_so_many_frames() -> None:
    alive = Alive(by_track([row(3, 7, 1, 20.0)]), hold=2)
    assert [len(list(alive.at(f))) for f in range(8)] == [0, 1, 1, 1, 1, 1, 0, 0]


def test_a_box_is_drawn_in_the_colour_of_the_person(tmp_path: Path) -> None:
    plain = [Frame("v.mp4", 0, 0.0, 161, 91, ArrayPicture(np.full((91, 161, 3), 255, np.uint8)))]
    _, first = decoded(reports.write("annotated", run(ROWS[:1]), tmp_path, frames=lambda: plain))[0]
    edge = first[45, 20].astype(int)  # person 1: orange in Okabe and Ito's palette
    assert edge[2] > edge[0] + 80
    assert (first[80:, 100:] > 245).all()


def test_a_picture_video_without_frames_is_refused() -> None:
    with pytest.raises(ConfigError, match="frames"):
        reports.create("blurred")


def test_blurring_some_needs_to_know_whom() -> None:
    with pytest.raises(ConfigError, match="people"):
        reports.create("blurred", frames=frames, blur="only")


def test_a_source_without_frames_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no frame"):
        reports.write("annotated", run(ROWS), tmp_path, frames=lambda: iter(()))
    assert list(tmp_path.iterdir()) == []


def test_the_video_says_the_rate_it_was_given_at_90_kilohertz(tmp_path: Path) -> None:
    with av.open(str(reports.write("annotated", run(ROWS), tmp_path, frames=frames))) as file:
        assert file.streams.video[0].time_base <= Fraction(1, 10_000)
        assert not file.streams.audio


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("Ann Lee", "Ann Lee"),
        ("Zoë", "Zoe"),
        ("李雷", "Person 7"),
        ("🦊", "Person 7"),
        ("", "Person 7"),
        ("a\nb", "a b"),
    ],
)
def test_names_are_drawn_in_letters_there_are(name: str, drawn: str) -> None:
    assert ascii_name(name, 7) == drawn


def test_a_box_outside_the_picture_draws_nothing_wrong() -> None:
    image = np.zeros((50, 50, 3), np.uint8)
    named_box(image, (-30, -30, -10, -10), "somebody with a long name", (0, 0, 255))
    named_box(image, (45, 45, 90, 90), "x", (0, 0, 255))


def test_the_contact_sheet_shows_everybody_longest_first() -> None:
    sheet = ContactSheet(columns=2, side=96).draw(drawn_run())
    cell = sheet[64:160, 16:112]
    wanted = cv2.imdecode(np.frombuffer(drawn_run().people[0].faces[0].jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(cell.astype(int) - cv2.resize(wanted, (96, 96), interpolation=cv2.INTER_AREA)).mean() < 2


def test_the_contact_sheet_of_nobody_is_a_picture(tmp_path: Path) -> None:
    for data in (empty_run(), hostile_run()):
        image = cv2.imread(str(reports.write("contact", data, tmp_path)))
        assert image is not None
        assert image.shape[0] > 64
