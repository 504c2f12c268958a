"""Try every shade of a catalogue on one photo."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from makeup_kernels import CROP_SIZE, InvalidInputError, NoFaceError
from makeup_kernels.types import Image
from makeup_sdk.faces import BundledFaceAnalyzer, FaceAnalysis, FaceAnalyzer
from makeup_sdk.images import check_frame
from makeup_sdk.makeup.base import MAKEUP_REGIONS
from makeup_sdk.models.base import Strength
from makeup_sdk.models.products.paint import ProductsPainter, measured
from makeup_sdk.shades.catalogue import Shade

_TILE, _CAPTION = 224, 38
_MOST_TILES = 4000
_PAPER, _INK = (255, 255, 255), (40, 40, 40)


@dataclass(frozen=True)
class TriedShade:
    """A photo with one shade.

    Attributes:
        shade: the shade.
        image: uint8 (H, W, 3), BGR: the photo with the shade.
        face: the analysed face.
    """

    shade: Shade
    image: Image
    face: FaceAnalysis


def try_on(
    shades: Iterable[Shade],
    photo: Image,
    *,
    strength: float = 1.0,
    analyzer: FaceAnalyzer | None = None,
) -> Iterator[TriedShade]:
    """Put each shade on the most confident face of a photo, and yield the results one by one.

    Args:
        shades: the shades to try.
        photo: uint8 (H, W, 3), BGR; not modified.
        strength: in [0, 1.5].
        analyzer: finds the face; default the bundled one.

    Raises:
        InvalidInputError: the photo has the wrong dtype or shape, or strength is out of range.
        NoFaceError: no face in the photo.
    """
    if not 0 <= strength <= 1.5:
        raise InvalidInputError(f"strength: got {strength}, expected a number in [0, 1.5]")
    face = found_face(photo, analyzer)
    light = measured(face)
    amounts: Strength = dict.fromkeys(MAKEUP_REGIONS, strength)
    for shade in shades:
        image = np.array(photo, order="C")
        paint = ProductsPainter([shade.product]).paint_over(face, face.crop, light, amounts)
        paint.put(image, face, color="bgr", threads=None)
        yield TriedShade(shade, image, face)


def sheet(tried: Iterable[TriedShade], columns: int = 0) -> Image:
    """A contact sheet: one tile per shade, with its sku, name and colour.

    Args:
        tried: results of `try_on`.
        columns: tiles per row; 0 makes the sheet about square.

    Returns:
        uint8 (H, W, 3), BGR.

    Raises:
        InvalidInputError: no shade, or more than 4000.
    """
    tiles = []
    for entry in tried:
        tiles.append(_tile(entry))
        if len(tiles) > _MOST_TILES:
            raise InvalidInputError(f"sheet: expected at most {_MOST_TILES} shades; split them")
    if not tiles:
        raise InvalidInputError("sheet: got no shade, expected at least one")
    columns = columns or int(np.ceil(np.sqrt(len(tiles) * (_TILE + _CAPTION) / _TILE)))
    columns = min(columns, len(tiles))
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.asarray(np.vstack(rows), np.uint8)


def found_face(photo: Image, analyzer: FaceAnalyzer | None) -> FaceAnalysis:
    """The most confident face of a photo.

    Raises:
        InvalidInputError: the photo has the wrong dtype or shape.
        NoFaceError: no face found.
    """
    photo = check_frame(photo, "photo")
    analyzer = analyzer or BundledFaceAnalyzer()
    found = analyzer.detect(photo, 1)
    if not found:
        raise NoFaceError(
            f"photo: no face found in {photo.shape[1]}x{photo.shape[0]} pixels; use a photo in "
            "which the face is large, uncovered and looks at the camera"
        )
    return analyzer.analyze(photo, found[0])


def _tile(entry: TriedShade) -> Image:
    scale = _TILE / CROP_SIZE
    matrix = entry.face.matrix * scale
    picture = cv2.warpAffine(
        entry.image, matrix, (_TILE, _TILE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    tile = Pillow.new("RGB", (_TILE, _TILE + _CAPTION), _PAPER)
    tile.paste(Pillow.fromarray(np.ascontiguousarray(picture[..., ::-1])), (0, 0))
    draw = ImageDraw.Draw(tile)
    color = str(vars(entry.shade.product).get("color") or "#ffffff")
    draw.rectangle((6, _TILE + 6, 30, _TILE + 31), fill=color, outline=_INK)
    font = ImageFont.load_default(12)
    for row, text in enumerate((entry.shade.sku, entry.shade.name)):
        draw.text((37, _TILE + 4 + 15 * row), _shortened(text, font), fill=_INK, font=font)
    return np.ascontiguousarray(np.asarray(tile)[..., ::-1])


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """A text, truncated with an ellipsis to fit into a caption."""
    room = _TILE - 44
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"
