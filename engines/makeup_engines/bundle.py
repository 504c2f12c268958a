"""Bundles: a directory or a zip with a manifest and the graphs of one model.

Opening checks everything before anything loads: the manifest, the SHA-256 of every file, and that
each graph is self-contained standard ONNX. Writing is atomic.
"""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makeup_engines.backends import open_session
from makeup_engines.manifest import Manifest
from makeup_engines.onnx_check import check_onnx
from makeup_engines.session import Session, SessionOptions
from makeup_kernels.errors import BundleError
from makeup_kernels.files import (
    MAX_FILE_BYTES,
    as_path,
    aside,
    check_digest,
    read_plain,
    sha256,
    write_atomically,
    write_synced,
)

_MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 1 << 20
_MAX_BUNDLE_BYTES = 1 << 32
"""Limit of all files together, unpacked: a zip may claim far more than it should."""
_UNPACKED_PER_BYTE = 16
_SMALL_BYTES = 1 << 26
"""A zip unpacks to at most this plus 16 times its size; weights hardly compress."""

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its manifest and the bytes of its files, already verified.

    The verified bytes are the ones that run; nothing is read from disk again.
    """

    path: Path
    manifest: Manifest
    contents: Mapping[str, bytes]
    manifest_bytes: bytes

    @classmethod
    def open(cls, path: str | Path) -> "Bundle":
        """Read and check a bundle, a directory or a `.zip`.

        Raises:
            BundleError: no bundle at `path`, a bad manifest, a missing file, a file that is a link
                or whose SHA-256 differs, a graph that is damaged, not self-contained or not
                standard.
        """
        path = as_path(path, "bundle")
        if path.is_file():
            with _open_zip(path) as archive:
                entries = _entries(archive, path)
                return cls._read(
                    path, lambda name, limit: _unzip(archive, entries, path, name, limit)
                )
        if not (path / _MANIFEST).is_file():
            raise BundleError(
                f"{path}: no manifest.json there; expected a bundle directory or zip, which "
                "`makeup export` makes"
            )
        return cls._read(path, lambda name, limit: read_plain(path / name, limit))

    @classmethod
    def _read(cls, path: Path, read: Callable[[str, int], bytes]) -> "Bundle":
        where = f"{path / _MANIFEST}"
        raw = read(_MANIFEST, _MAX_MANIFEST_BYTES + 1)
        if len(raw) > _MAX_MANIFEST_BYTES:
            raise BundleError(f"{where}: larger than 1 MiB; this is no manifest of a bundle")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise BundleError(f"{where}: not UTF-8 text; export the bundle again") from None
        manifest = Manifest.parse(text, where)
        contents: dict[str, bytes] = {}
        left = _MAX_BUNDLE_BYTES
        for name, digest in manifest.files.items():
            data = read(name, min(left, MAX_FILE_BYTES))
            left -= len(data)
            check_digest(data, digest, f"{path / name}")
            contents[name] = data
        for file in {graph.file for graph in manifest.graphs.values()}:
            check_onnx(contents[file], f"{path / file}")
        return cls(path, manifest, contents, raw)

    def session(
        self,
        graph: str,
        *,
        backend: str = "onnxruntime",
        threads: int | None = None,
        options: SessionOptions | None = None,
    ) -> Session:
        """Open one graph of the bundle.

        Args:
            graph: a key of `manifest.graphs`.
            backend: "auto", or one of `makeup_engines.BACKENDS`; a named one runs or raises.
            threads: CPU threads; None: MAKEUP_THREADS, else one per core.
            options: other options; `threads` overrides theirs.

        Raises:
            BundleError: no such graph, or the graph does not load.
            BackendUnavailableError: the backend is unknown or cannot run here.
        """
        if graph not in self.manifest.graphs:
            known = ", ".join(self.manifest.graphs) or "none"
            raise BundleError(f"{self.path}: no graph {graph!r}; the bundle has: {known}")
        spec = self.manifest.graphs[graph]
        return open_session(
            self.contents[spec.file],
            spec,
            f"{self.path}:{graph}",
            backend=backend,
            options=(options or SessionOptions()).with_threads(threads),
        )


def check_free(path: str | Path) -> None:
    """Refuse a path where a bundle cannot be written.

    Raises:
        BundleError: the path exists; only a `.zip` may be replaced.
    """
    path = as_path(path, "bundle")
    if path.is_dir() or (path.exists() and path.suffix != ".zip"):
        raise BundleError(f"{path}: already exists; remove it or choose another place")


def write_bundle(path: str | Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Write a bundle completely or not at all.

    Args:
        path: a directory that does not exist yet, or a `.zip`, which is replaced.
        manifest: the fields of `manifest.json` without `schema` and `files`, which are filled in.
        files: contents by file name.

    Raises:
        BundleError: the directory exists, or the manifest would not pass `Manifest.parse`.
    """
    path = Path(path)
    check_free(path)
    digests = {name: sha256(data) for name, data in files.items()}
    fields = {"schema": 1, **manifest, "files": digests}
    text = json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
    Manifest.parse(text, str(path / _MANIFEST))
    # the manifest is written last: without it a directory is no bundle
    contents = {**files, _MANIFEST: text.encode()}
    if path.suffix == ".zip":
        write_atomically(path, _zipped(contents), make_parents=True)
        return
    with aside(path) as place:
        place.mkdir()
        for name, data in contents.items():
            write_synced(place / name, data)


def pack_bundle(bundle: Bundle, path: str | Path) -> None:
    """Write an opened bundle as one zip; the bytes are reproducible.

    Raises:
        BundleError: a name that does not end in `.zip`.
    """
    path = as_path(path, "bundle")
    if path.suffix != ".zip":
        raise BundleError(f"{path}: expected a name that ends in .zip")
    zipped = _zipped({**bundle.contents, _MANIFEST: bundle.manifest_bytes})
    write_atomically(path, zipped, make_parents=True)


def _zipped(contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(read_plain(path)))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError, EOFError) as error:
        raise BundleError(
            f"{path}: not a bundle directory and not a readable zip ({error}); copy it again"
        ) from None


def _entries(archive: zipfile.ZipFile, path: Path) -> dict[str, list[zipfile.ZipInfo]]:
    """The entries of a zip by name.

    Raises:
        BundleError: they unpack to far more than the zip's size.
    """
    entries: dict[str, list[zipfile.ZipInfo]] = {}
    packed = unpacked = 0
    for entry in archive.infolist():
        entries.setdefault(entry.filename, []).append(entry)
        packed += entry.compress_size
        unpacked += entry.file_size
    limit = _SMALL_BYTES + _UNPACKED_PER_BYTE * packed
    if unpacked > limit:
        raise BundleError(
            f"{path}: {packed} bytes that unpack to {unpacked}, expected at most {limit}; this is "
            "no bundle, export it again"
        )
    return entries


def _unzip(
    archive: zipfile.ZipFile,
    entries: Mapping[str, list[zipfile.ZipInfo]],
    path: Path,
    name: str,
    limit: int,
) -> bytes:
    """At most `limit` bytes of one entry; zipfile reads no more than the header says."""
    found = entries.get(name, [])
    if len(found) != 1:
        raise BundleError(
            f"{path}: {len(found)} entries named {name}, expected one; copy the bundle again"
        )
    try:
        with archive.open(found[0]) as file:
            return file.read(limit)
    except Exception as error:  # zipfile and zlib raise almost any class on damaged bytes
        raise BundleError(
            f"{path}: cannot unpack {name} ({error}); copy the bundle again"
        ) from None
