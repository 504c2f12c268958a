"""`makeup catalogue`."""

import sys
from pathlib import Path

import pytest

from makeup_sdk.catalogue.storage import Place
from makeup_sdk.cli import main


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["makeup", "catalogue", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "240")
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_a_run(
    catalogue_inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inputs = catalogue_inputs / "photos", catalogue_inputs / "shades.csv", "-o", tmp_path / "out"
    assert run(monkeypatch, *inputs, "--workers", 0, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "5 photos x 2 looks = 10 pictures; 0 photos are begun or done" in shown
    assert "the rest: about" in shown
    assert not (tmp_path / "out").exists()
    assert run(monkeypatch, *inputs, "--workers", 0, "--format", "webp", "--region", "lips") == 0
    shown = capsys.readouterr().out
    assert "10 pairs: 6 made, 2 no_face, 2 bad_photo; 10 of them now" in shown
    assert f"report: {tmp_path / 'out' / 'report.parquet'}" in shown
    assert (tmp_path / "out" / "pictures" / "medium.jpg" / "red.webp").is_file()
    assert run(monkeypatch, *inputs, "--workers", 0) == 1
    assert "made with strength =" in capsys.readouterr().err


def test_failures_end_with_status_1(
    catalogue_inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(self: Place, name: str, data: bytes) -> None:
        if name.startswith("pictures"):
            raise OSError(28, "No space left on device")
        Place_write(self, name, data)

    Place_write = Place.write
    monkeypatch.setattr(Place, "write", full)
    inputs = catalogue_inputs / "photos", catalogue_inputs / "shades.csv", "-o", tmp_path / "out"
    assert run(monkeypatch, *inputs, "--workers", 0) == 1
    assert "6 failed; start again to try them once more" in capsys.readouterr().out


def test_without_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("makeup_sdk.catalogue")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("makeup_sdk.catalogue", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run(monkeypatch, "in", "looks", "-o", tmp_path) == 1
    assert "run: pip install '.[catalogue]'" in capsys.readouterr().err
