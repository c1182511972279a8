"""What annotation tools and trackers' benchmarks read: MOT, COCO, CVAT for video 1.1, Label Studio."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streamer.errors import ConfigError
from streamer.reports.atomic import text
from streamer.reports.base import FaceRow, RunData, SourceEntry
from streamer.reports.boxes import Path as Track
from streamer.reports.boxes import by_track
from streamer.reports.escape import one_line, xml_text
from streamer.reports.markup import child, root, source_of


class Mot:
    """faces.mot.txt, MOTChallenge results: `frame,id,x,y,w,h,conf,-1,-1,-1`, frames from 1.

    `identity` "person" numbers by person and leaves out faces given to nobody; "track" numbers by track and has all.
    """

    def __init__(self, identity: str = "person") -> None:
        if identity not in ("person", "track"):
            raise ConfigError(f"mot identity {identity!r} is neither person nor track.")
        self.identity = identity

    def write(self, data: RunData, path: Path) -> None:
        data.only_source("MOT")
        with text(path) as out:
            for row in data.rows():
                number = row.person if self.identity == "person" else row.track
                if number is not None:
                    x, y, w, h = _xywh(row)
                    out.write(f"{row.frame + 1},{number},{x:.1f},{y:.1f},{w:.1f},{h:.1f},{row.score:.3f},-1,-1,-1\n")


def _xywh(row: FaceRow) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(v) for v in row.box)
    return x1, y1, x2 - x1, y2 - y1


class Coco:
    """faces.coco.json: an image per frame with a face; `track_id`, `video_id` as its video extensions name them."""

    def write(self, data: RunData, path: Path) -> None:
        videos = {s.name: i for i, s in enumerate(data.sources, 1)}
        people = [{"id": p.id, "name": one_line(p.name)} for p in data.people]
        with text(path) as out:
            out.write('{"info":{"description":' + json.dumps(one_line(data.title)) + ',"version":"1.0"},\n')
            out.write('"licenses":[],"categories":[{"id":1,"name":"face","supercategory":"person"}],\n')
            listed = [
                {"id": i, "name": s.name, "width": s.width, "height": s.height} for i, s in enumerate(data.sources, 1)
            ]
            out.write(f'"videos":{json.dumps(listed)},\n"people":{json.dumps(people)},\n')
            for key, items in (("images", _images(data, videos)), ("annotations", _annotations(data, videos))):
                out.write(f'"{key}":[')
                for i, item in enumerate(items):
                    out.write((",\n" if i else "\n") + json.dumps(item, separators=(",", ":")))
                out.write("],\n" if key == "images" else "]}\n")


def _numbered(data: RunData) -> Iterator[tuple[int, bool, FaceRow]]:
    """(image, is its first row, row): images are numbered from 1 in the order of the rows."""
    image, before = 0, None
    for row in data.rows():
        here = (row.source, row.frame)
        image += here != before
        yield image, here != before, row
        before = here


def _images(data: RunData, videos: dict[str, int]) -> Iterator[dict[str, Any]]:
    sizes = {s.name: (s.width, s.height) for s in data.sources}
    for image, first, row in _numbered(data):
        if first:
            width, height = sizes.get(row.source, (0, 0))
            yield {
                "id": image,
                "file_name": f"{one_line(row.source)}/{row.frame:06d}.jpg",
                "width": width,
                "height": height,
                "video_id": videos.get(row.source, 0),
                "frame_id": row.frame,
                "time": round(float(row.time), 3),
            }


def _annotations(data: RunData, videos: dict[str, int]) -> Iterator[dict[str, Any]]:
    for n, (image, _, row) in enumerate(_numbered(data), 1):
        box = [round(v, 1) for v in _xywh(row)]
        yield {
            "id": n,
            "image_id": image,
            "video_id": videos.get(row.source, 0),
            "category_id": 1,
            "bbox": box,
            "area": round(box[2] * box[3], 1),
            "iscrowd": 0,
            "score": round(float(row.score), 3),
            "track_id": row.track,
            "person_id": row.person,
        }


class Cvat:
    """faces.cvat.xml, "CVAT for video 1.1": a track per track, `outside` where it has ended or pauses.

    Written track by track: the tree of a two-hour film would take 1.5 GB.
    """

    def write(self, data: RunData, path: Path) -> None:
        source, labels = data.only_source("CVAT"), data.labels()
        tracks = by_track(data.rows())
        last = max([(source.frames or 1) - 1, *(t.frames[-1] for t in tracks)])
        with text(path) as out:
            out.write('<?xml version="1.0" encoding="UTF-8"?>\n<annotations>\n<version>1.1</version>\n')
            out.write(_meta(data, source, last + 1) + "\n")
            for n, track in enumerate(tracks):
                out.write(f'<track id="{n}" label="face" source="auto">\n')
                out.writelines(_cvat_boxes(track, labels, last))
                out.write("</track>\n")
            out.write("</annotations>\n")


def _meta(data: RunData, source: SourceEntry, size: int) -> str:
    meta = root("meta")
    task = child(meta, "task")
    child(task, "name", data.title)
    child(task, "size", size)
    child(task, "mode", "interpolation")
    child(task, "start_frame", 0)
    child(task, "stop_frame", size - 1)
    labels = child(child(task, "labels"), "label")
    child(labels, "name", "face")
    attributes = child(labels, "attributes")
    for name in ("person", "name"):
        attribute = child(attributes, "attribute")
        for tag, value in (("name", name), ("mutable", "False"), ("input_type", "text")):
            child(attribute, tag, value)
        child(attribute, "default_value", "")
        child(attribute, "values", "")
    original = child(task, "original_size")
    child(original, "width", source.width)
    child(original, "height", source.height)
    child(task, "source", source.name)
    return source_of(meta)


def _cvat_boxes(track: Track, labels: dict[int, str], last: int) -> Iterator[str]:
    name = labels.get(track.person, "") if track.person is not None else ""
    person = "" if track.person is None else track.person
    about = f'<attribute name="person">{person}</attribute><attribute name="name">{xml_text(name)}</attribute></box>\n'
    for i, frame in enumerate(track.frames):
        x1, y1, x2, y2 = track.box(i)
        place = f'xtl="{x1:.2f}" ytl="{y1:.2f}" xbr="{x2:.2f}" ybr="{y2:.2f}" occluded="0" z_order="0">{about}'
        yield f'<box frame="{frame}" outside="0" keyframe="{track.detected[i]}" {place}'
        if frame < last and (i + 1 == len(track) or track.frames[i + 1] != frame + 1):
            yield f'<box frame="{frame + 1}" outside="1" keyframe="1" {place}'


class LabelStudio:
    """faces.labelstudio.json: a task per source with a VideoRectangle per track (per cent of the frame, frames from 1).

    Key frames are those the detector saw, and both ends; the tool interpolates between. Use a labelling config with
    `<VideoRectangle name="box" toName="video"/>` and `<Labels name="person" toName="video">`.
    """

    def write(self, data: RunData, path: Path) -> None:
        labels = data.labels()
        tasks = [_task_of(data, s, labels) for s in data.sources]
        with text(path) as out:
            json.dump(tasks, out, ensure_ascii=True, separators=(",", ":"))
            out.write("\n")


def _task_of(data: RunData, source: SourceEntry, labels: dict[int, str]) -> dict[str, Any]:
    tracks = by_track(r for r in data.rows() if r.source == source.name)
    return {
        "data": {"video": source.video or source.path or source.name},
        "predictions": [
            {"model_version": "whowhen", "result": [_rectangle(t, source, labels) for t in tracks]},
        ],
    }


def _rectangle(track: Track, source: SourceEntry, labels: dict[int, str]) -> dict[str, Any]:
    last = len(track) - 1
    keys = [i for i in range(last + 1) if track.detected[i] or i in (0, last)]
    return {
        "id": f"track_{track.track}",
        "type": "videorectangle",
        "from_name": "box",
        "to_name": "video",
        "origin": "prediction",
        "score": round(sum(track.scores) / len(track), 3),
        "value": {
            "framesCount": source.frames or 0,
            "duration": round(source.duration or 0.0, 3),
            "sequence": [_key(track, i, source, i != last) for i in keys],
            "labels": [one_line(labels.get(track.person, "nobody")) if track.person is not None else "nobody"],
        },
        "meta": {"person": track.person, "track": track.track},
    }


def _key(track: Track, i: int, source: SourceEntry, enabled: bool) -> dict[str, Any]:
    x1, y1, x2, y2 = track.box(i)
    width, height = 100 / (source.width or 100), 100 / (source.height or 100)
    return {
        "frame": track.frames[i] + 1,
        "enabled": enabled,
        "rotation": 0,
        "x": round(x1 * width, 4),
        "y": round(y1 * height, 4),
        "width": round((x2 - x1) * width, 4),
        "height": round((y2 - y1) * height, 4),
        "time": round(track.frames[i] / source.fps, 3) if source.fps else 0.0,
    }
