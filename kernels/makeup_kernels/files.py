"""Read untrusted files; write files atomically."""

import contextlib
import errno
import glob
import hashlib
import itertools
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from makeup_kernels.errors import BundleError, InvalidInputError, MakeupError, OutputError

MAX_FILE_BYTES = 1 << 31
"""Maximum size of a bundle file; an ONNX file cannot be larger."""

_PARTIAL = ".partial-"
_LONG_NAME = 200
_SHOWN = 80
_MEND = {
    errno.ENOSPC: "free some space, or choose another disk",
    errno.EDQUOT: "free some space, or choose another disk",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EEXIST: "something else has this name; choose another",
    errno.EISDIR: "give the name of a file, not of a folder",
    errno.ENOENT: "create the folder first",
    errno.ENOTDIR: "create the folder first",
}
_counter = itertools.count()
"""Makes names unique among the threads of one process."""


def sha256(data: bytes) -> str:
    """SHA-256 as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def read_plain(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a regular file; symbolic links are refused.

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
    """Compare bytes with the SHA-256 of a manifest.

    Raises:
        BundleError: they differ.
    """
    actual = sha256(data)
    if actual != digest:
        raise BundleError(
            f"{where}: SHA-256 is {actual[:12]}…, the manifest says {digest[:12]}…; "
            "the file was changed or damaged, copy or export the bundle again"
        )


def as_path(value: object, name: str = "path") -> Path:
    """An argument as a path, which need not exist.

    Args:
        value: a str or a path.
        name: the argument's name, for messages.

    Raises:
        InvalidInputError: another type, or a name that no file can have: too long, or with a null
            character or a lone surrogate.
    """
    if not isinstance(value, (str, Path)):
        raise InvalidInputError(f"{name}: got {type(value).__name__}, expected a path")
    path = Path(value)
    reason = ""
    try:
        os.lstat(path)
    except ValueError as error:  # a null character or a lone surrogate
        reason = str(error)
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            reason = str(error.strerror)
    if reason:
        shown = str(path) if len(str(path)) <= _SHOWN else str(path)[:_SHOWN] + "…"
        raise InvalidInputError(f"{name}: no file can be named {shown!r} ({reason})")
    return path


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and sync it to disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, data: bytes, *, make_parents: bool = False) -> None:
    """Write a file completely or not at all.

    A replaced file passes its permissions to the new one. A link stays and its target is replaced.
    Devices and pipes are written to directly.

    Raises:
        OutputError: the disk is full, the folder is missing, the path is a directory, or permission
            is denied.
    """
    path = as_path(path, "output")
    if path.exists() and not (path.is_file() or path.is_dir()):
        with _explained(path), path.open("wb") as device:
            device.write(data)
        return
    with aside(path, make_parents=make_parents) as place:
        write_synced(place, data)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Create a folder and its parents unless they exist.

    Raises:
        OutputError: the path exists and is no folder, or permission is denied.
    """
    with _explained(path):
        path.mkdir(parents=True, exist_ok=True, mode=mode)


@contextlib.contextmanager
def aside(target: Path, *, make_parents: bool = True) -> Iterator[Path]:
    """A temporary path beside `target`; it is renamed to `target` if the block ends without error.

    Removes temporary files of killed processes. A new directory does not replace an old one: the
    caller checks first that `target` is free (absent, or a file for a file).

    Raises:
        OutputError: an OSError in the block or in the rename.
    """
    target = Path(os.path.realpath(target))
    with _explained(target):
        if make_parents:
            target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        start = _partial_prefix(target)
        _remove_stale(target.parent, start)
        place = target.with_name(f"{start}{os.getpid()}-{next(_counter)}")
        try:
            yield place
            if place.is_file() and target.is_file():
                _keep_access(target.stat(), place)
            os.replace(place, target)
        finally:
            remove(place)


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except MakeupError:
        raise
    except OSError as error:
        mend = _MEND.get(error.errno or 0, "choose another place, or change its permissions")
        raise OutputError(
            f"{target}: cannot be written ({error.strerror or error}); {mend}"
        ) from error


def _partial_prefix(target: Path) -> str:
    """Prefix of temporary names; short, however long the target's name is."""
    name = target.name
    if len(os.fsencode(name)) > _LONG_NAME:
        name = sha256(os.fsencode(name))[:32]
    return f".{name}{_PARTIAL}"


def _remove_stale(folder: Path, start: str) -> None:
    for stale in folder.glob(f"{glob.escape(start)}*"):
        owner = stale.name.removeprefix(start).partition("-")[0]
        if not (owner.isdigit() and _alive(int(owner))):
            remove(stale)


def _keep_access(old: os.stat_result, place: Path) -> None:
    """Give a new file the owner and the permissions of the file that it replaces."""
    if (old.st_uid, old.st_gid) != (os.getuid(), os.getgid()):
        with contextlib.suppress(PermissionError):
            os.chown(place, old.st_uid, old.st_gid)
    os.chmod(place, stat.S_IMODE(old.st_mode))


def remove(path: Path) -> None:
    """Remove a file or a whole directory, if it exists."""
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
