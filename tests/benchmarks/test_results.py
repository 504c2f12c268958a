"""Tables and fits from known numbers, and the command that makes them all."""

import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import run
from face_cells import FACE_CELLS, face_regions, pairs
from parallel import Point, summarise, work_together
from scaling import fit_line, time_in_turn
from scaling_plot import PANELS, write_plot
from tables import lines_of, losses, readable, write_readme

from makeup_sdk.bench.options import Scenario
from makeup_sdk.bench.report import Measurement, Report, Samples

MACHINE = {
    "cpu": "A Processor",
    "cores": 2,
    "threads": 2,
    "isa": "avx2",
    "busy_cores": 0.0,
    "versions": {"python": "3.12", "numpy": "2.0.0"},
}


def bench(name: str, seconds: float, *, ours: bool = False, group: str = "morph") -> dict[str, Any]:
    stats = {"median": seconds, "min": seconds / 2}
    return {"group": group, "name": name, "extra_info": {"ours": ours}, "stats": stats}


SUITE = {
    "machine_info": MACHINE,
    "benchmarks": [
        bench("test_makeup_kernels", 0.010, ours=True),
        bench("test_makeup_kernels_one_call", 0.012),
        bench("test_torch[same_region]", 0.030),
        bench("test_ncnn", 0.005),
        {**bench("test_torch_matmul_rate[9]", 0.001), "extra_info": {"multiply_adds": 10**8}},
        bench("test_process[720]", 0.020, group="process"),
    ],
}


def test_ratios_are_of_medians() -> None:
    lines = {line.name: line for line in lines_of(SUITE)}
    assert lines["makeup kernels"].ratio == 1
    assert lines["torch (same region)"].ratio == pytest.approx(3)
    assert lines["ncnn"].ratio == pytest.approx(0.5)
    assert lines["process (720)"].ratio is None
    assert lines["torch matmul rate (9), 100 GMAC/s"].ratio is None  # other work


def test_losses_are_rivals_that_are_faster() -> None:
    assert losses(list(lines_of(SUITE)))[1:-1] == ["- morph: ncnn takes 0.50 of our time"]


def test_no_losses() -> None:
    assert "Nowhere, in the comparisons above.\n" in losses([])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("test_torch[published_look_cached]", "torch (published look cached)"),
        ("test_opencv_box", "opencv box"),
        ("test_opencv_box[(1280, 720)]", "opencv box (1280, 720)"),
        ("something else", "something else"),
    ],
)
def test_names_of_benchmarks_are_readable(name: str, words: str) -> None:
    assert readable(name) == words


def curve(title: str, unit: str, labels: list[str], ms: list[float], **fit: float) -> dict:
    return {
        "title": title,
        "unit": unit,
        "labels": labels,
        "x": [float(n + 1) for n in range(len(labels))],
        "ms": ms,
        "fit": fit,
    }


SCALING = {
    "machine": MACHINE,
    "curves": {
        "threads: stream": curve("Threads: stream", "threads", ["1", "2"], [20.0, 10.0]),
        "threads: attentive morph": curve("Threads: morph", "threads", ["1", "2"], [4.0, 2.0]),
        **{
            f"{what}: {path}": curve(
                f"{what}: {path}", what, ["a", "b"], [2.0, 3.0], constant=1.0, slope=1.0, r2=1.0
            )
            for what in ("faces", "pixels")
            for path in ("image", "stream")
        },
        **{
            f"grid: {name}": curve(
                f"grid: {name}",
                "pairs of cells",
                ["32x32", "64x64"],
                [1.0, 2.0],
                constant=0.0,
                slope=1.0,
                r2=0.999,
                exponent_of_grid_cells=exponent,
            )
            for name, exponent in (
                ("face grows with the grid", 1.9),
                ("same 400 cells on larger grids", 0.05),
            )
        },
    },
}


def test_the_readme_is_made_of_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "kernels.json").write_text(json.dumps(SUITE))
    (tmp_path / "scaling.json").write_text(json.dumps(SCALING))
    counts = {"tolerance": 0.05, "counts": {"gcc 12 x86_64": {"composite": 1234567}}}
    (tmp_path / "instructions.json").write_text(json.dumps(counts))
    text = write_readme(tmp_path).read_text()
    assert "| torch (same region) | 30 | 15 | 3.00 |" in text
    assert "| ncnn | 5 | 2.5 | **0.50** |" in text
    assert "| process (720) | 20 | 10 |  |" in text
    assert "2.00 x from 1 to 2" in text
    assert "of 0.05 with the same face cells in them, and of 1.90 with a face" in text
    assert "| composite | 1,234,567 |" in text
    assert "bench-" not in text  # there is no bench-avx2.json


