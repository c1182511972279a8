"""The lab's page: scores and every picture of a clustering in one self-contained HTML file."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamer.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.lab.clusterings import Bench, Options
    from streamer.items import I64

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1f2933}"
    "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2.5rem}svg{max-width:100%;height:auto}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #d9dee3}"
    "td{font-variant-numeric:tabular-nums}p{color:#52606d}"
)
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def write_page(
    out: Path, bench: Bench, file: Path, method: str, labels: I64, options: Options, by: str = "tsne",
    photo: Path | None = None,
) -> Path:  # fmt: skip
    """Writes the page of `labels`, which `method` gave with `options`.

    Pictures that need true names or more faces than there are say so in their place.
    """
    from pipelines.lab.clusterings import written
    from streamer.clustering.batch import LINKAGES
    from streamer.reports.atomic import text

    if out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{out}: a page is written as .html.")
    heading = _shown(f"{file.name}: {method} {written(options)}".rstrip())
    body = [f"<h1>{heading}</h1>", _scores(bench.marks(labels, internal=True))]
    tree = (method, options.get("threshold")) if method in LINKAGES else ("average", None)
    for title, words, drawn in _pictures(bench, file, labels, by, photo, *tree):
        body.append(f"<h2>{_shown(title)}</h2><p>{_shown(words)}</p>{drawn}")
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{_shown(file.name)}</title>'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )
    with text(out) as page_file:
        page_file.write(page)
    return out


def _pictures(
    bench: Bench, file: Path, labels: I64, by: str, photo: Path | None, linkage: str, cut: float | None
) -> Iterator[tuple[str, str, str]]:
    """Heading, explanation and drawing of every picture; the dendrogram is that of `linkage`."""
    from pipelines.lab import charts, drawings
    from pipelines.lab.segment import segmented
    from streamer.sources.images import read_image

    def drawn(make: Any) -> str:
        try:
            return charts.svg(make())
        except ConfigError as error:
            if "pip install" in str(error) and "matplotlib" in str(error):
                raise
            return f"<p>Not drawn: {_shown(str(error))}</p>"

    yield (
        "Map",
        "Every face as a point; near points are faces alike. Colours are clusters.",
        drawn(lambda: drawings.draw_map(bench, by, labels, drawings.MOST_FACES, drawings.MOST_POINTS)),
    )
    yield (
        "Dendrogram",
        "Which faces were merged at which distance. The dashed line is the cut: what hangs below it is a cluster.",
        drawn(lambda: drawings.draw_dendrogram(bench, linkage, cut)),
    )
    yield (
        "Pairs",
        "How far apart two faces of one person are, and of two. Where the hills overlap no threshold is right.",
        drawn(lambda: drawings.draw_pairs(bench, file)),
    )
    yield (
        "Confusion",
        "Rows are people, columns clusters. A perfect clustering has one number in every row and column.",
        drawn(lambda: drawings.draw_confusion(bench, file, labels, 30)),
    )
    if photo is not None:
        image = read_image(photo)
        parts = {k: segmented(image, k) for k in (2, 3, 10)}
        yield (
            "Segmentation",
            "K-means on the colours of a picture: the same method that clusters faces, on pixels.",
            drawn(lambda: charts.segmentation(image, parts, "")),
        )


def _scores(found: dict[str, float]) -> str:
    rows = "".join(f"<tr><th>{_shown(k.replace('_', ' '))}</th><td>{v:.4f}</td></tr>" for k, v in found.items())
    return f"<table>{rows}</table>"


def _shown(text: str) -> str:
    from streamer.reports.escape import one_line

    return html.escape(one_line(text))
