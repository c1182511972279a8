"""`whowhen doctor`: whether this installation can do the job, and the exact line that repairs what cannot."""

from __future__ import annotations

import json as json_format
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pipelines.terminal.options import Json
from streamer.errors import StreamerError

State = Literal["ok", "warning", "problem"]
# distributions that unpack into the same folder: the last one installed wins, removing one breaks the other
RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml", "onnxruntime-rocm")
OPENCVS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
LITTLE_DISK = 1 << 30  # bytes: a library of a thousand hours takes about this much
# y = relu(x), float[2], as ONNX opset 13
TINY = bytes.fromhex(
    "08083a330a0c0a0178120179220452656c751201675a0f0a0178120a0a08080112040a02080262"
    "0f0a0179120a0a08080112040a02080242040a00100d"
)


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `repair` is a command or sentence that ends it; empty where there is nothing to do."""

    name: str
    state: State
    detail: str
    repair: str = ""


def distributions() -> dict[str, str]:
    """Name (lower case, dashes) -> version of everything installed."""
    from importlib import metadata

    found = ((d.metadata["Name"], d.version) for d in metadata.distributions())
    return {name.lower().replace("_", "-"): version for name, version in found if name}


def check_runtimes(installed: Mapping[str, str]) -> Check:
    """One onnxruntime, or the line that leaves one. All are removed first: each removal breaks those that stay."""
    there = [n for n in RUNTIMES if n in installed]
    told = ", ".join(f"{n} {installed[n]}" for n in there)
    gpu = "onnxruntime-gpu" in there
    if len(there) > 1:
        extra = "gpu" if gpu else "cpu"
        repair = f'pip uninstall -y {" ".join(there)} && pip install "whowhen[{extra}]"'
        why = "they share one folder, so it is chance which one runs"
        if "insightface" in installed:
            why += "; insightface brings the plain one (install it with --no-deps)"
        return Check("onnxruntime", "problem", f"{told}: {why}", repair)
    if not there:
        if "openvino" in installed:
            return Check("onnxruntime", "warning", "not installed; only --device openvino works", _install("cpu"))
        return Check("onnxruntime", "problem", "not installed", _install("cpu"))
    return Check("onnxruntime", "ok", told)


def _install(extra: str) -> str:
    return f'pip install "whowhen[{extra}]"'


def check_opencvs(installed: Mapping[str, str]) -> Check:
    """One OpenCV of version 4, or the line that leaves one."""
    there = [n for n in OPENCVS if n in installed]
    told = ", ".join(f"{n} {installed[n]}" for n in there)
    wanted = "opencv-python-headless>=4.10,<5"
    if len(there) > 1:
        repair = f'pip uninstall -y {" ".join(there)} && pip install "{wanted}"'
        return Check("opencv", "problem", f"{told}: they share one folder, so it is chance which one runs", repair)
    if not there:
        return Check("opencv", "problem", "not installed", f'pip install "{wanted}"')
    if not installed[there[0]].startswith("4."):
        repair = f'pip uninstall -y {there[0]} && pip install "{wanted}"'
        return Check("opencv", "warning", f"{told}: version 5 has no Haar cascades", repair)
    return Check("opencv", "ok", told)


def check_runtime_whole(load: Callable[[], Any], installed: Mapping[str, str]) -> Check:
    """Whether the module onnxruntime is whole: after one of two distributions was removed it imports, but is empty."""
    there = [n for n in RUNTIMES if n in installed]
    if not there:
        return Check("onnxruntime module", "ok", "not installed, nothing to check")
    extra = "gpu" if "onnxruntime-gpu" in there else "cpu"
    repair = f"pip uninstall -y {' '.join(there)} && {_install(extra)}"
    try:
        module = load()
    except ImportError as error:
        return Check("onnxruntime module", "problem", f"cannot be imported: {_line(error)}", repair)
    missing = [n for n in ("__version__", "InferenceSession") if not hasattr(module, n)]
    if missing:
        return Check("onnxruntime module", "problem", f"damaged: it has no {' and no '.join(missing)}", repair)
    return Check("onnxruntime module", "ok", f"version {module.__version__}")


def check_opencv_whole(load: Callable[[], Any], installed: Mapping[str, str]) -> Check:
    """Whether the module cv2 is whole: the Qt build asks for a desktop, and a removed twin leaves a hole."""
    there = [n for n in OPENCVS if n in installed]
    if not there:
        return Check("opencv module", "ok", "not installed, nothing to check")
    repair = f'pip uninstall -y {" ".join(there)} && pip install "opencv-python-headless>=4.10,<5"'
    try:
        module = load()
    except ImportError as error:
        return Check("opencv module", "problem", f"cannot be imported: {_line(error)}", repair)
    missing = [n for n in ("__version__", "imdecode", "warpAffine") if not hasattr(module, n)]
    if missing:
        return Check("opencv module", "problem", f"damaged: it has no {' and no '.join(missing)}", repair)
    return Check("opencv module", "ok", f"version {module.__version__}")


def check_session(installed: Mapping[str, str], session: Callable[[str], Any]) -> list[Check]:
    """What a session really runs on: a list of providers proves nothing, a session that answered does."""
    if not any(n in installed for n in RUNTIMES):
        return []
    found = [_runs("auto", session)]
    gpu = "onnxruntime-gpu" in installed
    if gpu and found[0].state == "ok" and not found[0].detail.startswith("CUDA"):
        cuda = _runs("cuda", session)
        if cuda.state == "problem":
            found.append(Check("device cuda", "warning", cuda.detail, "Check the NVIDIA driver: nvidia-smi"))
    if not gpu and Path("/proc/driver/nvidia/version").exists():
        repair = f"pip uninstall -y onnxruntime && {_install('gpu')}"
        found.append(Check("device cuda", "warning", "an NVIDIA card is here, but onnxruntime has no CUDA", repair))
    return found


def _runs(device: str, session: Callable[[str], Any]) -> Check:
    import numpy as np

    try:
        made = session(device)
        answer = made.run(np.array([-1.0, 2.0], np.float32))[0]
    except StreamerError as error:
        return Check(f"device {device}", "problem", _line(error))
    if answer.tolist() != [0.0, 2.0]:
        return Check(f"device {device}", "problem", f"{made.provider} computes wrongly: relu([-1, 2]) = {answer}")
    return Check(f"device {device}", "ok", f"{made.provider.removesuffix('ExecutionProvider')} ({made.why})")


def check_models() -> list[Check]:
    """The embedded pack can be made, and every pack on this machine is whole."""
    from streamer.models import catalog

    found = [_check_pack("open", catalog.verify("open"), 'pip install "whowhen[open]"')]
    for listed in catalog.list_packs():
        if listed.name != "open" and listed.state == "ready":
            repair = f"whowhen models fetch {listed.name}"
            found.append(_check_pack(listed.name, catalog.verify(listed.name), repair))
    return found


def _check_pack(name: str, checks: Iterable[Any], repair: str) -> Check:
    told = list(checks)
    bad = [c for c in told if not c.ok]
    if bad:
        return Check(f"models {name}", "problem", "; ".join(c.detail for c in bad), repair)
    how = sorted({c.detail for c in told if c.detail})
    return Check(f"models {name}", "ok", f"{len(told)} files of the pinned hash" + (f", {how[0]}" if how else ""))


def check_converter(installed: Mapping[str, str]) -> Check:
    """The embedded pack is converted with the package onnx; once converted it is not needed any more."""
    if "onnx" in installed:
        return Check("onnx", "ok", f"onnx {installed['onnx']}")
    return Check("onnx", "warning", "not installed: the embedded pack cannot be converted", _install("open"))


def check_codecs() -> list[Check]:
    """What videos can be read; writing matters only for the videos among the reports."""
    try:
        from streamer.sources.codecs import codecs

        told = codecs()
    except ImportError as error:
        return [
            Check("codecs", "problem", f"PyAV cannot be imported: {_line(error)}", "pip install --force-reinstall av")
        ]
    found = []
    for codec in told:
        detail = f"reads with {codec.decoder or 'nothing'}, writes with {codec.encoder or 'nothing'}"
        repair = "" if codec.decoder else "pip install --force-reinstall av"
        found.append(Check(f"codec {codec.name}", "ok" if codec.decoder else "warning", detail, repair))
    return found


def check_folder(name: str, folder: Path, free: Callable[[Path], int] | None = None) -> Check:
    """Whether files can be made in a folder (the nearest that exists, where it does not), and what is free there."""
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=there) as file:
            file.write(b"x")
    except OSError as error:
        repair = "Set WHOWHEN_CACHE to a folder that can be written" if name == "cache" else "Work in another folder"
        return Check(name, "problem", f"{folder} cannot be written: {error.strerror}", repair)
    left = (free or (lambda p: shutil.disk_usage(p).free))(there)
    detail = f"{folder} can be written, {left / 1e9:.1f} GB free"
    return Check(name, "warning" if left < LITTLE_DISK else "ok", detail, "Free the disk" if left < LITTLE_DISK else "")


def check_threads() -> Check:
    """How many cores may be used, and what the environment says of them."""
    may = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = [f"{v}={os.environ[v]}" for v in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if v in os.environ]
    return Check("threads", "ok", ", ".join([f"{may} of {os.cpu_count()} cores may be used", *told]))


def check_python() -> Check:
    """The Python that runs."""
    from streamer import __version__

    detail = f"whowhen {__version__}, Python {platform.python_version()}, {platform.platform()}"
    return Check("python", "ok", detail)


def examine() -> list[Check]:
    """Every check, in the order they are told."""
    from streamer.models.cache import cache_folder

    installed = distributions()
    return [
        check_python(),
        check_runtimes(installed),
        check_runtime_whole(_load_runtime, installed),
        *check_session(installed, _session),
        check_opencvs(installed),
        check_opencv_whole(_load_opencv, installed),
        check_converter(installed),
        *check_models(),
        *check_codecs(),
        check_folder("working folder", Path.cwd()),
        check_folder("cache", cache_folder()),
        check_threads(),
    ]


def _load_runtime() -> Any:
    from streamer.models.runtime import keep_offline

    keep_offline()
    import onnxruntime

    return onnxruntime


def _load_opencv() -> Any:
    import cv2

    return cv2


def _session(device: str) -> Any:
    from streamer.models.onnx import Session

    return Session(TINY, device=device)


def _line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def doctor(
    json: Json = False,
) -> int:
    """Check this installation: runtimes, devices, models, codecs, folders. Exit code 1 where something is wrong."""
    checks = examine()
    good = all(c.state != "problem" for c in checks)
    if json:
        print(json_format.dumps({"ok": good, "checks": [asdict(c) for c in checks]}))
        return 0 if good else 1
    for check in checks:
        mark = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}[check.state]
        print(f"{mark}  {check.name}: {check.detail}")
        if check.repair:
            print(f"         repair: {check.repair}")
    if not good:
        print("Something is wrong: run the lines after `repair:`, then whowhen doctor again.", file=sys.stderr)
    return 0 if good else 1
