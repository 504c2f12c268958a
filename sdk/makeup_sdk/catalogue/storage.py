"""Files at any address that fsspec supports: local folders, `s3://`, `gs://`, `memory://`, …"""

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from fsspec.core import url_to_fs

from makeup_kernels import InvalidInputError
from makeup_kernels.files import aside, write_atomically

_WHOLE_PUTS = ("memory", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss")
"""Stores that write objects atomically."""


class Place:
    """A file or folder at an address.

    Args:
        address: a local path, or an address such as `s3://bucket/folder`. Options of the store
            (credentials, endpoints) come from fsspec's own configuration and environment.

    Raises:
        InvalidInputError: unsupported kind of address, or its package is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            self.fs, path = url_to_fs(address)
        except (ImportError, ValueError, OSError) as error:
            raise InvalidInputError(
                f"{address}: this address cannot be opened ({error}); expected a path, or an "
                "address of fsspec whose package is installed (s3fs for s3://, gcsfs for gs://)"
            ) from None
        self.path = path.rstrip("/") or path
        protocol = self.fs.protocol
        self.protocols = (protocol,) if isinstance(protocol, str) else tuple(protocol)
        self.local = "file" in self.protocols

    def below(self, name: str) -> str:
        """The path of a file or folder below, by its relative name with slashes."""
        return posixpath.join(self.path, name) if name else self.path

    def address_of(self, path: str) -> str:
        """The address of a path of this store."""
        return path if self.local else str(self.fs.unstrip_protocol(path))

    def read(self, name: str = "") -> bytes:
        """The content of a file.

        Raises:
            OSError: the file is missing, or the store cannot be reached.
        """
        data: bytes = self.fs.cat_file(self.below(name))
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file atomically; creates its folders.

        Raises:
            OutputError: the disk is full, or writing is not permitted.
            OSError: the store cannot be reached.
        """
        path = self.below(name)
        if self.local:
            write_atomically(Path(path), data, make_parents=True)
        elif any(protocol in _WHOLE_PUTS for protocol in self.protocols):
            self.fs.pipe_file(path, data)
        else:
            self.fs.makedirs(posixpath.dirname(path), exist_ok=True)
            partial = f"{path}.partial-{uuid4().hex}"
            self.fs.pipe_file(partial, data)
            self.fs.mv(partial, path)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A temporary local file; it becomes the named file at the end of the block."""
        path = self.below(name)
        if self.local:
            with aside(Path(path)) as place:
                yield place
            return
        with TemporaryDirectory() as folder:
            place = Path(folder, "file")
            yield place
            if any(protocol in _WHOLE_PUTS for protocol in self.protocols):
                self.fs.put_file(str(place), path)
                return
            partial = f"{path}.partial-{uuid4().hex}"
            self.fs.put_file(str(place), partial)
            self.fs.mv(partial, path)

    def exists(self, name: str = "") -> bool:
        """Whether the file or folder exists."""
        return bool(self.fs.exists(self.below(name)))

    def is_folder(self) -> bool:
        """Whether the address is a folder."""
        return bool(self.fs.isdir(self.path))

    def files(self) -> dict[str, dict[str, Any]]:
        """Path and file info of every file below the folder, or matching the pattern."""
        found = self.fs.glob(self.path, detail=True) if self.is_pattern else self._walk()
        return {path: info for path, info in found.items() if info["type"] == "file"}

    def _walk(self) -> dict[str, dict[str, Any]]:
        self.fs.invalidate_cache()
        return dict(self.fs.find(self.path, detail=True))

    @property
    def is_pattern(self) -> bool:
        """Whether the address has `*`, `?` or `[`, and no file has exactly that name."""
        return any(letter in self.path for letter in "*?[") and not self.fs.exists(self.path)

    @property
    def fixed_part(self) -> str:
        """The folder above the first path component with a wildcard."""
        parts = self.path.split("/")
        first = next(k for k, part in enumerate(parts) if any(x in part for x in "*?["))
        return "/".join(parts[:first])


def joined(manifest: str, value: str) -> str:
    """Resolve an address in a manifest; relative ones start at the manifest's folder."""
    if "://" in value or posixpath.isabs(value):
        return value
    folder, _, _ = manifest.rpartition("/")
    return f"{folder}/{value}" if folder or manifest.startswith("/") else value


def version_of(info: dict[str, Any]) -> str:
    """A version string from a file's info: its size, and an ETag or time if there is one."""
    keys = ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "updated", "created")
    found = next((f"{key}={info[key]}" for key in keys if info.get(key) is not None), "")
    return f"{info.get('size')} {found}"
