"""Fixtures shared by the tests of several packages."""

import contextlib
import ctypes
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import makeup_kernels


def _import_triton() -> None:
    """Import Triton and our kernels in it, to be interpreted where there is no GPU.

    Functions decide when they are first imported, and torch imports Triton too, so this comes
    before all tests. The variable does not stay set: other tests ask for the backend where it
    cannot run.
    """
    try:
        if not importlib.import_module("torch").cuda.is_available():
            os.environ["TRITON_INTERPRET"] = "1"
        importlib.import_module("triton")
        for file in Path(makeup_kernels.__file__).parent.glob("*/triton*.py"):
            importlib.import_module(f"makeup_kernels.{file.parent.name}.{file.stem}")
    except ImportError:  # tests that need it skip
        pass
    finally:
        os.environ.pop("TRITON_INTERPRET", None)


_import_triton()


_TOGETHER = ("tests/export/", "tests/kernels/cuda/", "tests/sdk/models/papers/")
"""Folders whose tests share set-up that takes long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `pytest -n auto --dist loadgroup`, keep on one worker what shares its set-up."""
    for item in items:
        name = item.nodeid
        file = name.partition("::")[0]
        group = next((folder for folder in _TOGETHER if folder in name), file)
        item.add_marker(pytest.mark.xdist_group(group))


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
