"""ELAN .eaf (annotation format 3.0): a tier per person, integer milliseconds since the first frame."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from streamer.intervals import join
from streamer.items import Appearance
from streamer.reports.base import RunData, SourceEntry, by_person
from streamer.reports.escape import one_line
from streamer.reports.markup import Element, address, child, root, save
from streamer.reports.rttm import unique

SCHEMA = {
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
}
TYPE, NAMES, LANGUAGE = "appearance", "people", "und"


class Eaf:
    """people.eaf. Annotations inside a tier may not overlap, so stretches of one person that touch are joined."""

    def write(self, data: RunData, path: Path) -> None:
        source = data.only_source("ELAN")
        people = by_person(data.shown_appearances())
        tiers = unique((p, one_line(data.labels()[p])) for p in sorted(people))
        # DATE is required by the format; a fixed one keeps the bytes stable
        tree = root("ANNOTATION_DOCUMENT", AUTHOR="", DATE="1970-01-01T00:00:00+00:00", FORMAT="3.0", VERSION="3.0")
        tree.attrib |= SCHEMA
        _header(tree, source)
        _annotations(tree, {tiers[p]: _stretches(mine, source.start) for p, mine in sorted(people.items())})
        child(
            tree,
            "LINGUISTIC_TYPE",
            LINGUISTIC_TYPE_ID=TYPE,
            TIME_ALIGNABLE="true",
            GRAPHIC_REFERENCES="false",
            CONTROLLED_VOCABULARY_REF=NAMES,
        )
        child(tree, "LANGUAGE", LANG_ID=LANGUAGE, LANG_LABEL="undetermined (und)")
        vocabulary = child(tree, "CONTROLLED_VOCABULARY", CV_ID=NAMES)
        child(vocabulary, "DESCRIPTION", LANG_REF=LANGUAGE)
        for person, tier in tiers.items():
            entry = child(vocabulary, "CV_ENTRY_ML", CVE_ID=f"cve_{person}")
            child(entry, "CVE_VALUE", tier, DESCRIPTION=f"person {person}", LANG_REF=LANGUAGE)
        save(path, tree)


def _stretches(mine: list[Appearance], start: float) -> list[tuple[int, int]]:
    """Milliseconds, none shorter than 1."""
    out = []
    for low, high in join((a.start - start, a.end - start) for a in mine):
        begin = max(0, round(low * 1000))
        out.append((begin, max(begin + 1, round(high * 1000))))
    return out


def _header(tree: Element, source: SourceEntry) -> None:
    header = child(tree, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    mime = mimetypes.guess_type(source.name)[0] or "video/mp4"
    near = "./" + address(source.video or Path(source.path or source.name).name)
    child(
        header,
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=address(source.path or source.name),
        MIME_TYPE=mime,
        RELATIVE_MEDIA_URL=near,
    )


def _annotations(tree: Element, tiers: dict[str, list[tuple[int, int]]]) -> None:
    order = child(tree, "TIME_ORDER")
    edges = sorted(
        (ms, tier, i, end) for tier, some in tiers.items() for i, pair in enumerate(some) for end, ms in enumerate(pair)
    )
    slots = {}
    for n, (ms, tier, i, end) in enumerate(edges, 1):
        slots[tier, i, end] = f"ts{n}"
        child(order, "TIME_SLOT", TIME_SLOT_ID=f"ts{n}", TIME_VALUE=ms)
    number = 0
    for tier, some in tiers.items():
        here = child(tree, "TIER", LINGUISTIC_TYPE_REF=TYPE, TIER_ID=tier)
        for i in range(len(some)):
            number += 1
            one = child(
                child(here, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{number}",
                TIME_SLOT_REF1=slots[tier, i, 0],
                TIME_SLOT_REF2=slots[tier, i, 1],
            )
            child(one, "ANNOTATION_VALUE", tier)
