"""A keyed cache of build results: optimised graphs and TensorRT plans.

An entry is a directory named by the SHA-256 of the facts that it depends on. It holds the files,
and `entry.json` with the facts and the SHA-256 of each file. Entries are written atomically and
their files are verified when read.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makeup_kernels.errors import BundleError, OutputError
from makeup_kernels.files import aside, check_digest, read_plain, remove, sha256, write_synced

_ENTRY = "entry.json"
_MAX_ENTRY_BYTES = 1 << 20
_KEY_LENGTH = 32


def default_cache() -> Path:
    """MAKEUP_CACHE, else `makeup-sdk` in the user's cache folder."""
    own = os.environ.get("MAKEUP_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "makeup-sdk"


@dataclass(frozen=True)
class CacheEntry:
    """An existing entry; its files are verified when read.

    Attributes:
        path: its directory.
        facts: what it was built from and for.
        note: readable name.
        digests: SHA-256 by file name.
    """

    path: Path
    facts: Mapping[str, Any]
    note: str
    digests: Mapping[str, str]

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum((self.path / name).stat().st_size for name in self.digests)

    def read(self, name: str) -> bytes:
        """One file, verified by its SHA-256.

        Raises:
            BundleError: missing, or changed since it was stored.
        """
        if name not in self.digests:
            raise BundleError(f"{self.path}: holds no {name}; remove the entry and build it again")
        data = read_plain(self.path / name)
        check_digest(data, self.digests[name], f"{self.path / name}")
        return data

    def verify(self) -> None:
        """Read and check every file.

        Raises:
            BundleError: a file is missing or differs.
        """
        for name in self.digests:
            self.read(name)


@dataclass(frozen=True)
class Cache:
    """Entries of one kind below a folder."""

    root: Path

    def key(self, facts: Mapping[str, Any]) -> str:
        """The name of the entry with these facts."""
        return sha256(json.dumps(facts, sort_keys=True).encode())[:_KEY_LENGTH]

    def find(self, facts: Mapping[str, Any]) -> CacheEntry | None:
        """The entry with exactly these facts, if there is one."""
        path = self.root / self.key(facts)
        if not path.is_dir():
            return None
        entry = read_entry(path)
        return entry if dict(entry.facts) == dict(facts) else None

    def store(
        self, facts: Mapping[str, Any], files: Mapping[str, bytes], note: str = ""
    ) -> CacheEntry:
        """Write an entry completely or not at all, replacing an existing one.

        Raises:
            OutputError: the disk is full, or permission is denied.
        """
        path = self.root / self.key(facts)
        digests = {name: sha256(data) for name, data in files.items()}
        record = {"facts": facts, "note": note, "files": digests}
        text = json.dumps(record, indent=2, sort_keys=True)
        remove(path)
        try:
            with aside(path) as place:
                place.mkdir()
                for name, data in files.items():
                    write_synced(place / name, data)
                write_synced(place / _ENTRY, text.encode())
        except OutputError:
            if self.find(facts) is None:  # else another process has stored the same entry
                raise
        return read_entry(path)

    def paths(self) -> list[Path]:
        """The directories of all entries, sorted by key."""
        return sorted(self.root.glob("[0-9a-f]" * _KEY_LENGTH))

    def entries(self) -> Iterator[CacheEntry]:
        """All entries except those with a damaged `entry.json`."""
        for path in self.paths():
            with contextlib.suppress(BundleError):
                yield read_entry(path)

    def clean(self) -> list[Path]:
        """Remove every entry and leftovers of killed processes; returns the removed paths."""
        gone = sorted(self.root.iterdir()) if self.root.is_dir() else []
        for path in gone:
            remove(path)
        return gone


def read_entry(path: Path) -> CacheEntry:
    """The entry in a directory.

    Raises:
        BundleError: there is none, or its `entry.json` is damaged.
    """
    try:
        data = json.loads(read_plain(path / _ENTRY, _MAX_ENTRY_BYTES))
        facts, note, digests = data["facts"], data["note"], data["files"]
        plain = all(
            isinstance(name, str) and Path(name).name == name and isinstance(digest, str)
            for name, digest in digests.items()
        )
        if not isinstance(facts, dict) or not isinstance(note, str) or not plain:
            raise ValueError("not an entry")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"{path / _ENTRY}: damaged ({error}); run `makeup engines clean` and build again"
        ) from None
    return CacheEntry(path, facts, note, digests)
