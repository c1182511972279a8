"""RTTM (NIST Rich Transcription), read by diarisation tools: `SPEAKER uri 1 start length <NA> <NA> label <NA> <NA>`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from streamer.reports.atomic import text
from streamer.reports.base import RunData
from streamer.reports.escape import csv_text, label


def unique(wanted: Iterable[tuple[int, str]]) -> dict[int, str]:
    """number -> its text; a text wanted twice gets the number appended, so that two people never become one."""
    pairs = list(wanted)
    texts = [t for _, t in pairs]
    out: dict[int, str] = {}
    for number, wish in pairs:
        name = wish if texts.count(wish) == 1 else f"{wish}_{number}"
        while name in out.values():
            name += "_"
        out[number] = name
    return out


class Rttm:
    """people.rttm. A field may hold no blank: they become underscores, and `<file>.names.csv` keeps the originals."""

    def write(self, data: RunData, path: Path) -> None:
        names = data.labels()
        labels = unique((p, label(n)) for p, n in sorted(names.items()))
        order = {a.source: i for i, a in reversed(list(enumerate(data.appearances)))}
        uris = unique((i, label(s)) for s, i in sorted(order.items()))
        with text(path) as out:
            for a in data.appearances:
                # a stretch shorter than a millisecond would read as empty, which readers refuse
                length = max(a.duration, 0.001)
                out.write(
                    f"SPEAKER {uris[order[a.source]]} 1 {a.start:.3f} {length:.3f} "
                    f"<NA> <NA> {labels[a.identity]} <NA> <NA>\n"
                )
        _names(path, names, labels, data)


def _names(path: Path, names: Mapping[int, str], labels: Mapping[int, str], data: RunData) -> None:
    known = {p.id: p.name for p in data.people}
    with text(path.with_name(path.name + ".names.csv")) as out:
        out.write("label,person,name\n")
        for person in sorted(names):
            out.write(f"{csv_text(labels[person])},{person},{csv_text(known.get(person, ''))}\n")
