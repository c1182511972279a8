"""`whowhen lab detectors`: what each detector finds on the same pictures, what it costs, side by side."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.lab.counting import Counter
from pipelines.lab.options import Json

if TYPE_CHECKING:
    from streamer.items import F32, U8, Faces

EMBEDDED = ("haar", "hog", "mtcnn", "retinaface")  # need no file of the user's
FROM_PACKS = ("scrfd", "yunet")
SHEET_ROWS = 8
NEAR = 0.3  # IoU from which a box is the labelled one; a detector's idea of a face's border differs by a third


@dataclass(slots=True)
class Shot:
    """A picture to look at. `boxes` (n, 4) with `wanted` (n,): must be found, else it may be; None without labels."""

    name: str
    image: U8
    boxes: F32 | None = None
    wanted: list[bool] = field(default_factory=list)


@dataclass(slots=True)
class Score:
    """What a detector did: labelled faces found of those wanted, faces nobody labelled, pictures with a face."""

    name: str
    pictures: int = 0
    with_face: int = 0
    faces: int = 0
    wanted: int = 0
    found: int = 0
    extra: int = 0
    cpu: float = 0.0
    landmarks: bool = False

    def told(self, labels: bool) -> dict[str, Any]:
        """For JSON."""
        out = {
            "detector": self.name,
            "pictures": self.pictures,
            "with_face": self.with_face,
            "faces": self.faces,
            "landmarks": self.landmarks,
            "cpu_ms": round(1000 * self.cpu / max(1, self.pictures), 2),
        }
        if labels:
            out |= {"wanted": self.wanted, "found": self.found, "extra": self.extra}
            out["recall"] = round(self.found / self.wanted, 4) if self.wanted else None
        return out


def detectors_command(
    where: Annotated[Path, typer.Argument(help="A picture, a folder of pictures, or a video.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Contact sheet (.png or .jpg).")] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--models", "-m", help="A pack whose detector is compared too (SCRFD, YuNet, your RetinaFace)."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="One of haar, hog, mtcnn, retinaface.")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Boxes CSV: t_s (video) or file (pictures), x1, y1, x2, y2, perhaps kind.")
    ] = None,
    most: Annotated[int, typer.Option(help="Look at no more pictures, taken evenly.", min=1)] = 100,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, tensorrt or openvino.")] = "auto",
    as_json: Json = False,
) -> int:
    """Compare Haar, dlib HOG, MTCNN, RetinaFace, SCRFD and YuNet on your own pictures."""
    from streamer.errors import ConfigError

    found = detectors(only, models or (), device)
    if not found:
        raise ConfigError("no detector can be used here; see the lines above for what each of them needs.")
    scores = {name: Score(name) for name in found}
    sheet: list[list[tuple[str, U8]]] = []
    shots = list(_shots(where, truth, most))
    counter = Counter("pictures", len(shots))
    for number, shot in enumerate(shots, 1):
        counter(number)
        row = [(shot.name, shot.image)]
        for name, detector in found.items():
            began = time.process_time()
            faces = detector.detect([shot.image])[0]
            count(scores[name], shot, faces, time.process_time() - began)
            row.append((f"{name}: {len(faces)}", _drawn(shot.image, faces)))
        if out and (number - 1) * SHEET_ROWS // len(shots) >= len(sheet):
            sheet.append(row)
    counter.end()
    if out:
        from pipelines.lab import sheets

        print(sheets.save(out, sheets.sheet(sheet, 240, 180)), file=sys.stderr)
    rows = [s.told(truth is not None) for s in scores.values()]
    print(json.dumps(rows, indent=2) if as_json else table(rows))
    return 0


def detectors(only: Sequence[str] | None, models: Sequence[str], device: str) -> dict[str, Any]:
    """Every detector that can be used here, by name; why another cannot is told on stderr."""
    from streamer.errors import ConfigError, ModelError
    from streamer.models import create
    from streamer.models.convert.recipes import RECIPES, converted
    from streamer.models.packs import build, load_pack

    found: dict[str, Any] = {}
    for name in only or EMBEDDED:
        if name not in EMBEDDED:
            raise ConfigError(
                f"{name} is not one of {', '.join(EMBEDDED)}. SCRFD and YuNet come with a pack: --models."
            )
        try:
            options = {**converted(name), "device": device} if name in RECIPES else {}
            found[name] = create("detector", name, options)
        except ModelError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    for spec in models:
        detector = build(load_pack(spec), device).detector
        name = detector.name if detector.name not in found else f"{detector.name} ({Path(spec).stem})"
        found[name] = detector
    families = {d.name for d in found.values()}
    if not only:
        for name in FROM_PACKS:
            if name not in families:
                print(f"{name} is left out: no pack with it was given (--models PACK)", file=sys.stderr)
    return found


def count(score: Score, shot: Shot, faces: Faces, cpu: float) -> None:
    """Adds what a detector found on a picture to its score."""
    import numpy as np

    score.pictures += 1
    score.cpu += cpu
    score.faces += len(faces)
    score.with_face += bool(len(faces))
    score.landmarks |= bool(len(faces) and np.isfinite(faces.landmarks).all((1, 2)).any())
    if shot.boxes is None:
        return
    taken = matched(shot.boxes, faces.boxes)
    score.wanted += sum(shot.wanted)
    score.found += sum(w and t >= 0 for w, t in zip(shot.wanted, taken))
    score.extra += len(faces) - sum(t >= 0 for t in taken)


def matched(labels: F32, boxes: F32) -> list[int]:
    """For each labelled box (n, 4) the row of the found box that is it, -1 for none; each found box is taken once.

    A pair fits by an IoU of 0.3, or where each one's centre lies in the other: detectors differ in how much of the
    forehead belongs to a face. Pairs with the greatest IoU are made first.
    """
    import numpy as np

    from streamer.geometry import iou

    out = [-1] * len(labels)
    if not len(labels) or not len(boxes):
        return out
    table = iou(labels, boxes)
    fits = (table >= NEAR) | (_holds(labels, boxes) & _holds(boxes, labels).T)
    table = np.where(fits, table + 1e-6, 0.0)
    while table.max() > 0:
        i, j = np.unravel_index(int(table.argmax()), table.shape)
        out[int(i)] = int(j)
        table[i], table[:, j] = 0, 0
    return out


def _holds(outer: F32, inner: F32) -> Any:
    """(n, m): whether each outer box holds the centre of each inner one."""
    x, y = (inner[:, 0] + inner[:, 2]) / 2, (inner[:, 1] + inner[:, 3]) / 2
    across = (outer[:, :1] <= x) & (x <= outer[:, 2:3])
    return across & (outer[:, 1:2] <= y) & (y <= outer[:, 3:4])


def _shots(where: Path, truth: Path | None, most: int) -> Iterator[Shot]:
    """The pictures to look at, with their labels where there are any."""
    from streamer.sources.images import PICTURES

    labels = None if truth is None else read_boxes(truth)
    if where.is_dir() or where.suffix.lower() in PICTURES:
        yield from _photo_shots(where, labels, most)
    else:
        yield from _video_shots(where, labels, most)


def _photo_shots(where: Path, labels: Labels | None, most: int) -> Iterator[Shot]:
    from streamer.album import photos_of
    from streamer.errors import ConfigError, SourceError
    from streamer.sources.images import read_image

    paths = [p.path for p in photos_of(where, "none")] if where.is_dir() else [where]
    keys = {p: str(p.relative_to(where)) if where.is_dir() else p.name for p in paths}
    if labels is not None:
        paths = [p for p in paths if keys[p] in labels or p.name in labels]
        if not paths:
            raise ConfigError(f"{where}: no picture of it is named in the column file of the labels.")
    for path in thinned(paths, most):
        try:
            image = read_image(path)
        except SourceError as error:
            print(f"\npassed over: {error}", file=sys.stderr)
            continue
        told = None if labels is None else labels.get(keys[path], labels.get(path.name))
        yield _shot(path.name, image, told)


def _video_shots(where: Path, labels: Labels | None, most: int) -> Iterator[Shot]:
    """Frames at labelled times, else evenly over the length."""
    from streamer.errors import ConfigError
    from streamer.sources import open_source

    source = open_source(where)
    try:
        if labels is None:
            frames = source.info.frames or round((source.info.duration or 0) * (source.info.fps or 25)) or most
            step = max(1, frames // most)
            for frame in source:
                if frame.index % step == 0 and frame.index // step < most:
                    yield Shot(f"{frame.time:.2f} s", frame.image)
            return
        try:
            times = thinned(sorted((float(k), k) for k in labels), most)
        except ValueError as error:
            raise ConfigError(f"{where} is a video: its labels need a column t_s with seconds ({error}).") from error
        at = 0
        for frame in source:
            if at < len(times) and frame.time >= times[at][0] - 0.02:  # half a frame at 25 a second
                yield _shot(f"{frame.time:.2f} s", frame.image, labels[times[at][1]])
                at += 1
    finally:
        source.close()


def thinned(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of them, evenly."""
    if len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]


