"""What ran, as a few small tables for a look: the manifest of one run, or of the runs behind a library.

The manifest of a library holds those of its sources under `runs`; what they all say is said once, counts are added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streamer.reports.escape import one_line
from streamer.reports.layout import grouped, spoken

Row = dict[str, str]
Block = dict[str, Any]
MOST_SETTINGS = 12


def run_blocks(manifest: Mapping[str, Any]) -> list[Block]:
    """Title, rows of label and value (and a share in per cent for a bar), and a note; blocks without rows left out."""
    runs = manifest.get("runs")
    told = [m for m in runs.values() if isinstance(m, Mapping)] if isinstance(runs, Mapping) else [manifest]
    makers: tuple[Callable[[Sequence[Mapping[str, Any]]], Block], ...] = (
        _models, _frames, _seconds, _settings, _software,
    )  # fmt: skip
    blocks = [make(told) for make in makers]
    return [b for b in blocks if b["rows"]] or [_anything(manifest)]


def _block(title: str, rows: list[Row], note: str = "") -> Block:
    return {"title": title, "rows": rows, "note": one_line(note), "empty": ""}


def _row(label: object, value: object) -> Row:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return {"label": one_line(str(label).replace("_", " ")), "value": one_line(text)}


def _part(run: Mapping[str, Any], *keys: str) -> Any:
    """What stands under these keys, None where there is nothing."""
    at: Any = run
    for key in keys:
        at = at.get(key) if isinstance(at, Mapping) else None
    return at


def _all(runs: Sequence[Mapping[str, Any]], *keys: str) -> list[Any]:
    """The different things said under these keys, in order."""
    out: list[Any] = []
    for value in (_part(r, *keys) for r in runs):
        if value not in (None, "") and value not in out:
            out.append(value)
    return out


def _sum(runs: Sequence[Mapping[str, Any]], *keys: str) -> float:
    return sum(v for v in (_part(r, *keys) for r in runs) if isinstance(v, int | float))


def _tally(runs: Sequence[Mapping[str, Any]], *keys: str) -> dict[str, float]:
    """Mappings of numbers under these keys, added."""
    out: dict[str, float] = {}
    for found in (_part(r, *keys) for r in runs):
        for key, value in found.items() if isinstance(found, Mapping) else ():
            if isinstance(value, int | float):
                out[str(key)] = out.get(str(key), 0) + value
    return out


def _models(runs: Sequence[Mapping[str, Any]]) -> Block:
    rows = [_row("pack", ", ".join(map(str, _all(runs, "models", "pack"))))] if _all(runs, "models", "pack") else []
    for role in ("detector", "embedder", "quality"):
        for files in _all(runs, "models", role, "files"):
            rows += [_row(role, f"{name} {str(digest)[:8]}") for name, digest in files.items()]
    devices = [d for group in _all(runs, "devices") if isinstance(group, list | tuple) for d in group]
    rows += [_row("device", d) for d in dict.fromkeys(str(d).partition(": ")[2] or str(d) for d in devices)]
    licences = ". ".join(map(str, _all(runs, "models", "licence")))
    return _block("Models", rows, f"Licence: {licences}" if licences else "")


def _frames(runs: Sequence[Mapping[str, Any]]) -> Block:
    if not _all(runs, "frames", "read"):
        return _block("Frames and faces", [])
    read, done, failed = (int(_sum(runs, "frames", k)) for k in ("read", "processed", "failed"))
    dropped = {k: v for k, v in _tally(runs, "frames", "dropped").items() if v}
    rows = [_row("frames read", grouped(read)), _row("processed", grouped(done))]
    rows += [_row(f"dropped, {k}", grouped(int(v))) for k, v in dropped.items()]
    rows.append(_row("damaged", grouped(failed)))
    for label, key in (("detector asked", "detector_calls"), ("faces detected", "faces_detected"),
                       ("faces embedded", "faces_embedded")):  # fmt: skip
        if _all(runs, key):
            rows.append(_row(label, grouped(int(_sum(runs, key)))))
    fits = read == done + failed + int(sum(dropped.values()))
    note = "Read is the sum of processed, dropped and damaged." if fits else "These counts do not add up."
    return _block("Frames and faces", rows, note)


def _seconds(runs: Sequence[Mapping[str, Any]]) -> Block:
    stages = _tally(runs, "stages")
    longest = max(stages.values(), default=0.0) or 1.0
    rows = [_row(name, spoken(s)) | {"share": f"{100 * s / longest:.1f}"} for name, s in stages.items()]
    if _all(runs, "cpu_seconds"):
        rows.append(_row("all together", spoken(_sum(runs, "cpu_seconds"))))
    frames = _sum(runs, "frames", "processed")
    note = f"{1000 * _sum(runs, 'cpu_seconds') / frames:.1f} ms of processor time a frame." if frames and rows else ""
    return _block("Processor time", rows, note)


def _settings(runs: Sequence[Mapping[str, Any]]) -> Block:
    """What was not left at its default, with who set it."""
    said: dict[str, list[str]] = {}
    for run in runs:
        config = _part(run, "config")
        for key, about in config.items() if isinstance(config, Mapping) else ():
            if isinstance(about, Mapping) and about.get("origin") not in (None, "default"):
                text = f"{about.get('value')} ({about['origin']})"
                if text not in said.setdefault(str(key), []):
                    said[str(key)].append(text)
    rows = [_row(key, " or ".join(texts)) for key, texts in sorted(said.items())]
    more = f"{len(rows) - MOST_SETTINGS} more are in run.json. " if len(rows) > MOST_SETTINGS else ""
    return _block("Settings", rows[:MOST_SETTINGS], more + "Everything else was left at its default." if rows else "")


def _software(runs: Sequence[Mapping[str, Any]]) -> Block:
    names = dict.fromkeys(k for p in _all(runs, "packages") if isinstance(p, Mapping) for k in p)
    rows = [_row(k, " or ".join(map(str, _all(runs, k)))) for k in ("whowhen", "python") if _all(runs, k)]
    rows += [_row(k, " or ".join(map(str, _all(runs, "packages", k)))) for k in names]
    return _block("Software", rows)


def _anything(manifest: Mapping[str, Any]) -> Block:
    """The short values of the first two levels, of a manifest that is not ours."""
    rows = []
    for key, value in manifest.items():
        for sub, v in value.items() if isinstance(value, Mapping) else [("", value)]:
            if isinstance(v, str | int | float | bool) and len(str(v)) <= 120:
                rows.append(_row(f"{key} {sub}".strip(), v))
    return _block("Run", rows[:24])
