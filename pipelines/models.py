"""`whowhen models`: list, show, fetch, verify and import model packs. Results on stdout, the rest on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.terminal.options import Json

app = typer.Typer(help="Model packs: list, show, fetch, verify, import.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A registered name, a pack.yaml, or a folder with one.")]
NOT_WHOLE = 4  # exit code: a model is missing or another than pinned


@app.command("list")
def list_command(as_json: Json = False) -> None:
    """Every pack known by name, and whether it is on this machine."""
    from streamer.models.catalog import list_packs

    rows = list_packs()
    if as_json:
        print(json.dumps([asdict(r) for r in rows]))
        return
    for row in rows:
        print(f"{row.name:12}  {row.state:17}  {row.detector:6} {row.dimension:4}-d  {row.licence}  ({row.size})")


@app.command()
def show(pack: Name, as_json: Json = False) -> None:
    """What a pack is: files, hashes, licences, origin, preprocessing, thresholds."""
    from streamer.models.catalog import show as told

    found = told(pack)
    print(json.dumps(found) if as_json else "\n".join(_lines(found)))


def _lines(tree: dict[str, Any], indent: str = "") -> list[str]:
    out = []
    for key, value in tree.items():
        if isinstance(value, dict):
            out += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        else:
            out.append(f"{indent}{key}: {'not stated' if value in (None, '') else value}")
    return out


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A registered name, see `whowhen models list`.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Bring a registered pack to this machine; size, licence, address and target are shown first."""
    from streamer.models.fetch import fetch as bring
    from streamer.models.fetch import plan

    told = plan(name)
    if yes:
        print(told, file=sys.stderr)
    got = bring(name, yes=yes, ask=_ask, progress=_progress())
    _tell_fetched(got.pinned, got.new, [str(f) for f in got.files])


def _ask(plan: str) -> bool:
    print(plan, file=sys.stderr)
    if not sys.stdin.isatty():
        return False
    return typer.confirm("Fetch it?", err=True)


def _progress() -> Callable[[int, int | None], None] | None:
    """A line that is rewritten, on a terminal only."""
    if not sys.stderr.isatty():
        return None

    def tell(done: int, total: int | None) -> None:
        of = f" of {total / 1e6:.1f}" if total else ""
        print(f"\r{done / 1e6:.1f}{of} MB", end="\n" if done == total else "", file=sys.stderr)

    return tell


def _tell_fetched(pinned: Any, new: bool, files: list[str]) -> None:
    for name, digest in pinned.items():
        print(f"pinned {name}: SHA-256 {digest} (its publisher states none)", file=sys.stderr)
    if not new:
        print("Everything was here already.", file=sys.stderr)
    print("\n".join(files))


@app.command()
def verify(
    pack: Annotated[str | None, typer.Argument(help="A pack; without one, every pack on this machine.")] = None,
    as_json: Json = False,
) -> int:
    """Compute every hash again. Exit code 4 when a file is missing or another."""
    from streamer.models import catalog

    here = [r.name for r in catalog.list_packs() if r.state in ("ready", "made on first use")]
    checks = {name: catalog.verify(name) for name in ([pack] if pack else here)}
    if as_json:
        print(json.dumps({name: [asdict(c) for c in told] for name, told in checks.items()}))
    else:
        for name, told in checks.items():
            for check in told:
                detail = f"  {check.detail}" if check.detail else ""
                print(f"{'ok ' if check.ok else 'BAD'}  {name}  {check.part}  {check.file}{detail}")
    return 0 if all(c.ok for told in checks.values() for c in told) else NOT_WHOLE


@app.command("import")
def import_command(
    folder: Annotated[Path, typer.Argument(help="Holds a pack.yaml, or the files or the zip of a registered pack.")],
    name: Annotated[str | None, typer.Option(help="Which registered pack it is.")] = None,
) -> None:
    """Take a pack from a folder: for machines without a network, and for packs of one's own."""
    from streamer.models.catalog import import_pack

    got = import_pack(folder, name)
    print(f"{got.pack.name} is known now: --models {got.pack.name}", file=sys.stderr)
    _tell_fetched(got.pinned, got.new, [str(f) for f in got.files])
