"""Compiled kernels: building, finding, refusing; reasons and remedies if CUDA cannot run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import makeup_kernels
from makeup_kernels import BackendUnavailableError, InvalidInputError
from makeup_kernels.composite.cuda import composite
from makeup_kernels.cuda import OPERATIONS, available, code, to_device, to_host
from makeup_kernels.cuda import build as build_module
from makeup_kernels.cuda.build import (
    TARGETS,
    KernelBuildError,
    build,
    compile_operation,
    find_nvcc,
    main,
    parse_facts,
)
from makeup_kernels.cuda.code import compiled_kernels, fits, source_digest, write_manifest

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "kernels" / "makeup_kernels"
REPORT = ROOT / "benchmarks" / "results" / "aot_cuda.json"

LOG = """
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'morph_half_2' for 'sm_90'
ptxas info    : Function properties for morph_half_2
    24 bytes stack frame, 20 bytes spill stores, 40 bytes spill loads
ptxas info    : Used 128 registers, used 1 barriers, 24 bytes cumulative stack size, 3072 bytes smem
ptxas info    : Compiling entry function 'composite' for 'sm_87'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 22 registers, used 0 barriers, 400 bytes cmem[0]
"""


@pytest.fixture(autouse=True)
def sources(monkeypatch):
    """The checkout's sources: an installed package may come without them."""
    monkeypatch.setattr(code, "PACKAGE", PACKAGE)
    monkeypatch.setattr(build_module, "PACKAGE", PACKAGE)


@pytest.fixture(scope="module")
def nvcc() -> str:
    try:
        return find_nvcc()
    except BackendUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of made-up kernels in the package's place."""
    monkeypatch.setenv(code.FOLDER_VARIABLE, str(tmp_path))
    for name in OPERATIONS:
        (tmp_path / f"{name}.fatbin").write_bytes(name.encode())
    write_manifest(tmp_path, ("sm_87", "sm_90"), "test")
    return tmp_path


def test_the_assemblers_report_is_read():
    composite_facts, morph = parse_facts("op", LOG)
    assert (morph.kernel, morph.target, morph.registers, morph.shared_bytes) == (
        "morph_half_2", "sm_90", 128, 3072,
    )  # fmt: skip
    assert (morph.stack_bytes, morph.spill_store_bytes, morph.spill_load_bytes) == (24, 20, 40)
    assert (composite_facts.kernel, composite_facts.registers) == ("composite", 22)
    assert (composite_facts.shared_bytes, composite_facts.spill_store_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("operation", "targets"),
    [("attentive_morph", ["sm_87"]), ("region_maps", ["sm_90", "compute_80"])],
)
def test_kernels_compile_without_spills(nvcc, tmp_path, operation, targets):
    facts = compile_operation(operation, targets, tmp_path / "code", nvcc)
    assert (tmp_path / "code").stat().st_size > 10_000
    assert {fact.target for fact in facts} == {t for t in targets if t.startswith("sm")}
    assert {fact.kernel for fact in facts} == kernels_of(operation)
    assert not [fact for fact in facts if fact.spill_store_bytes or fact.stack_bytes]


def kernels_of(operation: str) -> set[str]:
    """Names of an operation's kernels, from its sources."""
    texts = [path.read_text() for path in (PACKAGE / operation).glob("*.cu*")]
    return set(re.findall(r"^MAKEUP_KERNEL\((\w+)", "\n".join(texts), re.MULTILINE))


def test_the_committed_report_is_complete_and_free_of_spills():
    report = json.loads(REPORT.read_text())
    found = {(k["operation"], k["kernel"], k["target"]) for k in report["kernels"]}
    targets = [target for target in TARGETS if target.startswith("sm")]
    expected = {
        (operation, kernel, target)
        for operation in OPERATIONS
        for kernel in kernels_of(operation)
        for target in targets
    }
    assert found == expected
    assert not [k for k in report["kernels"] if k["spill_store_bytes"] or k["spill_load_bytes"]]


def test_no_compiler(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(BackendUnavailableError, match="nvcc: not found; install the CUDA toolkit"):
        build(out=tmp_path / "out")
    assert main(["--out", str(tmp_path / "out"), "--nvcc", "gone"]) == 1
    assert "gone: not found; install the CUDA toolkit" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_package_without_sources(nvcc, tmp_path, monkeypatch):
    monkeypatch.setattr(build_module, "PACKAGE", tmp_path)
    with pytest.raises(KernelBuildError, match=r"cuda.cu: missing; the sources come with the sdis"):
        compile_operation("composite", ["sm_90"], tmp_path / "code", nvcc)


def test_a_target_that_the_compiler_refuses(nvcc, tmp_path):
    with pytest.raises(KernelBuildError, match=r"composite: .*compute_10'"):
        compile_operation("composite", ["sm_10"], tmp_path / "code", nvcc)


def test_code_is_checked_against_its_manifest(folder):
    kernels = compiled_kernels()
    assert (kernels.targets, kernels.sources) == (("sm_87", "sm_90"), source_digest())
    assert kernels.read("align") == b"align"
    (folder / "align.fatbin").write_bytes(b"of someone else")
    with pytest.raises(BackendUnavailableError, match=r"align.fatbin: missing or changed since"):
        kernels.read("align")
    (folder / "align.fatbin").unlink()
    with pytest.raises(BackendUnavailableError, match=r"run `python -m makeup_kernels.cuda.build`"):
        kernels.read("align")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "the CUDA kernels are not compiled .*; run `python -m makeup_kernels.cuda.build`"),
        ("{", "the CUDA kernels are not compiled"),
        ("[]", "the CUDA kernels are not compiled"),
        (
            json.dumps({"targets": [], "sources": "old", "files": {}}),
            "were compiled from other sources; run `python -m makeup_kernels.cuda.build`",
        ),
    ],
)
def test_missing_damaged_and_old_kernels(folder, manifest, message):
    (folder / code.MANIFEST).unlink()
    if manifest is not None:
        (folder / code.MANIFEST).write_text(manifest)
    with pytest.raises(BackendUnavailableError, match=message):
        compiled_kernels()


