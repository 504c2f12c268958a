"""Heads: where a portrait's hair is, with soft edges, in the frame of the head's crop.

The head parser finds the hair on 128 × 128 pixels; a guided filter (He, Sun and Tang, 2010) then
follows the strands in the photo. The frame has the head's crop at 512 × 512, so that one pixel is
one of the face's crop.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import crop_face
from makeup_kernels.head import HEAD_CELL, HEAD_SIZE, head_matrix
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.cosmetics.maps import smoothstep
from makeup_sdk.models.papers.graphs import Graphs, Signature
from makeup_sdk.models.papers.portrait_collage import Canvas, Portrait, softened

FRAME = int(HEAD_SIZE * HEAD_CELL)
"""Side of the frame: 512 pixels."""
SHIFT = (128, 88)
"""x and y of the face's crop in the frame."""
IN_FRAME = np.array(SHIFT, np.float32)
"""float32 (2,), the same: added to pixels of the face's crop."""
BACKGROUND, FACE, HAIR, REST = range(4)
"""Classes of the head parser; the rest is of the person: ears, neck, clothes."""

SIGNATURE: Signature = {"head": (("image",), ("classes",))}
"""The graph that finds hair."""

_RADIUS, _EDGE = 7, 3e-4
"""Radius in pixels of the guided filter, and its regularisation (pixel values in [0, 1])."""
_TRUST, _INSET = 0.75, 16
"""Weight of the face parser's hair where it is sure, and pixels of its crop's border that do not
count."""
_HOLE = 900
"""Pixels of a hole in the hair, below which it is an error of the parsers."""
_DOUBT = 0.25
"""Probability of hair that counts as none; and of anything else, as hair."""
_CLEAR, _FULL = 0.12, 0.88
"""Filtered shares from and to which hair goes from none to full."""


@dataclass(frozen=True)
class Head:
    """A portrait's head.

    Attributes:
        portrait: the face in its photo.
        image: uint8 (512, 512, 3), BGR, the frame; repeats the photo's border beyond it.
        shares: float32 (512, 512, 4), probabilities of the classes.
        inside: bool (512, 512): where the photo is.
        matte: float32 (512, 512, 4): the hair's opacity as a linear function of a pixel: factors of
            B, G, R in [0, 1], and offset (`opacity`).
        hair: float32 (512, 512), opacity of the hair.
    """

    portrait: Portrait
    image: Image
    shares: FloatArray
    inside: NDArray[np.bool_]
    matte: FloatArray
    hair: FloatArray

    @classmethod
    def of(cls, portrait: Portrait, graphs: Graphs) -> "Head":
        """Parse the head of a portrait.

        Args:
            portrait: the face in its photo.
            graphs: opened with `SIGNATURE`.
        """
        photo, matrix = portrait.image, portrait.face.matrix
        small = graphs.pixels(crop_face(photo, head_matrix(matrix), HEAD_SIZE))
        classes = graphs.run("head", {"image": small})["classes"][0]
        shares = np.stack([cv2.resize(plane, (FRAME, FRAME)) for plane in classes], axis=-1)
        shares = _with_hair_of_face(shares.astype(np.float32), portrait)
        own = head_matrix(matrix, FRAME)
        image = crop_face(photo, own, FRAME)
        there = np.ones(photo.shape[:2], np.uint8)
        inside = cv2.warpAffine(there, own, (FRAME, FRAME), flags=cv2.INTER_NEAREST) > 0
        matte = _guided(image, np.ascontiguousarray(shares[..., HAIR]))
        hair = opacity(matte, image)
        return cls(portrait, image, shares, inside, matte, hair)


def opacity(matte: FloatArray, image: Image | FloatArray) -> FloatArray:
    """Opacity (H, W) of hair, from a matte (H, W, 4) and pixels (H, W, 3), BGR, 0 to 255."""
    light = image.astype(np.float32) * np.float32(1 / 255)
    share = np.einsum("hwc,hwc->hw", matte[..., :3], light) + matte[..., 3]
    return smoothstep(_CLEAR, _FULL, np.asarray(share, np.float32))


