"""The bench as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def table(told: dict[str, Any]) -> str:
    """Stage by stage in milliseconds a frame, then the ratios of every video and of all together."""
    loop = "insightface's FaceAnalysis" if told["loop"] == "insightface" else "the same loop over our own models"
    head = f"naive: {loop} on every frame, {told['machine']['models']}, then DBSCAN"
    return "\n".join([head, *_stages(told["pooled"]), "", *_videos(told)])


def _stages(pooled: dict[str, Any]) -> Iterator[str]:
    frames = pooled["frames"]
    low, sides = pooled["floors"], (pooled["naive"]["stages"], pooled["ours"]["stages"])
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    yield f"{'CPU-ms a frame':24}{'naive':>10}{'ours':>10}{'floor':>10}"
    for name in names:
        cells = "".join(f"{1000 * s[name] / frames:10.3f}" if name in s else f"{'-':>10}" for s in sides)
        floor = ""
        if name == "read":
            floor = f"{1000 * low['decode'] / frames:10.3f}"
        elif name == "detect" and "session" in low:
            floor = f"{1000 * low['session'] * pooled['ours']['detections'] / frames:10.3f}"
        yield f"{name:24}{cells}{floor}"
    yield f"{'total':24}" + "".join(f"{1000 * pooled[s]['total'] / frames:10.3f}" for s in ("naive", "ours"))
    for what in ("detections", "embeddings", "faces", "people"):
        yield f"{what:24}" + "".join(f"{pooled[s][what]:10}" for s in ("naive", "ours"))


def _videos(told: dict[str, Any]) -> Iterator[str]:
    rows = {**{Path(k).name: v for k, v in told["videos"].items()}, "all": told["pooled"]}
    columns = list(told["pooled"]["ratios"])
    for number, name in enumerate(columns, 1):
        yield f"({number}) {name}"
    yield f"{'':24}{'frames':>8}" + "".join(f"{f'({i})':>9}" for i in range(1, len(columns) + 1))
    for name, row in rows.items():
        cells = "".join(f"{row['ratios'].get(c, float('nan')):9.3f}" for c in columns)
        yield f"{name[:23]:24}{row['frames']:8}{cells}"
