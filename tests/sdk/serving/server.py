"""Start the real server out of the wheel of nvidia-pytriton, on loopback."""

import contextlib
import importlib.util
import os
import platform
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import makeup_engines
import makeup_kernels
import makeup_sdk
from makeup_sdk.serving.client import TritonMakeup

_NUMPY_1 = os.environ.get("MAKEUP_NUMPY_1", "")
"""Folder with a numpy<2, which the server's Python backend of the wheel was built for."""


def installed() -> Path:
    """The folder with the server's binary; skips where it is not installed or has no stub."""
    spec = importlib.util.find_spec("pytriton")
    places = list(spec.submodule_search_locations or []) if spec else []
    server = Path(places[0], "tritonserver") if places else Path("none")
    if not (server / "bin" / "tritonserver").is_file() or platform.machine() != "x86_64":
        pytest.skip("needs the server in the wheel of nvidia-pytriton (pip install --no-deps)")
    stub = server / "python_backend_stubs" / python_version() / "triton_python_backend_stub"
    if not stub.is_file():
        pytest.skip(f"nvidia-pytriton has no stub for Python {python_version()}")
    if int(np.__version__.partition(".")[0]) > 1 and not _NUMPY_1:
        pytest.skip(
            "the server of nvidia-pytriton needs numpy<2: pip install --no-deps --target FOLDER "
            "'numpy<2', and set MAKEUP_NUMPY_1=FOLDER"
        )
    return server


def python_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def server_path() -> str:
    """Where the server's Python finds this package and what it needs, numpy<2 first."""
    packages = makeup_kernels, makeup_engines, makeup_sdk
    roots = [str(Path(package.__file__ or "").parents[1]) for package in packages]
    places = [_NUMPY_1, *roots, sysconfig.get_path("purelib")]
    return os.pathsep.join(filter(None, places))


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Server:
    """A running server. Attributes: `grpc` and `http`, its addresses."""

    def __init__(self, repository: Path, folder: Path, name: str, *models: str) -> None:
        wheel = installed()
        backends = folder / "backends"
        if not backends.exists():
            shutil.copytree(wheel / "backends", backends)
            stub = wheel / "python_backend_stubs" / python_version()
            shutil.copy(stub / "triton_python_backend_stub", backends / "python")
        http, grpc = free_ports(2)
        self.http, self.grpc = f"127.0.0.1:{http}", f"127.0.0.1:{grpc}"
        self.log = folder / f"{name}.log"
        site = sysconfig.get_path("purelib")
        environment = {
            **os.environ,
            "PYTHONHOME": sys.base_prefix,
            "MAKEUP_PYTHONPATH": server_path(),
            "LD_LIBRARY_PATH": f"{Path(site, 'nvidia_pytriton.libs')}:{sys.base_prefix}/lib",
        }
        command = [
            str(wheel / "bin" / "tritonserver"),
            f"--model-repository={repository}",
            f"--backend-directory={backends}",
            "--model-control-mode=explicit",
            *(f"--load-model={model}" for model in models),
            "--http-address=127.0.0.1",
            f"--http-port={http}",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={grpc}",
            "--allow-metrics=false",
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, seconds: float = 120) -> "Server":
        """Wait until the model is ready; fails with the log if the server ends before."""
        with TritonMakeup(self.grpc) as client:
            for _ in range(int(seconds * 4)):
                if client.ready():
                    return self
                if self.process.poll() is not None:
                    break
                select.select([], [], [], 0.25)  # let it start
        raise AssertionError(self.log.read_text(errors="replace")[-4000:])

    def kill(self) -> None:
        """End it and its model processes, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> "Server":
        return self.wait()

    def __exit__(self, *_: Any) -> None:
        self.kill()