def test_instruction_sets_stand_side_by_side(tmp_path: Path) -> None:
    """The narrowest first; what one of them was not measured with stays empty."""
    measured = {
        "avx512": {("image", 1280): 16.0, ("stream", 1280): 14.25},
        "avx2": {("image", 1280): 36.0},
    }
    for isa, times in measured.items():
        results = tuple(
            Measurement(
                Scenario(path, width, 720, 1), Samples((ms, ms)), {"generate": Samples((ms / 2,))}
            )
            for (path, width), ms in times.items()
        )
        report = Report("now", {}, {**MACHINE, "isa": isa}, results, (), None)
        report.save(tmp_path / f"bench-{isa}.json")
    text = write_readme(tmp_path).read_text()
    assert (
        "| milliseconds | AVX2 p50 | AVX2 p95 | AVX2 p99 | AVX2 model only | AVX-512 p50 |" in text
    )
    assert (
        "| image 1280x720, 1 face | 36.0 | 36.0 | 36.0 | 18.0 | 16.0 | 16.0 | 16.0 | 8.0 |" in text
    )
    assert "| stream 1280x720, 1 face |  |  |  |  | 14.2 | 14.2 | 14.2 | 7.1 |" in text
    assert text.index("2 cores, avx2") < text.index("2 cores, avx512")
    assert text.index("(bench-avx2.svg)") < text.index("(bench-avx512.svg)")


def test_threads_above_the_cores_are_told(tmp_path: Path) -> None:
    points = [
        {"engines": 1, "threads": 2, "frames_per_second": 50.25, "p50": 19.0, "p95": 21.0},
        {"engines": 4, "threads": 200, "frames_per_second": 48.0, "p50": 80.0, "p95": 95.5},
    ]
    data = {"machine": MACHINE, "usable_cores": 2, "points": points}
    (tmp_path / "parallel.json").write_text(json.dumps(data))
    text = write_readme(tmp_path).read_text()
    assert "| 1 | 2 | 50.2 | 19.0 | 21.0 |" in text
    assert "| 4 | 200, brought down to 2 | 48.0 | 80.0 | 95.5 |" in text


def test_catalogues_are_told(tmp_path: Path) -> None:
    loop = {"loop_cpu_ms": 40.0, "loop_wall_ms": 50.0, "overhead_cpu": 0.04}
    kills = {"kills": 10, "starts": 4, "rows_that_differ": 0}
    rate = {"cpu_ms": 44.44, "images_per_second": 18.0}
    data = {
        "machine": MACHINE,
        "beside_a_loop": {**loop, "catalogue_cpu_ms": 41.6, "catalogue_wall_ms": 62.5},
        "looks": {"lipsticks": {"1": 40.0, "4": 64.9, "20": 204.0, "ratio_20": 5.1}},
        "memory": {"photos": 48, "early_mib": 224.4, "late_mib": 226.0},
        "processes": {"1": {**rate, "overhead_cpu": 0.066}},
        "on_ray": {"ray": "2.60.0", "2 workers, 2 nodes": rate},
    }
    (tmp_path / "catalogue.json").write_text(json.dumps(data))
    killed = dict.fromkeys(("workers", "actors", "nodes"), kills)
    (tmp_path / "catalogue-kills.json").write_text(json.dumps(killed))
    text = write_readme(tmp_path).read_text()
    assert "| a plain loop | 40.0 | 20.0 |" in text
    assert "in one process: +4 % CPU | 41.6 | 16.0 |" in text
    assert "| 1 processes: +7 % CPU beside as many plain loops | 44.4 | 18.0 |" in text
    assert "| Ray: 2 workers, 2 nodes | 44.4 | 18.0 |" in text
    assert "| lipsticks | 40 | 65 | 204 | 5.1× one |" in text
    assert "A worker holds 224 MiB after a quarter of 48 photos, 226 after all." in text
    assert "10 kills of Ray's nodes in the middle of their work: 0 rows" in text


def test_engines_work_at_the_same_time() -> None:
    """Each waits for the other in every call: alone, none would end its first."""
    together = threading.Barrier(2, timeout=60)
    times = work_together([together.wait, together.wait], 0.0)
    assert len(times) == 4  # two calls each, at least


