"""`whowhen lab`: the methods of face clustering, side by side on your own faces."""

from __future__ import annotations

from collections.abc import Callable

import typer

from pipelines.lab import commands, compare, detectors, pictures, preprocessing

app = typer.Typer(help="Compare clusterings, detectors and embedders on your own faces.", no_args_is_help=True)
COMMANDS: dict[str, Callable[..., int | None]] = {
    "methods": commands.methods_command,
    "cluster": commands.cluster_command,
    "sweep": commands.sweep_command,
    "suggest": commands.suggest_command,
    "verify": commands.verify_command,
    "report": pictures.report_command,
    "embed": compare.embed_command,
    "embedders": compare.embedders_command,
    "detectors": detectors.detectors_command,
    "align": preprocessing.align_command,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(pictures.app, name="picture")
