"""Region labels: from the 12-class face masks to the SDK's five regions."""

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import Region

MASK_SKIN, MASK_NOSE = 1, 6
MASK_BROWS = (2, 3)
MASK_LIPS = (7, 9)


def eye_shadow_outline(landmarks: NDArray[np.floating]) -> list[NDArray[np.float32]]:
    """Smooth outlines of the two eye-shadow areas: float32 (N, 2) each, landmark pixels.

    For an eye of width w: up to just below the brow's points, outward to a wing 0.38 w beyond the
    outer corner, inward to 0.1 w before the inner corner, and down to a band of about 0.2 w under
    the lower lid.
    """
    points = np.asarray(landmarks, np.float64)
    outlines = []
    for brow, eye in (
        (points[[17, 18, 19, 20, 21]], points[[36, 37, 38, 39, 40, 41]]),
        (points[[26, 25, 24, 23, 22]], points[[45, 44, 43, 42, 47, 46]]),
    ):
        outer, lid_outer, lid_inner, inner, low_inner, low_outer = eye
        out = outer - inner
        up = brow.mean(axis=0) - eye.mean(axis=0)
        up *= np.hypot(*out) / max(float(np.hypot(*up)), 1e-6)
        lid = (outer, lid_outer, (lid_outer + lid_inner) / 2, lid_inner, inner)
        towards_lid = (0.25, 0.15, 0.15, 0.2, 0.5)
        upper = [b + t * (e - b) for b, e, t in zip(brow, lid, towards_lid, strict=True)]
        polygon = [
            *upper,
            inner - 0.10 * out + 0.05 * up,
            inner - 0.04 * out - 0.12 * up,
            low_inner - 0.22 * up,
            low_outer - 0.24 * up,
            outer + 0.14 * out - 0.12 * up,
            outer + 0.38 * out + 0.14 * up,
        ]
        outlines.append(_smooth(np.array(polygon)))
    return outlines


def eye_shadow_area(landmarks: NDArray[np.floating], size: int) -> NDArray[np.bool_]:
    """The eye-shadow area, from the landmarks only: bool (size, size).

    The inside of `eye_shadow_outline`. The caller keeps only skin pixels, which excludes eyeballs,
    brows, hair and occluders.

    Args:
        landmarks: float (68, 2), x then y, pixels of the square picture.
        size: side of the picture in pixels.
    """
    area = np.zeros((size, size), np.uint8)
    for outline in eye_shadow_outline(landmarks):
        cv2.fillPoly(area, [np.round(outline * 16).astype(np.int32)], 1, shift=4)
    return area.astype(bool)


def region_map(mask: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> NDArray[np.uint8]:
    """`makeup_kernels.Region` ids, uint8 (S, S), of a square 12-class face mask.

    Lips = upper and lower lip; brows; skin = face skin and nose; the skin inside
    `eye_shadow_area` is eye shadow. Eyes, mouth inside, hair, neck and background are 0.
    """
    regions = np.zeros(mask.shape, np.uint8)
    skin = (mask == MASK_SKIN) | (mask == MASK_NOSE)
    regions[skin] = Region.SKIN
    regions[skin & eye_shadow_area(landmarks, mask.shape[0])] = Region.EYES
    regions[np.isin(mask, MASK_BROWS)] = Region.BROWS
    regions[np.isin(mask, MASK_LIPS)] = Region.LIPS
    return regions


def _smooth(polygon: NDArray[np.float64], rounds: int = 3) -> NDArray[np.float32]:
    """Chaikin's corner cutting of a closed polygon (N, 2)."""
    for _ in range(rounds):
        following = np.roll(polygon, -1, axis=0)
        polygon = np.stack(
            [0.75 * polygon + 0.25 * following, 0.25 * polygon + 0.75 * following], axis=1
        ).reshape(-1, 2)
    return polygon.astype(np.float32)