def test_points_are_medians_of_rounds() -> None:
    rounds = [[10.0, 10.0], [20.0] * 4, [30.0] * 8]
    assert summarise(2, 1, rounds, 2.0) == Point(2, 1, 2.0, 20.0, 20.0)


def test_scaling_is_drawn(tmp_path: Path) -> None:
    write_plot(tmp_path / "scaling.svg", SCALING)
    picture = (tmp_path / "scaling.svg").read_text()
    for title, _, _ in PANELS:
        assert title in picture
    assert picture.count('id="line2d_') > 16  # eight curves, their points, and the axes
    assert "nan" not in picture
    write_plot(tmp_path / "again.svg", SCALING)
    assert (tmp_path / "again.svg").read_text() == picture


@pytest.mark.parametrize(
    ("constant", "slope"), [(3.0, 2.0), (0.0, 5.0), (4.0, 0.0)], ids=["both", "no constant", "flat"]
)
def test_a_line_is_found_again(constant: float, slope: float) -> None:
    x = np.array([1.0, 2.0, 4.0, 100.0])
    noise = np.array([1e-9, -1e-9, 1e-9, -1e-9])
    found = fit_line(x, constant + slope * x + noise)
    assert found["constant"] == pytest.approx(constant, abs=1e-6)
    assert found["slope"] == pytest.approx(slope, abs=1e-6)
    assert found["largest_error"] < 1e-6


def test_no_line_goes_below_zero() -> None:
    """The best line of y = x² - 0.9 starts below 0: it is drawn through 0 instead."""
    x = np.array([1.0, 2.0, 3.0, 4.0])
    y = x * x - 0.9
    found = fit_line(x, y)
    assert found["constant"] == 0
    assert found["slope"] == pytest.approx((x / y).sum() / np.square(x / y).sum())


def test_points_are_timed_in_turn() -> None:
    calls: list[str] = []
    found = time_in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert calls == ["a", "b"] * 5  # two warm-ups
    assert set(found) == {"a", "b"}


@pytest.mark.parametrize("grid", [48, 64, 128])
def test_faces_have_the_cells_they_say(grid: int) -> None:
    regions = face_regions(grid, FACE_CELLS)
    assert regions.shape == (grid, grid)
    assert {i: int((regions == i).sum()) for i in FACE_CELLS} == dict(FACE_CELLS)
    assert pairs(FACE_CELLS) == 66**2 + 1342**2 + 290**2


@pytest.mark.parametrize(
    ("status", "kept"), [(0, "new"), (3, "old")], ids=["a good step", "a step that fails"]
)
def test_results_are_replaced_by_good_steps_alone(
    status: int, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "RESULTS", tmp_path)
    (tmp_path / "a.json").write_text("old")
    code = "import sys; open(sys.argv[1], 'w').write('new'); sys.exit(int(sys.argv[2]))"

    def command(out: Path, faces: Path | None) -> list[str]:
        return [sys.executable, "-c", code, str(out / "a.json"), str(status)]

    assert run.run_step(run.Step("a", command), None) == (status == 0)
    assert (tmp_path / "a.json").read_text() == kept


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (run.Step("a", lambda out, faces: []), ""),
        (run.Step("a", lambda out, faces: [], needs_faces=True), "it needs --all --data FACES"),
        (run.Step("a", lambda out, faces: [], script="none.py"), "there is no none.py"),
        (run.Step("a", lambda out, faces: [], tool="nvidia-smi"), "it needs nvidia-smi"),
    ],
)
def test_steps_that_cannot_run_are_left_out(
    step: run.Step, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "shutil", SimpleNamespace(which=lambda tool: None))
    assert run.reason_to_skip(step, None) == reason


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--all"], "--all needs --data, the faces folder"),
        (["--data", "no/such/folder"], "--data no/such/folder: no such folder"),
        (["--only", "everything"], "invalid choice"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    arguments: list[str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    with pytest.raises(SystemExit):
        run.main()
    assert complaint in capsys.readouterr().err


def test_every_suite_is_run_once() -> None:
    """A benchmark file that no step runs would never be published."""
    commands = [step.command(Path("out"), None) for step in run.STEPS]
    named = [Path(part).name for command in commands for part in command]
    for path in run.HERE.glob("test_*.py"):
        assert named.count(path.name) == 1
