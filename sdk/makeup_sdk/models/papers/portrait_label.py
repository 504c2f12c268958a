"""Labels of portrait editing, as class arrays and as pictures.

The eleven classes are those of the Helen data set, which Gu et al. (CVPR 2019) use.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.cosmetics.maps import smoothstep
from makeup_sdk.models.papers.psgan_pose import thin_plate_places

CLASSES = (
    "background", "skin", "left_brow", "right_brow", "left_eye", "right_eye", "nose", "upper_lip",
    "mouth_inside", "lower_lip", "hair",
)  # fmt: skip
"""Names of the classes by number; left and right as seen in the picture."""

PALETTE = np.array(
    [(0, 0, 0), (230, 180, 150), (120, 70, 30), (170, 110, 50), (40, 120, 240), (40, 200, 240),
     (250, 220, 60), (220, 30, 60), (255, 255, 255), (150, 0, 90), (60, 160, 60)],
    np.uint8,
)  # fmt: skip
"""uint8 (11, 3), RGB: colours of the classes in label pictures."""

PARTS: Mapping[str, tuple[int, ...]] = {
    "eyes": (4, 5),
    "mouth": (7, 8, 9),
    "skin": (1, 2, 3, 6),
}
"""Classes of the parts that can be swapped; brows and nose belong to the skin."""

EDITABLE: tuple[tuple[int, ...], ...] = ((2,), (3,), (4,), (5,), (6,), (7, 8, 9), (8,))
"""Groups of classes whose outlines drive the warp when a label is redrawn."""
HAIR = 10

_FARTHEST = 90.0
"""Maximum RGB distance of a colour from the palette."""
_STRAY = 0.02
"""Tolerated fraction of pixels with other colours, for soft brush edges."""
_SAMPLES = 40
"""Number of points of an outline."""
_RING = 16.0
"""Distance from a redrawn part, in label pixels, beyond which nothing moves."""
_SMALLEST = 6
"""Minimum pixels of a group in both labels."""
_CHANGED = 0.985
"""IoU of a group from which it counts as unchanged."""
_HAIR_RING = 2.5
"""Like `_RING`, for a redrawn hairline: in units of its largest motion, so that nothing folds."""
_HAIR_STEP = 5
"""Distance in label pixels between the points of a hairline."""
_STILL = 2.0
"""Distance in label pixels within which an edge did not move."""
_OUTLYING = 2.0
"""Points of the edge that moved farther than this many medians are left out."""
_STROKE = 40
"""Minimum pixels of redrawn hair, without thin lines: fewer are errors of the brush."""
_FARTHEST_HAIR = 64.0
"""Maximum distance in label pixels by which a hairline can move."""
_FOLLOWED = 0.6
"""Minimum fraction of the redrawn hair that the moved hairline must explain."""


def draw_label(label: NDArray[np.uint8]) -> Image:
    """A label (H, W) as a BGR picture (H, W, 3) in the colours of `PALETTE`."""
    return np.ascontiguousarray(PALETTE[label][..., ::-1])


def read_label(picture: Image, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """A label from a picture in the colours of `PALETTE`; each pixel takes the nearest.

    Args:
        picture: uint8 (H, W, 3), BGR.
        shape: required height and width.

    Raises:
        InvalidInputError: wrong size, or too many pixels with colours outside the palette.
    """
    if picture.shape[:2] != shape:
        raise InvalidInputError(
            f"label: {picture.shape[1]}×{picture.shape[0]} pixels, expected {shape[1]}×{shape[0]}, "
            "the size of the photo; redraw the picture that `makeup edit --write-label` wrote"
        )
    colors = picture[..., ::-1].reshape(-1, 3).astype(np.int32)
    nearest = np.zeros(len(colors), np.uint8)
    distance = np.full(len(colors), np.iinfo(np.int32).max, np.int32)
    for number, color in enumerate(PALETTE.astype(np.int32)):
        away = np.square(colors - color).sum(axis=1)
        closer = away < distance
        nearest[closer], distance[closer] = number, away[closer]
    stray = float((distance > _FARTHEST**2).mean())
    if stray > _STRAY:
        raise InvalidInputError(
            f"label: {100 * stray:.0f} % of its pixels have colours that stand for nothing; redraw "
            "the picture that `makeup edit --write-label` wrote, in the colours that it has"
        )
    return nearest.reshape(shape)


def redrawn_places(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> FloatArray:
    """For each pixel of a redrawn label, the corresponding pixel of the old one.

    Redrawn outlines move; unchanged outlines and everything farther away stay.

    Args:
        before, after: uint8 (256, 256), 11 classes.

    Returns:
        float32 (256, 256, 2), x then y.

    Raises:
        InvalidInputError: hair was drawn or erased where no hairline can move to.
    """
    y, x = np.mgrid[: before.shape[0], : before.shape[1]].astype(np.float32)
    own = np.stack([x, y], axis=-1)
    new: list[FloatArray] = []
    old: list[FloatArray] = []
    changed = np.zeros(before.shape, np.uint8)
    for classes in EDITABLE:
        was, now = np.isin(before, classes), np.isin(after, classes)
        if min(was.sum(), now.sum()) < _SMALLEST:
            continue
        if (was & now).sum() >= _CHANGED * (was | now).sum():
            outlines = _outlines(was.astype(np.uint8), _SAMPLES)
            new += outlines
            old += outlines
            continue
        points, found = _matched(now.astype(np.uint8), was.astype(np.uint8))
        new.append(points)
        old.append(found)
        changed |= (was | now).astype(np.uint8)
    drawn = _redrawn_hair(before, after)
    if not changed.any() and not drawn.any():
        return own
    ring, room = _RING, np.ones(before.shape, np.float32)
    if drawn.any():
        points, found = _moved_hairline(before == HAIR, after == HAIR)
        new.append(points)
        old.append(found)
        changed |= drawn
        farthest = float(np.hypot(*(points - found).T).max())
        if farthest > _FARTHEST_HAIR:
            raise _cannot_follow()
        ring = max(_RING, _HAIR_RING * farthest)
        inset = np.minimum(own, before.shape[0] - 1 - own).min(axis=2)
        room = smoothstep(0, 1, inset / max(1.0, 1.6 * farthest))
    away = cv2.distanceTransform(1 - changed, cv2.DIST_L2, 3)
    moving = smoothstep(0, 1, 1 - away / ring) * room
    places = thin_plate_places(np.concatenate(new), np.concatenate(old), before.shape[0])
    places = np.asarray(own + moving[..., None] * (places - own), np.float32)
    _check_hair(before, after, places)
    return places


def _redrawn_hair(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (256, 256): 1 where hair was drawn or erased, without thin lines."""
    drawn = ((before == HAIR) ^ (after == HAIR)).astype(np.uint8)
    drawn = np.asarray(cv2.morphologyEx(drawn, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
    return drawn if drawn.sum() >= _STROKE else np.zeros_like(drawn)


def _moved_hairline(
    was: NDArray[np.bool_], now: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Points (K, 2) of the new edge of the hair, and of the old edge where each comes from.

    Where the edge moved, that is the nearest point of the old edge that is not an edge any more.
    """
    edge, old_edge = _edge_of(now), _edge_of(was)
    to_old, to_new = (
        cv2.distanceTransform(1 - one.astype(np.uint8), cv2.DIST_L2, 3) for one in (old_edge, edge)
    )
    left = old_edge & (to_new > _STILL)
    if not edge.any() or not left.any():
        raise _cannot_follow()
    points, origins = (
        np.stack(np.nonzero(mask)[::-1], axis=-1).astype(np.float32) for mask in (edge, left)
    )
    points = points[np.unique(points // _HAIR_STEP, axis=0, return_index=True)[1]]
    x, y = points.astype(int).T
    away = np.square(points[:, None] - origins[None]).sum(axis=2)
    moved, far = to_old[y, x] > _STILL, np.sqrt(away.min(axis=1))
    if not moved.any():
        raise _cannot_follow()
    kept = ~moved | (far <= _OUTLYING * np.median(far[moved]))
    found = np.where(moved[:, None], origins[away.argmin(axis=1)], points)
    return points[kept], found[kept]


def _edge_of(hair: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outermost pixels of the hair, except along the crop's border."""
    mask = hair.astype(np.uint8)
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8), borderValue=1)
    return np.asarray((mask > 0) & (inner == 0), np.bool_)


def _check_hair(before: NDArray[np.uint8], after: NDArray[np.uint8], places: FloatArray) -> None:
    """Raise unless the moved pixels show hair about where the label has it."""
    was, now = before == HAIR, after == HAIR
    shown = cv2.remap(was.astype(np.uint8), places, None, cv2.INTER_NEAREST) > 0
    drawn = _redrawn_hair(before, after) > 0
    if drawn.any() and (shown == now)[drawn].mean() < _FOLLOWED:
        raise _cannot_follow()


def _cannot_follow() -> InvalidInputError:
    return InvalidInputError(
        "label: hair was drawn or erased where the editor cannot follow; move the edge of the hair "
        "that is there, or take another person's hair"
    )


def _matched(now: Image, was: Image) -> tuple[FloatArray, FloatArray]:
    """Points of an outline, and the old outline's points at the same relative box positions."""
    points = np.concatenate(_outlines(now, _SAMPLES))
    dense = np.concatenate(_outlines(was, 10 * _SAMPLES))
    (corner, side), (old_corner, old_side) = _box(points), _box(dense)
    scaled = (dense - old_corner) / old_side
    wanted = (points - corner) / side
    away = np.square(wanted[:, None] - scaled[None]).sum(axis=2)
    return points, dense[away.argmin(axis=1)]


def _box(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    low, high = points.min(axis=0), points.max(axis=0)
    return low, np.maximum(high - low, 1.0)


def _outlines(mask: Image, samples: int) -> list[FloatArray]:
    """The outer outlines of a mask's large enough components, `samples` points each."""
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = sorted(found, key=len, reverse=True)
    outlines: list[FloatArray] = []
    for contour in found:
        if outlines and len(contour) < 0.3 * len(found[0]):
            break
        index = np.linspace(0, len(contour), min(samples, len(contour)), endpoint=False)
        outlines.append(contour[index.astype(int), 0].astype(np.float32))
    return outlines