def diffused(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Values continued smoothly to where they are unknown, by a pyramid of means.

    Args:
        values: float32 (H, W, C).
        weight: float32 (H, W) in [0, 1]: how far the values are known.

    Returns:
        float32 (H, W, C), unchanged where the weight is 1.
    """
    if min(weight.shape) <= 2:
        total = max(float(weight.sum()), 1e-6)
        mean = (values * weight[..., None]).sum(axis=(0, 1)) / total
        return np.broadcast_to(mean, values.shape).astype(np.float32)
    sums, near = cv2.pyrDown(values * weight[..., None]), cv2.pyrDown(weight)
    means = sums.reshape(*near.shape, -1) / np.maximum(near, 1e-4)[..., None]
    below = diffused(means.astype(np.float32), np.clip(4 * near, 0, 1).astype(np.float32))
    size = (values.shape[1], values.shape[0])
    above = cv2.pyrUp(below, dstsize=size).reshape(values.shape)
    return np.asarray(above + weight[..., None] * (values - above), np.float32)


def frame_canvas(canvas: Canvas) -> Canvas:
    """The same picture over maps of the frame instead of the face's crop."""
    matrix = canvas.matrix.copy()
    matrix[:, 2] += SHIFT
    return Canvas(canvas.size, matrix)


def _with_hair_of_face(shares: FloatArray, portrait: Portrait) -> FloatArray:
    """Shares (512, 512, 4) whose hair is mostly the face parser's, where that sees it.

    The face parser sees twice as much detail, but takes beards for hair.
    """
    x, y = SHIFT
    side = portrait.hair.shape[0]
    trust = np.zeros((FRAME, FRAME), np.float32)
    trust[y + _INSET : y + side - _INSET, x + _INSET : x + side - _INSET] = _TRUST
    points = portrait.face.crop_landmarks + IN_FRAME
    down = 0.5 * (points[8] - points[33])
    lower = np.concatenate([points[[2, 33, 14]], points[3:14] + down])
    cv2.fillPoly(trust, [np.rint(cv2.convexHull(lower)).astype(np.int32)], 0.0)
    trust = softened(trust, _INSET / 2)
    of_face = np.zeros((FRAME, FRAME), np.float32)
    of_face[y : y + side, x : x + side] = portrait.hair
    own, trust = shares[..., HAIR], trust * np.abs(2 * of_face - 1)
    hair = smoothstep(_DOUBT, 1 - _DOUBT, own + trust * (of_face - own))
    hair = np.maximum(hair, softened(_holes(hair > 0.5), 1.5))
    result = shares * ((1 - hair) / np.maximum(1 - own, 1e-3))[..., None]
    result[..., HAIR] = hair
    return np.asarray(result, np.float32)


def _holes(hair: NDArray[np.bool_]) -> FloatArray:
    """float32 (512, 512): 1 in small holes of the hair, and one pixel around."""
    outside = 1 - hair.astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(outside)
    small = [k for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] < _HOLE]
    holes = np.isin(parts, small).astype(np.float32)
    return np.asarray(cv2.dilate(holes, np.ones((3, 3), np.uint8)), np.float32)


def _guided(image: Image, values: FloatArray) -> FloatArray:
    """Factors and offset (H, W, 4) of the linear function of the pixels that follows values.

    Guided image filter with a colour guide: in each window, the ridge regression of the values on
    the pixels; then the mean over all windows that contain a pixel.
    """
    guide = np.asarray(image.astype(np.float32) / 255, np.float32)
    mean, value = _box(guide), _box(values)
    covariance = np.empty((*values.shape, 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            moment = _box(guide[..., i] * guide[..., j]) - mean[..., i] * mean[..., j]
            covariance[..., i, j] = covariance[..., j, i] = moment
    covariance += _EDGE * np.eye(3, dtype=np.float32)
    cross = _box(guide * values[..., None]) - mean * value[..., None]
    factors = np.linalg.solve(covariance, cross[..., None])[..., 0]
    offset = value - (factors * mean).sum(axis=2)
    return _box(np.concatenate([factors, offset[..., None]], axis=2).astype(np.float32))


def _box(values: NDArray[np.floating]) -> FloatArray:
    side = 2 * _RADIUS + 1
    return np.asarray(cv2.blur(values, (side, side)), np.float32)
