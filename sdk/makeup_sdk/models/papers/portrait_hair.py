"""Another person's hair on a head: the reference's pixels, in the source's pose and light.

The reference's head is brought onto the source's by the landmarks. Its hair lies in front of
everything; where the source's own hair is not covered by it, the reference's skin appears on the
head, and elsewhere the background continued from around (`portrait_ground`).
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError
from makeup_kernels.head import HEAD_CELL, HEAD_SIZE
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.cosmetics.maps import smoothstep
from makeup_sdk.faces.light import from_log, to_log
from makeup_sdk.models.papers.portrait_collage import Canvas, softened
from makeup_sdk.models.papers.portrait_ground import (
    BROWS_TO_MOUTH,
    EYES_TO_MOUTH,
    ROOM,
    Ground,
    Worn,
    inner_face,
)
from makeup_sdk.models.papers.portrait_hair_checks import check_swap
from makeup_sdk.models.papers.portrait_head import (
    FACE,
    FRAME,
    IN_FRAME,
    REST,
    SHIFT,
    Head,
    diffused,
    frame_canvas,
    opacity,
)
from makeup_sdk.models.papers.psgan_pose import thin_plate_places

_OUTLINE = [*range(17), *range(17, 27), *range(27, 31), *range(36, 48)]
"""Landmarks that place the hair: jaw, brows, bridge of the nose and eyes, not the mouth."""
_STRETCH = (0.82, 1.22)
"""Smallest and largest scale of the reference's head to the source's, per axis."""
_LAMP_SHARE = 0.7
"""Weight of the illuminant in the light of hair, against that of the skin."""
_MOST_LIGHT, _MOST_COLOR = 0.5, 0.2
"""Maximum change of the hair's log light: of the mean of the channels, and of one against it."""
_BAND = 1 << 20
"""Pixels of the photo that are painted at once."""
_SHADE, _TIPS = 45, 25
"""Width in pixels of the shade that hair casts on the face, and of its tips that are overlooked."""
_SLIT = 17
"""Maximum width in pixels of slits that are filled, beside the face from the brows down."""
_EDGE = 11
"""Width in pixels of the edge of hair, whose pixels may be of the background."""
_APART = (40.0, 90.0)
"""Distances of the colours of hair and background, in levels, from and at which they decide."""
_FAINTEST = 0.015
"""Opacity below which nothing is painted."""
_CONTINUED = (60.0, 35.0)
"""Pixels beyond the edge of its photo at which hair ends, and to which it goes on."""
_TOP = (0.12, 0.6)
"""Height of the hair above the edge of its photo, in half widths of the hair at the edge: at least,
and at most. Higher, too much of it is missing."""


