"""Input photos of `makeup apply` and the paths of their results."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from makeup_kernels import InvalidInputError
from makeup_sdk.images import IMAGE_SUFFIXES
from makeup_sdk.photos import READ_SUFFIXES

_RAW = (".arw", ".cr2", ".cr3", ".dng", ".jp2", ".nef", ".orf", ".psd", ".raf", ".rw2")
_PICTURES = frozenset((*READ_SUFFIXES, *_RAW))
"""Suffixes of photos in a folder; raw formats cannot be read and are listed as failures."""

_MADE = "-makeup"
"""Suffix of the name of a result beside its photo."""

Job = tuple[Path, Path]
Inode = tuple[int, int]


def photo_jobs(sources: list[Path], output: Path | None, inputs: Iterable[Path] = ()) -> list[Job]:
    """Pairs of photo and result; the output folder mirrors the source folders.

    Skips names that begin with a dot, and the output folder inside a source, so that a second run
    does not process the results of the first.

    Args:
        sources: photos, and folders of photos.
        output: image for one photo, else a folder; None: `NAME-makeup` beside each photo.
        inputs: other files that no result may overwrite, such as the look.

    Raises:
        InvalidInputError: no photos, or a result would overwrite another result or an input.
    """
    jobs = _pairs(sources, output)
    taken: dict[Path, Path] = {}
    for source, target in jobs:
        if target in taken:
            raise InvalidInputError(
                f"several photos would be written to {target}; apply them one folder at a time"
            )
        taken[target] = source
    read = {_inode(path): path for path in [*(source for source, _ in jobs), *inputs]}
    read.pop(None, None)
    for target in taken:
        inode = _inode(target)
        if inode is not None and inode in read:
            same = f" (the same file as {read[inode]})" if read[inode] != target else ""
            raise InvalidInputError(
                f"{target}{same} would be overwritten by a result; choose another --output"
            )
    return jobs


def _pairs(sources: list[Path], output: Path | None) -> list[Job]:
    if output is None:
        found = [path for source in sources for path in _photos_of(source, None)]
        photos = [path for path in found if not path.stem.endswith(_MADE)]
        return [(path, beside(path, _MADE)) for path in photos or found]
    to_image = output.suffix.lower() in IMAGE_SUFFIXES and not output.is_dir()
    if output.suffix and not to_image and not output.is_dir():
        raise InvalidInputError(
            f"{output}: unknown image type {output.suffix!r}; use one of "
            f"{', '.join(IMAGE_SUFFIXES)} (if this is to be a folder, create it first)"
        )
    if to_image and len(sources) == 1 and not sources[0].is_dir():
        return [(sources[0], output)]
    if to_image or output.is_file():
        raise InvalidInputError(f"{output}: several photos need a folder as --output")
    jobs: list[Job] = []
    for source in sources:
        below = source if source.is_dir() else source.parent
        found = _photos_of(source, _inode(output))
        jobs += [(path, _named(output / path.relative_to(below))) for path in found]
    return jobs


def _photos_of(source: Path, output: Inode | None) -> list[Path]:
    """The photo itself, or the photos in a folder."""
    if not source.is_dir():
        return [source]
    found = [*_photos_in(source, output)]
    if not found:
        raise InvalidInputError(
            f"{source}: no photos in this folder; expected files such as .jpg or .png"
        )
    return found


def _photos_in(folder: Path, output: Inode | None) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and _inode(Path(place, name)) != output
        )
        for name in sorted(files):
            path = Path(place, name)
            if not name.startswith(".") and path.suffix.lower() in _PICTURES and path.is_file():
                yield path


def beside(photo: Path, suffix: str) -> Path:
    """The path of a result beside its photo: the name followed by `suffix`."""
    return _named(photo.with_stem(photo.stem + suffix))


def _named(target: Path) -> Path:
    """The result's path: the photo's own, with .png if its format cannot be written."""
    return target if target.suffix.lower() in IMAGE_SUFFIXES else target.with_suffix(".png")


def _inode(path: Path) -> Inode | None:
    """Device and inode, equal for paths of one file, links followed; None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
