"""The clusterer as bytes: plain arrays (no pickle), a JSON header, a SHA-256 over both."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.clustering.identities import NEIGHBORS
from streamer.clustering.repair import Repair
from streamer.errors import StoreError
from streamer.pages import PAGE, Pages, cut, digest

MAGIC = b"whowhen clusterer 5\n"
START = len(MAGIC) + 32  # behind the checksum: length of the header (8 bytes) and header
Arrays = dict[str, NDArray[Any]]
EXEMPLAR = ("scale", "weight", "energy", "owner", "key", "near")
IDENTITY = ("sums", "weight", "energy", "count", "settled", "number")
TRACK = ("number", "row", "light")
ONLINE = "online"
ROWS = "rows"
COUNTERS = ("seq", "next_identity", "_since_remerge", "_consolidated_at", "_retried_at")


def pack(c: Repair) -> Pages:
    """An OnlineClusterer's state; the pages are views of its own arrays."""
    header = {
        "kind": ONLINE, "model": c.model, "dimension": c.space.dimension, "options": c.options,
        "counters": {name: getattr(c, name) for name in COUNTERS}, "next_key": c.exemplars.next_key,
        "waiting": sorted((k, v) for k, v in c.constraints.waiting.items()),
    }  # fmt: skip
    return written(header, _arrays(c))


def written(header: Mapping[str, Any], arrays: Arrays) -> Pages:
    """Magic, checksum, length of the header, header, arrays. `header` is plain JSON and holds `kind` and `model`.

    Every array begins a page of its own, so arrays that grow do not shift what lies behind them: a store that keeps
    pages finds most of them as they were. The checksum is over the first page and the checksums of the others.
    """
    arrays = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    header = {**header, "arrays": [(name, a.dtype.str, a.shape) for name, a in arrays.items()]}
    text = json.dumps(header, sort_keys=True).encode()
    top = bytes(START) + len(text).to_bytes(8, "little") + text
    parts = cut(bytearray(top + bytes(-len(top) % PAGE)))
    for a in arrays.values():
        parts += _filled(cut(a.data.cast("B") if a.size else b""))
    hashes = [digest(p) for p in parts]
    parts[0][:START] = MAGIC + _checksum(parts[0], hashes)
    return Pages(parts, [digest(parts[0]), *hashes[1:]])


def _filled(parts: list[memoryview]) -> list[memoryview]:
    """The pages of an array with the last filled up with zeros."""
    if parts and len(parts[-1]) < PAGE:
        parts[-1] = memoryview(bytes(parts[-1]) + bytes(PAGE - len(parts[-1])))
    return parts


def _checksum(first: memoryview, hashes: Any) -> bytes:
    return digest(bytes(first[START:]) + b"".join(hashes[1:]))