@dataclass(frozen=True)
class HairSwap:
    """The hair of a reference, prepared for a source. All maps are of the source's frame.

    Attributes:
        reference: the reference's head.
        places: float32 (512, 512, 2): pixels of the reference's face crop.
        matte: float32 (512, 512, 4), see `Head`.
        allowed: float32 (512, 512), factor on the opacity.
        sure: float32 (512, 512): away from the edge between hair and background.
        fore, back: float32 (512, 512, 3): pixels of the hair and of what is behind it in the
            reference's photo, continued smoothly.
        gaps: float32 (512, 512): slits between new hair and face, where the source has hair;
            the new one's smooth colour fills them.
        light: float32 (3,), added to the log light of the hair.
        lifted: float32 (512, 512), opacity of `ground`.
        ground: what replaces the source's hair.
    """

    reference: Head
    places: FloatArray
    matte: FloatArray
    allowed: FloatArray
    sure: FloatArray
    fore: FloatArray
    back: FloatArray
    gaps: FloatArray
    light: FloatArray
    lifted: FloatArray
    ground: Ground

    @classmethod
    def of(cls, source: Head, reference: Head) -> "HairSwap":
        """Prepare a swap.

        Raises:
            InvalidInputError: the hair of one of them cannot be taken, or not be replaced.
        """
        places, cut, top = _within_photo(_places(source, reference), reference)
        grid = places + IN_FRAME

        def shown(values: FloatArray) -> FloatArray:
            border = cv2.BORDER_REPLICATE
            warped = cv2.remap(values, grid, None, cv2.INTER_LINEAR, borderMode=border)
            return np.asarray(warped, np.float32)

        guard = inner_face(source, BROWS_TO_MOUTH, ROOM)
        matte = shown(reference.matte)
        above = ~np.isnan(top)
        matte[above] = 0
        matte[above, 3] = top[above]
        hair = np.where(above, smoothstep(0.12, 0.88, np.nan_to_num(top)), shown(reference.hair))
        allowed = (1 - guard + guard * smoothstep(0.75, 0.98, hair)) * cut.kept
        worn = Worn(places, hair * allowed, shown(reference.shares))
        check_swap(source, reference, worn, cut.missing)
        lifted = _lifted(source, worn.hair, guard)
        pixels = reference.image.astype(np.float32)
        sure = cv2.erode(smoothstep(0.85, 0.98, reference.hair), np.ones((_EDGE, _EDGE), np.uint8))
        fore = shown(diffused(pixels, np.asarray(sure, np.float32)))
        face = (reference.shares[..., FACE] > 0.3).astype(np.float32)
        beside_face = cv2.dilate(face, np.ones((2 * _EDGE + 1, 2 * _EDGE + 1), np.uint8))
        back = shown(diffused(pixels, smoothstep(0.15, 0.02, reference.hair)))
        return cls(
            reference,
            places,
            matte,
            allowed,
            shown(softened(np.maximum(sure, beside_face), 2.0)),
            fore,
            back,
            _gaps(source, worn.hair),
            _light(source, reference),
            lifted,
            Ground.of(source, reference, worn, (lifted > _FAINTEST) & (worn.hair < 0.99)),
        )

    def put(self, image: Image, canvas: Canvas) -> Image:
        """Paint the hair on a picture of the canvas; returns a new picture."""
        result: Image = image.copy()
        width, height = canvas.size
        rows = max(1, _BAND // width)
        for top in range(0, height, rows):
            matrix = canvas.matrix.copy()
            matrix[:, 2] += matrix[:, 1] * top
            band = Canvas((width, min(rows, height - top)), matrix)
            here = slice(top, top + band.size[1])
            result[here] = self._painted(image[here], frame_canvas(band))
        return result

    def _painted(self, image: Image, canvas: Canvas) -> Image:
        copied = canvas.sampled(self.reference.portrait, self.places)
        none = cv2.BORDER_CONSTANT
        hair = opacity(canvas.spread(self.matte), copied) * canvas.spread(self.allowed, border=none)
        fore, back = canvas.spread(self.fore), canvas.spread(self.back)
        sure = canvas.spread(self.sure)
        hair *= sure + (1 - sure) * _unlike(copied, fore, back)
        hair[hair < _FAINTEST] = 0
        hair = hair[..., None]
        gaps = canvas.spread(self.gaps, border=none)[..., None]
        pure = fore + (1 - gaps) * hair * (copied - hair * fore - (1 - hair) * back)
        hair = np.maximum(hair, gaps)
        pure = np.clip(np.rint(pure), 0, 255).astype(np.uint8)
        lit = from_log(to_log(pure) + self.light).astype(np.float32)
        lifted = canvas.spread(self.lifted, border=none)
        lifted[lifted < _FAINTEST] = 0
        behind = image + lifted[..., None] * (self.ground.shown(canvas) - image)
        mixed = behind + hair * (lit - behind)
        return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def _unlike(copied: Image, fore: FloatArray, back: FloatArray) -> FloatArray:
    """Factor (h, w) on the opacity of pixels at the hair's edge: less, the more like the back.

    Args:
        copied: uint8 (h, w, 3), pixels of the reference.
        fore, back: float32 (h, w, 3), hair and background there.
    """
    apart = fore - back
    square = np.square(apart).sum(axis=2)
    along = ((copied - back) * apart).sum(axis=2) / np.maximum(square, 1.0)
    trust = smoothstep(*_APART, np.sqrt(square))
    return 1 - trust * (1 - smoothstep(0.1, 0.5, along))


def _places(source: Head, reference: Head) -> FloatArray:
    """float32 (512, 512, 2): for each pixel of the frame, one of the reference's face crop.

    A stretch along each axis fits the reference's face to the source's; a thin-plate spline, which
    is at rest at the frame's border, does what remains.
    """
    own = source.portrait.face.crop_landmarks[_OUTLINE].astype(np.float64)
    other = reference.portrait.face.crop_landmarks[_OUTLINE].astype(np.float64)
    middle, other_middle = own.mean(axis=0), other.mean(axis=0)
    spread = np.square(own - middle).sum(axis=0)
    scale = np.clip(((own - middle) * (other - other_middle)).sum(axis=0) / spread, *_STRETCH)
    alike = (other - other_middle) / scale + middle

    def in_head(points: NDArray[np.float64]) -> FloatArray:
        return np.asarray((points + SHIFT + 0.5) / HEAD_CELL - 0.5, np.float32)

    bent = thin_plate_places(in_head(own), in_head(alike), HEAD_SIZE)
    bent = cv2.resize(bent, (FRAME, FRAME), interpolation=cv2.INTER_LINEAR)
    crop = (bent + np.float32(0.5)) * np.float32(HEAD_CELL) - np.float32(0.5) - IN_FRAME
    return np.asarray((crop - middle) * scale + other_middle, np.float32)


class _Cut(NamedTuple):
    """Hair that the sides and the lower edge of its photo cut off.

    Attributes:
        kept: float32 (512, 512), factor on the opacity: a little of it is continued.
        missing: bool (512, 512): where it would go on.
    """

    kept: FloatArray
    missing: NDArray[np.bool_]


def _within_photo(places: FloatArray, reference: Head) -> tuple[FloatArray, _Cut, FloatArray]:
    """Places mirrored into the reference's photo.

    Hair that the upper edge of the photo cuts off is completed by a round top, whose strands are
    the mirrored ones.

    Returns:
        the places; what is cut off elsewhere; float32 (512, 512), share of hair above the photo's
        upper edge, NaN below it.
    """
    matrix = reference.portrait.face.matrix
    inverse = cv2.invertAffineTransform(matrix)
    height, width = reference.portrait.image.shape[:2]
    there = places @ inverse[:, :2].T + inverse[:, 2]
    last = np.array([width - 1, height - 1], np.float64)
    above = there[..., 1] < 0
    share, shrinking = _top_of_hair(there, reference)
    there[..., 1] = np.where(above, -shrinking * there[..., 1], there[..., 1])
    inside = np.abs(np.mod(there + last, 2 * last) - last)

    def in_crop(photo: NDArray[np.float64]) -> FloatArray:
        return np.asarray(photo @ matrix[:, :2].T + matrix[:, 2], np.float32)

    edge = np.clip(there, 1, last - 1)
    deep = np.hypot(*np.moveaxis(in_crop(edge) - in_crop(there), 2, 0)).astype(np.float32)
    at_edge = cv2.remap(reference.hair, in_crop(edge) + IN_FRAME, None, cv2.INTER_LINEAR)
    beyond = (deep > 1.5) & ~above
    kept = np.where(beyond, smoothstep(*_CONTINUED, deep) * at_edge, 1).astype(np.float32)
    cut = _Cut(kept, beyond & (at_edge > 0.5))
    return in_crop(inside), cut, np.where(above, share, np.nan).astype(np.float32)


def _top_of_hair(there: NDArray[np.float64], reference: Head) -> tuple[FloatArray, float]:
    """Share of hair at places (512, 512, 2) above the photo; how much its strands are compressed.

    Raises:
        InvalidInputError: too much of the hair is cut off.
    """
    matrix = reference.portrait.face.matrix
    width = reference.portrait.image.shape[1]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))

    def hair(x: NDArray[np.float64], y: NDArray[np.float64]) -> FloatArray:
        points = np.stack([x, y], axis=-1) @ matrix[:, :2].T + matrix[:, 2] + SHIFT
        border = cv2.BORDER_CONSTANT
        grid = points.astype(np.float32)[None]
        return np.asarray(
            cv2.remap(reference.hair, grid, None, cv2.INTER_LINEAR, borderMode=border)[0]
        )

    across = np.linspace(0, width - 1, 512)
    deep = 16 / scale
    edge, lower = (
        across[hair(across, np.full(512, y)) > 0.5] for y in (1.5 / scale, 1.5 / scale + deep)
    )
    if len(edge) < 4 or len(lower) < 4:
        return np.zeros(there.shape[:2], np.float32), 1.0
    half, wider = float(np.ptp(edge)) / 2, float(np.ptp(lower)) / 2
    centre = (wider**2 - half**2 + deep**2) / (2 * deep)  # of the circle through the four ends
    high = float(np.hypot(half, centre)) - centre
    if high > _TOP[1] * half:
        raise InvalidInputError(
            "hair: the upper edge of its photo cuts off too much of it; use a photo that shows "
            "all of the hair"
        )
    high = max(high, _TOP[0] * half)
    radius = (half**2 + high**2) / (2 * high)
    middle = float(edge.min() + edge.max()) / 2
    away = np.hypot(there[..., 0] - middle, there[..., 1] - (radius - high))
    share = np.clip(0.5 + (radius - away) * scale / 6, 0, 1)
    down = np.linspace(0, 128 / scale, 129)
    bald = np.flatnonzero(hair(np.full(129, middle), down + 1.5 / scale) < 0.5)
    thick = down[bald[0]] if len(bald) else down[-1]
    return np.asarray(share, np.float32), float(min(1.0, 0.8 * thick / high))


