"""Every format read back by the format's own reader; where that is not installed, the test says so."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from streamer import reports
from streamer.errors import ConfigError
from streamer.items import Appearance
from streamer.reports.atomic import ReportError
from streamer.reports.base import RunData
from streamer.reports.read import read_eaf, read_rttm
from streamer.reports.structured import schema
from streamer.reports.timecode import Rate, to_frame
from tests.streamer.reports.drawn import HOSTILE, drawn_run, empty_run, hostile_run, one_frame, person, source


def reader(module: str, extra: str = "test") -> Any:
    return pytest.importorskip(module, reason=f"{module} (the format's own reader) is not installed: extra `{extra}`")


def ntsc_run() -> RunData:
    """29.97 drop-frame, first time stamp 0.852, one appearance from frame 1800 to 1830."""
    film = source(fps=29.97, start=0.852, duration=70.0, frames=2098, cuts=())
    looks = [Appearance(film.name, 1, 0.852 + 60.06, 0.852 + 61.061, (1,), 30, 0.9)]
    return RunData(film.name, (film,), (person(1, looks, name="Ann Lee"),), tuple(looks))


# --- JSON


@pytest.mark.parametrize("run", [drawn_run, empty_run, one_frame, hostile_run])
@pytest.mark.parametrize("faces", [False, True])
def test_json_fits_its_schema(run: Any, faces: bool, tmp_path: Path) -> None:
    jsonschema = reader("jsonschema")
    document = json.loads(reports.write("json", run(), tmp_path / "p.json", faces=faces).read_text())
    jsonschema.Draft202012Validator(schema()).validate(document)
    assert ("faces" in document) is faces


def test_json_keeps_names_exactly(tmp_path: Path) -> None:
    document = json.loads(reports.write("json", hostile_run(), tmp_path).read_text())
    assert [p["name"] for p in document["people"]] == list(HOSTILE)
    assert document["appearances"][0]["end_frame"] == 25


def test_json_says_what_was_not_seen(tmp_path: Path) -> None:
    unseen = json.loads(reports.write("json", drawn_run(), tmp_path).read_text())["sources"][0]["not_seen"]
    assert unseen["gaps"] == [{"start": 18.0, "end": 19.0, "reason": "damaged", "frames": 25}]
    assert unseen["rejected"] == {"too_small": 7, "blurred": 2}


def test_json_lines_are_one_object_each(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in reports.write("jsonl", drawn_run(), tmp_path).read_text().splitlines()]
    kinds = [line["type"] for line in lines]
    assert {k: kinds.count(k) for k in kinds} == {"run": 1, "source": 1, "person": 3, "appearance": 4, "face": 238}
    assert lines[-1]["box"] == [36.0, 40.0, 30.0, 36.0]


def test_parquet_has_the_rows_with_types(tmp_path: Path) -> None:
    parquet = reader("pyarrow.parquet", "frames")
    table = parquet.read_table(reports.write("parquet", drawn_run(), tmp_path))
    assert table.num_rows == 238
    first = table.slice(0, 1).to_pylist()[0]
    assert (first["source"], first["frame"], first["person"], first["kind"]) == ("drawn.mp4", 25, 1, "tracked")
    assert parquet.read_table(reports.write("parquet", one_frame(), tmp_path)).column("person").to_pylist() == [None]


# --- RTTM


def test_rttm_is_read_by_pyannote(tmp_path: Path) -> None:
    pyannote = reader("pyannote.core", "eval")
    path = reports.write("rttm", drawn_run(), tmp_path)
    found = pyannote.Annotation()
    for n, line in enumerate(path.read_text().splitlines()):
        _, uri, _, onset, length, *_, label, _, _ = line.split(" ")
        found[pyannote.Segment(float(onset), float(onset) + float(length)), n] = label
        assert uri == "drawn.mp4"
    assert found.label_duration("Ann_Lee") == pytest.approx(5.0)
    assert found.labels() == ["Ann_Lee", "Bo", "Person_2"]
    assert found.to_rttm  # pyannote refuses labels with blanks when it writes; ours have none


def test_rttm_lines_have_ten_fields_whatever_the_names(tmp_path: Path) -> None:
    lines = reports.write("rttm", hostile_run(), tmp_path).read_text().splitlines()
    assert [len(line.split(" ")) for line in lines] == [10] * len(HOSTILE)
    assert len({line.split(" ")[7] for line in lines}) == len(HOSTILE)


def test_two_people_of_one_name_stay_two_in_rttm(tmp_path: Path) -> None:
    path = reports.write("rttm", drawn_run(names=("Ann Lee", "Ann Lee", "Ann_Lee")), tmp_path)
    assert {r.label for r in read_rttm(path)} == {"Ann_Lee_1", "Ann_Lee_2", "Ann_Lee_3"}
    names = path.with_name("people.rttm.names.csv").read_text().splitlines()
    assert names[:2] == ["label,person,name", "Ann_Lee_1,1,Ann Lee"]


def test_rttm_read_back_is_what_was_written(tmp_path: Path) -> None:
    rows = read_rttm(reports.write("rttm", drawn_run(), tmp_path))
    assert rows[2] == ("drawn.mp4", "Bo", 13.0, 14.52)


def test_a_damaged_rttm_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "x.rttm").write_text(";; comment\nSPEAKER a 1 x 2\n")
    with pytest.raises(ReportError, match="line 2"):
        read_rttm(tmp_path / "x.rttm")


# --- captions


def test_webvtt_is_read_by_its_parser(tmp_path: Path) -> None:
    webvtt = reader("webvtt")
    cues = webvtt.read(str(reports.write("vtt", drawn_run(), tmp_path)))
    assert [(c.start, c.end, c.voice, c.text) for c in cues][:2] == [
        ("00:00:01.000", "00:00:04.000", "Ann Lee", "Ann Lee"),
        ("00:00:02.000", "00:00:05.000", "Person 2", "Person 2"),
    ]


def test_webvtt_keeps_hostile_names_inside_one_cue(tmp_path: Path) -> None:
    webvtt = reader("webvtt")
    path = reports.write("vtt", hostile_run(), tmp_path)
    assert len(webvtt.read(str(path))) == len(HOSTILE)
    for line in path.read_text().splitlines():
        assert "<" not in line.removeprefix("<v ")
        assert line.count("-->") == (1 if line[:2] == "00" else 0)


def test_grouped_captions_change_with_who_is_there(tmp_path: Path) -> None:
    webvtt = reader("webvtt")
    cues = webvtt.read(str(reports.write("vtt", drawn_run(), tmp_path / "g.vtt", group=True)))
    assert [(c.start, c.text) for c in cues][:3] == [
        ("00:00:01.000", "Ann Lee"),
        ("00:00:02.000", "Ann Lee\nPerson 2"),
        ("00:00:04.000", "Person 2"),
    ]


def test_webvtt_metadata_is_json_with_boxes(tmp_path: Path) -> None:
    webvtt = reader("webvtt")
    cues = list(webvtt.read(str(reports.write("vtt-faces", drawn_run(), tmp_path))))
    assert cues[0].start == "00:00:01.000"
    assert json.loads(cues[0].text)["faces"] == [
        {"person": 1, "name": "Ann Lee", "track": 11, "box": [36.2, 40.0, 30.0, 36.0]}
    ]
    both = next(c for c in cues if c.start == "00:00:02.000")
    assert [f["person"] for f in json.loads(both.text)["faces"]] == [1, 2]
    assert all(a.end <= b.start for a, b in pairwise(cues))


def test_srt_has_crlf_commas_and_no_tags(tmp_path: Path) -> None:
    webvtt = reader("webvtt")
    path = reports.write("srt", hostile_run(), tmp_path)
    content = path.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n")
    assert b"<" not in content
    assert b"1\r\n00:00:00,000 --> 00:00:01,000\r\n" in content
    assert len(webvtt.from_srt(str(path))) == len(HOSTILE)


def test_captions_count_from_the_first_frame(tmp_path: Path) -> None:
    assert "00:01:00.060 --> 00:01:01.061" in reports.write("vtt", ntsc_run(), tmp_path).read_text()


# --- ELAN


def test_eaf_is_read_by_pympi(tmp_path: Path) -> None:
    elan = reader("pympi")
    file = elan.Elan.Eaf(str(reports.write("eaf", drawn_run(), tmp_path)))
    assert sorted(file.get_tier_names()) == ["Ann Lee", "Bo", "Person 2"]
    assert [t[:3] for t in sorted(file.get_annotation_data_for_tier("Ann Lee"))] == [
        (1000, 4000, "Ann Lee"),
        (15000, 17000, "Ann Lee"),
    ]
    assert sorted(file.get_controlled_vocabulary_names()) == ["people"]


def test_eaf_read_back_is_what_was_written(tmp_path: Path) -> None:
    rows = read_eaf(reports.write("eaf", drawn_run(), tmp_path))
    assert rows[0] == ("drawn.mp4", "Ann Lee", 1.0, 4.0)
    assert [r.label for r in rows] == ["Ann Lee", "Person 2", "Bo", "Ann Lee"]


def test_eaf_tiers_are_one_per_person_even_with_one_name(tmp_path: Path) -> None:
    rows = read_eaf(reports.write("eaf", drawn_run(names=("Bo", "Bo", "Bo")), tmp_path))
    assert {r.label for r in rows} == {"Bo_1", "Bo_2", "Bo_3"}


def test_an_eaf_that_defines_entities_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.eaf").write_text('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>')
    with pytest.raises(ReportError, match="document type"):
        read_eaf(tmp_path / "x.eaf")


# --- editors


def test_edl_markers_carry_timecode_colour_name_and_length(tmp_path: Path) -> None:
    lines = reports.write("edl", drawn_run(), tmp_path).read_text().splitlines()
    assert lines[:2] == ["TITLE: drawn.mp4", "FCM: NON-DROP FRAME"]
    assert lines[3] == "001  001      V     C        01:00:01:00 01:00:01:01 01:00:01:00 01:00:01:01  "
    assert lines[4] == " |C:ResolveColorBlue |M:Ann Lee |D:75"


def test_edl_is_drop_frame_for_ntsc(tmp_path: Path) -> None:
    text = reports.write("edl", ntsc_run(), tmp_path / "m.edl", start_timecode="10:00:00;00").read_text()
    assert "FCM: DROP FRAME" in text
    assert "10:01:00;02 10:01:00;03" in text
    assert "|D:30" in text


def test_edl_is_drop_frame_by_itself_where_the_rate_is(tmp_path: Path) -> None:
    text = reports.write("edl", ntsc_run(), tmp_path).read_text()
    assert "FCM: DROP FRAME" in text
    assert "01:01:00;02 01:01:00;03" in text


def test_edl_is_read_by_a_cmx_3600_reader(tmp_path: Path) -> None:
    pytest.importorskip("otio_cmx3600_adapter", reason="otio-cmx3600-adapter (extra `test`) is not installed")
    import opentimelineio as otio

    data = drawn_run()
    alone = replace(data, appearances=tuple(a for a in data.appearances if a.identity != 2))  # CMX has one at a time
    timeline = otio.adapters.read_from_file(str(reports.write("edl", alone, tmp_path)), "cmx_3600", rate=25)
    clips = list(timeline.find_clips())
    assert [c.source_range.start_time.to_timecode() for c in clips] == ["01:00:01:00", "01:00:13:00", "01:00:15:00"]
    assert list(clips[0].metadata["cmx_3600"]["comments"]) == ["|C:ResolveColorBlue |M:Ann Lee |D:75"]


def test_xmeml_is_read_by_the_final_cut_reader(tmp_path: Path) -> None:
    pytest.importorskip("otio_fcp_adapter", reason="otio-fcp-adapter (extra `test`) is not installed")
    import opentimelineio as otio

    timeline = otio.adapters.read_from_file(str(reports.write("xmeml", drawn_run(), tmp_path)), "fcp_xml")
    (clip,) = timeline.find_clips()
    marks = [(m.name, m.marked_range.start_time.value, m.marked_range.duration.value) for m in clip.markers]
    assert marks == [("Ann Lee", 25, 75), ("Person 2", 50, 75), ("Bo", 325, 38), ("Ann Lee", 375, 50)]


def test_a_path_in_an_editor_file_has_no_detours(tmp_path: Path) -> None:
    detour = drawn_run(sources=(source(path="/work/a/../films/./ann lee.mp4"),))
    for form in ("xmeml", "fcpxml"):
        assert "/work/films/ann%20lee.mp4" in reports.write(form, detour, tmp_path).read_text()


def test_edl_names_cannot_open_another_field(tmp_path: Path) -> None:
    text = reports.write(
        "edl", drawn_run(names=("a |C:ResolveColorRed |M:x", "b\n999  001", "c")), tmp_path
    ).read_text()
    assert all(line.count("|") == 3 for line in text.splitlines() if line.startswith(" |"))
    assert text.count("ResolveColor") - text.count("/C:ResolveColor") == 4


def test_a_start_timecode_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="start timecode"):
        reports.write("edl", drawn_run(), tmp_path / "m.edl", start_timecode="10:00:00:31")


def test_xmeml_markers_are_frames_of_the_clip(tmp_path: Path) -> None:
    tree = ET.parse(reports.write("xmeml", ntsc_run(), tmp_path)).getroot()
    clip = tree.find("./sequence/media/video/track/clipitem")
    assert clip is not None
    assert [(m.findtext("name"), m.findtext("in"), m.findtext("out")) for m in clip.iter("marker")] == [
        ("Ann Lee", "1800", "1830")
    ]
    assert (clip.findtext("rate/timebase"), clip.findtext("rate/ntsc")) == ("30", "TRUE")
    assert tree.findtext("./sequence/timecode/displayformat") == "DF"


def test_fcpxml_times_are_whole_frames_as_fractions(tmp_path: Path) -> None:
    tree = ET.parse(reports.write("fcpxml", ntsc_run(), tmp_path)).getroot()
    keyword = next(tree.iter("keyword"))
    start, length = (Fraction(str(keyword.get(k)).rstrip("s")) for k in ("start", "duration"))
    assert (start, length) == (1800 * Fraction(1001, 30000), 30 * Fraction(1001, 30000))
    assert keyword.get("value") == "Ann Lee"
    assert next(tree.iter("format")).get("frameDuration") == "1001/30000s"
    assert next(tree.iter("asset-clip")).get("tcFormat") == "DF"


def test_otio_is_read_by_opentimelineio(tmp_path: Path) -> None:
    otio = reader("opentimelineio")
    timeline = otio.adapters.read_from_file(str(reports.write("otio", drawn_run(), tmp_path)))
    clip = timeline.tracks[0][0]
    assert [(m.name, m.marked_range.start_time.value, m.marked_range.duration.value) for m in clip.markers] == [
        ("Ann Lee", 25, 75),
        ("Person 2", 50, 75),
        ("Bo", 325, 38),
        ("Ann Lee", 375, 50),
    ]
    assert clip.media_reference.target_url == "file:///films/drawn.mp4"


def test_otio_tracks_place_everybody_where_they_are(tmp_path: Path) -> None:
    otio = reader("opentimelineio")
    path = reports.write("otio", drawn_run(), tmp_path / "t.otio", layout="tracks")
    timeline = otio.adapters.read_from_file(str(path))
    assert [t.name for t in timeline.tracks] == ["Ann Lee", "Person 2", "Bo"]
    places = [(c.range_in_parent().start_time.value, c.duration().value) for c in timeline.tracks[0].find_clips()]
    assert places == [(25, 75), (375, 50)]


def test_otio_drop_frame_start_agrees_with_opentimelineio(tmp_path: Path) -> None:
    otio = reader("opentimelineio")
    timeline = otio.adapters.read_from_file(
        str(reports.write("otio", ntsc_run(), tmp_path / "n.otio", start_timecode="01:00:00;00"))
    )
    marked = timeline.tracks[0][0].markers[0].marked_range.start_time
    assert otio.opentime.to_timecode(marked, 30000 / 1001, drop_frame=True) == "01:01:00;02"
    assert to_frame("01:01:00;02", Rate.near(29.97)) == marked.value


# --- annotation tools


def test_mot_is_frames_from_one_with_ten_columns(tmp_path: Path) -> None:
    lines = reports.write("mot", drawn_run(), tmp_path).read_text().splitlines()
    assert lines[0] == "26,1,36.2,40.0,30.0,36.0,0.875,-1,-1,-1"
    assert len(lines) == 238


@pytest.mark.filterwarnings("ignore:Operation with tuple:DeprecationWarning")  # motmetrics, of pandas 3
def test_mot_is_scored_by_motmetrics(tmp_path: Path) -> None:
    mm = reader("motmetrics", "eval")
    found = mm.io.loadtxt(str(reports.write("mot", drawn_run(), tmp_path)), fmt="mot16", min_confidence=0.1)
    scores = mm.MOTAccumulator(auto_id=False)
    for frame, boxes in found.groupby("FrameId"):
        ids, corners = boxes.index.get_level_values("Id"), boxes[["X", "Y"]].to_numpy()
        scores.update(ids, ids, mm.distances.norm2squared_matrix(corners, corners, max_d2=1.0), frameid=frame)
    told = mm.metrics.create().compute(scores, metrics=["mota", "idf1", "num_frames", "num_unique_objects"])
    assert told.iloc[0].tolist() == [1.0, 1.0, 25 * 4 + 38 + 50, 3]


def test_mot_by_track_has_the_faces_given_to_nobody(tmp_path: Path) -> None:
    assert reports.write("mot", one_frame(), tmp_path).read_text() == ""
    text = reports.write("mot", one_frame(), tmp_path / "t.mot.txt", identity="track").read_text()
    assert text == "1,1,4.0,5.0,16.0,20.0,0.500,-1,-1,-1\n"


def test_coco_is_read_by_pycocotools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco = reader("pycocotools.coco", "eval")
    found = coco.COCO(str(reports.write("coco", drawn_run(), tmp_path)))
    capsys.readouterr()
    assert len(found.getAnnIds()) == 238
    assert len(found.getImgIds()) == 25 * 4 + 38 + 50
    both = next(i for i in found.imgs.values() if i["frame_id"] == 60)
    assert [a["person_id"] for a in found.imgToAnns[both["id"]]] == [1, 2]


def test_cvat_tracks_end_outside(tmp_path: Path) -> None:
    tree = ET.parse(reports.write("cvat", drawn_run(), tmp_path)).getroot()
    tracks = tree.findall("track")
    assert len(tracks) == 4
    boxes = tracks[0].findall("box")
    assert [b.get("frame") for b in (boxes[0], boxes[-1])] == ["25", "100"]
    assert [b.get("outside") for b in (boxes[0], boxes[-2], boxes[-1])] == ["0", "0", "1"]
    assert [a.text for a in boxes[0].findall("attribute")] == ["1", "Ann Lee"]
    assert tree.findtext("meta/task/size") == "500"


def test_label_studio_is_in_per_cent_with_frames_from_one(tmp_path: Path) -> None:
    task = json.loads(reports.write("labelstudio", drawn_run(), tmp_path).read_text())[0]
    result = task["predictions"][0]["result"][0]
    first = result["value"]["sequence"][0]
    assert (first["frame"], first["time"], first["enabled"]) == (26, 1.0, True)
    assert (first["x"], first["width"]) == (pytest.approx(36.25 / 3.2, abs=1e-3), pytest.approx(30 / 3.2, abs=1e-3))
    assert result["value"]["sequence"][-1]["enabled"] is False
    assert result["value"]["labels"] == ["Ann Lee"]


@pytest.mark.parametrize("name", ["eaf", "xmeml", "fcpxml", "cvat"])
def test_xml_stays_well_formed_with_hostile_names(name: str, tmp_path: Path) -> None:
    tree = ET.parse(reports.write(name, hostile_run(), tmp_path)).getroot()
    words = [t for e in tree.iter() for t in (e.text or "", *e.attrib.values())]
    assert any("Zoë 🦊 李雷" in w for w in words)
    assert not any(e.tag in ("script", "img", "b") for e in tree.iter())


@pytest.mark.parametrize("name", ["vtt", "srt", "eaf", "edl", "xmeml", "fcpxml", "otio", "mot", "cvat"])
def test_a_format_for_one_source_says_so(name: str, tmp_path: Path) -> None:
    many = RunData("two", (source("a.mp4"), source("b.mp4")))
    with pytest.raises(ConfigError, match="one source, not 2"):
        reports.write(name, many, tmp_path)
