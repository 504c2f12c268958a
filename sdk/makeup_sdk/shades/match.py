"""Match a catalogue's shades to the makeup or the skin of a face."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from makeup_kernels import InvalidInputError, NoFaceError, Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.cosmetics.axes import Eye
from makeup_sdk.cosmetics.light import (
    REFLECTANCE_ERROR,
    SkinLight,
    kubelka_munk,
    linear_color,
    luminance,
    skin_color,
    to_linear,
)
from makeup_sdk.cosmetics.view import FaceView
from makeup_sdk.faces import FaceAnalysis, FaceAnalyzer
from makeup_sdk.makeup.products import PRODUCTS, Product, nearest
from makeup_sdk.shades.catalogue import Shade
from makeup_sdk.shades.color_difference import ciede2000, lab_of
from makeup_sdk.shades.try_on import found_face

_LIPS_IN_SKIN = np.array([0.72, 0.55, 0.78], np.float32)
"""Mean reflectance of bare lips relative to skin: blue, green, red."""
_IN_SHADE = {"lipstick": 0.74, "eyeshadow": 0.88}
"""Light there, relative to the cheeks."""
_LEAST_PIXELS = 40


@dataclass(frozen=True)
class ShadeMatch:
    """The distance of a shade.

    Attributes:
        shade: the shade.
        distance: CIEDE2000 between the seen colour and the shade's predicted colour, under white
            light.
        uncertainty: one standard deviation of the distance, because the strength of the light is
            estimated from the face.
    """

    shade: Shade
    distance: float
    uncertainty: float


def match_shades(
    photo: Image,
    shades: Iterable[Shade],
    product: str = "lipstick",
    *,
    analyzer: FaceAnalyzer | None = None,
) -> list[ShadeMatch]:
    """Rank a catalogue's shades of one product by their distance to the makeup of a face.

    For "foundation" the face should be bare; shades are compared with the skin.

    Args:
        photo: uint8 (H, W, 3), BGR.
        shades: the catalogue; other products in it are ignored.
        product: "lipstick", "eyeshadow" or "foundation".
        analyzer: finds the face; default the bundled one.

    Returns:
        matches, nearest first.

    Raises:
        InvalidInputError: another product, or no shade of it.
        NoFaceError: no face, or too little of the area is visible.
    """
    if product not in _SEEN:
        raise InvalidInputError(f"product: got {product!r}; {nearest(product, _SEEN)}")
    candidates = [shade for shade in shades if type(shade.product) is PRODUCTS[product]]
    if not candidates:
        raise InvalidInputError(f"shades: none of them is a {product}")
    face = found_face(photo, analyzer)
    view = _view(face, product)
    seen = _SEEN[product](view)
    spread = []
    for step in (-1.0, 0.0, 1.0):
        reflectance = view.light.reflectance * float(np.exp(step * REFLECTANCE_ERROR))
        light = SkinLight.of(view.light.skin, reflectance, view.light.side)
        found = lab_of(_reflectance(seen, light, product))
        wanted = lab_of(np.stack([_worn(s.product, product, reflectance) for s in candidates]))
        spread.append(ciede2000(np.broadcast_to(found, wanted.shape), wanted))
    doubt = np.abs(spread[2] - spread[0]) / 2
    order = np.argsort(spread[1], kind="stable")
    return [ShadeMatch(candidates[i], float(spread[1][i]), float(doubt[i])) for i in order]


def _view(face: FaceAnalysis, product: str) -> FaceView:
    """The face's view; ignores lips with lipstick when estimating the skin's lightness."""
    points = face.crop_landmarks.astype(np.float64)
    regions = face.regions
    if product == "lipstick":
        regions = np.where(regions == Region.LIPS, np.uint8(Region.NONE), regions)
    light = SkinLight.measure(face.crop, points, regions)
    return FaceView.of(face, light)


def _lips(view: FaceView) -> FloatArray:
    """float32 (3,): median light of the lips, without their highlights and folds."""
    lips = view.share(Region.LIPS, 1.5, np.eye(2, 3), view.regions.shape)
    return _middle(to_linear(view.crop[lips > 0.8]), "lips")


def _lids(view: FaceView) -> FloatArray:
    """float32 (3,): median light of the lids next to the lashes."""
    pixels = []
    for left in (True, False):
        eye = Eye(view, left, 24.0)
        height = (eye.v - eye.lid) / eye.room
        lid = (height > 0.06) & (height < 0.3) & (eye.t > 0.25) & (eye.t < 0.85)
        seen = view.warped(view.visible, eye.matrix, eye.shape) > 0.7
        pixels.append(view.bare(eye.matrix, eye.shape)[lid & seen])
    return _middle(np.concatenate(pixels), "lids")


def _middle(pixels: FloatArray, place: str) -> FloatArray:
    if len(pixels) < _LEAST_PIXELS:
        raise NoFaceError(
            f"photo: too little of the {place} is seen; use a photo in which they are larger and "
            "uncovered"
        )
    y = luminance(pixels)
    low, high = np.percentile(y, (25, 75))
    middle: FloatArray = np.median(pixels[(y >= low) & (y <= high)], axis=0)
    return middle


def _skin(view: FaceView) -> FloatArray:
    return view.light.skin


_SEEN: dict[str, Callable[[FaceView], FloatArray]] = {
    "lipstick": _lips,
    "eyeshadow": _lids,
    "foundation": _skin,
}
"""Function that measures the area of each product."""


def _reflectance(seen: FloatArray, light: SkinLight, product: str) -> FloatArray:
    """Reflectance of an area, from its seen colour and the light."""
    found: FloatArray = seen / (light.color * np.float32(_IN_SHADE.get(product, 1.0)))
    return found


def _worn(product: Product, name: str, reflectance: float) -> FloatArray:
    """float32 (3,): reflectance of a shade applied on skin or lips."""
    values = vars(product)
    color = linear_color(str(values["color"])) if values["color"] else skin_color(reflectance)
    if name == "foundation":
        return color
    ground = skin_color(reflectance)
    if name == "lipstick":
        ground = ground * _LIPS_IN_SKIN
    opacity = np.float32(float(values["opacity"]) * float(values["intensity"]))
    return kubelka_munk(ground, color, np.full(1, opacity, np.float32))
