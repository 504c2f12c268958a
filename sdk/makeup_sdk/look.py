"""Looks: the makeup of a reference, ready to be worn."""

import io
import json
import math
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeup_engines.files import as_path, write_atomically
from makeup_kernels import BundleError, InvalidInputError, NoFaceError, Region
from makeup_kernels.types import Image
from makeup_sdk.arguments import as_number, as_regions, as_title
from makeup_sdk.colors import parse_color
from makeup_sdk.faces import BundledFaceAnalyzer, Detection, FaceAnalysis, FaceAnalyzer
from makeup_sdk.faces.demo_face import demo_face
from makeup_sdk.images import check_frame, read_image
from makeup_sdk.makeup.appearance import Appearance
from makeup_sdk.makeup.base import MAKEUP_REGIONS, Makeup
from makeup_sdk.makeup.fields import MakeupFields
from makeup_sdk.makeup.references import MAX_FACES, References
from makeup_sdk.makeup.style import STYLE_REGIONS, Style
from makeup_sdk.models.base import Model, Painter
from makeup_sdk.models.classic.color_card import from_colors
from makeup_sdk.models.classic.paint import ClassicPainter
from makeup_sdk.models.registry import DEFAULT_MODEL, MAKEUPS, open_model

_FORMAT = 1
_MIN_SCORE = 0.5
_REFERENCE_FACES = 16
_MAX_FILE_BYTES = 8 << 20
_LONGEST_TITLE = 1000


