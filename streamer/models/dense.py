"""What the one-pass detectors share: fitting a frame into the network, batches by shape, suppression, the way back.

A frame keeps its own shape: its long side becomes `long_side`, the rest is padded to a multiple of 32. A 16:9 frame
costs 40 % less at 640x384 than on the usual 640x640 square and shows the same faces.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError
from streamer.geometry import iou
from streamer.items import F32, U8, ArrayPicture, Faces, Picture, Region
from streamer.models.onnx import Session
from streamer.models.parts import cut_part
from streamer.models.pixels import Pixels

Array = NDArray[Any]
FEW = 24  # boxes up to which arrays cost more than they save
STRIDE = 32  # coarsest grid of all networks here: their input sizes are its multiples


def suppress(boxes: F32, scores: F32, overlap: float) -> NDArray[np.intp]:
    """Rows that survive non-maximum suppression, best first; of equal scores the earlier row wins.

    A box goes when it overlaps a better, kept one by more than `overlap` (IoU).
    """
    order = np.argsort(-scores, kind="stable")
    if len(order) <= FEW:
        return order[_distinct(boxes[order].tolist(), overlap)]
    if len(order) > 512:  # the (n, n) table below would be larger than it is worth
        order = order[:4096]
    table = iou(boxes[order], boxes[order]) > overlap if len(order) <= 512 else None
    alive = np.ones(len(order), bool)
    kept = []
    for i in range(len(order)):
        if not alive[i]:
            continue
        kept.append(i)
        row = table[i] if table is not None else iou(boxes[order[i]], boxes[order])[0] > overlap
        alive[i + 1 :] &= ~row[i + 1 :]
    return order[kept]


def _distinct(boxes: list[list[float]], overlap: float) -> list[int]:
    """The same for a few boxes, best first, in plain Python: nine boxes of two faces 0.02 ms, as arrays 0.04."""
    kept: list[int] = []
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        size = max(x2 - x1, 0.0) * max(y2 - y1, 0.0)
        for k in kept:
            u1, v1, u2, v2 = boxes[k]
            wide, high = min(x2, u2) - max(x1, u1), min(y2, v2) - max(y1, v1)
            if wide > 0 and high > 0:
                other = max(u2 - u1, 0.0) * max(v2 - v1, 0.0)
                if wide * high > overlap * (size + other - wide * high):
                    break
        else:
            kept.append(i)
    return kept


class DenseDetector(ABC):
    """A detector that looks at a whole frame in one pass. A family says how its outputs are read (`decode`)."""

    name = "dense"

    def __init__(
        self,
        session: Session,
        pixels: Pixels,
        *,
        score: float,
        low_score: float | None,
        nms: float,
        long_side: int,
    ) -> None:
        if not 0 < score < 1 or (low_score is not None and not 0 < low_score <= score):
            raise ConfigError(f"detector.score {score}, low_score {low_score}: 0 < low_score <= score < 1 is expected.")
        if long_side < STRIDE:
            raise ConfigError(f"detector.long_side {long_side}: at least {STRIDE} pixels are needed.")
        self.session = session
        self.pixels = pixels
        self.score = score
        self.low_score = low_score
        self.nms = nms
        self.long_side = long_side
        shape = session.inputs[0].shape or (None,) * 4
        high, wide = shape[1:3] if session.takes_bytes else shape[2:4]
        self._fixed = (wide, high) if wide is not None and high is not None else None
        self._single = shape[0] == 1
        self._buffers: dict[tuple[int, int, int], list[F32]] = {}  # popped while in use: safe between threads

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The networks behind it: what really runs them is in `provider` and `why` of each."""
        return (self.session,)

    @property
    def bar(self) -> float:
        """Faces with at least this score are reported."""
        return self.score if self.low_score is None else self.low_score

    @abstractmethod
    def decode(self, outputs: Sequence[Array], row: int, width: int, height: int) -> tuple[F32, F32, F32]:
        """Boxes (n, 4), scores (n,) and landmarks (n, 5, 2) of picture `row` above `bar`, in network pixels."""

    def arrange(self, outputs: list[Array], count: int) -> list[Array]:
        """The outputs of one call, each with one row per picture."""
        return outputs

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """(w, h) a frame of this size is resized to; padding comes on top."""
        if self._fixed is not None:
            scale = min(self._fixed[0] / width, self._fixed[1] / height)
        else:
            scale = self.long_side / max(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def detect(self, images: Sequence[U8]) -> list[Faces]:
        """The faces of each image, best score first, in its own pixels."""
        sizes = [(i.shape[1], i.shape[0]) for i in images]
        return self._detect([ArrayPicture(i).scaled for i in images], sizes)

    def detect_pictures(self, pictures: Sequence[Picture], sizes: Sequence[tuple[int, int]]) -> list[Faces]:
        """The faces of each picture in pixels of its displayed (w, h); only the network's size is converted."""
        return self._detect([p.scaled for p in pictures], sizes)

    @property
    def takes_parts(self) -> bool:
        """Whether `detect_part` is worth asking: a card, and a compiled graph, want one shape."""
        return self.session.on_cpu and self._fixed is None

    def detect_part(self, picture: Picture, size: tuple[int, int], part: Region) -> Faces:
        """The faces in a part of a picture, in pixels of its displayed (w, h); those its edge cuts are left out."""
        image = picture.scaled(*self.input_size(*size))
        piece, place = cut_part(image, part, size, STRIDE)
        height, width = piece.shape[:2]
        found = self._back(self._run([piece], width, height)[0], (width, height), (width, height))
        return place.back(found)

    def _detect(self, readers: Sequence[Callable[[int, int], U8]], sizes: Sequence[tuple[int, int]]) -> list[Faces]:
        found: list[Faces] = [Faces.none()] * len(readers)
        groups: dict[tuple[int, int], list[int]] = {}
        for i, (width, height) in enumerate(sizes):
            groups.setdefault(self.input_size(width, height), []).append(i)
        for (w, h), members in groups.items():
            step = self.session.preferred_batch if self.session.on_gpu and not self._single else 1
            for at in range(0, len(members), step):
                part = members[at : at + step]
                for i, faces in zip(part, self._run([readers[i](w, h) for i in part], w, h), strict=True):
                    found[i] = self._back(faces, sizes[i], (w, h))
        return found

    def _run(self, images: Sequence[U8], w: int, h: int) -> list[tuple[F32, F32, F32]]:
        width, height = self._fixed or (-(-w // STRIDE) * STRIDE, -(-h // STRIDE) * STRIDE)
        if self.session.takes_bytes:
            stack = np.zeros((len(images), height, width, 3), np.uint8)
            for i, image in enumerate(images):
                stack[i, :h, :w] = image
            outputs = self.session.run_rows(stack, self.arrange)
        else:
            outputs = self._run_floats(images, (w, h), (width, height))
        return [self.decode(outputs, i, width, height) for i in range(len(images))]

    def _run_floats(self, images: Sequence[U8], content: tuple[int, int], size: tuple[int, int]) -> list[Array]:
        waiting = self._buffers.setdefault((len(images), *content), [])  # the padding of a buffer is written once
        try:  # not "if waiting": another thread may take the last one in between
            blob = waiting.pop()
        except IndexError:
            blob = self._blank(len(images), size[1], size[0])
        for i, image in enumerate(images):
            self.pixels.write(image, blob[i])
        outputs = self.session.run_rows(blob, self.arrange)
        if len(waiting) < 2:
            waiting.append(blob)
        return outputs

    def _blank(self, count: int, height: int, width: int) -> F32:
        if len(self._buffers) > 8:  # folders of photos have many shapes
            self._buffers.clear()
        return self.pixels.empty(count, height, width)

    def _back(self, found: tuple[F32, F32, F32], size: tuple[int, int], fitted: tuple[int, int]) -> Faces:
        boxes, scores, landmarks = found
        if not len(boxes):
            return Faces.none()
        keep = suppress(boxes, scores, self.nms)
        scale = np.array([size[0] / fitted[0], size[1] / fitted[1]], np.float32)
        return Faces(boxes[keep] * np.tile(scale, 2), scores[keep], landmarks[keep] * scale)


def open_session(
    file: Path | str | Session, device: str, pixels: Pixels, rewrite: Callable[[bytes], bytes | None] | None = None
) -> Session:
    """A session for a file; a session that was made already is taken as it is."""
    return file if isinstance(file, Session) else Session(file, device=device, pixels=pixels, rewrite=rewrite)
