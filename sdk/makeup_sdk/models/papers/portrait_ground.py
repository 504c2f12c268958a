"""What is behind a portrait's hair: the background around it, and skin of another person."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE
from makeup_kernels.head import head_matrix
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.cosmetics.maps import smoothstep
from makeup_sdk.faces.light import from_log, to_log
from makeup_sdk.models.papers.portrait_collage import Canvas, softened
from makeup_sdk.models.papers.portrait_fill import filled
from makeup_sdk.models.papers.portrait_head import (
    BACKGROUND,
    FACE,
    FRAME,
    IN_FRAME,
    REST,
    SHIFT,
    Head,
    diffused,
)

BROWS_TO_MOUTH, EYES_TO_MOUTH = range(17, 60), range(27, 60)
"""Landmarks of the inner face, with and without the brows."""
ROOM = 9
"""Pixels by which the brows are higher than their landmarks."""
_MEAN = 5.0
"""Softness in pixels of the means that skins are compared by."""
_SHADING, _SHADED = 8.0, 0.4
"""Softness in pixels above which the reference's skin counts as shading, and how much is kept."""
_MOST_MISSING = 0.5
"""Maximum difference of the log light of the two skins at one place."""
_DEEP = 14
"""Depth in pixels of the border from which a background's texture is first taken."""
_FINE, _COARSE = 2.0, 10.0
"""Softness in pixels below which a background's detail counts as texture."""


@dataclass(frozen=True)
class Worn:
    """The reference's head on the source's frame.

    Attributes:
        places: float32 (512, 512, 2): pixels of the reference's face crop.
        hair: float32 (512, 512), opacity of its hair.
        shares: float32 (512, 512, 4), probabilities of its classes.
    """

    places: FloatArray
    hair: FloatArray
    shares: FloatArray


@dataclass(frozen=True)
class Ground:
    """What appears in place of the source's hair. All maps are of the source's frame.

    Attributes:
        source: the head whose hair goes.
        pixels: float32 (512, 512, 3), BGR, without texture where that is the background.
        offsets: float32 (512, 512, 2): way to the pixels from which the background takes its
            texture.
        smooth: float32 (512, 512, 3): the source at these pixels, without texture.
        textured: float32 (512, 512): how much of the texture is taken.
    """

    source: Head
    pixels: FloatArray
    offsets: FloatArray
    smooth: FloatArray
    textured: FloatArray

    @classmethod
    def of(cls, source: Head, reference: Head, worn: Worn, lifted: NDArray[np.bool_]) -> "Ground":
        """What is behind the source's hair, when it wears the reference's head.

        Args:
            source, reference: the heads.
            worn: the reference on the source.
            lifted: bool (512, 512): where it may be seen.
        """
        own = source.shares
        below = smoothstep(-0.1, 0.2, down_from_chin(source))
        known = own[..., BACKGROUND] + own[..., REST] * below
        wide = cv2.dilate((source.hair > 0.03).astype(np.float32), np.ones((19, 19), np.uint8))
        known = smoothstep(0.6, 0.95, known) * (1 - wide) * source.inside
        image = source.image.astype(np.float32)
        behind, offsets, smooth, textured = _continued(image, known, source.inside & lifted)
        skin, is_skin = _skin(source, reference, worn)
        pixels = behind + is_skin[..., None] * (skin - behind)
        return cls(source, pixels, offsets, smooth, textured * (1 - is_skin))

    def shown(self, canvas: Canvas) -> FloatArray:
        """The pixels (h, w, 3) on a canvas of the frame."""
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        offsets, smooth = (
            cv2.warpAffine(values, canvas.matrix, canvas.size, flags=flags)
            for values in (self.offsets, self.smooth)
        )
        y, x = np.mgrid[: canvas.size[1], : canvas.size[0]].astype(np.float32)
        steps, start = np.float32(canvas.matrix[:, :2]), np.float32(canvas.matrix[:, 2])
        there = np.stack([x, y], axis=-1) @ steps.T + start + offsets
        portrait = self.source.portrait
        to_photo = np.float32(cv2.invertAffineTransform(head_matrix(portrait.face.matrix, FRAME)))
        there = there @ to_photo[:, :2].T + to_photo[:, 2]
        border = cv2.BORDER_REPLICATE
        copied = cv2.remap(portrait.image, there, None, cv2.INTER_LINEAR, borderMode=border)
        share = canvas.spread(self.textured)[..., None]
        return np.asarray(canvas.spread(self.pixels) + share * (copied - smooth), np.float32)


