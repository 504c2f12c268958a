"""`makeup doctor`: checks of NVIDIA GPUs, drivers, CUDA packages and TensorRT plans."""

import ctypes
import importlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from makeup_kernels import MakeupError
from makeup_kernels.dispatch import unavailable
from makeup_sdk.cli.findings import Finding, package, version_of

_JETSON = Path("/etc/nv_tegra_release")
_DRIVER = Path("/proc/driver/nvidia")


def check_gpu() -> Iterator[Finding]:
    """Check the GPU, TensorRT, PyCUDA, ONNX Runtime's CUDA provider, and the built plans."""
    gpu, present = _gpu()
    yield gpu
    yield _tensorrt(present)
    yield _pycuda(present)
    if present:
        yield _onnxruntime_cuda()
    yield from _plans()


def _gpu() -> tuple[Finding, bool]:
    """Query nvidia-smi; returns the finding and whether a GPU is usable."""
    topic = "nvidia gpu"
    if _JETSON.exists():
        return Finding(topic, "ok", "Jetson"), True
    tool = shutil.which("nvidia-smi")
    if tool is None:
        if _DRIVER.exists():
            return Finding(
                topic,
                "warning",
                "an NVIDIA driver is loaded, but its user tools are missing (no nvidia-smi)",
                "install the driver's user tools; in a container: docker run --gpus all",
            ), False
        detail = "no NVIDIA driver found; everything runs on the CPU"
        return Finding(topic, "missing", detail), False
    query = [tool, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
        trouble = (answer.stdout + answer.stderr).strip() if answer.returncode else ""
    except (OSError, subprocess.SubprocessError) as error:
        trouble = str(error)
    if trouble:
        remedy = "reinstall the NVIDIA driver"
        if "version mismatch" in trouble:
            remedy = "restart the machine: the driver was updated under a running kernel"
        return Finding(topic, "warning", f"nvidia-smi fails: {trouble}", remedy), False
    found = "; ".join(answer.stdout.strip().splitlines())
    version = _driver_cuda()
    cuda = f", CUDA {version[0]}.{version[1]}" if version else ""
    return Finding(topic, "ok", found + cuda), True


def _driver_cuda() -> tuple[int, int] | None:
    """The newest CUDA version that the driver supports (major, minor); None without a driver."""
    number = ctypes.c_int()
    try:
        if ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(number)):
            return None
    except (OSError, AttributeError):
        return None
    return number.value // 1000, number.value % 1000 // 10


def _tensorrt(gpu: bool) -> Finding:
    finding = package("tensorrt", "gpu")
    if finding.state == "missing" and _JETSON.exists():
        return Finding(
            "tensorrt",
            "warning",
            "this environment does not see JetPack's TensorRT, and wheels do not run on a Jetson",
            "sudo apt install python3-libnvinfer, then make the environment again: "
            "python3 -m venv --system-site-packages .venv",
        )
    if finding.state != "ok":
        return finding
    wheels = [
        f"tensorrt_cu{major}" for major in (11, 12, 13, 14) if version_of(f"tensorrt_cu{major}")
    ]
    if len(wheels) > 1:
        return Finding(
            "tensorrt",
            "warning",
            f"{' and '.join(wheels)} overwrite each other",
            f"pip uninstall -y tensorrt {' '.join(wheels)} && pip install '.[gpu]'",
        )
    driver = _driver_cuda()
    built = re.search(r"\d+$", wheels[0]) if wheels else None
    if gpu and driver and built and int(built[0]) > driver[0]:
        return Finding(
            "tensorrt",
            "warning",
            f"{finding.detail} is for CUDA {built[0]}, the driver runs CUDA "
            f"{driver[0]}.{driver[1]} at most",
            f"update the NVIDIA driver, or: pip uninstall -y tensorrt {wheels[0]} && "
            f"pip install tensorrt_cu{driver[0]}",
        )
    try:
        importlib.import_module("tensorrt")
    except Exception as error:  # its libraries raise errors of many types
        return Finding(
            "tensorrt",
            "warning",
            f"{finding.detail} is installed but cannot be imported: {error}",
            "pip install --force-reinstall tensorrt",
        )
    return finding


def _pycuda(gpu: bool) -> Finding:
    finding = package("pycuda", "gpu")
    reason = unavailable("cuda") if gpu and finding.state == "ok" else None
    if reason:
        return Finding("pycuda", "warning", f"{finding.detail}: {reason}")
    return finding


def _onnxruntime_cuda() -> Finding:
    """Run the provider: ONNX Runtime lists it even if its libraries are missing."""
    from makeup_sdk.weights import open_shipped

    try:
        open_shipped("face_detector").session("model", backend="onnxruntime-cuda")
    except MakeupError as error:
        return Finding(
            "onnxruntime-cuda",
            "missing",
            f"ONNX Runtime does not use the GPU: {error}",
            "pip uninstall -y onnxruntime && pip install onnxruntime-gpu",
        )
    return Finding("onnxruntime-cuda", "ok", "the CUDA provider starts")


def _plans() -> Iterator[Finding]:
    from makeup_engines.tensorrt.plans import local_platform, misfits, plan_cache

    entries = list(plan_cache(None).entries())
    if not entries:
        return
    try:
        machine = local_platform()
    except MakeupError as error:
        why = f"{len(entries)} plans were built, but none can run here: {error}"
        yield Finding("tensorrt plans", "missing", why)
        return
    for entry in entries:
        differences = misfits(entry.facts, machine)
        if differences:
            yield Finding(
                "tensorrt plans",
                "warning",
                f"{entry.note or entry.path.name}: {'; '.join(differences)}",
                "makeup build BUNDLE --backend tensorrt",
            )
    yield Finding("tensorrt plans", "ok", f"{len(entries)} in {plan_cache(None).root}")
