"""The bench: where every second goes, and what is promised of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.bench import Meter, ratios
from pipelines.bench.table import table
from pipelines.cli import main


def test_a_meter_counts_the_items_of_a_batch() -> None:
    meter = Meter()
    double = meter.wrapped("double", lambda items: [2 * i for i in items])
    assert double([1, 2, 3]) == [2, 4, 6]
    assert double([]) == []
    assert meter.calls["double"] == 3


def test_what_a_measured_call_does_inside_is_not_counted_twice() -> None:
    meter = Meter()
    inner = meter.wrapped("detect", lambda items: list(items))
    outer = meter.wrapped("detect", lambda items: inner(items))
    part = meter.wrapped("detect", lambda picture, size: inner([picture]), single=True)
    assert outer([1, 2]) == [1, 2]
    assert part("four", 4) == ["four"]
    assert meter.calls["detect"] == 3


TOLD = {
    "frames": 100,
    "floors": {"decode": 1.0, "read": 1.05, "detect": 0.011, "session": 0.010},
    "naive": {
        "total": 10.0,
        "stages": {"read": 1.0, "detect": 9.0},
        "detections": 100,
        "embeddings": 90,
        "faces": 90,
        "people": 3,
    },
    "ours": {
        "total": 2.0,
        "stages": {"read": 1.1, "detect": 0.5, "embed": 0.2, "follow": 0.2},
        "detections": 20,
        "embeddings": 6,
        "faces": 90,
        "people": 2,
    },
}


def test_glue_is_what_decoding_and_networks_leave() -> None:
    found = ratios(TOLD)
    assert found["naive / ours"] == pytest.approx(5.0)
    assert found["glue"] == pytest.approx((2.0 - 1.0 - 0.7) / 2.0)
    assert found["reader / decoding"] == pytest.approx(1.05)
    assert found["detect() / session"] == pytest.approx(1.1)
    assert found["detector calls a frame"] == pytest.approx(0.2)
    assert found["faces in frames an embedding"] == pytest.approx(15.0)


def test_the_table_has_a_line_for_every_stage_of_either_side() -> None:
    told = {
        "loop": "own",
        "machine": {"models": "open"},
        "pooled": TOLD | {"ratios": ratios(TOLD)},
        "videos": {"a.mp4": TOLD | {"ratios": ratios(TOLD)}},
    }
    lines = table(told).splitlines()
    assert [line.split()[0] for line in lines[2:6]] == ["read", "detect", "embed", "follow"]
    assert lines[3].split() == ["detect", "90.000", "5.000", "2.000"]
    assert lines[-1].split()[:2] == ["all", "100"]


@pytest.mark.parametrize("loop", ["own", "insightface"])
def test_both_sides_run_on_a_real_video(
    shared_data: Path, shared_models: Path, capsys: pytest.CaptureFixture[str], loop: str
) -> None:
    if loop == "insightface":
        pytest.importorskip("insightface.app", exc_type=ImportError)
    video = shared_data / "videos" / "headpose_one.gif"
    with pytest.raises(SystemExit) as end:
        main(["bench", str(video), "-m", str(shared_models / "pack.yaml"), "--naive", loop, "--json"])
    assert end.value.code == 0
    told = json.loads(capsys.readouterr().out)
    pooled = told["pooled"]
    assert pooled["frames"] == pooled["naive"]["detections"] == 23
    assert pooled["ours"]["detections"] < 23
    assert pooled["naive"]["people"] == pooled["ours"]["people"] == 1
    assert pooled["ours"]["faces"] == pooled["naive"]["faces"] == 23
    for side in ("naive", "ours"):
        assert sum(pooled[side]["stages"].values()) == pytest.approx(pooled[side]["total"])


def test_a_pack_insightface_cannot_run_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["bench", "-m", "open", "--naive", "insightface"])
    assert end.value.code == 2
    assert "insightface cannot be the loop" in capsys.readouterr().err
