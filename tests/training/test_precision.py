import logging

import pytest
import torch

from makeup_training.precision import has_bfloat16, mixed_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ("model name\t: AMD EPYC\nflags\t\t: fma avx2 avx512f avx512_bf16 vaes\n", True),
        ("flags\t\t: avx2 avx512f avx512_vnni amx_bf16 amx_tile\n", True),
        ("processor\t: 0\nflags\t\t: fma avx avx2 avx512f avx512_vnni\n", False),
        ("flags\t\t: fma avx avx2\nbugs\t\t: bf16\n", False),
        ("Features\t: fp asimd asimddp i8mm bf16\nCPU part\t: 0xd40\n", True),
        ("Features\t: fp asimd asimddp\n", False),
        ("", False),
    ],
)
def test_flags_of_the_cpu_tell(described, expected, tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(described)
    assert has_bfloat16(CPU, cpuinfo) is expected


def test_a_cpu_that_nobody_describes_has_no_bfloat16(tmp_path):
    assert has_bfloat16(CPU, tmp_path / "cpuinfo") is False


@pytest.mark.parametrize("hardware", [True, False])
def test_emulation_on_a_gpu_does_not_count(hardware, monkeypatch):
    supported = lambda including_emulation=True: including_emulation or hardware  # noqa: E731
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert has_bfloat16(GPU) is hardware


@pytest.mark.parametrize("device", [CPU, GPU], ids=str)
@pytest.mark.parametrize(
    ("precision", "hardware", "mixed"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("float32", True, False),
        ("float32", False, False),
        ("bfloat16", True, True),
        ("bfloat16", False, True),
    ],
)
def test_precision_follows_the_hardware(device, precision, hardware, mixed, monkeypatch, caplog):
    monkeypatch.setattr("makeup_training.precision.has_bfloat16", lambda _: hardware)
    with caplog.at_level(logging.WARNING):
        assert mixed_precision(precision, device) is mixed
    warned = precision == "bfloat16" and not hardware
    assert len(caplog.messages) == warned
    if warned:
        expected = {
            "cpu": "this CPU has no bfloat16 in hardware; expect a step to take about 40 times as",
            "cuda": "this GPU has no bfloat16 in hardware; expect a step to take several times as",
        }
        assert expected[device.type] in caplog.messages[0]
        assert "Use --precision auto or float32" in caplog.messages[0]


def test_unknown_precision():
    with pytest.raises(ValueError, match="precision 'half': expected auto, float32, bfloat16"):
        mixed_precision("half", CPU)
