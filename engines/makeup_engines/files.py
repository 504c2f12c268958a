"""Reading untrusted files, and writing so that nobody ever sees half a result."""

import contextlib
import glob
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from makeup_kernels.errors import BundleError

MAX_FILE_BYTES = 1 << 31
"""No file of a bundle is larger; an ONNX file cannot be."""

_PARTIAL = ".partial-"


def sha256(data: bytes) -> str:
    """SHA-256 as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def read_plain(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a regular file that is no link.

    Raises:
        BundleError: missing, a link, not a regular file, or larger than `limit` bytes.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise BundleError(f"{path}: missing or not a plain file; copy the bundle again") from None
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise BundleError(f"{path}: missing or not a plain file; copy the bundle again")
        if facts.st_size > limit:
            raise BundleError(f"{path}: larger than {limit} bytes, which no file of a bundle is")
        return file.read(limit)


def check_digest(data: bytes, digest: str, where: str) -> None:
    """Compare bytes with the SHA-256 that a manifest names.

    Raises:
        BundleError: they differ.
    """
    actual = sha256(data)
    if actual != digest:
        raise BundleError(
            f"{where}: SHA-256 is {actual[:12]}…, the manifest says {digest[:12]}…; "
            "the file was changed or damaged, copy or export the bundle again"
        )


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def aside(target: Path) -> Iterator[Path]:
    """A path beside `target` to write to; it becomes `target` when the block ends without error.

    What an earlier, killed process left aside is removed. A new directory does not replace an old
    one: the caller checks first that `target` is free (an empty place, or a file for a file).
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{glob.escape(target.name)}{_PARTIAL}*"):
        owner = stale.name.rpartition("-")[2]
        if not (owner.isdigit() and _alive(int(owner))):
            remove(stale)
    place = target.with_name(f".{target.name}{_PARTIAL}{os.getpid()}")
    remove(place)
    try:
        yield place
        os.replace(place, target)
    finally:
        remove(place)


def remove(path: Path) -> None:
    """Remove a file or a whole directory, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