def _lifted(source: Head, hair: FloatArray, guard: FloatArray) -> FloatArray:
    """Where the source's own hair goes: wider over the background, and on the face that it bares.

    Args:
        source: the head.
        hair: float32 (512, 512), opacity of the new hair.
        guard: float32 (512, 512), the inner face, where only hair goes.
    """
    found = (source.hair > 0.1).astype(np.float32)
    bared = cv2.morphologyEx(found * (hair < 0.5), cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    round_ = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_SHADE, _SHADE))
    beyond, shade, tips = (
        cv2.dilate(mask, kernel)
        for mask, kernel in (
            ((source.hair > 0.03).astype(np.float32), np.ones((17, 17), np.uint8)),
            (bared, round_),
            (bared, np.ones((_TIPS, _TIPS), np.uint8)),
        )
    )
    person = source.shares[..., FACE] + source.shares[..., REST]
    over = softened(beyond, 2.0) * smoothstep(0.7, 0.2, person)
    is_face = smoothstep(0.2, 0.7, source.shares[..., FACE])
    face = softened(shade, _SHADE / 5) * is_face
    gone = np.maximum(smoothstep(0.02, 0.4, source.hair), np.maximum(over, face))
    gone *= 1 - guard + guard * smoothstep(0.15, 0.5, source.hair)
    eyes = inner_face(source, EYES_TO_MOUTH, 8)
    return np.asarray(np.maximum(gone, softened(tips, 3.0) * is_face * (1 - eyes)), np.float32)


