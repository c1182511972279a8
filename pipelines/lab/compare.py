"""`whowhen lab embed` and `embedders`: vectors of a labelled folder, and packs compared on it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.lab.counting import Counter
from pipelines.lab.options import Json, Plot

Folder = Annotated[Path, typer.Argument(help="A folder per person, or photos called name_001.jpg.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, tensorrt or openvino.")]
Least = Annotated[int, typer.Option(help="Leave out people with fewer photos than this.", min=1)]


def embed_command(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Embedding file to write (.npz).")],
    models: Annotated[str, typer.Option("--models", "-m", envvar="WHOWHEN_PACK", help="Model pack.")] = "open",
    at_least: Least = 1,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Mean with the mirror image's vector, as `whowhen photos` does it.")
    ] = False,
    device: Device = "auto",
) -> int:
    """The main face of every photo as a vector, in a file the other lab commands read."""
    from streamer.album import labelled as of_people
    from streamer.album import photos_of, save_portraits
    from streamer.errors import ConfigError
    from streamer.models.packs import build, load_pack

    if out.suffix != ".npz":
        raise ConfigError(f"{out}: embedding files are written as .npz.")
    loaded = build(load_pack(models), device)
    photos = of_people(folder, at_least) if at_least > 1 else photos_of(folder)
    found = _portraits(photos, loaded, mirror)
    if not len(found.rows):
        raise ConfigError(f"{folder}: no face was found on {len(photos)} photos.")
    save_portraits(out, found, loaded.embedder.model, loaded.embedder.metric)
    print(f"{out}: {len(found.rows)} faces of {len(set(found.people) - {''})} people")
    return 3 if found.failed else 0


def embedders_command(
    folder: Folder,
    models: Annotated[
        list[str] | None, typer.Option("--models", "-m", help="A pack to compare. Repeat for more; default: open.")
    ] = None,
    at_least: Least = 2,
    most: Annotated[int | None, typer.Option(help="Look at no more photos.", min=2)] = None,
    device: Device = "auto",
    plot: Plot = None,
    as_json: Json = False,
) -> int:
    """Compare packs on labelled photos: ROC over all pairs, AUC, TAR at FAR, best threshold, cost per face."""
    from streamer.album import labelled as of_people
    from streamer.models.packs import build, load_pack

    photos = of_people(folder, max(2, at_least))[:most]
    packs = [load_pack(m) for m in models or ["open"]]
    rows: list[dict[str, Any]] = []
    curves: dict[str, Any] = {}
    for pack in packs:
        row, result = _worth(pack.name, build(pack, device), photos, folder)
        rows.append(row)
        curves[_unused(pack.name, curves)] = result
    if plot:
        from pipelines.lab import charts

        charts.save(charts.roc(curves, f"{len(photos)} photos of {len({p.person for p in photos})} people"), plot)
    print(json.dumps(rows, indent=2) if as_json else embedder_table(rows))
    return 0


def _unused(name: str, taken: dict[str, Any]) -> str:
    number = 2
    found = name
    while found in taken:
        found, number = f"{name} ({number})", number + 1
    return found


def _portraits(photos: Any, loaded: Any, mirror: bool = False) -> Any:
    """The main faces, with progress and what went wrong on stderr."""
    from streamer.album import portraits

    counter = Counter(loaded.pack.name, len(photos))
    found = portraits(photos, loaded, counter, mirror=mirror)
    counter.end()
    for line in found.failed:
        print(f"passed over: {line}", file=sys.stderr)
    if found.missed:
        print(f"no face found on {len(found.missed)} photos, the first: {found.missed[0]}", file=sys.stderr)
    return found


def _worth(name: str, loaded: Any, photos: Any, folder: Path) -> tuple[dict[str, Any], Any]:
    from streamer.errors import ConfigError
    from streamer.evaluation.verification import all_pairs, verification

    found = _portraits(photos, loaded)
    try:
        result = verification(*_similarities(found, loaded.embedder.metric, all_pairs))
    except ValueError as error:
        raise ConfigError(f"{folder}: {error}") from error
    row = {
        "pack": name,
        "model": loaded.embedder.model,
        "dimension": loaded.embedder.dimension,
        "metric": loaded.embedder.metric,
        "faces": len(found.rows),
        "missed": len(found.missed),
        "auc": result.auc,
        "tar_at_far_0.01": result.tar_at(1e-2),
        "tar_at_far_0.001": result.tar_at(1e-3),
        "tar_at_far_0.0001": result.tar_at(1e-4),
        "best_threshold": result.best if loaded.embedder.metric == "cosine" else -result.best,
        "balanced_accuracy": result.accuracy,
        "pair_threshold": loaded.embedder.thresholds.pair,
        "cpu_ms": _cost(loaded.embedder),
    }
    return row, result


def _similarities(found: Any, metric: str, all_pairs: Any) -> tuple[Any, Any]:
    """Of every pair in the pack's own metric; Euclidean distances negated."""
    import numpy as np
    from scipy.spatial.distance import pdist

    similarity, same = all_pairs(found.rows, found.people)
    if metric != "cosine":
        similarity = -pdist(np.asarray(found.rows, np.float64))
    return similarity, same


def _cost(embedder: Any, crops: int = 32) -> float:
    """CPU-milliseconds per crop in batches as large as the embedder likes them."""
    import numpy as np

    side = embedder.crop_size
    stack = np.random.default_rng(0).integers(0, 256, (crops, side, side, 3), dtype=np.uint8)
    embedder.embed(stack[: embedder.preferred_batch])
    began = time.process_time()
    embedder.embed(stack)
    return round(1000 * (time.process_time() - began) / crops, 2)


def embedder_table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table of the packs."""
    lines = [
        "| pack | d | metric | faces | missed | AUC | TAR 1e-2 | TAR 1e-3 | TAR 1e-4 | best threshold (pack's) "
        "| balanced accuracy | CPU-ms |",
        "|" + " --- |" * 12,
    ]
    for r in rows:
        lines.append(
            f"| {r['pack']} | {r['dimension']} | {r['metric']} | {r['faces']} | {r['missed']} | {r['auc']:.4f} "
            f"| {r['tar_at_far_0.01']:.4f} | {r['tar_at_far_0.001']:.4f} | {r['tar_at_far_0.0001']:.4f} "
            f"| {r['best_threshold']:.3f} ({r['pair_threshold']:g}) | {r['balanced_accuracy']:.4f} "
            f"| {r['cpu_ms']:.1f} |"
        )
    return "\n".join(lines)
