"""The house plan, read from the imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = [
    {"items", "errors"},
    {"geometry", "vectors", "intervals", "watching", "pages"},
    {"crops", "aliases", "flow"},
    {
        "sources",
        "models",
        "tracking",
        "clustering",
        "timeline",
        "ledger",
        "store",
        "reports",
        "evaluation",
        "frontalise",
    },
    {"stages", "testing", "album", "library", "presence"},
    {"config"},
    {"processing"},
]
# the rooms of pipelines; what is not named here stands above them all
PIPELINES = [{"terminal"}, {"people", "live", "file", "lab", "models", "doctor", "evaluate", "photo_folder", "demo"}]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
FILES = sorted((ROOT / "streamer").rglob("*.py")) + sorted((ROOT / "pipelines").rglob("*.py"))
# module -> places (relative to the root) that may import it
ONLY_IN = {
    "threading": ("streamer/flow/", "streamer/sources/camera", "streamer/processing/live/", "pipelines/"),
    "queue": ("streamer/flow/",),
    "av": ("streamer/sources/", "streamer/reports/"),
    "onnxruntime": ("streamer/models/", "pipelines/doctor"),
    "faiss": ("streamer/clustering/neighbors.py",),
    "sqlite3": ("streamer/store",),
}


def imports(path: Path) -> set[str]:
    """Dotted names a file imports, lazy ones included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{a.name}" for a in node.names} | {node.module}
    return found


def room(path: Path) -> str:
    return path.relative_to(ROOT / "streamer").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    if path.is_relative_to(ROOT / "pipelines") or room(path) == "__init__":
        return
    here = room(path)
    assert here in LEVEL, f"{here} has no layer: give it one"
    for name in imports(path):
        parts = name.split(".")
        assert parts[0] != "pipelines", f"{path} imports pipelines"
        if parts[0] == "streamer" and len(parts) > 1 and parts[1] in LEVEL and parts[1] != here:
            assert LEVEL[parts[1]] < LEVEL[here], f"{here} (layer {LEVEL[here]}) imports {parts[1]}"


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_rooms_of_the_applications_know_only_those_below(path: Path) -> None:
    level = {room: level for level, rooms in enumerate(PIPELINES) for room in rooms}
    here = path.relative_to(ROOT / "pipelines").parts[0].removesuffix(".py")
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "pipelines" and len(parts) > 1 and parts[1] not in (here, "__init__") and here in level:
            assert level.get(parts[1], len(PIPELINES)) < level[here], f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_libraries_stay_in_their_room(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    for name in {n.split(".")[0] for n in imports(path)} & set(ONLY_IN):
        assert place.startswith(ONLY_IN[name]), f"{place} imports {name}"


def test_nothing_dangerous_is_called() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in {"eval", "exec", "os.system", "pickle.load", "pickle.loads", "yaml.unsafe_load"}, (
                    path
                )
                assert not any(
                    k.arg in ("shell", "allow_pickle") and ast.unparse(k.value) == "True" for k in node.keywords
                )