def inner_face(head: Head, landmarks: range, room: int) -> FloatArray:
    """float32 (512, 512): 1 inside some landmarks and `room` pixels around, with soft edges."""
    points = head.portrait.face.crop_landmarks[landmarks] + IN_FRAME
    mask = np.zeros((FRAME, FRAME), np.float32)
    cv2.fillConvexPoly(mask, np.rint(cv2.convexHull(points)).astype(np.int32), 1.0)
    side = 2 * room + 1
    return softened(cv2.dilate(mask, np.ones((side, side), np.uint8)), 4.0)


def down_from_chin(head: Head) -> FloatArray:
    """float32 (512, 512): how far below the chin, in heights from chin to bridge of the nose."""
    points = head.portrait.face.crop_landmarks + IN_FRAME
    high = max(float(points[8, 1] - points[27, 1]), 1.0)
    y = np.arange(FRAME, dtype=np.float32)[:, None]
    return np.broadcast_to((y - points[8, 1]) / high, (FRAME, FRAME)).astype(np.float32)


def _continued(
    image: FloatArray, known: FloatArray, wanted: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """The background where it is not known: `Ground`'s pixels, offsets, smooth and textured.

    Args:
        image: float32 (512, 512, 3).
        known: float32 (512, 512) in [0, 1].
        wanted: bool (512, 512): where it may be seen.
    """
    behind = diffused(image, known)
    sure = known > 0.99
    found = filled(_mirrored(image, known, behind), wanted & ~sure, sure)
    if found is None:
        none = np.zeros((FRAME, FRAME, 3), np.float32)
        return behind, none[..., :2], behind, none[..., 0]
    coarse = _mean_of(image, known, _FINE)
    smooth = cv2.remap(coarse, found.places, None, cv2.INTER_NEAREST)
    edge = softened(sure.astype(np.float32), 1.5)
    pixels = softened(found.image, _FINE)
    pixels = pixels + edge[..., None] * (behind - pixels)
    y, x = np.mgrid[:FRAME, :FRAME].astype(np.float32)
    offsets = found.places - np.stack([x, y], axis=-1)
    torn = cv2.dilate(np.abs(offsets - cv2.blur(offsets, (5, 5))).max(axis=2), np.ones((5, 5)))
    textured = softened(smoothstep(1.0, 0.25, torn), 1.5) * (1 - edge)
    return pixels, offsets, np.asarray(smooth, np.float32), textured


def _mirrored(image: FloatArray, known: FloatArray, behind: FloatArray) -> FloatArray:
    """The background (512, 512, 3) with its texture mirrored at the border of what is known.

    Args:
        image: float32 (512, 512, 3).
        known: float32 (512, 512) in [0, 1].
        behind: float32 (512, 512, 3), the background without texture.
    """
    side = 2 * _DEEP + 1
    solid = np.pad((known > 0.9).astype(np.uint8), _DEEP)
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    if not solid.any():
        return behind
    away = cv2.distanceTransform(1 - solid, cv2.DIST_L2, 5)[_DEEP:-_DEEP, _DEEP:-_DEEP]
    down, right = (np.asarray(part, np.float32) for part in np.gradient(softened(away, 4.0)))
    length = np.maximum(np.hypot(right, down), 0.3)
    deep = away + _DEEP - np.abs(np.mod(away, 2 * _DEEP) - _DEEP)
    y, x = np.mgrid[:FRAME, :FRAME].astype(np.float32)
    there = np.stack([x - deep * right / length, y - deep * down / length], axis=-1)
    there = there.astype(np.float32)
    texture = image - _mean_of(image, known, _COARSE)
    texture, trust = (
        cv2.remap(values, there, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        for values in (texture, known)
    )
    textured = softened(smoothstep(0.9, 1.0, trust), 1.5) * (known < 1)
    return np.asarray(behind + textured[..., None] * texture, np.float32)


def _skin(source: Head, reference: Head, worn: Worn) -> tuple[FloatArray, FloatArray]:
    """The reference's skin (512, 512, 3) in the source's light, and where it shows (512, 512)."""
    points = source.portrait.face.crop_landmarks + IN_FRAME
    x = np.arange(FRAME, dtype=np.float32)[None]
    aside = np.abs(x - points[:17, 0].mean()) / max(float(np.ptp(points[:17, 0])), 1.0)
    near = smoothstep(0.65, 0.52, aside) * smoothstep(0.35, 0.1, down_from_chin(source))
    grid = worn.places + IN_FRAME
    pixels = cv2.remap(reference.image, grid, None, cv2.INTER_LINEAR)
    rest = worn.shares[..., REST] * near * like_skin(np.asarray(pixels, np.uint8), reference)
    body: FloatArray = np.asarray(worn.shares[..., FACE] + rest, np.float32)
    clear = 1 - cv2.dilate((worn.hair > 0.05).astype(np.float32), np.ones((9, 9), np.uint8))
    lit = _lit_skin(source, reference, worn.places, body)
    skin = diffused(lit, smoothstep(0.5, 0.9, body) * clear)
    return skin, smoothstep(0.3, 0.7, diffused(body[..., None], clear)[..., 0])


def like_skin(pixels: Image, head: Head) -> FloatArray:
    """How far pixels (512, 512, 3) have the colour of a face's skin, in [0, 1]."""
    away = to_log(pixels) - head.portrait.tone.mean
    grey = away.mean(axis=2)
    color = np.abs(away - grey[..., None]).max(axis=2)
    return smoothstep(0.35, 0.2, color) * smoothstep(1.6, 1.0, np.abs(grey))


def _lit_skin(source: Head, reference: Head, places: FloatArray, body: FloatArray) -> FloatArray:
    """The reference's pixels (512, 512, 3) in the light of the source's skin.

    The fine texture is the reference's; the smooth light is the source's skin, of the reference's
    shading only a part. What then still differs at the skin that both show is continued smoothly,
    so that no seam remains.

    Args:
        source, reference: the heads.
        places: of the reference.
        body: float32 (512, 512): where the reference shows skin there.
    """
    grid = places + IN_FRAME
    copied = to_log(Canvas((FRAME, FRAME), np.eye(2, 3)).sampled(reference.portrait, places))
    skin = (body > 0.8).astype(np.float32)
    coarse = _mean_of(copied, skin, _SHADING)
    shading = coarse - cv2.remap(_smooth_skin(reference), grid, None, cv2.INTER_LINEAR)
    lit = _smooth_skin(source) + (copied - coarse) + _SHADED * shading.mean(axis=2, keepdims=True)
    shaded = cv2.dilate((source.hair > 0.02).astype(np.float32), np.ones((35, 35), np.uint8))
    bare = (source.shares[..., FACE] > 0.8).astype(np.float32)
    bare = cv2.erode(bare, np.ones((19, 19), np.uint8)) * (1 - shaded)
    both = bare * (1 - inner_face(source, BROWS_TO_MOUTH, ROOM)) * skin
    missing = _mean_of(to_log(source.image) - lit, both, _MEAN)
    missing = np.clip(missing, -_MOST_MISSING, _MOST_MISSING)
    known = np.clip(4 * softened(both, _MEAN) - 0.4, 0, 1)
    return from_log(lit + diffused(missing, known)).astype(np.float32)


def _mean_of(values: FloatArray, weight: FloatArray, sigma: float) -> FloatArray:
    """Weighted means (512, 512, 3) over surroundings of softness `sigma` pixels."""
    sums = softened(values * weight[..., None], sigma)
    return np.asarray(sums / np.maximum(softened(weight, sigma), 1e-3)[..., None], np.float32)


def _smooth_skin(head: Head) -> FloatArray:
    """Log light (512, 512, 3) of a face's bare skin, continued beyond the face's crop."""
    x, y = SHIFT
    margins = (y, FRAME - CROP_SIZE - y, x, FRAME - CROP_SIZE - x)
    over = cv2.copyMakeBorder(head.portrait.tone.over_crop(), *margins, cv2.BORDER_REPLICATE)
    return np.asarray(over, np.float32)
