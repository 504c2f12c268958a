"""Which hair can be put on which head: swaps that would not look natural are refused."""

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError
from makeup_sdk.models.papers.portrait_collage import softened
from makeup_sdk.models.papers.portrait_ground import Worn, down_from_chin, like_skin
from makeup_sdk.models.papers.portrait_head import (
    BACKGROUND,
    FRAME,
    HAIR,
    IN_FRAME,
    Head,
)

_LEAST_HAIR = 0.15
"""Minimum area of hair, in areas of the face."""
_HAT = 0.25
"""Maximum share of something else above the forehead."""
_MOST_DOUBT = (0.7, 1.0)
"""Maximum area that may be hair or not, in areas of the hair: of a reference, and of a source."""
_MOST_CUT = 0.25
"""Maximum area of hair beyond the reference's photo, in areas of the face."""
_RIM, _MOST_AT_RIM = 4, 0.02
"""Width in pixels of the frame's rim, and maximum share of hair in it."""
_MOST_BARED = 0.2
"""Maximum area of shoulders and neck that the swap bares, in areas of the face."""
_MOST_INVENTED = 50.0
"""Maximum area of background that the swap bares, in areas of the face, times the square of the
background's detail in levels."""


def check_swap(source: Head, reference: Head, worn: Worn, missing: NDArray[np.bool_]) -> None:
    """Raise if the swap would not look natural.

    Args:
        source, reference: the heads.
        worn: the reference on the source.
        missing: bool (512, 512): where hair would go on beyond the edge of its photo.

    Raises:
        InvalidInputError: it would not.
    """
    area = _face_area(source)
    if (reference.hair * reference.inside).sum() < _LEAST_HAIR * _face_area(reference):
        raise InvalidInputError("hair: its photo shows hardly any; use one of a person with hair")
    for head, whose, most in (
        (reference, "its photo", _MOST_DOUBT[0]),
        (source, "the photo to edit", _MOST_DOUBT[1]),
    ):
        if _hat_share(head) > _HAT:
            raise InvalidInputError(
                f"hair: something covers the hair in {whose}; use a photo without a hat"
            )
        if _doubt(head) > most:
            raise InvalidInputError(
                f"hair: the hair in {whose} cannot be told from what is around it; use a photo in "
                "which it stands out, without a hat"
            )
    new = worn.hair > 0.5
    if (missing & source.inside).sum() > _MOST_CUT * area:
        raise InvalidInputError(
            "hair: an edge of its photo cuts off too much of it; use a photo that shows all of the "
            "hair"
        )
    rim = np.ones((FRAME, FRAME), np.bool_)
    rim[_RIM:-_RIM, _RIM:-_RIM] = False
    own = source.hair > 0.5
    if ((new | own) & rim & source.inside).sum() > _MOST_AT_RIM * rim.sum():
        raise InvalidInputError(
            "hair: it is longer than the editor sees, about a face's height below the chin; use "
            "shorter hair, or cut the photo off above the chest"
        )
    beside = own & ~new & (worn.shares[..., BACKGROUND] > 0.5) & (down_from_chin(source) < 0)
    if beside.sum() / area * _unrest(source) ** 2 > _MOST_INVENTED:
        raise InvalidInputError(
            "hair: the other hair would bare too much of a busy background; use fuller hair, or a "
            "photo in front of a plainer background"
        )
    bared = own & ~new & (down_from_chin(source) > 0)
    if bared.sum() > _MOST_BARED * area:
        raise InvalidInputError(
            "hair: the photo's own falls onto neck and shoulders, which the other hair would bare; "
            "use a reference with hair as long"
        )


def _unrest(source: Head) -> float:
    """Mean detail of the background around the hair, in levels."""
    image = source.image.astype(np.float32)
    known = source.shares[..., BACKGROUND] * (source.hair < 0.02) * source.inside
    near = cv2.dilate((source.hair > 0.5).astype(np.float32), np.ones((81, 81), np.uint8))
    known = ((known > 0.8) & (near > 0)).astype(np.float32)
    weight = np.maximum(softened(known, 8.0), 1e-3)[..., None]
    detail = np.abs(image - softened(image * known[..., None], 8.0) / weight).mean(axis=2)
    return float((detail * known).sum() / max(float(known.sum()), 1.0))


def _face_area(head: Head) -> float:
    """Pixels of the frame inside the landmarks."""
    return float(cv2.contourArea(cv2.convexHull(head.portrait.face.crop_landmarks)))


def _doubt(head: Head) -> float:
    """Area that may be hair or not, in areas of the hair."""
    share = head.shares[..., HAIR][head.inside]
    return float(((share > 0.02) & (share < 0.98)).sum() / max((share > 0.5).sum(), 1))


def _hat_share(head: Head) -> float:
    """Share of the area above the forehead that is neither hair nor skin, but of the person."""
    points = head.portrait.face.crop_landmarks + IN_FRAME
    brow, high = float(points[17:27, 1].mean()), float(points[8, 1] - points[17:27, 1].mean())
    middle, half = float(points[27, 0]), 0.25 * float(np.ptp(points[:17, 0]))
    rows = slice(max(0, int(brow - 0.85 * high)), max(1, int(brow - 0.45 * high)))
    here = (rows, slice(int(middle - half), int(middle + half)))
    covered = 1 - head.shares[..., BACKGROUND] - head.hair
    covered = np.maximum(covered, 0) * (1 - like_skin(head.image, head))
    inside = head.inside[here]
    return float(covered[here][inside].mean()) if inside.any() else 0.0