def test_an_editable_install_finds_what_cmake_installed(tmp_path, monkeypatch):
    monkeypatch.delenv(code.FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(makeup_kernels, "__path__", [str(PACKAGE / "no"), str(tmp_path)])
    assert code.compiled_folder() == PACKAGE / "cuda" / "compiled"
    installed = tmp_path / "cuda" / "compiled"
    installed.mkdir(parents=True)
    (installed / code.MANIFEST).write_text("{}")
    assert code.compiled_folder() == installed


@pytest.mark.parametrize(
    ("targets", "compute", "expected"),
    [
        (("sm_87",), (8, 7), True),
        (("sm_87",), (8, 9), True),
        (("sm_89",), (8, 7), False),
        (("sm_90",), (10, 0), False),
        (("sm_120",), (12, 1), True),
        (("compute_80",), (12, 0), True),
        (("compute_80",), (7, 5), False),
        (TARGETS, (8, 6), True),
    ],
)
def test_which_code_runs_where(targets, compute, expected):
    assert fits(targets, compute) is expected


def test_why_cuda_cannot_run(host_gpu, folder, monkeypatch):
    assert available() is None
    monkeypatch.setattr(code, "_offered", {})
    assert available() is None  # the folder has code for compute capability 9.0
    host_gpu.compute = (12, 0)
    assert re.search(
        r"kernels in .* are for sm_87, sm_90, this GPU has compute capability 12.0; "
        r"run `python -m makeup_kernels.cuda.build --targets sm_120`",
        available(),
    )
    (folder / code.MANIFEST).unlink()
    assert "the CUDA kernels are not compiled" in available()
    host_gpu.trouble = "no_gpu"
    assert re.search(
        r"no CUDA GPU \(no CUDA-capable device is detected\); check .*doctor", available()
    )
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    assert "PyCUDA is missing" in available()
    assert "pip install '.[gpu]'" in available()


def call_composite(**options):
    crops = np.zeros((1, 4, 4, 3), np.uint8)
    matrix = np.array([[[1.0, 0, 0], [0, 1, 0]]])
    masks = np.zeros((1, 4, 4), np.float32)
    return composite(np.zeros((5, 6, 3), np.uint8), crops, crops, masks, matrix, **options)


def test_code_that_the_gpu_refuses(host_gpu):
    host_gpu.trouble = "refuses_code"
    with pytest.raises(BackendUnavailableError, match=r"composite: the GPU does not take .*sm_90`"):
        call_composite()


def test_a_context_of_the_caller_is_kept(host_gpu):
    context = host_gpu.driver.Device(0).retain_primary_context()
    context.push()
    assert not call_composite(stream=host_gpu.driver.Stream()).get().any()
    assert host_gpu.contexts == 1
    context.pop()


def test_arrays_up_and_down(host_gpu, host_gpu_module):
    numbers = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(to_host(to_device(numbers.transpose(2, 0, 1))),
                                  numbers.transpose(2, 0, 1))  # fmt: skip
    held = to_device(numbers)
    turned = host_gpu_module.DeviceArray(
        host_gpu, (4, 3), held.dtype, held.gpudata, strides=(4, 16)
    )
    with pytest.raises(
        InvalidInputError, match=r"array: got strides \(4, 16\) of float32 \(4, 3\)"
    ):
        to_host(turned)
    with pytest.raises(
        InvalidInputError, match="array: got list, expected a NumPy array or one on"
    ):
        to_host([1.0])


def test_cmake_builds_the_same_operations_for_the_same_targets():
    text = (PACKAGE.parent / "cuda.cmake").read_text()
    operations = re.search(r"set\(MAKEUP_CUDA_OPERATIONS\s+([^)]+)\)", text)[1].split()
    targets = re.search(r"set\(MAKEUP_CUDA_TARGETS\s+([^)]+?)\s+CACHE", text)[1].split()
    assert (tuple(operations), tuple(targets)) == (OPERATIONS, TARGETS)


def test_cmake_writes_a_manifest_that_fits(folder):
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("cmake is not installed; pip install cmake")
    (folder / code.MANIFEST).unlink()
    values = {"PACKAGE": PACKAGE, "FOLDER": folder, "TARGETS": "sm_87,compute_80", "COMPILER": "13"}
    defines = [f"-D{name}={value}" for name, value in values.items()]
    subprocess.run([cmake, *defines, "-P", PACKAGE.parent / "cuda.cmake"], check=True)
    kernels = compiled_kernels()
    assert kernels.targets == ("sm_87", "compute_80")
    assert [kernels.read(name) for name in OPERATIONS] == [name.encode() for name in OPERATIONS]
