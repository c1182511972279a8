"""How usable an aligned crop is as evidence: a network, or what can be measured without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamer.crops import crispness, sharpness, similarity, template
from streamer.items import F32, U8
from streamer.models.onnx import Session
from streamer.models.pixels import Pixels

SIDE = 96  # LightQNet's input


class LightQNet:
    """LightQNet (Chen et al. 2021, "Deep Face Image Quality Assessment"): clean faces rate about 0.61, bad below 0.5.

    Rank correlation with the harm a damage does to an EdgeFace vector: 0.76 (`Sharpness` 0.58). `template` is
    what the crops are aligned to; others than arcface-112 are moved onto it first.
    """

    def __init__(
        self,
        file: Path | str | Session,
        *,
        reject_below: float = 0.45,
        template: str = "arcface-112",
        device: str = "auto",
    ) -> None:
        self.reject_below = reject_below
        self.template = template
        self.pixels = Pixels((128.0,) * 3, (128.0,) * 3, "bgr")
        self.session = file if isinstance(file, Session) else Session(file, device=device, pixels=self.pixels)
        self._move = _onto_arcface(template)

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The network behind it: what really runs it is in its `provider` and `why`."""
        return (self.session,)

    def rate(self, crops: U8) -> F32:
        """(n, s, s, 3) uint8 BGR aligned crops -> (n,) 0..1."""
        if len(crops) == 0:
            return np.zeros(0, np.float32)
        rows = self._fitted(crops)
        rates = self.session.run_rows(rows if self.session.takes_bytes else self.pixels.batch(rows))[0]
        return np.asarray(rates, np.float32).reshape(len(crops)).clip(0, 1)

    def _fitted(self, crops: U8) -> U8:
        import cv2

        if self._move is None:
            return np.stack([cv2.resize(c, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for c in crops])
        return np.stack([cv2.warpAffine(c, self._move, (SIDE, SIDE), flags=cv2.INTER_LINEAR) for c in crops])


def _onto_arcface(name: str) -> F32 | None:
    """(2, 3): from crops of a template to the 96 pixel version of arcface-112; None where a plain resize does it."""
    if name == "arcface-112":
        return None
    move = similarity(template(name).array[None], "arcface-112")[0]
    return np.asarray(move * (SIDE / 112), np.float32)


class Sharpness:
    """Quality without a network: the sharpness of the crop, stretched so that clean faces are near 1.

    The rest (size, pose, detector score) is known only where the face was found: see `streamer.crops.rate_face`.
    """

    def __init__(self, *, reject_below: float = 0.1) -> None:
        self.reject_below = reject_below

    def rate(self, crops: U8) -> F32:
        """(n, s, s, 3) uint8 BGR aligned crops -> (n,) 0..1."""
        return crispness(sharpness(crops))
