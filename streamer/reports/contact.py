"""contact.png: everybody's best faces on one sheet, longest screen time first."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamer.items import U8
from streamer.reports.atomic import write_bytes
from streamer.reports.base import PersonEntry, RunData
from streamer.reports.drawing import PALETTE, ascii_name
from streamer.reports.layout import count, spoken

GAP, LINE = 16, 44
INK, SOFT, PAPER = (48, 37, 29), (117, 104, 93), (248, 250, 251)


class ContactSheet:
    """A cell per person: the best face large, `more` beside it small. `columns` cells a row, `most` people."""

    def __init__(self, columns: int = 4, side: int = 144, more: int = 3, most: int = 400) -> None:
        self.columns, self.side, self.more, self.most = columns, side, more, most

    def write(self, data: RunData, path: Path) -> None:
        import cv2

        write_bytes(path, bytes(cv2.imencode(".png", self.draw(data))[1]))

    def draw(self, data: RunData) -> U8:
        """(h, w, 3) uint8 BGR."""
        people = data.shown()[: self.most]
        small = self.side // max(1, self.more)
        width, height = self.side + small + 3 * GAP, self.side + LINE + 2 * GAP
        rows, columns = -(-len(people) // self.columns), min(self.columns, max(1, len(people)))
        sheet = np.full((64 + max(1, rows) * height, GAP + max(2, columns) * width, 3), PAPER, np.uint8)
        title = f"{count(len(people), 'person', 'people')}, {spoken(sum(p.screen_time for p in people))} on screen"
        _write(sheet, ascii_name(title, 0), GAP, 40, 0.7, INK)
        for i, p in enumerate(people):
            self._cell(sheet, p, GAP + i % columns * width, 64 + i // columns * height, i)
        return sheet

    def _cell(self, sheet: U8, p: PersonEntry, x: int, y: int, turn: int) -> None:
        small = self.side // max(1, self.more)
        sheet[y : y + self.side, x : x + self.side] = _picture(p.thumbnail or b"", self.side)
        for n, card in enumerate(p.faces[1 : 1 + self.more]):
            top, left = y + n * small, x + self.side + 4
            sheet[top : top + small - 4, left : left + small - 4] = _picture(card.jpeg, small - 4)
        sheet[y + self.side : y + self.side + 4, x : x + self.side] = PALETTE[turn % len(PALETTE)]
        _write(sheet, ascii_name(p.label, p.id)[:22], x, y + self.side + 24, 0.5, INK)
        _write(sheet, f"{spoken(p.screen_time)}, {p.appearances} x", x, y + self.side + 42, 0.42, SOFT)


def _write(sheet: U8, words: str, x: int, y: int, size: float, colour: tuple[int, int, int]) -> None:
    import cv2

    cv2.putText(sheet, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def _picture(jpeg: bytes, side: int) -> U8:
    import cv2

    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if image is None:
        return np.full((side, side, 3), (230, 230, 230), np.uint8)
    h, w = image.shape[:2]
    s = min(h, w)
    square = image[(h - s) // 2 : (h - s) // 2 + s, (w - s) // 2 : (w - s) // 2 + s]
    out: U8 = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA if s > side else cv2.INTER_LINEAR)
    return out