Labels = dict[str, "list[tuple[list[float], bool]]"]


def _shot(name: str, image: U8, told: list[tuple[list[float], bool]] | None) -> Shot:
    import numpy as np

    if told is None:
        return Shot(name, image)
    return Shot(name, image, np.array([b for b, _ in told], np.float32).reshape(-1, 4), [w for _, w in told])


def read_boxes(path: Path) -> Labels:
    """Picture name or time -> boxes, and whether each must be found (kind visible, or no kind at all)."""
    from streamer.errors import SourceError

    found: Labels = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines)
            columns = set(rows.fieldnames or ())
            key = next((k for k in ("t_s", "file") if k in columns), None)
            if key is None or not {"x1", "y1", "x2", "y2"} <= columns:
                raise SourceError(f"{path}: the columns t_s or file, x1, y1, x2, y2 are expected.")
            for row in rows:
                box = [float(row[c]) for c in ("x1", "y1", "x2", "y2")]
                found.setdefault(row[key], []).append((box, row.get("kind") in (None, "", "visible")))
    except (OSError, ValueError, UnicodeDecodeError, csv.Error, TypeError) as error:
        raise SourceError(f"{path} cannot be read as boxes: {error}.") from error
    return found


def _drawn(image: U8, faces: Faces) -> U8:
    import cv2

    from streamer.reports.drawing import PALETTE, named_box

    copy = image.copy()
    for box, score, points in zip(faces.boxes, faces.scores, faces.landmarks):
        named_box(copy, box.tolist(), f"{float(score):.2f}", PALETTE[1])
        for x, y in points:
            if x == x:  # NaN where a detector has no landmarks
                cv2.circle(copy, (round(float(x)), round(float(y))), 2, PALETTE[2], -1, cv2.LINE_AA)
    return copy


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table of the detectors."""
    labels = any("recall" in r for r in rows)
    head = [
        "detector",
        *(["recall", "not labelled"] if labels else []),
        "pictures with a face",
        "faces",
        "landmarks",
        "CPU-ms",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for r in rows:
        cells = [r["detector"]]
        if labels:
            recall = "-" if r["recall"] is None else f"{r['recall']:.3f} ({r['found']}/{r['wanted']})"
            cells += [recall, str(r["extra"])]
        cells += [
            f"{r['with_face']}/{r['pictures']}",
            str(r["faces"]),
            "5" if r["landmarks"] else "-",
            f"{r['cpu_ms']:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
