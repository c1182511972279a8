"""The doctor, on environments that were never installed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipelines import doctor
from streamer.errors import DeviceError, ModelError

GOOD = {"onnxruntime": "1.32.0", "opencv-python-headless": "4.14.0", "onnx": "1.23.2"}


def test_one_runtime_and_one_opencv_are_well() -> None:
    assert doctor.check_runtimes(GOOD) == doctor.Check("onnxruntime", "ok", "onnxruntime 1.32.0")
    assert doctor.check_opencvs(GOOD) == doctor.Check("opencv", "ok", "opencv-python-headless 4.14.0")


def test_two_runtimes_are_both_removed_before_the_gpu_one_comes_back() -> None:
    found = doctor.check_runtimes({**GOOD, "onnxruntime-gpu": "1.31.1"})
    assert found.state == "problem"
    assert found.repair == 'pip uninstall -y onnxruntime onnxruntime-gpu && pip install "whowhen[gpu]"'


def test_who_brought_the_second_runtime_is_told() -> None:
    both = {**GOOD, "onnxruntime-gpu": "1.31.1", "insightface": "2.1"}
    assert "insightface brings the plain one (install it with --no-deps)" in doctor.check_runtimes(both).detail


def test_without_a_gpu_build_the_plain_one_comes_back() -> None:
    found = doctor.check_runtimes({**GOOD, "onnxruntime-openvino": "1.24.1"})
    assert found.repair == 'pip uninstall -y onnxruntime onnxruntime-openvino && pip install "whowhen[cpu]"'


def test_no_runtime_at_all_is_a_problem_unless_openvino_is_there() -> None:
    assert doctor.check_runtimes({}).repair == 'pip install "whowhen[cpu]"'
    assert doctor.check_runtimes({"openvino": "2026.4"}).state == "warning"


def test_two_opencvs_are_both_removed_before_the_headless_one_comes_back() -> None:
    found = doctor.check_opencvs({**GOOD, "opencv-python": "4.14.0"})
    assert found.state == "problem"
    assert found.repair == (
        'pip uninstall -y opencv-python opencv-python-headless && pip install "opencv-python-headless>=4.10,<5"'
    )


def test_opencv_5_is_warned_of() -> None:
    assert doctor.check_opencvs({"opencv-python-headless": "5.0.0.93"}).state == "warning"


def test_a_runtime_whose_twin_was_removed_is_damaged() -> None:
    found = doctor.check_runtime_whole(lambda: SimpleNamespace(), GOOD)
    assert (found.state, found.detail) == ("problem", "damaged: it has no __version__ and no InferenceSession")
    assert found.repair == 'pip uninstall -y onnxruntime && pip install "whowhen[cpu]"'


def test_a_runtime_that_cannot_be_imported_is_one_line() -> None:
    def broken() -> None:
        raise ImportError("libcublas.so.13: no such file\nmore\nlines")

    found = doctor.check_runtime_whole(broken, {"onnxruntime-gpu": "1.31.1"})
    assert found.detail == "cannot be imported: libcublas.so.13: no such file"
    assert found.repair.endswith('pip install "whowhen[gpu]"')


def test_an_opencv_without_its_desktop_libraries_gives_way_to_the_headless_one() -> None:
    def broken() -> None:
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    found = doctor.check_opencv_whole(broken, {"opencv-python": "4.14.0"})
    assert (found.state, found.repair) == (
        "problem",
        'pip uninstall -y opencv-python && pip install "opencv-python-headless>=4.10,<5"',
    )
    assert doctor.check_opencv_whole(lambda: SimpleNamespace(), {"opencv-python": "4.14.0"}).detail.startswith(
        "damaged"
    )


class FakeSession:
    def __init__(self, provider: str, answer: tuple[float, float] = (0.0, 2.0)) -> None:
        self.provider, self.why, self.answer = provider, "because", answer

    def run(self, _: np.ndarray) -> list[np.ndarray]:
        return [np.array(self.answer)]


def test_the_device_is_what_a_session_ran_on() -> None:
    found = doctor.check_session(GOOD, lambda _: FakeSession("CPUExecutionProvider"))
    assert found[0] == doctor.Check("device auto", "ok", "CPU (because)")


def test_a_gpu_build_that_falls_back_says_why() -> None:
    def session(device: str) -> FakeSession:
        if device == "cuda":
            raise DeviceError("device cuda was asked for but CPUExecutionProvider would run.")
        return FakeSession("CPUExecutionProvider")

    auto, cuda = doctor.check_session({"onnxruntime-gpu": "1.31.1"}, session)
    assert (auto.state, cuda.state, cuda.name) == ("ok", "warning", "device cuda")
    assert "CPUExecutionProvider would run" in cuda.detail


def test_a_device_that_computes_wrongly_is_a_problem() -> None:
    found = doctor.check_session(GOOD, lambda _: FakeSession("CUDAExecutionProvider", (1.0, 2.0)))
    assert found[0].state == "problem"
    assert "computes wrongly" in found[0].detail


def test_a_session_that_cannot_be_made_is_a_problem() -> None:
    def session(_: str) -> FakeSession:
        raise ModelError("onnxruntime is damaged")

    assert doctor.check_session(GOOD, session)[0].detail == "onnxruntime is damaged"


def test_the_tiny_network_runs_here() -> None:
    pytest.importorskip("onnxruntime")
    made = doctor._session("cpu")
    assert made.run(np.array([-1.0, 2.0], np.float32))[0].tolist() == [0.0, 2.0]


def test_a_bad_model_file_is_told_with_the_line_that_brings_it_back() -> None:
    checks = [SimpleNamespace(ok=True, detail=""), SimpleNamespace(ok=False, detail="a.onnx is not the file")]
    found = doctor._check_pack("mine", checks, "whowhen models fetch mine")
    assert found == doctor.Check("models mine", "problem", "a.onnx is not the file", "whowhen models fetch mine")


def test_h264_can_be_read_here() -> None:
    found = {c.name: c for c in doctor.check_codecs()}
    assert list(found) == ["codec h264", "codec hevc", "codec vp9", "codec av1"]
    assert found["codec h264"].state == "ok"


def test_a_folder_is_written_to_not_asked(tmp_path: Path) -> None:
    assert doctor.check_folder("cache", tmp_path / "not" / "yet").state == "ok"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    under = doctor.check_folder("cache", tmp_path / "file" / "under")
    assert (under.state, under.repair) == ("problem", "Set WHOWHEN_CACHE to a folder that can be written")


def test_a_full_disk_is_warned_of(tmp_path: Path) -> None:
    assert doctor.check_folder("cache", tmp_path, lambda _: 5_000_000).state == "warning"


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("warning", 0), ("problem", 1)])
def test_only_a_problem_gives_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: doctor.State, code: int
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Check("x", state, "told", "do this")])
    assert doctor.doctor() == code
    assert "repair: do this" in capsys.readouterr().out
    assert doctor.doctor(json=True) == code
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] == (code == 0)
    assert told["checks"] == [{"name": "x", "state": state, "detail": "told", "repair": "do this"}]


def test_every_check_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHOWHEN_CACHE", str(tmp_path))
    names = [c.name for c in doctor.examine()]
    assert {"python", "onnxruntime", "opencv", "models open", "codec h264", "cache", "threads"} <= set(names)
