"""Read untrusted files; write files atomically."""

import contextlib
import errno
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
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another path",
    errno.EACCES: "change the permissions there, or choose another place",
    errno.EPERM: "change the permissions there, or choose another place",
    errno.EROFS: "this disk is read-only; choose another place",
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


def how_to_mend(number: int | None) -> str:
    """What a user can do about an error of the file system, by its `errno`."""
    return _MEND.get(number or 0, "choose another place")


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and sync it to disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_atomically(
    path: Path, data: bytes, *, make_parents: bool = False, private: bool = False
) -> None:
    """Write a file completely or not at all.

    A replaced file passes its permissions to the new one. A link stays and its target is replaced.
    Devices and pipes are written to directly.

    Args:
        path: the file.
        data: its content.
        make_parents: create missing folders.
        private: only the owner may read the file, also while it is written and whatever the
            permissions of a replaced file were.

    Raises:
        OutputError: the disk is full, the folder is missing, the path is a directory, or permission
            is denied.
    """
    path = as_path(path, "output")
    if path.exists() and not (path.is_file() or path.is_dir()):
        with _explained(path), path.open("wb") as device:
            device.write(data)
        return
    with aside(path, make_parents=make_parents, keep_access=not private) as place:
        if private:
            place.touch(0o600)
        write_synced(place, data)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Create a folder and its parents unless they exist.

    Raises:
        OutputError: the path exists and is no folder, or permission is denied.
    """
    with _explained(path):
        path.mkdir(parents=True, exist_ok=True, mode=mode)


def check_writable(path: Path) -> None:
    """Check that a file can be written at a path, before long work.

    Raises:
        OutputError: the folder is missing, the path is a directory, or permission is denied.
    """
    with _explained(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        place = _place_beside(path)
        place.touch()
        place.unlink()


@contextlib.contextmanager
def aside(target: Path, *, make_parents: bool = True, keep_access: bool = True) -> Iterator[Path]:
    """A temporary path beside `target`; it is renamed to `target` if the block ends without error.

    Removes temporary files of killed processes. A new directory does not replace an old one: the
    caller checks first that `target` is free (absent, or a file for a file).

    Args:
        target: the final path.
        make_parents: create missing folders.
        keep_access: give the new file the owner and permissions of the file that it replaces.

    Raises:
        OutputError: an OSError in the block or in the rename.
    """
    target = Path(os.path.realpath(target))
    with _explained(target):
        if make_parents and not target.parent.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _remove_stale(target.parent, _partial_prefix(target))
        place = _place_beside(target)
        try:
            yield place
            if keep_access and place.is_file() and target.is_file():
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
        raise OutputError(
            f"{target}: cannot be written ({error.strerror or error}); {how_to_mend(error.errno)}"
        ) from error


def _place_beside(target: Path) -> Path:
    return target.with_name(f"{_partial_prefix(target)}{os.getpid()}-{next(_counter)}")


def _partial_prefix(target: Path) -> str:
    """Prefix of temporary names; short, however long the target's name is."""
    name = target.name
    if len(os.fsencode(name)) > _LONG_NAME:
        name = sha256(os.fsencode(name))[:32]
    return f".{name}{_PARTIAL}"


def _remove_stale(folder: Path, start: str) -> None:
    with os.scandir(folder) as entries:
        found = [entry.name for entry in entries if entry.name.startswith(start)]
    for name in found:
        owner = name.removeprefix(start).partition("-")[0]
        if not (owner.isdigit() and _alive(int(owner))):
            remove(folder / name)


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
