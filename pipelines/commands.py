"""The commands and their options. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.terminal.options import (
    ConfigFile,
    Device,
    Formats,
    Json,
    KeepUnnamed,
    Models,
    OwnLibrary,
    Preset,
    Quiet,
    Settings,
    ordered,
)

app = typer.Typer(
    name="whowhen",
    help="Who appears when: finds, follows and groups the faces of videos and cameras.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Show the options, their values and where each came from.", no_args_is_help=True)
app.add_typer(config_app, name="config")

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def _version(value: bool) -> None:
    if value:
        from streamer import __version__

        print(f"whowhen {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Who appears when: finds, follows and groups the faces of videos and cameras."""


@app.command()
def run(
    sources: Annotated[list[str], typer.Argument(help="Video files, folders, globs, animated GIFs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    models: Models = "open",
    library: OwnLibrary = None,
    device: Device = "auto",
    preset: Preset = "balanced",
    config: ConfigFile = None,
    settings: Settings = None,
    formats: Formats = None,
    force: Annotated[bool, typer.Option(help="Do finished files again.")] = False,
    keep_unnamed: KeepUnnamed = "",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Files read at a time; the result is the same.")] = 1,
    inline: Annotated[bool, typer.Option(help="One thread, same result (for debugging).")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, progress as JSON lines on stderr.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    """Find out who appears when in video files."""
    from pipelines import file
    from pipelines.terminal.interruption import Interruption
    from pipelines.terminal.progress import Progress

    style = "none" if quiet else "json" if as_json else "auto"
    told = ordered(out, library, models, device, preset, config, settings, formats, keep_unnamed)
    job = file.Job(sources=tuple(sources), force=force, jobs=jobs, inline=inline, **told)
    with Interruption() as stop, Progress(style) as progress:
        result = file.run(job, progress, stop)
    file.tell(result, as_json=as_json)
    return result.exit_code


@app.command()
def watch(
    cameras: Annotated[list[str], typer.Argument(help="A cameras file (YAML), or addresses: rtsp://..., /dev/video0.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the reports.")] = Path("watch_out"),
    models: Models = "open",
    library: OwnLibrary = None,
    device: Device = "auto",
    preset: Preset = "balanced",
    config: ConfigFile = None,
    settings: Settings = None,
    formats: Formats = None,
    duration: Annotated[float | None, typer.Option(min=0.0, help="Seconds to watch (default: until stopped).")] = None,
    keep_unnamed: KeepUnnamed = "",
    serve: Annotated[bool, typer.Option("--serve", help="Show the live page, on this machine only.")] = False,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT of the live page (--serve is meant too).")] = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No lines about the cameras.")] = False,
) -> int:
    """Watch live cameras: who comes and goes, all of them into one people library."""
    from pipelines.live import job

    told = ordered(out, library, models, device, preset, config, settings, formats, keep_unnamed)
    page = {"listen": listen} if listen else {} if serve else None
    wanted = job.Job(cameras=tuple(cameras), duration=duration, quiet=quiet, serve=page, **told)
    result = job.run(wanted)
    job.tell(result, as_json=as_json)
    return result.code


@config_app.command("show")
def config_show(preset: Preset = "balanced", config: ConfigFile = None, settings: Settings = None) -> None:
    """Every option with its value and origin."""
    from streamer.config import load

    for path, value, origin in load(preset, config, tuple(settings or ())).show():
        print(f"{path:32} {value!s:24} {origin}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the clip and the results.")] = Path("demo_out"),
    models: Models = "open",
    device: Device = "auto",
) -> int:
    """Compose a clip with known truth from faces of installed packages, and find out who appears when in it."""
    from pipelines import evaluate, file
    from pipelines.demo import compose
    from pipelines.terminal.interruption import Interruption
    from pipelines.terminal.progress import Progress
    from streamer.config import load
    from streamer.models import packs

    clip = out / "demo.mp4"
    job = file.Job(
        sources=(str(clip),), out=out, library=out / "people.db", models=models, device=device, config=load()
    )
    file.check(job)
    composed = compose(clip, packs.build(packs.load_pack(models), device).detector)
    with Interruption() as stop, Progress() as progress:
        result = file.run(job, progress, stop)
    file.tell(result, as_json=False)
    if not stop.is_set():
        print(evaluate.table(evaluate.score_folder(out, composed.labels)))
    return result.exit_code


@app.command("eval")
def evaluate(
    out: Annotated[Path, typer.Argument(help="Output folder of a run: of one source, or with one folder per source.")],
    truth: Annotated[Path, typer.Option("--truth", "-t", help="Label folder, boxes file (video.csv) or RTTM file.")],
    as_json: Json = False,
) -> int:
    """Score a finished run: B-cubed, pairwise F, NMI, WCP, people, recall, two faces of one person at a time."""
    from pipelines.evaluate import evaluate as score

    return score(out, truth, as_json)


@app.command()
def bench(
    sources: Annotated[list[str] | None, typer.Argument(help="Video files (default: the clip of the demo).")] = None,
    models: Models = "open",
    device: Device = "cpu",
    preset: Preset = "balanced",
    settings: Settings = None,
    naive: Annotated[str, typer.Option(help="The loop: insightface's FaceAnalysis, own, or auto.")] = "auto",
    as_json: Json = False,
) -> None:
    """What the loop everybody writes costs here, and what this does, side by side, stage by stage."""
    from pipelines import bench

    bench.run(sources or [], models, device, preset, settings or [], naive, as_json)


def _rest() -> None:
    """The commands that live in modules of their own."""
    from pipelines import doctor, export, lab, models, photo_folder
    from pipelines.people import commands as people
    from pipelines.people import known, query, recluster

    app.add_typer(lab.app, name="lab", help="Compare clusterings, detectors and embedders on your own faces.")
    app.add_typer(people.app, name="people")
    app.add_typer(models.app, name="models")
    app.command("doctor")(doctor.doctor)
    for command in (export.export, export.report, known.search, query.query, recluster.recluster, photo_folder.photos):
        app.command()(command)


_rest()
