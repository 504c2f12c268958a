"""`makeup bench` and `makeup bench compare`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from makeup_sdk import BackendUnavailableError
from makeup_sdk.bench import Report, load_report
from makeup_sdk.cli import main
from makeup_sdk.models.registry import DEFAULT_MODEL

QUICK = ("--size", "320x240", "--frames", "3", "--warmup", "0", "--cold-starts", "0")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run `makeup bench ARGUMENTS` in this process; returns the exit status."""
    monkeypatch.setattr(sys, "argv", ["makeup", "bench", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_measure_and_compare(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, plot = tmp_path / "a.json", tmp_path / "a.svg"
    assert run(monkeypatch, *QUICK, "-o", report, "--plot", plot) == 0
    out = capsys.readouterr().out
    for expected in ("p99", "image 320x240, 1 face", "stream 320x240, 1 face", "composite"):
        assert expected in out
    found = load_report(report)
    assert [len(result.total.values) for result in found.results] == [3, 3]
    assert found.settings["model"] == DEFAULT_MODEL
    assert plot.read_text().startswith("<svg")

    assert run(monkeypatch, "compare", report, report) == 0
    out = capsys.readouterr().out
    assert "stream 320x240, 1 face" in out
    assert "unclear" in out

    assert run(monkeypatch, *QUICK, "--path", "image", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["schema"] == "makeup-bench/1"
    assert len(printed["results"][0]["end_to_end"]["samples"]) == 3


def test_compare_says_what_changed(
    make_report: Callable[..., Report],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_report([10.0] * 20).save(tmp_path / "a.json")
    make_report([8.0] * 20, machine={"cpu": "Another", "cores": 4}).save(tmp_path / "b.json")
    assert run(monkeypatch, "compare", tmp_path / "a.json", tmp_path / "b.json") == 0
    out = capsys.readouterr().out
    assert "0.800" in out
    assert "faster" in out
    assert "not the same: cpu: A Processor in A, Another in B" in out
    assert "cold start: 525 ms in A, 525 in B, 1.00 x" in out
    assert run(monkeypatch, "compare", tmp_path / "a.json", tmp_path / "b.json", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {change["verdict"] for change in told["changes"]} >= {"faster"}
    assert told["differences"][0] == "cpu: A Processor in A, Another in B"
    assert run(monkeypatch, "compare", tmp_path / "a.json", tmp_path / "b.json", "--quiet") == 0
    assert "end to end: faster, 0.800 x" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--size", "big"), "--size big: expected WIDTHxHEIGHT"),
        (("--faces", "99"), "faces: (99,), expected numbers from 1 to 16"),
        (("--desktop", "--jetson"), "--desktop and --jetson: choose one preset"),
        (("-o", "no/such/folder/a.json"), "no/such/folder: no such folder; create it first"),
        (("--plot", "a.png"), "--plot a.png: plots are SVG files"),
        (("--model", "nonsense"), "'nonsense' is unknown"),
        (("--device", "tpu"), "device: 'tpu' is unknown; expected one of"),
        (("--model", "mobile", "--jetson"), "'mobile' has no networks that it could run"),
        (("compare", "none.json", "none.json"), "none.json: no such file; make one with"),
    ],
)
def test_errors_say_what_is_wrong(
    arguments: tuple[str, ...],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 1
    assert complaint in capsys.readouterr().err


def test_a_gpu_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise BackendUnavailableError("device 'cuda' cannot be used: there is none")

    monkeypatch.setattr("makeup_sdk.engine.Device", missing)
    assert run(monkeypatch, "--device", "cuda") == 1
    assert "device 'cuda' cannot be used" in capsys.readouterr().err
