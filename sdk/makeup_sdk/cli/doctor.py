"""`makeup doctor`: check the installation, and print a remedy for each problem.

Each check covers one problem of users' machines. It imports what it needs itself, so that a broken
package does not stop the other checks.
"""

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from makeup_kernels import MakeupError
from makeup_kernels.dispatch import THREADS_VARIABLE, usable_cores
from makeup_kernels.terminal import JsonOption, Reporter
from makeup_sdk.cli.doctor_gpu import check_gpu
from makeup_sdk.cli.findings import Finding, misfit, package, requirements, version_of

_DEVICES = Path("/dev")
_LOOPBACK = Path("/sys/module/v4l2loopback")
_OPENCVS = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_REINSTALL = "pip install --force-reinstall ."
_LEAST_FREE_BYTES = 1 << 30
_STYLES = {"ok": "green", "missing": "yellow", "warning": "dark_orange", "broken": "red"}


def doctor(
    camera: Annotated[
        int | None, typer.Option(help="Also read a frame from the camera with this index.")
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only warnings and broken parts.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check this installation; exits with status 1 if a required part is broken.

    `missing` parts are optional; parts with a `warning` work, but slower or with fewer features.

    makeup doctor --quiet

    makeup doctor --camera 0 --json
    """
    checks: list[Callable[[], Iterator[Finding]]] = [
        _python, _packages, _opencv, _onnxruntime, _kernels, _models, _cache, check_gpu, _cameras,
        _extras,
    ]  # fmt: skip
    findings = [finding for check in checks for finding in _told(check)]
    if camera is not None:
        findings += _told(lambda: _open_camera(camera))
    if quiet:
        findings = [finding for finding in findings if finding.state in ("warning", "broken")]
    reporter = Reporter(as_json=as_json)
    reporter.json([asdict(finding) for finding in findings])
    _print(findings, reporter)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


def _print(findings: list[Finding], reporter: Reporter) -> None:
    """Print a table, and below it each remedy on its own line, ready to copy."""
    table = Table("", "state", "found", show_edge=False)
    table.columns[2].overflow = "fold"
    for finding in findings:
        state = f"[{_STYLES[finding.state]}]{finding.state}[/]"
        table.add_row(finding.topic, state, escape(finding.detail))
    if findings:
        reporter.table(table)
    for finding in findings:
        if finding.remedy:
            reporter.say(f"\n{finding.topic}:\n  {finding.remedy}")


def _told(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """The findings of a check; if the check itself fails, that is a finding."""
    try:
        return list(check())
    except Exception as error:  # a broken installation may raise anything
        topic = getattr(check, "__name__", "check").strip("_")
        why = f"the check itself failed: {type(error).__name__}: {error}"
        return [Finding(topic, "broken", why, _REINSTALL)]


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    detail = f"{version} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    if sys.version_info < (3, 10) or sys.maxsize < 1 << 32:
        why = f"{detail}; a 64-bit Python of 3.10 or newer is needed"
        yield Finding("python", "broken", why, "python3.12 -m venv .venv")
    elif platform.system() != "Linux":
        yield Finding("python", "warning", f"{detail}; tested on Linux only")
    else:
        yield Finding("python", "ok", detail)


def _packages() -> Iterator[Finding]:
    """The required packages, without the two that exist under several names."""
    for name, (bounds, needed) in requirements().items():
        if not needed or name in (*_OPENCVS, "onnxruntime"):
            continue
        version = version_of(name)
        if version is None:
            yield Finding(name, "broken", "not installed", f"pip install '{name}{bounds}'")
        elif misfit(name, version):
            why = f"{version} is installed, {bounds} is needed"
            yield Finding(name, "broken", why, f"pip install '{name}{bounds}'")
        else:
            yield Finding(name, "ok", version)


def _opencv() -> Iterator[Finding]:
    variants = [name for name in _OPENCVS if version_of(name)]
    removal = f"pip uninstall -y {' '.join(variants)} && " if variants else ""
    mend = f"{removal}pip install opencv-python-headless"
    if len(variants) > 1:
        why = f"{' and '.join(variants)} overwrite each other"
        yield Finding("opencv", "broken", why, mend)
        return
    try:
        cv2 = importlib.import_module("cv2")
    except Exception as error:  # a missing library, or one built for another NumPy
        yield Finding("opencv", "broken", f"it cannot be imported: {error}", mend)
        return
    version, named = cv2.__version__, ", ".join(variants) or "system"
    bounds = misfit("opencv-python-headless", version)
    if bounds:
        why = f"{version} ({named}) is installed, {bounds} is needed"
        yield Finding("opencv", "broken", why, f"pip install 'opencv-python-headless{bounds}'")
        return
    lines = [line.split() for line in cv2.getBuildInformation().splitlines()]
    if ["FFMPEG:", "YES"] in [line[:2] for line in lines]:
        yield Finding("opencv", "ok", f"{version} ({named})")
    else:
        why = f"{version} ({named}) was built without FFmpeg: no video files, no RTSP"
        yield Finding("opencv", "warning", why, mend)
    if ["GUI:", "NONE"] in lines:
        remedy = "pip uninstall -y opencv-python-headless && pip install opencv-python"
        yield Finding("windows", "missing", "this OpenCV was built without windows", remedy)
    elif platform.system() == "Linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        why = "there is no display: DISPLAY and WAYLAND_DISPLAY are not set"
        yield Finding("windows", "missing", why, "write to a file, or use `makeup serve`")
    else:
        yield Finding("windows", "ok", "this OpenCV can open windows")


def _onnxruntime() -> Iterator[Finding]:
    variants = [name for name in ("onnxruntime", "onnxruntime-gpu") if version_of(name)]
    if len(variants) > 1:
        why = f"{' and '.join(variants)} overwrite each other"
        mend = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install "
        yield Finding("onnxruntime", "broken", why, f"{mend}onnxruntime-gpu (or onnxruntime)")
        return
    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except Exception as error:  # a missing library, or one built for another NumPy
        why = f"it cannot be imported: {error}"
        yield Finding("onnxruntime", "broken", why, "pip install --force-reinstall onnxruntime")
        return
    version = onnxruntime.__version__
    bounds = misfit("onnxruntime", version)
    if bounds:
        why = f"{version} is installed, {bounds} is needed"
        yield Finding("onnxruntime", "broken", why, f"pip install '{variants[0]}{bounds}'")
        return
    names = [
        name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()
    ]
    yield Finding("onnxruntime", "ok", f"{version}, providers: {', '.join(names)}")


def _kernels() -> Iterator[Finding]:
    try:
        from makeup_kernels import cpu_features

        features = cpu_features()
    except (ImportError, MakeupError) as error:
        # errors about the two environment variables contain the remedy
        remedy = _REINSTALL if isinstance(error, ImportError) else "unset the variable"
        yield Finding("cpu kernels", "broken", str(error), remedy)
        return
    threads = f"{features.threads} threads" if features.openmp else "1 thread"
    detail = f"{features.isa} of {'/'.join(features.available_isas)}, {threads}"
    detail = f"{detail}, {features.compiler}"
    if not features.openmp:
        why = f"{detail}; built without OpenMP, so they run on one core"
        yield Finding("cpu kernels", "warning", why, f"apt install g++ && {_REINSTALL}")
    elif features.isa != features.available_isas[-1]:
        why = f"{detail}; MAKEUP_CPU_ISA limits it"
        yield Finding("cpu kernels", "warning", why, "unset MAKEUP_CPU_ISA")
    elif features.isa == "baseline" and platform.machine() in ("x86_64", "AMD64"):
        yield Finding("cpu kernels", "warning", f"{detail}; slow, as the processor has no AVX2")
    else:
        yield Finding("cpu kernels", "ok", detail)
    yield _threads(features.threads)


def _threads(threads: int) -> Finding:
    """Threads and cores: too many threads wait for each other, too few leave cores idle."""
    cores = usable_cores()
    asked = os.environ.get(THREADS_VARIABLE, "")
    if asked.isdecimal() and int(asked) > cores:
        why = (
            f"{THREADS_VARIABLE}={asked}: this process may use {cores} cores, so {cores} threads "
            "run"
        )
        return Finding("threads", "warning", why, f"export {THREADS_VARIABLE}={cores}")
    if threads < cores and threads == 1:
        why = f"1 thread on {cores} cores, set by MAKEUP_THREADS or OMP_NUM_THREADS"
        return Finding("threads", "warning", why, "unset MAKEUP_THREADS OMP_NUM_THREADS")
    return Finding("threads", "ok", f"{threads} of {cores} cores")


def _models() -> Iterator[Finding]:
    from makeup_sdk import faces
    from makeup_sdk.weights import open_shipped, shipped_names

    try:
        faces.BundledFaceAnalyzer()
        for name in shipped_names():
            open_shipped(name)
    except (MakeupError, OSError) as error:
        yield Finding("face models", "broken", str(error), _REINSTALL)
    else:
        yield Finding("face models", "ok", "shipped weights verified and loaded")


def _cache() -> Iterator[Finding]:
    """The cache of optimised graphs and plans, without which each start rebuilds them."""
    from makeup_engines.cache import default_cache

    folder = default_cache()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    mend = "export MAKEUP_CACHE=/a/folder/that/you/may/write"
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        why = f"{folder} cannot be written, so engines are built again at each start"
        yield Finding("cache", "warning", why, mend)
        return
    free = shutil.disk_usage(nearest).free
    if free < _LEAST_FREE_BYTES:
        why = f"{folder}: {free >> 20} MiB are free; plans take several hundred"
        yield Finding("cache", "warning", why, f"makeup engines clean, or: {mend}")
        return
    yield Finding("cache", "ok", str(folder))


def _cameras() -> Iterator[Finding]:
    if platform.system() != "Linux":
        return
    found = sorted(_DEVICES.glob("video[0-9]*"))
    names = ", ".join(map(str, found))
    closed = [str(path) for path in found if not os.access(path, os.R_OK | os.W_OK)]
    if not found:
        why = f"there is no {_DEVICES}/video*"
        remedy = "plug one in; in a container: docker run --device /dev/video0"
        yield Finding("cameras", "missing", why, remedy)
    elif closed:
        why = f"{', '.join(closed)}: no permission to open it"
        remedy = "sudo usermod -aG video $USER, then log in again"
        yield Finding("cameras", "warning", why, remedy)
    else:
        yield Finding("cameras", "ok", f"{names}; `makeup doctor --camera 0` tries one")


def _open_camera(index: int) -> Iterator[Finding]:
    from makeup_sdk.stream.sources import CameraSource

    topic = f"camera {index}"
    try:
        source = CameraSource(index)
        try:
            taken = source.read()
        finally:
            source.close()
    except MakeupError as error:
        remedy = "close the program that uses it, and check the permissions: ls -l /dev/video*"
        yield Finding(topic, "broken", str(error), remedy)
        return
    assert taken is not None  # a camera that stops raises an error
    height, width = taken[0].shape[:2]
    yield Finding(topic, "ok", f"gives {width}x{height} at {source.info.fps:g} fps")


def _extras() -> Iterator[Finding]:
    yield package("torch", "train")
    yield package("pillow-heif", "heif")
    camera = package("pyvirtualcam", "camera")
    if camera.state == "ok" and platform.system() == "Linux" and not _LOOPBACK.exists():
        why = f"{camera.detail} is installed, but the kernel has no v4l2loopback device"
        yield Finding("pyvirtualcam", "warning", why, "sudo modprobe v4l2loopback exclusive_caps=1")
        return
    yield camera
