"""Parquet: faces.csv's columns with types, for pandas, polars and DuckDB. Needs pyarrow (extra `frames`)."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from streamer.errors import ConfigError
from streamer.items import DETECTED
from streamer.reports.atomic import replacing
from streamer.reports.base import FaceRow, RunData
from streamer.reports.tables import KINDS

GROUP = 65_536  # rows of a row group: about 2 MB in memory


class FacesParquet:
    """faces.parquet, zstd, written group by group."""

    def __init__(self) -> None:
        if find_spec("pyarrow") is None:  # said when the report is chosen, not after the work
            raise ConfigError("Parquet needs pyarrow: pip install 'whowhen[frames]'.")

    def write(self, data: RunData, path: Path) -> None:
        import pyarrow
        import pyarrow.parquet

        rows, schema = data.rows(), _schema(pyarrow)
        with (
            replacing(path) as part,
            pyarrow.parquet.ParquetWriter(str(part), schema, compression="zstd") as out,
        ):
            while group := list(islice(rows, GROUP)):
                out.write_table(pyarrow.table(_columns(group), schema=schema))


def _schema(pa: Any) -> Any:
    words = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [("source", words), ("frame", pa.int64()), ("time_s", pa.float64()), ("track", pa.int64())]
        + [("person", pa.int64())]
        + [(side, pa.float32()) for side in ("x1", "y1", "x2", "y2", "score")]
        + [("kind", words)]
    )


def _columns(group: list[FaceRow]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "source": [r.source for r in group],
        "frame": [r.frame for r in group],
        "time_s": [float(r.time) for r in group],
        "track": [r.track for r in group],
        "person": [r.person for r in group],
    }
    for i, side in enumerate(("x1", "y1", "x2", "y2")):
        columns[side] = [float(r.box[i]) for r in group]
    columns["score"] = [float(r.score) for r in group]
    columns["kind"] = [KINDS[r.kind == DETECTED] for r in group]
    return columns
