"""`whowhen lab align`: a face before and after each way of aligning it, and what each is worth for verification."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.lab.counting import Counter
from pipelines.lab.options import Json

if TYPE_CHECKING:
    from streamer.items import F32, U8

STEPS = ("box", "roll", "five points", "frontal")
TURNED = 20.0  # degrees of yaw from which a face counts as turned
Aligners = dict[str, "Callable[[U8, F32, F32], U8]"]


def align_command(
    where: Annotated[Path, typer.Argument(help="A photo, or a folder of photos with a folder per person.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Photo: folder for the pictures.")] = None,
    models: Annotated[
        str, typer.Option("--models", "-m", envvar="WHOWHEN_PACK", help="Pack whose detector and embedder are used.")
    ] = "open",
    landmarks: Annotated[
        Path | None, typer.Option(help="A dlib 68-point file of your own: frontalisation by a dense mesh.")
    ] = None,
    at_least: Annotated[int, typer.Option(help="Folder: leave out people with fewer photos.", min=2)] = 2,
    most: Annotated[int | None, typer.Option(help="Folder: look at no more photos.", min=2)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, tensorrt or openvino.")] = "auto",
    as_json: Json = False,
) -> int:
    """Align faces: by the box, by the eyes, by five points, and turned to the front.

    Of a photo: each step before and after, with the head's pose. Of a labelled folder: verification after each step.
    """
    from streamer.errors import ConfigError
    from streamer.models.packs import build, load_pack

    if not where.is_dir() and out is None:
        raise ConfigError(f"{where} is one photo: say where its pictures go with --out FOLDER.")
    loaded = build(load_pack(models), device)
    aligners = aligners_for(loaded.embedder.template, landmarks)
    if where.is_dir():
        rows = effect(where, loaded, aligners, at_least, most)
        print(json.dumps(rows, indent=2) if as_json else effect_table(rows))
        return 0
    assert out is not None
    faces = shown(where, out, loaded, aligners)
    print(json.dumps(faces, indent=2) if as_json else pose_table(faces))
    return 0


def aligners_for(template: str, landmarks: Path | None) -> Aligners:
    """Step -> crop from (image, box (4,), five landmarks (5, 2))."""
    from streamer import crops, frontalise

    dense = None
    if landmarks is not None:
        from streamer.models.landmarks import ShapePredictor

        dense = ShapePredictor(landmarks)

    def frontal(image: U8, box: F32, five: F32) -> U8:
        return frontalise.frontal(image, five if dense is None else dense.points(image, box)[0], template)

    return {
        "box": lambda image, box, five: frontalise.boxed(image, box, template)[0],
        "roll": lambda image, box, five: frontalise.levelled(image, five, template)[0],
        "five points": lambda image, box, five: crops.align(image, five, template)[0],
        "frontal": frontal,
    }


def shown(photo: Path, out: Path, loaded: Any, aligners: Aligners) -> list[dict[str, Any]]:
    """Writes a sheet (and each crop) for every face of a photo; pose and similarity to the upright crop per step."""
    from pipelines.lab import sheets
    from streamer.album import Photo, looks
    from streamer.crops import complete_landmarks
    from streamer.errors import SourceError

    failed: list[str] = []
    look = next(looks([Photo(photo)], loaded.detector, failed), None)
    if look is None:
        raise SourceError(failed[0])
    if not len(look.faces):
        raise SourceError(f"{photo} shows no face. Take a photo with a face of at least 40 pixels.")
    points = complete_landmarks(look.faces.landmarks, look.faces.boxes)
    told: list[dict[str, Any]] = []
    rows = []
    for n, (box, five) in enumerate(zip(look.faces.boxes, points), 1):
        made = {name: step(look.image, box, five) for name, step in aligners.items()}
        for name, crop in made.items():
            sheets.save(out / f"{photo.stem}_{n}_{name.replace(' ', '_')}.png", crop)
        poses = {"photo": _rounded(five), **{name: _pose_of(crop, loaded) for name, crop in made.items()}}
        told.append({"face": n, "box": [round(float(v)) for v in box], "pose": poses})
        rows.append([("photo", _marked(look.image, box, five)), *((name, crop) for name, crop in made.items())])
    path = sheets.save(out / f"{photo.stem}_alignment.png", sheets.sheet(rows, 168, 168))
    print(f"{path}", file=sys.stderr)
    return told


def _rounded(five: F32) -> list[float]:
    from streamer.crops import head_pose

    return [round(float(v), 1) for v in head_pose(five)[0]]


def _pose_of(crop: U8, loaded: Any) -> list[float] | None:
    """The pose the detector sees in a crop, set in a grey frame of its own size; None where it finds no face."""
    import cv2

    size = crop.shape[0]
    framed = cv2.copyMakeBorder(crop, size, size, size, size, cv2.BORDER_REPLICATE)
    found = loaded.detector.detect([framed])[0]
    if not len(found) or not _finite(found.landmarks[0]):
        return None
    return _rounded(found.landmarks[0])


def _finite(points: F32) -> bool:
    import numpy as np

    return bool(np.isfinite(points).all())


def _marked(image: U8, box: F32, five: F32) -> U8:
    """The face as it is in the photo, with its box and landmarks."""
    import cv2

    from streamer.reports.drawing import PALETTE

    copy = image.copy()
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    thick = max(1, round((x2 - x1) / 80))
    cv2.rectangle(copy, (x1, y1), (x2, y2), PALETTE[1], thick, cv2.LINE_AA)
    for x, y in five:
        cv2.circle(copy, (round(float(x)), round(float(y))), thick + 1, PALETTE[2], -1, cv2.LINE_AA)
    grow = round(0.35 * max(x2 - x1, y2 - y1))
    top, left = max(0, y1 - grow), max(0, x1 - grow)
    part: U8 = copy[top : max(top + 1, y2 + grow), left : max(left + 1, x2 + grow)]
    return part


def pose_table(faces: list[dict[str, Any]]) -> str:
    """Yaw, pitch and roll of every face in the photo and after each step."""
    lines = [f"{'face':>4} {'step':12} {'yaw':>7} {'pitch':>7} {'roll':>7}"]
    for face in faces:
        for step, pose in face["pose"].items():
            cells = " ".join(f"{v:7.1f}" for v in pose) if pose else "   no face found in the crop"
            lines.append(f"{face['face']:>4} {step:12} {cells}")
    return "\n".join(lines)


def effect(folder: Path, loaded: Any, aligners: Aligners, at_least: int, most: int | None) -> list[dict[str, Any]]:
    """Verification over all pairs of the folder's main faces, once per step."""
    import numpy as np

    from streamer.album import CHUNK, labelled, looks
    from streamer.crops import complete_landmarks, head_pose
    from streamer.errors import ConfigError

    photos = labelled(folder, at_least)[:most]
    crops: dict[str, list[U8]] = {name: [] for name in aligners}
    rows: dict[str, list[F32]] = {name: [] for name in aligners}
    names: list[str] = []
    yaws: list[float] = []
    failed: list[str] = []

    def embed(least: int) -> None:
        for name, waiting in crops.items():
            if len(waiting) >= least:
                rows[name].append(loaded.embedder.embed(np.stack(waiting)))
                waiting.clear()

    counter = Counter("photos", len(photos))
    for look in looks(photos, loaded.detector, failed):
        at = look.main
        counter(look.number + 1)
        if at is None:
            continue
        five = complete_landmarks(look.faces.landmarks[at], look.faces.boxes[at])[0]
        for name, step in aligners.items():
            crops[name].append(step(look.image, look.faces.boxes[at], five))
        names.append(look.photo.person)
        yaws.append(abs(float(head_pose(five)[0, 0])))
        embed(CHUNK)
    counter.end()
    embed(1)
    if len(set(names)) < 2 or len(set(names)) == len(names):
        raise ConfigError(f"{folder}: faces were found of {len(set(names))} people on {len(names)} photos; too few.")
    turned = np.array(yaws) >= TURNED
    return [_worth(name, np.concatenate(v), np.array(names), turned) for name, v in rows.items()]