@dataclass(frozen=True, eq=False)
class Look:
    """The makeup of a reference photo or colour card; immutable, small, independent of any face.

    Attributes:
        makeup: what a model needs to paint it.
        regions: the regions it has makeup for.
        title: what to call it; control characters are left out.
        reference: the faces it was read from, so that other models can read them too; None for
            colours, and after a look file unless the makeup itself consists of faces.
    """

    makeup: Makeup
    regions: frozenset[Region]
    title: str
    reference: References | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", as_title(self.title))

    @classmethod
    def from_photo(
        cls,
        photo: str | Path | NDArray[np.uint8],
        *,
        title: str | None = None,
        model: str | Path | Model = DEFAULT_MODEL,
        analyzer: FaceAnalyzer | None = None,
    ) -> "Look":
        """Read the makeup of a reference photo; of several faces, the largest wears it.

        Args:
            photo: path of an image file, or a BGR frame uint8 (H, W, 3).
            title: default: the file's name.
            model: reads the makeup: a name, or `engine.model`. An engine of another model reads
                the photo again when the look is put on.
            analyzer: finds the face; default the bundled one.

        Raises:
            InvalidInputError: no readable image, or a model that takes no reference.
            NoFaceError: no usable face in it.
        """
        model = open_model(model)
        name, frame = _named_frame(photo, "reference")
        if title is None and isinstance(photo, (str, Path)):
            title = Path(photo).stem
        face = _largest_face(name, frame, analyzer or BundledFaceAnalyzer())
        reference = References.of(face)
        return cls(model.encode(face), model.regions, title or "reference", reference)

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

        `classic` and `mobile` put on the colours themselves; other models, and mixtures with looks
        of photos, read them off a shipped face that wears them.

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
    def from_style(cls, name: str) -> "Look":
        """A style that a network has learned, for models without references (`region-gan`).

        Args:
            name: of the style, as its bundle has it; `engine.model` refuses unknown ones, and
                says which it knows.

        Raises:
            InvalidInputError: no text.
        """
        if not isinstance(name, str):
            raise InvalidInputError(f"style: got {type(name).__name__}, expected a name")
        return cls(Style(name), STYLE_REGIONS, name)

    @classmethod
    def bare(
        cls,
        photo: str | Path | NDArray[np.uint8] | None = None,
        *,
        analyzer: FaceAnalyzer | None = None,
    ) -> "Look":
        """Takes makeup off, on models that can (`ssat`), with the bare skin of another face.

        Args:
            photo: of a bare face, best of the same person: a path, or a BGR frame. By default each
                face borrows from the shipped bare face whose skin is nearest in colour.
            analyzer: finds the face; default the bundled one.

        Raises:
            InvalidInputError: no readable image.
            NoFaceError: no usable face in it.
        """
        analyzer = analyzer or BundledFaceAnalyzer()
        photos = [str(path) for path in _bare_photos()] if photo is None else [photo]
        faces = [
            _largest_face(*_named_frame(photo, "bare photo"), analyzer=analyzer) for photo in photos
        ]
        reference = References.of(*faces, bare=True)
        return cls(reference, frozenset(MAKEUP_REGIONS), "bare", reference)

    @classmethod
    def mix(cls, shares: "Mapping[Look, float]", *, title: str = "mix") -> "Look":
        """Average looks: `Look.mix({a: 0.7, b: 0.3})`. Shares are normalised to sum 1.

        A region is averaged over the looks that have makeup for it.

        Raises:
            InvalidInputError: no look, a negative or non-finite share, or all shares 0; looks that
                were made for different models.
        """
        if not isinstance(shares, Mapping):
            raise InvalidInputError(
                f"mix: got {type(shares).__name__}, expected a mapping such as {{a: 0.7, b: 0.3}}"
            )
        amounts = {_checked(look, "mix"): as_number(s, "mix: share") for look, s in shares.items()}
        total = sum(amounts.values())
        if not (0 < total < math.inf and min(amounts.values()) >= 0):
            raise InvalidInputError(
                f"mix: shares are {list(shares.values())}, expected numbers ≥ 0 with a finite sum "
                "that is not 0"
            )
        worn = {look: share / total for look, share in amounts.items() if share / total > 0}
        regions = frozenset().union(*(look.regions for look in worn))
        parts = {
            region: [(look, share) for look, share in worn.items() if region in look.regions]
            for region in sorted(regions)
        }
        return _mixed(parts, title)

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
            InvalidInputError: no look given, or one that has no makeup for its region; looks that
                were made for different models.
        """
        given = {Region.LIPS: lips, Region.SKIN: skin, Region.EYES: eyes, Region.BROWS: brows}
        parts = {
            region: _checked(look, f"compose: {region.name.lower()}")
            for region, look in given.items()
            if look is not None
        }
        if not parts:
            raise InvalidInputError(
                "compose: no look given; expected lips=, skin=, eyes= or brows="
            )
        for region, look in parts.items():
            if region not in look.regions:
                raise InvalidInputError(
                    f"compose: look {look.title!r} has no makeup for {region.name.lower()}"
                )
        return _mixed({region: [(look, 1.0)] for region, look in parts.items()}, title)

    def under(self, other: "Look") -> "Look":
        """This look, with the regions of another in the place of its own."""
        parts = dict.fromkeys(self.regions, self) | dict.fromkeys(other.regions, other)
        return _mixed({region: [(look, 1.0)] for region, look in parts.items()}, self.title)

    def only(self, regions: Region | str | Iterable[Region | str]) -> "Look":
        """The same look restricted to a region, or to several; also by name, `only("lips")`.

        Raises:
            InvalidInputError: no makeup region.
        """
        return replace(self, regions=self.regions & as_regions(regions, "only"))

    def made_for(self, model: Model) -> "Look":
        """This look as a model wears it: itself, or read again from its photos.

        Raises:
            InvalidInputError: it was made for another model, and not of photos.
            NoFaceError: the model cannot read a photo.
        """
        if self.makeup.kind == model.kind:
            return self
        if self.reference is None and self.makeup.kind in model.wears:
            return self
        return self._read_by(model)

    def _read_by(self, model: Model) -> "Look":
        """The look as a model reads it off its photos, or off a shipped face that wears it."""
        reference = self.reference or self._painted()
        if reference is None:
            raise InvalidInputError(
                f"look {self.title!r} holds makeup of kind {self.makeup.kind!r} and no photo; "
                f"model {model.name!r} wears {model.kind!r}; give it the reference photo itself, "
                f"or choose a model that wears {self.makeup.kind!r}"
            )
        if reference.bare:
            raise InvalidInputError(
                f"look {self.title!r} takes makeup off, which model {model.name!r} cannot do; "
                "use an ssat bundle"
            )
        makeup = reference.encoded(model.encode)
        return replace(self, makeup=makeup, regions=self.regions & model.regions)

    def _painted(self) -> References | None:
        """The demo face wearing it, if that takes no network."""
        if not isinstance(self.makeup, MakeupFields):
            return None
        return References.of(self._on_demo_face(ClassicPainter(self.makeup)))

    def swatch(self) -> Image:
        """A picture of the look, for people to see.

        Returns:
            uint8 (256, 256, 3), BGR: the demo face wearing it; of a look that holds whole reference
            faces, the first of them.

        Raises:
            InvalidInputError: a style, which has no picture before a network paints it.
        """
        if isinstance(self.makeup, References):
            return self.makeup.faces[0].crop
        if isinstance(self.makeup, Style):
            raise InvalidInputError(
                f"style {self.makeup.name!r} has no picture before a face wears it"
            )
        return self._on_demo_face(_shipped_model().painter(self.makeup)).crop

    def _on_demo_face(self, painter: Painter) -> FaceAnalysis:
        face = demo_face()
        picture = face.crop.copy()
        paint = painter.paint(face, dict.fromkeys(self.regions, 1.0))
        paint.put(picture, face, color="bgr", threads=None)
        return replace(face, crop=picture)

    def to_bytes(self) -> bytes:
        """The content of a look file: a NumPy archive without objects, some 50 KB.

        Looks of published models hold the reference faces themselves, some 130 KB each, for
        whoever opens the file to see.
        """
        head = {
            "format": _FORMAT,
            "kind": self.makeup.kind,
            "title": self.title,
            "regions": sorted(region.name.lower() for region in self.regions),
        }
        buffer = io.BytesIO()
        arrays: dict[str, Any] = self.makeup.to_arrays()
        arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
        np.savez_compressed(buffer, **arrays)
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
        except Exception as error:  # damaged zips, arrays and JSON raise nearly anything
            raise BundleError(
                f"{name}: not a look file or damaged ({error}); "
                "make it again with `makeup look encode`"
            ) from None

    def save(self, path: str | Path) -> None:
        """Write a look file, whole or not at all.

        Raises:
            OutputError: the disk is full, or the place is a directory or closed to us.
        """
        write_atomically(as_path(path, "look file"), self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> "Look":
        """Read a look file.

        Raises:
            BundleError: missing, corrupt or foreign file.
        """
        path = as_path(path, "look file")
        if not path.is_file():
            raise BundleError(f"{path}: no such look file; make one with `makeup look encode`")
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise BundleError(f"{path}: larger than 8 MiB; this is no look file")
        return cls.from_bytes(path.read_bytes(), str(path))


def _checked(look: object, name: str) -> Look:
    if not isinstance(look, Look):
        raise InvalidInputError(f"{name}: got {type(look).__name__}, expected a Look")
    return look


@cache
def _shipped_model() -> Model:
    """The default model, which wears photos and colours."""
    return open_model(DEFAULT_MODEL)


def _bare_photos() -> list[Path]:
    """The shipped bare faces."""
    folder = Path(__file__).parent / "assets" / "demo"
    listing = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    return [folder / p["file"] for p in listing["pictures"] if p["role"] == "source"]


def _named_frame(photo: str | Path | NDArray[np.uint8], name: str) -> tuple[str, NDArray[np.uint8]]:
    """A photo and its name in messages: its path, or `name`."""
    if isinstance(photo, (str, Path)):
        return str(photo), read_image(photo)
    return name, check_frame(photo, name)


def _largest_face(name: str, frame: NDArray[np.uint8], analyzer: FaceAnalyzer) -> FaceAnalysis:
    faces = analyzer.detect(frame, _REFERENCE_FACES)
    face = analyzer.analyze(frame, max(faces, key=_area)) if faces else None
    if face is None or face.score < _MIN_SCORE:
        raise NoFaceError(
            f"{name}: no face found in {frame.shape[1]}x{frame.shape[0]} pixels; "
            "use a photo in which the made-up face is large, uncovered and looks at the camera"
        )
    return face


def _area(face: Detection) -> float:
    x0, y0, x1, y1 = face.box
    return float((x1 - x0) * (y1 - y0))


def _mixed(parts: Mapping[Region, list[tuple[Look, float]]], title: str) -> Look:
    """Looks averaged region by region; with their photos if all have some.

    Colours among photos that `mobile` has read are read by it too.
    """
    looks = [look for shares in parts.values() for look, _ in shares]
    kinds = sorted({look.makeup.kind for look in looks})
    if kinds == [MakeupFields.kind, Appearance.kind]:
        model = open_model("mobile")
        read = {
            look: look if look.makeup.kind == model.kind else look._read_by(model) for look in looks
        }
        parts = {region: [(read[look], share) for look, share in p] for region, p in parts.items()}
        looks = list(read.values())
    elif len(kinds) > 1:
        raise InvalidInputError(
            f"looks of different kinds ({', '.join(kinds)}) cannot be mixed; make them for one "
            "model first: look.made_for(engine.model)"
        )
    mixed = type(looks[0].makeup).mix(
        {region: [(look.makeup, share) for look, share in p] for region, p in parts.items()}
    )
    reference = mixed if isinstance(mixed, References) else _mixed_reference(parts)
    return Look(mixed, frozenset(parts), title, reference)


def _mixed_reference(parts: Mapping[Region, list[tuple[Look, float]]]) -> References | None:
    """The photos of looks, mixed; None if one has none, or if there are too many to keep."""
    mixed: dict[Region, list[tuple[References, float]]] = {}
    for region, shares in parts.items():
        mixed[region] = []
        for look, share in shares:
            if look.reference is None:
                return None
            mixed[region].append((look.reference, share))
    faces = {id(face) for shares in mixed.values() for part, _ in shares for face in part.faces}
    return References.mix(mixed) if len(faces) <= MAX_FACES else None


def _read(data: bytes) -> Look:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MAX_FILE_BYTES:
            raise ValueError("it unpacks to more than 8 MiB")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    head: dict[str, Any] = json.loads(arrays["head"].tobytes().decode())
    if head["format"] != _FORMAT:
        raise ValueError(f"format {head['format']!r}, this release reads {_FORMAT}")
    kind = head.get("kind", MakeupFields.kind)
    if kind not in MAKEUPS:
        raise ValueError(f"kind {kind!r}, this release reads {', '.join(MAKEUPS)}")
    makeup = MAKEUPS[kind].from_arrays(arrays)
    regions = frozenset(Region[name.upper()] for name in head["regions"]) - {Region.NONE}
    reference = makeup if isinstance(makeup, References) else None
    title = head["title"]
    if not isinstance(title, str) or len(title) > _LONGEST_TITLE:
        raise ValueError(f"title is {str(title)[:40]}, expected at most {_LONGEST_TITLE} letters")
    return Look(makeup, regions, title, reference)
