"""Looks: the makeup of a reference, ready to be worn."""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import BundleError, InvalidInputError, NoFaceError, Region
from makeup_sdk.classic.color_card import from_colors
from makeup_sdk.classic.encode import encode
from makeup_sdk.classic.fields import DETAIL_SIDE, FIELD_SIZE, MakeupFields, mix
from makeup_sdk.colors import parse_color
from makeup_sdk.faces import BundledFaceAnalyzer, Detection, FaceAnalyzer
from makeup_sdk.images import check_frame, read_image, write_atomically

MAKEUP_REGIONS = (Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS)

_FORMAT = 1
_MIN_SCORE = 0.5
_REFERENCE_FACES = 16
_MAX_FILE_BYTES = 8 << 20
_ARRAYS: dict[str, tuple[tuple[int, ...], type]] = {
    "fields": ((3, FIELD_SIZE, FIELD_SIZE), np.float32),
    "lip_detail": ((DETAIL_SIDE, DETAIL_SIDE, 3), np.uint8),
    "skin": ((3,), np.float32),
    "cover": ((len(Region),), np.float32),
    "lip_presence": ((), np.float32),
}


@dataclass(frozen=True, eq=False)
class Look:
    """The makeup of a reference photo or colour card; immutable, small, independent of any face.

    Attributes:
        makeup: what the model needs to paint it.
        regions: the regions it has makeup for.
        title: what to call it.
    """

    makeup: MakeupFields
    regions: frozenset[Region]
    title: str

    @classmethod
    def from_photo(
        cls,
        photo: str | Path | NDArray[np.uint8],
        *,
        title: str | None = None,
        analyzer: FaceAnalyzer | None = None,
    ) -> "Look":
        """Read the makeup of a reference photo; of several faces, the largest wears it.

        Args:
            photo: path of an image file, or a BGR frame uint8 (H, W, 3).
            title: default: the file's name.
            analyzer: finds the face; default the bundled one.

        Raises:
            InvalidInputError: no readable image.
            NoFaceError: no usable face in it.
        """
        if isinstance(photo, (str, Path)):
            name, frame = str(photo), read_image(photo)
            title = title or Path(photo).stem
        else:
            name, frame = "reference", check_frame(photo, "reference")
        analyzer = analyzer or BundledFaceAnalyzer()
        faces = analyzer.detect(frame, _REFERENCE_FACES)
        face = analyzer.analyze(frame, max(faces, key=_area)) if faces else None
        if face is None or face.score < _MIN_SCORE:
            raise NoFaceError(
                f"{name}: no face found in {frame.shape[1]}x{frame.shape[0]} pixels; "
                "use a photo in which the made-up face is large, uncovered and looks at the camera"
            )
        return cls(encode(face), frozenset(MAKEUP_REGIONS), title or "reference")

    @classmethod
    def from_colors(
        cls,
        *,
        lips: str | None = None,
        eyes: str | None = None,
        blush: str | None = None,
        brows: str | None = None,
        finish: str = "natural",
        title: str = "colours",
    ) -> "Look":
        """A look from colours, for example `Look.from_colors(lips="#b3123a", finish="gloss")`.

        Args:
            lips, eyes, blush, brows: hex colours of lipstick, eye shadow, blush and brow tint;
                what is not given is not painted.
            finish: of the lipstick: "natural", "matte" or "gloss".
            title: what to call it.

        Raises:
            InvalidInputError: no colour at all, a malformed colour, or an unknown finish.
        """
        given = {"lips": lips, "eyes": eyes, "blush": blush, "brows": brows}
        parsed = {key: parse_color(text, key) if text else None for key, text in given.items()}
        regions = dict(
            zip(given, (Region.LIPS, Region.EYES, Region.SKIN, Region.BROWS), strict=True)
        )
        worn = frozenset(regions[key] for key, color in parsed.items() if color is not None)
        if not worn:
            raise InvalidInputError(
                "from_colors: no colour given; expected at least one of lips, eyes, blush, brows"
            )
        return cls(from_colors(**parsed, finish=finish), worn, title)

    @classmethod
    def mix(cls, shares: "Mapping[Look, float]", *, title: str = "mix") -> "Look":
        """Average looks: `Look.mix({a: 0.7, b: 0.3})`. Shares are normalised to sum 1.

        A region is averaged over the looks that have makeup for it.

        Raises:
            InvalidInputError: no look, a negative or non-finite share, or all shares 0.
        """
        worn = {look: share for look, share in shares.items() if share != 0}
        if not worn or any(not (np.isfinite(s) and s > 0) for s in worn.values()):
            raise InvalidInputError(
                f"mix: shares are {list(shares.values())}, expected numbers ≥ 0 that are not all 0"
            )
        regions = frozenset().union(*(look.regions for look in worn))
        parts = {
            region: [(look.makeup, share) for look, share in worn.items() if region in look.regions]
            for region in sorted(regions)
        }
        return cls(mix(parts), regions, title)

    @classmethod
    def compose(
        cls,
        *,
        lips: "Look | None" = None,
        skin: "Look | None" = None,
        eyes: "Look | None" = None,
        brows: "Look | None" = None,
        title: str = "composition",
    ) -> "Look":
        """Take each region from another look: `Look.compose(lips=a, eyes=b)`.

        Raises:
            InvalidInputError: no look given, or one that has no makeup for its region.
        """
        given = {Region.LIPS: lips, Region.SKIN: skin, Region.EYES: eyes, Region.BROWS: brows}
        parts = {region: look for region, look in given.items() if look is not None}
        if not parts:
            raise InvalidInputError(
                "compose: no look given; expected lips=, skin=, eyes= or brows="
            )
        for region, look in parts.items():
            if region not in look.regions:
                raise InvalidInputError(
                    f"compose: look {look.title!r} has no makeup for {region.name.lower()}"
                )
        mixed = mix({region: [(look.makeup, 1.0)] for region, look in parts.items()})
        return cls(mixed, frozenset(parts), title)

    def under(self, other: "Look") -> "Look":
        """This look, with the regions of another in the place of its own."""
        parts = dict.fromkeys(self.regions, self) | dict.fromkeys(other.regions, other)
        mixed = mix({region: [(look.makeup, 1.0)] for region, look in parts.items()})
        return Look(mixed, frozenset(parts), self.title)

    def only(self, regions: Iterable[Region]) -> "Look":
        """The same look restricted to some regions."""
        return replace(self, regions=self.regions & frozenset(regions))

    def to_bytes(self) -> bytes:
        """The content of a look file: a NumPy archive without objects, some 50 KB."""
        head = {
            "format": _FORMAT,
            "title": self.title,
            "regions": sorted(region.name.lower() for region in self.regions),
        }
        arrays = {name: getattr(self.makeup, name) for name in _ARRAYS}
        arrays["fields"] = arrays["fields"].astype(np.float16)
        buffer = io.BytesIO()
        text = np.frombuffer(json.dumps(head).encode(), np.uint8)
        np.savez_compressed(buffer, head=text, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> "Look":
        """The inverse of `to_bytes`; `name` stands for the data in messages.

        Raises:
            BundleError: corrupt or foreign data.
        """
        if len(data) > _MAX_FILE_BYTES:
            raise BundleError(f"{name}: larger than 8 MiB; this is no look file")
        try:
            return _read(data)
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise BundleError(
                f"{name}: not a look file or damaged ({error}); "
                "make it again with `makeup look encode`"
            ) from None

    def save(self, path: str | Path) -> None:
        """Write a look file, whole or not at all."""
        write_atomically(Path(path), self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> "Look":
        """Read a look file.

        Raises:
            BundleError: missing, corrupt or foreign file.
        """
        path = Path(path)
        if not path.is_file():
            raise BundleError(f"{path}: no such look file; make one with `makeup look encode`")
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise BundleError(f"{path}: larger than 8 MiB; this is no look file")
        return cls.from_bytes(path.read_bytes(), str(path))


def _area(face: Detection) -> float:
    x0, y0, x1, y1 = face.box
    return float((x1 - x0) * (y1 - y0))


def _read(data: bytes) -> Look:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MAX_FILE_BYTES:
            raise ValueError("it unpacks to more than 8 MiB")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        head: dict[str, Any] = json.loads(archive["head"].tobytes().decode())
        if head["format"] != _FORMAT:
            raise ValueError(f"format {head['format']!r}, this release reads {_FORMAT}")
        arrays = {name: archive[name] for name in _ARRAYS}
    for name, (shape, kind) in _ARRAYS.items():
        array = arrays[name]
        stored = (np.float16, np.float32) if kind is np.float32 else (kind,)
        if array.shape != shape or array.dtype not in stored:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {kind} {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has NaN or infinity")
        arrays[name] = array.astype(kind)
    regions = frozenset(Region[name.upper()] for name in head["regions"]) - {Region.NONE}
    return Look(MakeupFields(**arrays), regions, str(head["title"]))