def _worth(step: str, rows: F32, names: Any, turned: Any) -> dict[str, Any]:
    import numpy as np

    from streamer.evaluation.verification import all_pairs, verification

    similarity, same = all_pairs(rows, names)
    result = verification(similarity, same)
    i, j = np.triu_indices(len(rows), 1)
    hard = turned[i] | turned[j]
    kinds = same[hard]
    some = verification(similarity[hard], kinds) if kinds.any() and not kinds.all() else None
    return {
        "step": step,
        "faces": len(rows),
        "auc": result.auc,
        "tar_at_far_0.001": result.tar_at(1e-3),
        "balanced_accuracy": result.accuracy,
        "best_threshold": result.best,
        "turned_pairs": int(kinds.sum()),
        "turned_tar_at_far_0.001": some.tar_at(1e-3) if some else None,
    }


def effect_table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table of the steps."""
    lines = [
        "| step | AUC | TAR at FAR 1e-3 | balanced accuracy | threshold "
        f"| TAR at FAR 1e-3, a face turned by {TURNED:g}+ |",
        "|" + " --- |" * 6,
    ]
    for r in rows:
        hard = r["turned_tar_at_far_0.001"]
        lines.append(
            f"| {r['step']} | {r['auc']:.4f} | {r['tar_at_far_0.001']:.4f} | {r['balanced_accuracy']:.4f} "
            f"| {r['best_threshold']:.3f} | {'-' if hard is None else f'{hard:.4f}'} ({r['turned_pairs']} pairs) |"
        )
    return "\n".join(lines)
