"""Put parts of a reference face on a source face: the reference's pixels, in the source's pose and
light.

A thin-plate spline of the landmarks maps the source's pixels to the reference. The copied pixels
are matched to the source's light: lips and eyes keep some of their own colour, skin takes on the
source's complexion, so that no edge is visible.
"""

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, NoFaceError, Region
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.cosmetics.light import SkinLight
from makeup_sdk.faces.light import from_log, luminance, to_log
from makeup_sdk.faces.tone import SkinTone
from makeup_sdk.faces.types import FaceAnalysis, WorkedOut
from makeup_sdk.models.papers.portrait_label import PARTS
from makeup_sdk.models.papers.psgan_pose import thin_plate_places

_SKIN, _INSIDE, _HAIR = 1, 8, 10
_MOUTH_EDGE, _EYE_EDGE, _SKIN_EDGE = 1.2, 3.0, 3.5
"""Softness of the parts' edges: standard deviation in crop pixels."""
_SKIN_AROUND = 1.5
"""Crop pixels over which the light correction blends from skin to lips and eyes."""
_REACH = (48.0, 14.0)
"""Radii in crop pixels of the averages of the surrounding skin's light, far and near."""
_COARSE = 4
"""Cell size of these averages in crop pixels."""
_LAMP_SHARE = 0.5
"""Weight of the colour of lips and eyes relative to the illuminant, against that relative to the
skin. A single photo does not tell how dark a skin is, so neither alone is reliable."""
_LEAST_CONTRAST = 0.5
"""Minimum factor on the contrast of skin in hard light."""
_OPEN = 0.5
"""Fraction of an open mouth that must also be open on the reference to transfer teeth."""
_MOST_COLOR = 0.5
"""Maximum change of a channel's log light between the two lights: in a picture of one colour, the
other channels are noise."""


