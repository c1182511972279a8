"""run.json: what ran, with which settings and models, on what, and counts that add up."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamer.reports.atomic import text
from streamer.reports.base import RunData


def plain(value: Any) -> Any:
    """The value in JSON's own types: sequences and sets to lists, paths to text, NaN and infinity to null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(v) for v in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return plain(value.item()) if hasattr(value, "item") else str(value)


class Manifest:
    """run.json, keys in the order given."""

    def write(self, data: RunData, path: Path) -> None:
        with text(path) as out:
            json.dump(plain(data.manifest), out, indent=2, ensure_ascii=False, allow_nan=False)
            out.write("\n")
