"""The loop everybody writes: detect on every frame, embed every face, DBSCAN over all of them in the end."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.bench.meter import Meter, Side, metered, stages
from streamer.crops import align, complete_landmarks
from streamer.errors import ConfigError
from streamer.items import F32, U8, Faces, Frame

SQUARE = 640
MOST_FACES = 6000  # DBSCAN of more compares more than 18 million pairs; what comes later is left out of it

Loop = Callable[[Path, Any], Side]


def chosen(name: str, models: Any) -> Loop:
    """The loop called `name`; `auto` is insightface's where that is installed and takes the pack's models, else own."""
    if name not in ("auto", "own", "insightface"):
        raise ConfigError(f"{name} is not a loop. Loops: auto, own, insightface.")
    why = _unfit(models)
    if name == "insightface" and why:
        raise ConfigError(f"insightface cannot be the loop: {why}. Use --naive own.")
    return own if name == "own" or why else insightface


def _unfit(models: Any) -> str:
    """Why insightface's FaceAnalysis cannot run these models; empty where it can."""
    from streamer.models.runtime import keep_offline

    try:
        keep_offline()  # insightface imports onnxruntime itself
        importlib.import_module("insightface.app")
    except ImportError as error:
        return f"{error} (pip install --no-deps insightface tqdm requests)"
    if models.pack.detector.family != "scrfd" or models.embedder.template != "arcface-112":
        return "it takes SCRFD detectors and ArcFace crops only"
    return ""


def insightface(path: Path, models: Any) -> Side:
    """`FaceAnalysis.get` on every frame, with the pack's files and our session options (one thread, no spinning)."""
    with _analysis(models) as app:
        meter, began = Meter(), time.process_time()
        vectors: list[F32] = []
        frames = 0
        for frame in _frames(path, meter):
            with meter("convert"):
                image = frame.image
            with meter("get"):
                faces = app.get(image)
            frames += 1
            vectors += [f.normed_embedding for f in faces]
        return _side(meter, began, vectors, models, frames)


@contextlib.contextmanager
def _analysis(models: Any) -> Iterator[Any]:
    """insightface's FaceAnalysis over the pack's detector and embedder."""
    from insightface.app import FaceAnalysis

    from streamer.models.runtime import session_options

    with tempfile.TemporaryDirectory(prefix="whowhen_bench_") as folder:
        for part in (models.pack.detector, models.pack.embedder):
            for file in part.files:
                os.symlink((models.pack.folder / file.name).resolve(), Path(folder) / file.name)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # of a library we only measure
            app = FaceAnalysis(
                name=folder, allowed_modules=["detection", "recognition"], providers=["CPUExecutionProvider"],
                sess_options=session_options(),
            )  # fmt: skip
            app.prepare(ctx_id=-1, det_size=(SQUARE, SQUARE))
            yield app


def own(path: Path, models: Any) -> Side:
    """The same loop over our own detector and embedder, where insightface is missing."""
    meter, began = Meter(), time.process_time()
    measured = metered(models, meter)
    vectors: list[F32] = []
    for frame in _frames(path, meter):
        with meter("convert"):
            square, scale = _squared(frame.image)
        found = _unscaled(measured.detector.detect([square])[0], scale)
        for points in complete_landmarks(found.landmarks, found.boxes):
            with meter("align"):
                crop = align(frame.image, points[None], models.embedder.template)
            vectors.append(measured.embedder.embed(crop)[0])
    return _side(meter, began, vectors, models, meter.calls["detect"])


def _side(meter: Meter, began: float, vectors: list[F32], models: Any, frames: int) -> Side:
    """Groups the vectors, and adds up."""
    from streamer.clustering.batch import cluster

    with meter("cluster"):
        rows = np.stack(vectors[:MOST_FACES]) if vectors else np.zeros((0, models.embedder.dimension), np.float32)
        labels = cluster(rows, "dbscan", models.embedder.metric) if len(rows) else np.zeros(0, np.int64)
    total = time.process_time() - began
    people = len(set(labels[labels >= 0].tolist()))
    return Side(total, stages(meter, total), frames, len(vectors), len(vectors), people)


def _frames(path: Path, meter: Meter) -> Iterator[Frame]:
    from streamer.sources import open_source

    source = open_source(path, threads="NONE")
    frames = iter(source)
    while True:
        with meter("read"):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _squared(image: U8) -> tuple[U8, float]:
    """The image in the top left of a black square, and by how much it was scaled."""
    import cv2

    scale = SQUARE / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    out = np.zeros((SQUARE, SQUARE, 3), np.uint8)
    out[: size[1], : size[0]] = cv2.resize(image, size)
    return out, scale


def _unscaled(faces: Faces, scale: float) -> Faces:
    return Faces(faces.boxes / np.float32(scale), faces.scores, faces.landmarks / np.float32(scale))
