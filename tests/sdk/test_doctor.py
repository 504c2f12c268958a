"""`makeup doctor` under simulated problems: it names problem, reason and remedy."""

import ctypes
import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from makeup_kernels import BackendUnavailableError
from makeup_sdk.cli import doctor, doctor_gpu, findings, main
from makeup_sdk.cli.findings import Finding

Fake = Callable[[pytest.MonkeyPatch, Path], None]


def told(check: Callable) -> dict[str, Finding]:
    return {finding.topic: finding for finding in doctor._told(check)}


def installed(**versions: str | None) -> Fake:
    """Fake the version of distributions; None for one that is not installed."""
    known = {name.replace("_", "-"): version for name, version in versions.items()}

    def fake(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
        original = findings.version_of

        def version_of(name: str) -> str | None:
            key = name.replace("_", "-")
            return known[key] if key in known else original(name)

        for module in (findings, doctor, doctor_gpu):
            monkeypatch.setattr(module, "version_of", version_of)

    return fake


def broken_import(name: str, message: str) -> Fake:
    def fake(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
        original = importlib.import_module

        def import_module(asked: str, package: str | None = None) -> object:
            if asked == name:
                raise ImportError(message)
            return original(asked, package)

        monkeypatch.setattr(importlib, "import_module", import_module)

    return fake


def opencv(version: str = "4.11.0", ffmpeg: str = "YES", gui: str = "QT5") -> Fake:
    """An OpenCV of another version and build."""

    def fake(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
        text = f"  GUI:        {gui}\n  Video I/O:\n    FFMPEG:    {ffmpeg}\n"
        module = SimpleNamespace(__version__=version, getBuildInformation=lambda: text)
        monkeypatch.setitem(sys.modules, "cv2", module)

    return fake


def environment(**variables: str | None) -> Fake:
    def fake(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
        for name, value in variables.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return fake


def compiled(**features: object) -> Fake:
    """CPU kernels that were built or run otherwise."""
    found = {"isa": "avx2", "available_isas": ("baseline", "avx2"), "openmp": True, "threads": 4}
    values = SimpleNamespace(compiler="gcc 12.2.0", **{**found, **features})

    def fake(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
        monkeypatch.setattr("makeup_kernels.cpu_features", lambda: values)
        monkeypatch.setattr(platform, "machine", lambda: "x86_64")
        monkeypatch.setattr(doctor, "usable_cores", lambda: 4)

    return fake


def together(*fakes: Fake) -> Fake:
    def fake(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        for each in fakes:
            each(monkeypatch, folder)

    return fake


def no_models(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A shipped graph was changed on disk."""
    from makeup_sdk import weights

    whole = weights.FOLDER / "face_detector"
    (folder / "face_detector").mkdir()
    (folder / "face_detector" / "manifest.json").write_bytes((whole / "manifest.json").read_bytes())
    (folder / "face_detector" / "model.onnx").write_bytes(b"\0")
    monkeypatch.setattr(weights, "FOLDER", folder)


def unwritable_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("MAKEUP_CACHE", str(folder / "file"))


def full_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("MAKEUP_CACHE", str(folder / "new"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5 << 20))


def cameras(*names: str, open_: bool = True) -> Fake:
    def fake(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        for name in names:
            (folder / name).write_text("")
        monkeypatch.setattr(doctor, "_DEVICES", folder)
        monkeypatch.setattr(os, "access", lambda *_: open_)

    return fake


def loopback(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    installed(pyvirtualcam="0.12.0")(monkeypatch, folder)
    monkeypatch.setattr(doctor, "_LOOPBACK", folder / "none")


def old_python(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    monkeypatch.setattr(platform, "python_version", lambda: "3.9.1")


CONDITIONS = {
    "old Python": (
        doctor._python, old_python, "python", "broken", "3.10 or newer", "python3.12 -m venv",
    ),
    "old NumPy": (
        doctor._packages, installed(numpy="1.19.5"), "numpy", "broken",
        "1.19.5 is installed, >=1.24 is needed", "pip install 'numpy>=1.24'",
    ),
    "no rich": (
        doctor._packages, installed(rich=None), "rich", "broken", "not installed",
        "pip install 'rich",
    ),
    "two OpenCVs": (
        doctor._opencv, installed(opencv_python="4.11.0", opencv_python_headless="5.0"), "opencv",
        "broken", "opencv-python-headless and opencv-python overwrite each other",
        "pip uninstall -y opencv-python-headless opencv-python && pip install opencv-python",
    ),
    "OpenCV built for another NumPy": (
        doctor._opencv, broken_import("cv2", "numpy.core.multiarray failed to import"), "opencv",
        "broken", "it cannot be imported: numpy.core.multiarray failed",
        "pip install opencv-python-headless",
    ),
    "old OpenCV": (
        doctor._opencv, opencv("4.5.1"), "opencv", "broken",
        "4.5.1 (opencv-python-headless) is installed, >=4.10 is needed",
        "pip install 'opencv-python-headless>=4.10'",
    ),
    "OpenCV without FFmpeg": (
        doctor._opencv, opencv(ffmpeg="NO"), "opencv", "warning",
        "built without FFmpeg: no video files, no RTSP", "pip install opencv-python-headless",
    ),
    "OpenCV without windows": (
        doctor._opencv, opencv(gui="NONE"), "windows", "missing", "built without windows",
        "pip uninstall -y opencv-python-headless && pip install opencv-python",
    ),
    "no display": (
        doctor._opencv, together(opencv(), environment(DISPLAY=None, WAYLAND_DISPLAY=None)),
        "windows", "missing", "there is no display", "makeup serve",
    ),
    "two ONNX Runtimes": (
        doctor._onnxruntime, installed(onnxruntime="1.20", onnxruntime_gpu="1.20"), "onnxruntime",
        "broken", "onnxruntime and onnxruntime-gpu overwrite each other",
        "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu",
    ),
    "ONNX Runtime does not load": (
        doctor._onnxruntime, broken_import("onnxruntime", "libgomp.so.1: cannot open"),
        "onnxruntime", "broken", "libgomp.so.1", "pip install --force-reinstall onnxruntime",
    ),
    "built without OpenMP": (
        doctor._kernels, compiled(openmp=False, threads=1), "cpu kernels", "warning",
        "built without OpenMP", "apt install g++ && pip install --force-reinstall",
    ),
    "old processor": (
        doctor._kernels, compiled(isa="baseline", available_isas=("baseline",)), "cpu kernels",
        "warning", "slow, as the processor has no AVX2", "",
    ),
    "instruction set held back": (
        doctor._kernels, compiled(isa="baseline"), "cpu kernels", "warning",
        "MAKEUP_CPU_ISA limits it", "unset MAKEUP_CPU_ISA",
    ),
    "unknown instruction set": (
        doctor._kernels, environment(MAKEUP_CPU_ISA="avx9"), "cpu kernels", "broken",
        "MAKEUP_CPU_ISA=avx9: this processor and build have baseline", "unset the variable",
    ),
    "threads that are no number": (
        doctor._kernels, environment(MAKEUP_THREADS="many"), "cpu kernels", "broken",
        "MAKEUP_THREADS=many: expected an integer", "unset the variable",
    ),
    "one thread": (
        doctor._kernels, compiled(threads=1), "threads", "warning", "1 thread on 4 cores",
        "unset MAKEUP_THREADS OMP_NUM_THREADS",
    ),
    "more threads than cores": (
        doctor._kernels, together(environment(MAKEUP_THREADS="8"), compiled()), "threads",
        "warning", "MAKEUP_THREADS=8: this process may use 4 cores, so 4 threads run",
        "export MAKEUP_THREADS=4",
    ),
    "a thread a core": (
        doctor._kernels, together(environment(MAKEUP_THREADS=None), compiled()), "threads", "ok",
        "4 of 4 cores", "",
    ),
    "damaged weights": (
        doctor._models, no_models, "face models", "broken", "model.onnx: SHA-256 is",
        "pip install --force-reinstall",
    ),
    "cache that cannot be written": (
        doctor._cache, unwritable_cache, "cache", "warning", "file cannot be written",
        "export MAKEUP_CACHE=",
    ),
    "full disk": (
        doctor._cache, full_disk, "cache", "warning", "5 MiB are free", "makeup engines clean",
    ),
    "no camera": (
        doctor._cameras, cameras(), "cameras", "missing", "there is no", "--device /dev/video0",
    ),
    "camera of another user": (
        doctor._cameras, cameras("video0", open_=False), "cameras", "warning",
        "video0: no permission to open it", "sudo usermod -aG video $USER",
    ),
    "camera": (doctor._cameras, cameras("video0", "video1"), "cameras", "ok", "video1", ""),
    "no loopback device": (
        doctor._extras, loopback, "pyvirtualcam", "warning", "no v4l2loopback device",
        "sudo modprobe v4l2loopback exclusive_caps=1",
    ),
    "old torch": (
        doctor._extras, installed(torch="1.13.1"), "torch", "warning", "1.13.1 is installed",
        "pip install 'torch",
    ),
}  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS)
def test_condition(condition, monkeypatch, tmp_path):
    check, fake, topic, state, detail, remedy = CONDITIONS[condition]
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    fake(monkeypatch, tmp_path)
    finding = told(check)[topic]
    assert finding.state == state
    assert detail in finding.detail
    assert remedy in finding.remedy
    assert bool(remedy) == bool(finding.remedy)


def gpu_machine(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    *,
    answer: tuple[int, str] = (0, "NVIDIA L4, 550.54, 23034 MiB\n"),
    cuda: int = 12040,
    **versions: str | None,
) -> None:
    """A machine with an NVIDIA driver."""
    monkeypatch.setattr(doctor_gpu, "_JETSON", folder / "none")
    monkeypatch.setattr("shutil.which", lambda _: "nvidia-smi")
    done = SimpleNamespace(returncode=answer[0], stdout=answer[1], stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)

    def version(number: object) -> int:
        number._obj.value = cuda
        return 0

    library = SimpleNamespace(cuDriverGetVersion=version)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    absent = {"tensorrt": None, "tensorrt_cu12": None, "tensorrt_cu13": None, "pycuda": None}
    installed(**{**absent, **versions})(monkeypatch, folder)
    monkeypatch.setenv("MAKEUP_CACHE", str(folder / "cache"))


def test_gpu_that_works(monkeypatch, tmp_path):
    gpu_machine(monkeypatch, tmp_path, tensorrt="10.9.0", tensorrt_cu12="10.9.0", pycuda="2025.1")
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace())
    monkeypatch.setattr(doctor_gpu, "unavailable", lambda _: None)
    found = told(doctor_gpu.check_gpu)
    assert found["nvidia gpu"].detail == "NVIDIA L4, 550.54, 23034 MiB, CUDA 12.4"
    assert {found[name].state for name in ("nvidia gpu", "tensorrt", "pycuda")} == {"ok"}
    # this machine's ONNX Runtime has no CUDA provider
    assert found["onnxruntime-cuda"].state == "missing"
    assert "pip install onnxruntime-gpu" in found["onnxruntime-cuda"].remedy


@pytest.mark.parametrize(
    ("output", "detail", "remedy"),
    [
        ("Driver/library version mismatch", "nvidia-smi fails: Driver", "restart the machine"),
        ("No devices were found", "nvidia-smi fails: No devices", "reinstall the NVIDIA driver"),
    ],
)  # fmt: skip
def test_driver_that_does_not_answer(output, detail, remedy, monkeypatch, tmp_path):
    gpu_machine(monkeypatch, tmp_path, answer=(18, output))
    found = told(doctor_gpu.check_gpu)
    assert found["nvidia gpu"].state == "warning"
    assert detail in found["nvidia gpu"].detail
    assert remedy in found["nvidia gpu"].remedy
    assert found["tensorrt"].remedy == "pip install '.[gpu]'"


def test_container_without_the_drivers_libraries(monkeypatch, tmp_path):
    gpu_machine(monkeypatch, tmp_path)
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(doctor_gpu, "_DRIVER", tmp_path)
    finding = told(doctor_gpu.check_gpu)["nvidia gpu"]
    assert (finding.state, "docker run --gpus all" in finding.remedy) == ("warning", True)


def test_no_gpu_is_fine(monkeypatch, tmp_path):
    gpu_machine(monkeypatch, tmp_path)
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(doctor_gpu, "_DRIVER", tmp_path / "none")
    found = told(doctor_gpu.check_gpu)
    assert "everything runs on the CPU" in found["nvidia gpu"].detail
    assert {finding.state for finding in found.values()} == {"missing"}


def test_jetson(monkeypatch, tmp_path):
    gpu_machine(monkeypatch, tmp_path)
    monkeypatch.setattr(doctor_gpu, "_JETSON", tmp_path)
    found = told(doctor_gpu.check_gpu)
    assert found["nvidia gpu"].detail == "Jetson"
    assert found["tensorrt"].state == "warning"
    assert "--system-site-packages" in found["tensorrt"].remedy


@pytest.mark.parametrize(
    ("versions", "detail", "remedy"),
    [
        ({"tensorrt": "8.6.1"}, "8.6.1 is installed, <12,>=10.3 is", "pip install 'tensorrt"),
        (
            {"tensorrt": "11.4.0", "tensorrt_cu13": "11.4.0"},
            "11.4.0 is for CUDA 13, the driver runs CUDA 12.4 at most",
            "pip install tensorrt_cu12",
        ),
        (
            {"tensorrt": "10.9.0", "tensorrt_cu12": "10.9.0", "tensorrt_cu13": "11.4.0"},
            "tensorrt_cu12 and tensorrt_cu13 overwrite each other",
            "pip uninstall -y tensorrt tensorrt_cu12 tensorrt_cu13",
        ),
        (
            {"tensorrt": "10.9.0"}, "installed but cannot be imported: libnvinfer",
            "--force-reinstall",
        ),
    ],
)  # fmt: skip
def test_tensorrt_that_does_not_fit(versions, detail, remedy, monkeypatch, tmp_path):
    gpu_machine(monkeypatch, tmp_path, **versions)
    broken_import("tensorrt", "libnvinfer.so.10: cannot open")(monkeypatch, tmp_path)
    finding = told(doctor_gpu.check_gpu)["tensorrt"]
    assert finding.state == "warning"
    assert detail in finding.detail
    assert remedy in finding.remedy


def test_pycuda_that_finds_no_gpu(monkeypatch, tmp_path):
    gpu_machine(monkeypatch, tmp_path, pycuda="2025.1")
    monkeypatch.setattr(doctor_gpu, "unavailable", lambda _: "no CUDA GPU (out of memory)")
    finding = told(doctor_gpu.check_gpu)["pycuda"]
    assert (finding.state, finding.detail) == ("warning", "2025.1: no CUDA GPU (out of memory)")


@pytest.mark.parametrize(("built_for", "state"), [("10.3.0", "warning"), ("10.9.0", "ok")])
def test_plans(built_for, state, monkeypatch, tmp_path):
    from makeup_engines.tensorrt import plans

    gpu_machine(monkeypatch, tmp_path)
    machine = {"tensorrt": "10.9.0", "cuda": 1, "gpu": "L4", "compute": "8.9", "os": "Linux"}
    plans.plan_cache(None).store({**machine, "tensorrt": built_for}, {"plan": b"x"}, "mine")
    monkeypatch.setattr(plans, "local_platform", lambda: machine)
    found = doctor._told(doctor_gpu._plans)
    assert found[0].state == state
    if state == "warning":
        assert found[0].detail == "mine: built for TensorRT 10.3.0, here is 10.9.0"
        assert found[0].remedy == "makeup build BUNDLE --backend tensorrt"

    def no_gpu() -> None:
        raise BackendUnavailableError("TensorRT is missing")

    monkeypatch.setattr(plans, "local_platform", no_gpu)
    why = "1 plans were built, but none can run here: TensorRT is missing"
    assert [finding.detail for finding in doctor._told(doctor_gpu._plans)] == [why]


class Camera:
    """An OpenCV capture that opens, and gives so many frames."""

    def __init__(self, opened: bool, frames: int) -> None:
        self.opened, self.frames = opened, frames

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.frames -= 1
        return (True, np.zeros((480, 640, 3), np.uint8)) if self.frames >= 0 else (False, None)

    def get(self, _: int) -> float:
        return 25.0

    def set(self, *_: object) -> bool:
        return True

    def release(self) -> None:
        self.opened = False


@pytest.mark.parametrize(
    ("opened", "frames", "state", "detail"),
    [
        (True, 1, "ok", "gives 640x480 at 25 fps"),
        (False, 0, "broken", "camera 3: cannot be opened"),
        (True, 0, "broken", "camera 3: gives no more frames"),
    ],
)
def test_opening_a_camera(opened, frames, state, detail, monkeypatch):
    camera = Camera(opened, frames)
    monkeypatch.setattr("cv2.VideoCapture", lambda *_: camera)
    finding = told(lambda: doctor._open_camera(3))["camera 3"]
    assert finding.state == state
    assert detail in finding.detail
    assert not camera.opened


def report(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["makeup", "doctor", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_report_goes_on_after_a_check_that_fails(monkeypatch, capsys):
    """And what is broken decides the exit status."""

    def fail() -> None:
        raise OSError("[odd] disk")

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("makeup_engines.cache.default_cache", fail)
    assert report(monkeypatch) == 1
    out = capsys.readouterr().out
    assert "the check itself failed: OSError: [odd] disk" in out
    assert "pyvirtualcam" in out


def test_a_camera_that_was_asked_for_decides_the_exit_status(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("cv2.VideoCapture", lambda *_: Camera(opened=False, frames=0))
    assert report(monkeypatch, "--camera", "3") == 1
    assert "camera 3: cannot be opened" in capsys.readouterr().out


def test_versions_compare_by_numbers():
    for version in ("1.24", "1.24.0", "1.100.2", "2.0rc1"):
        assert not findings.misfit("numpy", version)
    assert findings.misfit("numpy", "1.9.9") == ">=1.24"
    assert findings.misfit("tensorrt", "12.0") == "<12,>=10.3"
    assert not findings.misfit("a-package-that-nobody-asks-for", "0")


def test_report_as_json_and_quiet_and_remedies_that_can_be_copied(monkeypatch, capsys):
    def fail() -> None:
        raise OSError("disk")

    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("makeup_engines.cache.default_cache", fail)
    remedy = "a command that is longer than the terminal is wide " * 3
    monkeypatch.setattr(doctor, "_REINSTALL", remedy.strip())
    assert report(monkeypatch) == 1
    assert f"  {remedy.strip()}\n" in capsys.readouterr().out
    assert report(monkeypatch, "--json") == 1
    listed = json.loads(capsys.readouterr().out)
    assert {"topic", "state", "detail", "remedy"} == set(listed[0])
    assert "python" in [finding["topic"] for finding in listed]
    assert report(monkeypatch, "--json", "--quiet") == 1
    states = {finding["state"] for finding in json.loads(capsys.readouterr().out)}
    assert "broken" in states
    assert states <= {"broken", "warning"}
