"""What a model pack is: files with hashes, licences, preprocessing and thresholds, as plain data.

Pack
├── detector   Part    family, file or files, sha256, options of the family (long_side, score, min_face, ...)
├── embedder   Part    the same; options: template, colour, mean, std, dimension, metric, thresholds, layout, flip, ...
├── quality    Part    optional; options: reject_below
└── archive    Archive where one download holds all files; or each file has its own address
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROLES = ("detector", "embedder", "quality")


@dataclass(frozen=True, slots=True)
class File:
    """One file of a part. `role` is the constructor's argument it is for; `size` bytes, or a text where only about."""

    role: str
    name: str
    sha256: str | None = None
    size: int | str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip that holds the files of a pack, by name, in any folder."""

    address: str
    size: int | str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A detector, embedder or quality model of a pack."""

    role: str
    family: str
    files: tuple[File, ...] = ()
    convert: str = ""  # name of a recipe that makes the files from an installed package
    licence: str = ""
    origin: str = ""
    thresholds_origin: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pack:
    """Everything the pipeline must know about its models. `folder` holds the files."""

    name: str
    licence: str
    folder: Path
    detector: Part
    embedder: Part
    quality: Part | None = None
    origin: str = ""
    note: str = ""
    archive: Archive | None = None
    registered: bool = False

    @property
    def parts(self) -> tuple[Part, ...]:
        """Detector, embedder, and quality where there is one."""
        return tuple(p for p in (self.detector, self.embedder, self.quality) if p is not None)

    @property
    def files(self) -> tuple[File, ...]:
        """The files of all parts that lie in the folder, each name once."""
        return tuple({f.name: f for part in self.parts for f in part.files}.values())

    @property
    def thresholds(self) -> Mapping[str, float]:
        """{pair, link, merge} of the embedder, in its own metric."""
        found: Mapping[str, float] = self.embedder.options["thresholds"]
        return found

    @property
    def model(self) -> str:
        """The id stored with every vector: embedder file, start of its hash, digest of what is done to a crop.

        Two packs that share an embedder and its preprocessing share the id, whatever their detectors. Empty for a
        pack without a pinned embedder file (not fetched yet, or a class of one's own that names itself).
        """
        from streamer.models.convert.recipes import recipe

        if self.embedder.convert:
            made = recipe(self.embedder.convert)
            stem, digest = made.name, next(iter(made.sources.values())).sha256
        else:
            file = next(iter(self.embedder.files), None)
            if file is None or not file.sha256:
                return ""
            stem, digest = Path(file.name).stem, file.sha256
        return f"{stem}-{digest[:8]}-{preprocessing(self.embedder)}"


def preprocessing(part: Part) -> str:
    """Six hex digits of what is done to a face before the network: options that are not the default, template points.

    Options at their default do not count, so that a new option of a family leaves the ids of old vectors as they are.
    """
    import inspect

    from streamer.crops import TEMPLATES
    from streamer.models import family

    parameters = inspect.signature(family(part.role, part.family)).parameters
    defaults = {k: p.default for k, p in parameters.items()}
    told = {k: v for k, v in part.options.items() if k != "thresholds" and v != defaults.get(k)}
    template = part.options.get("template", defaults.get("template"))
    if template in TEMPLATES:
        told["points"] = TEMPLATES[template].points
    plain = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()[:6]