@dataclass(frozen=True)
class Portrait:
    """A face in its photo, and its label.

    Attributes:
        image: uint8 (H, W, 3), BGR.
        face: its analysis.
        label: uint8 (256, 256), 11 classes, of the crop.
        hair: float32 (256, 256), the parser's probability of hair or beard.
        tone: its bare skin.
        lamp: float32 (3,), log of the illuminant, B, G, R.
    """

    image: Image
    face: FaceAnalysis
    label: NDArray[np.uint8]
    hair: FloatArray
    tone: SkinTone
    lamp: FloatArray

    @classmethod
    def of(
        cls, image: Image, face: FaceAnalysis, label: NDArray[np.uint8], hair: FloatArray
    ) -> "Portrait":
        """Create a portrait; measures the face's light.

        Raises:
            NoFaceError: too little of its skin is visible.
        """
        tone = SkinTone.fit(to_log(face.crop), face.regions)
        if tone is None:
            raise NoFaceError(
                "too little of the face's skin is visible to tell its light; use a photo in which "
                "nothing covers it"
            )
        points = face.crop_landmarks.astype(np.float64)
        light = SkinLight.measure(face.crop, points, face.regions)
        return cls(image, face, label, hair, tone, np.log(light.color).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Canvas:
    """The image area of a collage: a box of the photo, or the crop.

    Attributes:
        size: width and height.
        matrix: float64 (2, 3), canvas pixel to crop pixel.
    """

    size: tuple[int, int]
    matrix: NDArray[np.float64]

    @classmethod
    def of_crop(cls) -> "Canvas":
        """The crop."""
        return cls((CROP_SIZE, CROP_SIZE), np.eye(2, 3))

    def spread(self, values: FloatArray, *, border: int = cv2.BORDER_REPLICATE) -> FloatArray:
        """Resample a map of the crop (256, 256, …) to the canvas."""
        return np.asarray(
            cv2.warpAffine(
                values, self.matrix, self.size,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border,
            ),
            np.float32,
        )  # fmt: skip

    def sampled(self, portrait: Portrait, places: FloatArray) -> Image:
        """Pixels of a photo at places (256, 256, 2) in its face's crop."""
        inverse = np.asarray(cv2.invertAffineTransform(portrait.face.matrix), np.float64)
        image, scale = portrait.image, self._shrinking(portrait)
        if scale < 1:
            image = np.asarray(
                cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
            )
        there = places @ inverse[:, :2].T.astype(np.float32) + inverse[:, 2].astype(np.float32)
        there = (there + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)
        grid = self.spread(there.astype(np.float32))
        return np.asarray(
            cv2.remap(image, grid, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8
        )

    def _shrinking(self, portrait: Portrait) -> float:
        """Scale at which a face has about as many pixels in a photo as on the canvas."""
        own = np.sqrt(abs(np.linalg.det(self.matrix[:, :2])))
        other = np.sqrt(abs(np.linalg.det(portrait.face.matrix[:, :2])))
        ratio = float(other / own)
        return ratio if ratio < 0.75 else 1.0


@dataclass(frozen=True)
class WarpedReference(WorkedOut):
    """A reference warped onto a source's crop, in the source's light; shared by all parts.

    Attributes:
        reference: the reference.
        places: float32 (256, 256, 2): for each pixel of the source's crop, the pixel of the
            reference's crop.
        shown: uint8 (256, 256): classes of the reference at the places.
        contrast: float32 (256, 256): factor on the log light of the copied pixels.
        light: float32 (256, 256, 3): then added to the log light.
    """

    reference: Portrait
    places: FloatArray
    shown: NDArray[np.uint8]
    contrast: FloatArray
    light: FloatArray

    @classmethod
    def of(cls, source: Portrait, reference: Portrait, places: FloatArray) -> "WarpedReference":
        """Warp a reference onto a source.

        Args:
            source, reference: the two faces.
            places: from `places_of`, adapted if the label was redrawn.
        """
        shown = cv2.remap(
            reference.label, places, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT
        )
        crop = Canvas.of_crop().sampled(reference, places)
        contrast, light = _matched_light(source, reference, to_log(crop), shown)
        return cls(reference, places, shown, contrast, light)

    def lit(self, canvas: Canvas) -> FloatArray:
        """float32 (h, w, 3): its pixels on a canvas, BGR, in the source's light."""
        return self.once(canvas, partial(self._lit, canvas))

    def _lit(self, canvas: Canvas) -> FloatArray:
        copied = to_log(canvas.sampled(self.reference, self.places))
        shown = canvas.spread(self.contrast)[..., None] * copied + canvas.spread(self.light)
        return from_log(shown).astype(np.float32)


@dataclass(frozen=True)
class WarpedPart:
    """A part of a reference, prepared on the source's crop.

    Attributes:
        warped: the reference.
        share: float32 (256, 256) in [0, 1]: opacity.
    """

    warped: WarpedReference
    share: FloatArray

    def put(self, image: Image, canvas: Canvas) -> Image:
        """Blend the part into a picture of the canvas."""
        share = canvas.spread(self.share, border=cv2.BORDER_CONSTANT)[..., None]
        mixed = image + share * (self.warped.lit(canvas) - image)
        return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def places_of(source: Portrait, reference: Portrait) -> FloatArray:
    """float32 (256, 256, 2): for each pixel of the source's crop, the reference's crop pixel."""
    own, other = source.face.crop_landmarks, reference.face.crop_landmarks
    return thin_plate_places(own, other, CROP_SIZE)


def warped_part(
    part: str, source: Portrait, warped: WarpedReference, label: NDArray[np.uint8]
) -> WarpedPart:
    """Prepare a part of a reference for a source.

    Args:
        part: one of `PARTS`.
        source: the face.
        warped: the reference on it.
        label: uint8 (256, 256): target positions of the parts on the source.
    """
    if part == "mouth":
        share = _mouth_share(label, warped.shown)
    elif part == "eyes":
        share = _eye_share(source, label, warped.shown)
    else:
        share = _skin_share(label, warped.shown)
    return WarpedPart(warped, share)


def _matched_light(
    source: Portrait, reference: Portrait, copied: FloatArray, shown: NDArray[np.uint8]
) -> tuple[FloatArray, FloatArray]:
    """Contrast (256, 256) and light (256, 256, 3) that match copied pixels to the source's light.

    Args:
        source, reference: the two faces.
        copied: float32 (256, 256, 3), log light of the reference's pixels on the source's crop.
        shown: uint8 (256, 256), their classes.
    """
    own = to_log(source.face.crop)
    own_skin, copied_skin = source.label == _SKIN, shown == _SKIN
    own_mean, copied_mean = _around(own, own_skin), _around(copied, copied_skin)
    rough = [
        _spread_of(luminance(light - mean), here) if here.any() else 1.0
        for light, mean, here in ((own, own_mean, own_skin), (copied, copied_mean, copied_skin))
    ]
    contrast = float(np.clip(rough[0] / max(rough[1], 1e-3), _LEAST_CONTRAST, 1.0))
    is_skin = softened(np.isin(shown, PARTS["skin"]).astype(np.float32), _SKIN_AROUND)[..., None]
    contrast = is_skin * np.float32(contrast) + (1 - is_skin)
    of_skin = own_mean - contrast * copied_mean
    lamps = source.lamp - reference.lamp
    lamps = lamps + (own_mean - source.tone.mean) - (copied_mean - reference.tone.mean)
    own_color = _LAMP_SHARE * lamps + (1 - _LAMP_SHARE) * of_skin
    light = is_skin * of_skin + (1 - is_skin) * own_color
    grey = light.mean(axis=2, keepdims=True)
    light = grey + np.clip(light - grey, -_MOST_COLOR, _MOST_COLOR)
    return np.asarray(contrast[..., 0], np.float32), np.asarray(light, np.float32)


def _around(light: FloatArray, skin: NDArray[np.bool_]) -> FloatArray:
    """float32 (256, 256, 3): mean light of the skin around each pixel, from near and from far."""
    side = (CROP_SIZE // _COARSE, CROP_SIZE // _COARSE)
    weight = cv2.resize(skin.astype(np.float32), side, interpolation=cv2.INTER_AREA)
    lit = cv2.resize(light * skin[..., None], side, interpolation=cv2.INTER_AREA)
    mean = cv2.mean(light, skin.astype(np.uint8) if skin.any() else None)[:3]
    result = np.broadcast_to(mean, lit.shape).astype(np.float32)
    for reach in _REACH:
        near = softened(weight, reach / _COARSE)[..., None]
        known = np.clip(3 * near, 0, 1)
        found = softened(lit, reach / _COARSE) / np.maximum(near, 1e-3)
        result = known * found + (1 - known) * result
    return np.asarray(cv2.resize(result, (CROP_SIZE, CROP_SIZE)), np.float32)


def _spread_of(values: FloatArray, here: NDArray[np.bool_]) -> float:
    """Standard deviation of the values at some pixels."""
    _, deviation = cv2.meanStdDev(values, mask=here.astype(np.uint8))
    return float(deviation[0, 0])


def _mouth_share(label: NDArray[np.uint8], shown: NDArray[np.uint8]) -> FloatArray:
    """Opacity of lips, and of the inside of the mouth where both mouths are open."""
    mouth, inside = np.isin(label, PARTS["mouth"]), label == _INSIDE
    open_too = inside.any() and (shown[inside] == _INSIDE).mean() > _OPEN
    closed = inside & (shown != _INSIDE) if open_too else inside
    there = (mouth & ~closed).astype(np.uint8)
    there = cv2.dilate(there, np.ones((5, 5), np.uint8)) * ~closed
    return softened(there.astype(np.float32), _MOUTH_EDGE)


def _eye_share(source: Portrait, label: NDArray[np.uint8], shown: NDArray[np.uint8]) -> FloatArray:
    """Opacity of eyes and lids."""
    eyes = np.isin(label, PARTS["eyes"])
    closed = eyes & ~np.isin(shown, PARTS["eyes"])
    lids = source.face.regions == Region.EYES
    near = cv2.dilate(eyes.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    there = (lids | near) & ~np.isin(label, (2, 3, _HAIR))
    soft = softened(there.astype(np.float32), _EYE_EDGE)
    return soft * (1 - softened(closed.astype(np.float32), 1.0))


def _skin_share(label: NDArray[np.uint8], shown: NDArray[np.uint8]) -> FloatArray:
    """Opacity of skin, nose and brows, fading inwards at the border."""
    there = np.isin(label, PARTS["skin"]) & np.isin(shown, PARTS["skin"])
    core = cv2.erode(there.astype(np.uint8), np.ones((5, 5), np.uint8))
    soft = softened(core.astype(np.float32), _SKIN_EDGE)
    return np.asarray(soft * np.isin(label, PARTS["skin"]), np.float32)


def softened(values: FloatArray, sigma: float) -> FloatArray:
    """Gaussian blur of a map (H, W) or (H, W, C); `sigma` in pixels."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)