def _gaps(source: Head, hair: FloatArray) -> FloatArray:
    """See `HairSwap`; `hair` is the opacity (512, 512) of the new hair."""
    around = ((hair > 0.5) | (source.shares[..., FACE] > 0.5)).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_SLIT, _SLIT))
    slits = cv2.morphologyEx(around, cv2.MORPH_CLOSE, kernel) - around
    own = slits * (source.hair > 0.2) * smoothstep(1.0, 0.5, source.shares[..., FACE])
    own *= cv2.dilate((hair > 0.5).astype(np.float32), kernel)
    own[: int(source.portrait.face.crop_landmarks[17:27, 1].max()) + SHIFT[1]] = 0
    return softened(own.astype(np.float32), 1.5)


def _light(source: Head, reference: Head) -> FloatArray:
    """float32 (3,): log of the source's light on hair over the reference's."""
    lamp = source.portrait.lamp - reference.portrait.lamp
    skin = source.portrait.tone.mean - reference.portrait.tone.mean
    light = _LAMP_SHARE * lamp + (1 - _LAMP_SHARE) * skin
    grey = light.mean()
    color = np.clip(light - grey, -_MOST_COLOR, _MOST_COLOR)
    return np.asarray(np.clip(grey, -_MOST_LIGHT, _MOST_LIGHT) + color, np.float32)
