"""Fixtures shared by the tests of several packages."""

import contextlib
import ctypes
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import makeup_kernels


def _import_triton() -> None:
    """Import Triton and our kernels in it, to be interpreted where there is no GPU.

    Functions decide when they are first imported, and torch imports Triton too, so this comes
    before all tests. The variable does not stay set: other tests ask for the backend where it
    cannot run.
    """
    try:
        torch = importlib.import_module("torch")
        torch.set_num_threads(1)
        if not torch.cuda.is_available():
            os.environ["TRITON_INTERPRET"] = "1"
        importlib.import_module("triton")
        for file in Path(makeup_kernels.__file__).parent.glob("*/triton*.py"):
            importlib.import_module(f"makeup_kernels.{file.parent.name}.{file.stem}")
    except ImportError:  # tests that need it skip
        pass
    finally:
        os.environ.pop("TRITON_INTERPRET", None)


_import_triton()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """PyTorch computes in one thread: sums are taken in one order.

    Tensors here are small: on a busy machine the threads' waiting costs 100× their work. A test
    whose command or session chooses more does so for itself alone.
    """
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


_TOGETHER = ("kernels/cuda", "sdk/models/papers")
"""Folders of tests whose tests share set-up that takes long."""

_MODELS = (
    "psgan-sr:mobile",
    "psgan-sr",
    "psgan-pose",
    "region-gan",
    "ssat",
    "portrait-edit",
)
"""Exported models; tests of one share its exported graphs. `psgan` is that of all other tests."""

_LONGEST = (
    "export/psgan-sr",
    "training/networks/test_ssat.py",
    "export/portrait-edit",
    "export/ssat",
    "export/psgan",
    "sdk/catalogue/test_on_ray.py",
    "sdk/stream/test_soak.py",
    "export/psgan-sr:mobile",
    "benchmarks/test_instructions.py",
)
"""Groups that begin before all others, so that no worker is left with one at the end."""


def group_of(node: str) -> str:
    """The group of a test, all of which runs on one worker: its file, folder or model."""
    file, _, test = node.partition("::")
    file = file.removeprefix("tests/")
    if file.startswith("export/"):
        case = test.partition("[")[2]
        return f"export/{next((name for name in _MODELS if case.startswith(name)), 'psgan')}"
    return next((folder for folder in _TOGETHER if file.startswith(f"{folder}/")), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `pytest -n`, keep on one worker what shares its set-up.

    pytest-xdist's own `--dist loadgroup` renames tests, which not every version of pytest allows.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Grouped(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

        def _assign_work_unit(self, node: Any) -> None:
            for group in reversed(_LONGEST):
                if group in self.workqueue:
                    self.workqueue.move_to_end(group, last=False)
            super()._assign_work_unit(node)

    return Grouped(config, log)


@pytest.fixture(scope="module")
def many_cores() -> Iterator[None]:
    """Let kernels run as many threads as a call asks for, whatever this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("makeup_kernels.dispatch.usable_cores", lambda: 64)
        yield


_CAPABILITY_VERSION = 0x20080522
_OVERRIDES = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""

_DEFAULT_FACES = Path(__file__).parents[2] / "shared" / "faces"


@pytest.fixture
def closed_folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder that this process may not write to, even as root."""
    folder = tmp_path / "closed"
    folder.mkdir(0o555)
    with _no_override() if os.geteuid() == 0 else contextlib.nullcontext():
        yield folder


@contextlib.contextmanager
def _no_override() -> Iterator[None]:
    """Root, bound by the permissions of files like every other user, in this thread."""
    if sys.platform != "linux":
        pytest.skip("root may write everywhere; run the tests as another user")
    library = ctypes.CDLL(None)
    header, sets = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    library.capget(header, sets)
    before = sets[0]
    sets[0] &= ~_OVERRIDES
    library.capset(header, sets)
    try:
        yield
    finally:
        sets[0] = before
        library.capset(header, sets)


@pytest.fixture(scope="session")
def faces_folder() -> Path:
    """The folder of face data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("MAKEUP_FACES", _DEFAULT_FACES))
    if not (folder / "val" / "labels.json").is_file():
        pytest.skip(f"no face data in {folder}; set MAKEUP_FACES to its folder")
    return folder
