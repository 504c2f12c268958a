"""Compiling without a GPU, and the choice of block shapes; in processes that do not interpret."""

import json
import os
import subprocess
import sys

import pytest

from makeup_kernels import BackendUnavailableError, aot
from makeup_kernels.triton import tuning


def run_aot(*arguments, **environment):
    variables = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    return subprocess.run(
        [sys.executable, "-m", "makeup_kernels.aot", *map(str, arguments)],
        check=False, env=variables | environment, capture_output=True, text=True,
    )  # fmt: skip


def test_compiles_for_an_absent_gpu(tmp_path):
    report = tmp_path / "report.json"
    done = run_aot(
        "--target", "sm_87", "--operation", "apply_color_map", "--out", tmp_path / "code",
        "--report", report, TRITON_CACHE_DIR=str(tmp_path / "cache"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    forms = json.loads(report.read_text())["operations"]["apply_color_map"]
    assert len(forms) == 2
    for facts in (form["sm_87"] for form in forms.values()):
        assert 16 <= facts["registers"] <= 255
        assert facts["spill_stores"] == facts["spill_loads"] == 0
        assert 0 <= facts["shared"] <= 99 * 1024
    index = json.loads((tmp_path / "code" / "kernels.json").read_text())
    for entry in index:
        code = (tmp_path / "code" / entry["file"]).read_bytes()
        assert code[:4] == b"\x7fELF"
        assert entry["entry"].encode() in code
        assert entry["arguments"][:2] == [["frame", "*u8"], ["changes", "*fp32"]]


def test_committed_report_is_without_spills_for_every_target():
    path = os.path.join(
        os.path.dirname(__file__), *[".."] * 3, "benchmarks/results/aot_triton.json"
    )
    with open(path) as file:
        operations = json.load(file)["operations"]
    assert set(operations) == {
        "attentive_morph",
        "match_region_histograms",
        "align",
        "region_maps",
        "composite",
        "apply_color_map",
    }
    for forms in operations.values():
        for name, targets in forms.items():
            assert set(targets) == set(aot.TARGETS), name
            for target, facts in targets.items():
                limit = (163 if target == "sm_87" else 99) * 1024
                assert facts["spill_stores"] == 0, (name, target)
                assert facts["shared"] <= limit, (name, target)


def test_wrong_requests_tell_what_mends_them():
    done = run_aot("--operation", "sharpen")
    assert done.returncode == 1
    assert "operation: got 'sharpen', expected one of attentive_morph" in done.stderr
    done = run_aot(TRITON_INTERPRET="1")
    assert done.returncode == 1
    assert "TRITON_INTERPRET is set, so Triton does not compile; unset it" in done.stderr


def test_interpreted_kernels_do_not_compile(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(BackendUnavailableError, match="unset it and run again"):
        aot.kernel_forms()


TILES = (
    {"BLOCK": 16, "num_warps": 4},
    {"BLOCK": 32, "num_warps": 4},
    {"BLOCK": 64, "num_warps": 8},
)


@pytest.fixture
def timed(monkeypatch, tmp_path):
    """Pretend to have a GPU on which the second tile is fastest; the calls that timed something."""
    import torch

    calls = []

    def fastest(tiles, run):
        calls.append(len(tiles))
        return tiles[1]

    monkeypatch.setenv("MAKEUP_CACHE", str(tmp_path))
    monkeypatch.setattr(tuning, "interpreted", lambda: False)
    monkeypatch.setattr(tuning, "_fastest", fastest)
    monkeypatch.setattr(tuning, "_known", {})
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU/2")
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    return calls


def test_block_shapes_are_timed_once_per_device(timed, monkeypatch):
    assert tuning.tuned("morph", (256, 2), TILES, print) == TILES[1]
    assert tuning.tuned("morph", (256, 2), TILES, print) == TILES[1]
    assert timed == [3]
    path = tuning.choices_file()
    assert path.name.startswith("Some-GPU-2-triton-")
    assert list(path.parent.iterdir()) == [path]
    monkeypatch.setattr(tuning, "_known", {})  # another process
    assert tuning.tuned("morph", (256, 2), TILES, print) == TILES[1]
    assert timed == [3]
    assert tuning.tuned("morph", (64, 2), TILES, print) == TILES[1]
    assert timed == [3, 3]
    assert len(json.loads(path.read_text())) == 2


@pytest.mark.parametrize("content", ["", "[1]", "{not json", '{"morph 256 2": {"BLOCK": 7}}'])
def test_a_damaged_or_foreign_choice_is_made_anew(timed, content):
    path = tuning.choices_file()
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert tuning.tuned("morph", (256, 2), TILES, print) == TILES[1]
    assert timed == [3]
    assert json.loads(path.read_text())["morph 256 2"] == TILES[1]


def test_nothing_is_timed_while_a_graph_is_captured(timed, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert tuning.tuned("morph", (256, 2), TILES, print) == TILES[0]
    assert not timed
    assert not tuning.choices_file().exists()
