"""`makeup doctor`: what was found, what is loaded, what is missing, and what to install."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        topic: what was looked at.
        state: "ok", "missing" (optional) or "broken" (needed).
        detail: what was found.
        remedy: the command that mends it, empty if nothing is to be done.
    """

    topic: str
    state: str
    detail: str
    remedy: str = ""


def doctor() -> None:
    """Check this installation; exits with status 1 if something needed is broken."""
    findings = [
        _python(),
        _package("numpy"),
        _opencv(),
        _onnxruntime(),
        _kernels(),
        _models(),
        _gpu(),
        _package("tensorrt", optional=True),
        _package("pycuda", optional=True),
        _package("torch", optional=True, extra="train"),
        _package("av", optional=True, extra="video"),
        _package("pyvirtualcam", optional=True, extra="camera"),
    ]
    table = Table("", "state", "found", "what to do", show_edge=False)
    styles = {"ok": "green", "missing": "yellow", "broken": "red"}
    for finding in findings:
        table.add_row(
            finding.topic,
            f"[{styles[finding.state]}]{finding.state}[/]",
            escape(finding.detail),
            escape(finding.remedy),
        )
    Console().print(table)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


def _python() -> Finding:
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("python", "ok", f"{detail}, {os.cpu_count()} cores")


def _package(name: str, *, optional: bool = False, extra: str = "gpu") -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        if optional:
            return Finding(name, "missing", "optional", f"pip install 'makeup-sdk[{extra}]'")
        return Finding(name, "broken", "not installed", f"pip install {name}")


def _opencv() -> Finding:
    variants = [
        name
        for name in ("opencv-python-headless", "opencv-python", "opencv-contrib-python")
        if _package(name).state == "ok"
    ]
    try:
        import cv2
    except ImportError as error:
        return Finding("opencv", "broken", str(error), "pip install opencv-python-headless")
    if len(variants) > 1:
        return Finding(
            "opencv",
            "broken",
            f"{' and '.join(variants)} overwrite each other",
            f"pip uninstall -y {' '.join(variants)} && pip install opencv-python-headless",
        )
    return Finding("opencv", "ok", f"{cv2.__version__} ({', '.join(variants) or 'system'})")


def _onnxruntime() -> Finding:
    try:
        import onnxruntime
    except ImportError as error:
        return Finding("onnxruntime", "broken", str(error), "pip install onnxruntime")
    providers = ", ".join(
        provider.removesuffix("ExecutionProvider")
        for provider in onnxruntime.get_available_providers()
    )
    return Finding("onnxruntime", "ok", f"{onnxruntime.__version__}, providers: {providers}")


def _kernels() -> Finding:
    try:
        from makeup_kernels import cpu_features
    except ImportError as error:
        return Finding("cpu kernels", "broken", str(error), "pip install --force-reinstall .")
    features = cpu_features()
    threads = f"{features.threads} threads" if features.openmp else "1 thread, built without OpenMP"
    detail = f"{features.isa} of {'/'.join(features.available_isas)}, {threads}"
    return Finding("cpu kernels", "ok", f"{detail}, {features.compiler}")


def _models() -> Finding:
    from makeup_kernels import MakeupError
    from makeup_sdk.faces import BundledFaceAnalyzer

    try:
        BundledFaceAnalyzer()
    except MakeupError as error:
        return Finding("face models", "broken", str(error), "pip install --force-reinstall .")
    return Finding("face models", "ok", "shipped weights verified and loaded")


def _gpu() -> Finding:
    """Ask the driver's own tool; the SDK runs on the CPU without one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        jetson = os.path.exists("/etc/nv_tegra_release")
        detail = "Jetson" if jetson else "no NVIDIA driver found; everything runs on the CPU"
        return Finding("nvidia gpu", "ok" if jetson else "missing", detail)
    query = [tool, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(
            "nvidia gpu", "missing", f"nvidia-smi fails: {error}", "reinstall the NVIDIA driver"
        )
    found = "; ".join(answer.stdout.strip().splitlines())
    onnx_gpu = importlib.util.find_spec("tensorrt") is not None
    remedy = "" if onnx_gpu else "pip install 'makeup-sdk[gpu]'"
    return Finding("nvidia gpu", "ok", found, remedy)