def kind(state: Pages) -> str:
    """Which clusterer wrote this, "" where that cannot be read."""
    try:
        first = bytes(state.parts[0])
        ends = START + 8 + int.from_bytes(first[START : START + 8], "little")
        top = b"".join(state.parts[: -(-ends // PAGE)])
        return str(json.loads(top[START + 8 : ends]).get("kind", ONLINE))
    except (ValueError, AttributeError, IndexError):
        return ""


def unpack(state: Pages) -> tuple[dict[str, Any], Arrays]:
    """Header and arrays, which are the clusterer's from now on; StoreError when a byte is not as it was written."""
    first = state.parts[0] if state.parts else memoryview(b"")
    if bytes(first[: len(MAGIC)]) != MAGIC:
        raise StoreError(
            "this is not the state of a clusterer (its first bytes are wrong). Rebuild it from the stored tracks."
        )
    if _checksum(first, state.hashes) != bytes(first[len(MAGIC) : START]):
        raise StoreError("the clusterer's state is damaged (its checksum is wrong). Rebuild it from the stored tracks.")
    block = np.frombuffer(bytearray().join(state.parts), np.uint8) if state.whole is None else state.whole
    length = int.from_bytes(block[START : START + 8].tobytes(), "little")
    header: dict[str, Any] = json.loads(block[START + 8 : START + 8 + length].tobytes())
    at = -(-(START + 8 + length) // PAGE) * PAGE
    arrays: Arrays = {}
    for name, dtype, shape in header["arrays"]:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if name == ROWS:  # the last: what is behind it is room for more rows
            line = shape[1] * np.dtype(dtype).itemsize
            size = (len(block) - at) // line * line
        arrays[name] = block[at : at + size].view(dtype).reshape(-1, *shape[1:])
        at += -(-size // PAGE) * PAGE
    return header, arrays


@contextmanager
def opened(
    state: bytes | Pages, kind: str, model: str | None, dimension: int | None
) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """What `unpack` gives of a state that may be taken over, for whoever makes a clusterer of it in the block.

    StoreError as `check` and `unpack` say, and where what is in it does not fit.
    """
    header, arrays = unpack(state if isinstance(state, Pages) else Pages.of(state))
    check(header, model, dimension, kind)
    try:
        yield header, arrays
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError("the clusterer's state is of another version. Rebuild it from the stored tracks.") from error


def check(header: dict[str, Any], model: str | None, dimension: int | None, kind: str) -> None:
    """StoreError when the state is of another clusterer, model or dimension than asked for."""
    if header.get("kind", ONLINE) != kind:
        raise StoreError(f"it was written by another clusterer ({header['kind']}, not {kind}).")
    if model is not None and header["model"] != model:
        raise StoreError(
            f"the library holds faces of {header['model'] or 'an unnamed model'}, this run uses {model}. "
            "Vectors of two models cannot be mixed: use the library's model, or start a new library."
        )
    if dimension is not None and header["dimension"] != dimension:
        raise StoreError(
            f"the library holds vectors of {header['dimension']} numbers, this run makes {dimension}. Use its model."
        )


def _ragged(lists: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths and values."""
    return np.asarray([len(x) for x in lists], np.int64), np.asarray([v for x in lists for v in x], np.int64)


def _lists(lengths: NDArray[Any], values: NDArray[Any]) -> list[list[int]]:
    ends = np.cumsum(lengths).tolist()
    flat = values.tolist()
    return [flat[e - n : e] for e, n in zip(ends, lengths.tolist())]


def _pairs(items: Any, width: int = 2) -> NDArray[np.int64]:
    return np.asarray(sorted(items), np.int64).reshape(-1, width)


def _arrays(c: Repair) -> Arrays:
    ex, ids, tracks, rules = c.exemplars, c.identities, c.tracks, c.constraints
    out: Arrays = {f"exemplar_{n}": getattr(ex, n)[: len(ex)] for n in EXEMPLAR}
    out |= {f"identity_{n}": getattr(ids, n)[: len(ids.rows)] for n in IDENTITY}
    out |= {f"track_{n}": getattr(tracks, n)[: tracks.count] for n in TRACK}
    out["member_lengths"], out["members"] = _ragged(ex.members)
    out["row_lengths"], out["identity_rows"] = _ragged(ids.rows)
    out["free"], out["pinned"] = np.asarray(ids.free, np.int64), np.asarray(sorted(ids.pinned), np.int64)
    out["vectors"] = tracks.vectors[: tracks.count] if tracks.keep_vectors else tracks.vectors
    out["pairs"], out["pair_weights"], out["must"] = rules.pairs, rules.weights, _pairs(rules.must)
    out["aliases"], out["exiles"], out["near"] = _pairs(c.aliases.items()), _pairs(c.exiles.items()), _pairs(c._near)
    out["pending"] = np.asarray(sorted(c.pending), np.int64)
    out["pending_vectors"] = np.asarray([c.pending[p] for p in sorted(c.pending)], np.float32).reshape(
        -1, c.space.dimension
    )
    out["sketches"] = ex.index.sketches.ravel()  # 0.3 s to make for 30,000 rows: a file of 15 s would feel it
    return out | {ROWS: ex.index.rows}


def fill(c: Repair, header: dict[str, Any], arrays: Arrays) -> None:
    """A new clusterer becomes the one that was packed."""
    ex, ids, tracks, rules = c.exemplars, c.identities, c.tracks, c.constraints
    ex.index.load(arrays[ROWS], len(arrays["exemplar_scale"]), arrays.get("sketches"))
    for n in EXEMPLAR:
        setattr(ex, n, arrays[f"exemplar_{n}"])
    for n in IDENTITY:
        setattr(ids, n, arrays[f"identity_{n}"])
    for n in TRACK:
        setattr(tracks, n, arrays[f"track_{n}"])
    ex.near = ex.near.reshape(-1, NEIGHBORS)
    ex.members = _lists(arrays["member_lengths"], arrays["members"])
    ex.row_of = {k: r for r, k in enumerate(ex.key.tolist())}
    ex.next_key = header["next_key"]
    ids.rows = _lists(arrays["row_lengths"], arrays["identity_rows"])
    ids.slot_of = {n: s for s, n in enumerate(ids.number.tolist()) if n}
    ids.free, ids.pinned = arrays["free"].tolist(), set(arrays["pinned"].tolist())
    tracks.count, tracks.vectors = len(tracks.number), arrays["vectors"]
    tracks.position = dict(zip(tracks.number.tolist(), range(tracks.count)))
    tracks.position.pop(0, None)  # removed ones
    rules.load(arrays["pairs"], arrays["pair_weights"])
    rules.must = {(a, b) for a, b in arrays["must"].tolist()}
    rules.waiting = {k: [(o, m) for o, m in v] for k, v in header["waiting"]}
    for dropped, kept in arrays["aliases"].tolist():
        c.aliases.merge(kept, dropped)
    c.exiles = dict(arrays["exiles"].tolist())
    c._near = {(a, b) for a, b in arrays["near"].tolist()}
    c.pending = dict(zip(arrays["pending"].tolist(), arrays["pending_vectors"]))
    for name in COUNTERS:
        setattr(c, name, header["counters"].get(name, getattr(c, name)))  # older states lack the newer ones
