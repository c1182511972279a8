"""Embedders that take aligned crops: ArcFace, EdgeFace, MobileFaceNet, FaceNet, SFace, dlib, by their packs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from streamer.crops import template as template_named
from streamer.errors import ModelError
from streamer.items import F32, U8
from streamer.models import graph
from streamer.models.base import Thresholds
from streamer.models.onnx import Session, file_sha256, read_model
from streamer.models.pixels import Pixels, three
from streamer.vectors import unit


class AlignedEmbedder:
    """Crops aligned to `template` in, vectors out: unit rows for cosine, raw rows for euclid.

    `mean` and `std` are one number, or three in the order of `colour`. `thresholds` is a `Thresholds` or a mapping
    of its numbers; none are assumed. `model` is the id stored with every vector, by default the file's name and hash.
    `flip` adds the mirror image's vector (dlib: TAR at FAR 1e-4 0.796 -> 0.846, twice the cost). `input` and
    `output` name the tensors where the network has several; `output` may also be a tensor inside the network, such as
    the layer before the softmax of a classifier.
    """

    def __init__(
        self,
        file: Path | str | Session,
        *,
        template: str = "arcface-112",
        colour: Literal["rgb", "bgr"] = "rgb",
        mean: float | Sequence[float] = 127.5,
        std: float | Sequence[float] = 127.5,
        dimension: int = 512,
        metric: Literal["cosine", "euclid"] = "cosine",
        thresholds: Thresholds | Mapping[str, float],
        model: str = "",
        layout: Literal["nchw", "nhwc"] = "nchw",
        flip: bool = False,
        device: str = "auto",
        input: str | None = None,
        output: str | None = None,
    ) -> None:
        if metric not in ("cosine", "euclid"):
            raise ModelError(f"metric {metric!r}: write cosine or euclid in the pack.")
        self.pixels = Pixels(three(mean, "mean"), three(std, "std"), colour, layout)
        self.session = file if isinstance(file, Session) else _opened(Path(file), device, self.pixels, output)
        self.dimension, self.metric, self.template, self.flip = dimension, metric, template, flip
        self.crop_size = template_named(template).size
        self.thresholds = thresholds if isinstance(thresholds, Thresholds) else _thresholds(thresholds)
        self.model = model or _model_id(file, self.session)
        self._input = self._index([i.name for i in self.session.inputs], input, "input")
        self._output = self._index([o.name for o in self.session.outputs], output, "output")
        self._check()

    def _index(self, names: list[str], wanted: str | None, what: str) -> int:
        if wanted is None:
            return 0
        if wanted not in names:
            raise ModelError(f"{self.session.name} has no {what} {wanted!r}. It has: {', '.join(names)}.")
        return names.index(wanted)

    def _check(self) -> None:
        """ModelError where the network does not fit what the pack says of it: found now, not in the first video."""
        shape = self.session.inputs[self._input].shape
        if len(shape) == 4:
            channels_first = self.pixels.layout == "nchw" and not self.session.takes_bytes
            sides = shape[2:] if channels_first else shape[1:3]
            if any(s not in (None, self.crop_size) for s in sides):
                raise ModelError(
                    f"{self.session.name} takes {shape}, but template {self.template} makes crops of "
                    f"{self.crop_size} pixels. Check template and layout in the pack."
                )
        stated = self.session.outputs[self._output].shape
        if stated and stated[-1] not in (None, self.dimension):
            raise self._wrong(int(stated[-1] or 0))

    def _wrong(self, given: int) -> ModelError:
        return ModelError(
            f"{self.session.name} gives vectors of {given} numbers, the pack says {self.dimension}. "
            f"Write dimension: {given} in the pack, or take the right file."
        )

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The network behind it: what really runs it is in its `provider` and `why`."""
        return (self.session,)

    @property
    def preferred_batch(self) -> int:
        """Crops one call should hold on this device."""
        return self.session.preferred_batch

    def embed(self, crops: U8) -> F32:
        """(n, s, s, 3) uint8 BGR -> (n, dimension) float32; ModelError for crops of another size."""
        if len(crops) == 0:
            return np.zeros((0, self.dimension), np.float32)
        if crops.shape[1:] != (self.crop_size, self.crop_size, 3):
            raise ModelError(f"crops of {self.crop_size}x{self.crop_size}x3 are expected, got {crops.shape[1:]}.")
        vectors = self._vectors(crops)
        if self.flip:
            mirrored = self._vectors(np.ascontiguousarray(crops[:, :, ::-1]))
            vectors = np.asarray(
                unit(vectors) + unit(mirrored) if self.metric == "cosine" else (vectors + mirrored) / 2
            )
        return unit(vectors) if self.metric == "cosine" else vectors

    def _vectors(self, crops: U8) -> F32:
        rows = crops if self.session.takes_bytes else self.pixels.batch(crops)
        out = self.session.run_rows(rows)[self._output]
        vectors = np.asarray(out, np.float32).reshape(len(crops), -1)
        if vectors.shape[1] != self.dimension:
            raise self._wrong(vectors.shape[1])
        return vectors


def _opened(file: Path, device: str, pixels: Pixels, output: str | None) -> Session:
    """A session of the file; where `output` is a tensor inside the network, of the network cut off behind it."""
    session = Session(file, device=device, pixels=pixels)
    if output is None or output in [o.name for o in session.outputs] or not graph.onnx_available():
        return session
    cut = graph.with_output(read_model(file), output)
    if cut is None:
        return session  # `_index` tells what it has
    session = Session(cut, device=device, pixels=pixels)
    session.name = file.name
    return session


def _thresholds(given: Mapping[str, float]) -> Thresholds:
    needed, more = {"pair", "link", "merge"}, {"photo_merge", "strangers"}
    if not needed <= set(given) <= needed | more:
        raise ModelError(f"thresholds need pair, link and merge, got {', '.join(given) or 'none'}.")
    return Thresholds(**{name: float(value) for name, value in given.items()})


def _model_id(file: Path | str | Session, session: Session) -> str:
    if isinstance(file, Session):
        return session.name
    return f"{Path(file).stem}-{file_sha256(file)[:12]}"
