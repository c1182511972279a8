#!/usr/bin/env python3
"""Runs every `whowhen` command of the pages about the lab on drawn people, and keeps the pictures in docs/pictures.

The pages in docs/ name the same files everywhere: `people/` (photos, ann_001.png ...), `faces.npz` (their vectors),
`photo.png` (one face, turned), `boxes.csv`, `out/`. They are drawn here, and read by the models of `streamer.testing`,
so the commands run without a model file and no real face is shown.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from streamer.items import U8, Faces  # noqa: E402
from streamer.models import packs  # noqa: E402
from streamer.testing import FakeDetector, FakeEmbedder, draw_face  # noqa: E402

DOCS = ROOT / "docs"
PAGES = ("lab.md", "clustering.md", "metrics.md", "detectors.md", "alignment.md", "embedders.md", "photos.md")
NAMES = ("ann", "bob", "cid", "dee", "eve", "fay")
TURN, NARROW = 24.0, 0.55  # degrees of roll of photo.png, and how much narrower its right half is


class TurnedDetector(FakeDetector):
    """Finds drawn faces also in photo.png, whose drawing it knows before it was turned."""

    def __init__(self, flat: U8, forward: Any) -> None:
        super().__init__()
        self.flat, self.forward, self.turned = flat, forward, None

    def detect(self, images: Any) -> list[Faces]:
        return [self._found(i) if self._is_turned(i) else super(TurnedDetector, self).detect([i])[0] for i in images]

    def _is_turned(self, image: U8) -> bool:
        return self.turned is not None and image.shape == self.turned.shape and np.array_equal(image, self.turned)

    def _found(self, image: U8) -> Faces:
        flat = super().detect([self.flat])[0]
        points = np.array([[self.forward(p) for p in face] for face in flat.landmarks], np.float32)
        low, high = points.min(1), points.max(1)
        grow = 0.8 * (high - low)
        return Faces(np.concatenate([low - grow, high + grow], 1), flat.scores, points)


def turned_photo() -> tuple[U8, U8, Any]:
    """A drawn face, the same turned about two axes, and where a point of the first lies in the second."""
    flat = np.full((240, 240, 3), 90, np.uint8)
    draw_face(flat, (70, 50, 170, 180), 2)
    roll = np.radians(TURN)

    def forward(p: Any) -> tuple[float, float]:
        x, y = float(p[0]) - 120, float(p[1]) - 120
        x *= NARROW if x > 0 else 1.0
        return x * np.cos(roll) - y * np.sin(roll) + 120, x * np.sin(roll) + y * np.cos(roll) + 120

    v, u = np.mgrid[:240, :240].astype(np.float32) - 120
    x, y = u * np.cos(roll) + v * np.sin(roll), -u * np.sin(roll) + v * np.cos(roll)
    x = np.where(x > 0, x / NARROW, x)
    maps = (x + 120).astype(np.float32), (y + 120).astype(np.float32)
    return flat, cv2.remap(flat, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), forward


def material(folder: Path) -> None:
    """Draws what the pages speak of."""
    rng = np.random.default_rng(5)
    (folder / "people").mkdir(parents=True)
    rows, names, paths, boxes = [], [], [], []
    centres = np.eye(16)[: len(NAMES)] + 0.35
    for person, name in enumerate(NAMES):
        for i in range(8):
            image = np.full((160, 160, 3), int(rng.integers(60, 110)), np.uint8)
            x, y, side = int(rng.integers(35, 55)), int(rng.integers(18, 34)), int(rng.integers(58, 76))
            box = (x, y, x + side, y + round(side * 1.3))
            draw_face(image, box, person)
            path = folder / "people" / f"{name}_{i + 1:03}.png"
            cv2.imwrite(str(path), image)
            rows.append(centres[person] + 0.19 * rng.standard_normal(16))
            names.append(name)
            paths.append(f"people/{path.name}")
            boxes.append(box)
    np.savez(
        folder / "faces.npz", embeddings=np.array(rows, np.float32), identity=np.array(names), path=np.array(paths),
        box=np.array(boxes, np.float32),
    )  # fmt: skip
    lines = [f"{Path(p).name},{','.join(map(str, b))}" for p, b in zip(paths, boxes)]
    (folder / "boxes.csv").write_text("file,x1,y1,x2,y2\n" + "\n".join(lines) + "\n")
    cv2.imwrite(str(folder / "photo.png"), turned_photo()[1])


@contextlib.contextmanager
def drawn_models() -> Iterator[None]:
    """Every pack of this process is the fakes."""
    kept = packs.load_pack, packs.build
    pack = packs.read_pack("open")
    flat, turned, forward = turned_photo()
    detector = TurnedDetector(flat, forward)
    detector.turned = turned
    made = packs.Models(detector, FakeEmbedder(noise=0.6), None, pack, ["detector: drawn faces"])
    packs.load_pack, packs.build = (lambda spec: pack), (lambda pack, device="auto": made)
    try:
        yield
    finally:
        packs.load_pack, packs.build = kept


def commands(page: Path) -> list[str]:
    """The `whowhen` commands of a page's sh blocks, comments taken off."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("whowhen ")]


def shown_in(page: Path) -> list[str]:
    """The pictures a page shows."""
    return re.findall(r"!\[[^\]]*\]\(pictures/([^)]+)\)", page.read_text(encoding="utf-8"))


def run(line: str) -> int:
    """The exit code of a command, run in this process and folder."""
    from pipelines.cli import main

    try:
        main(shlex.split(line)[1:])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def made(folder: Path) -> dict[str, Path]:
    """Draws the material in an empty folder, runs every command of the pages there; what they wrote, by name.

    ValueError names the first command that fails.
    """
    home = Path.cwd()
    material(folder)
    os.chdir(folder)
    try:
        with drawn_models():
            for page in PAGES:
                for line in commands(DOCS / page):
                    print(f"$ {line}", file=sys.stderr)
                    if run(line) != 0:
                        raise ValueError(f"docs/{page}: {line}: failed")
    finally:
        os.chdir(home)
    return {p.name: p for p in sorted((folder / "out").rglob("*")) if p.is_file()}


def main() -> int:
    pictures = DOCS / "pictures"
    with tempfile.TemporaryDirectory() as name:
        found = made(Path(name))
        shutil.rmtree(pictures, ignore_errors=True)
        pictures.mkdir()
        for page in PAGES:
            for picture in shown_in(DOCS / page):
                shutil.copyfile(found[picture], pictures / picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
