"""Fill a hole in a picture with patches of its surroundings, from coarse to fine.

Each patch that touches the hole is replaced by the most similar known patch; overlapping patches
are averaged (Wexler, Shechtman and Irani, "Space-time completion of video", 2007).
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from makeup_kernels.types import FloatArray

_LEVELS = ((4, 2), (2, 2))
"""Pixels per cell of each level, and how often its patches are replaced."""
_PATCH = 7
"""Side of a patch in cells."""
_MOST = 1500
"""Maximum number of known patches that are compared."""
_FEWEST = 50
"""Minimum number of known patches."""
_NEARNESS = 1.5
"""Difference of a patch's pixel sum, in levels, that weighs as much as one cell of distance."""


class Filled(NamedTuple):
    """A filled picture.

    Attributes:
        image: float32 (H, W, 3).
        places: float32 (H, W, 2), x then y: known pixels that look like the filled ones.
    """

    image: FloatArray
    places: FloatArray


def filled(image: FloatArray, hole: NDArray[np.bool_], known: NDArray[np.bool_]) -> Filled | None:
    """Fill a hole; None if too little around it is known.

    Args:
        image: float32 (H, W, 3), 0 to 255, plausible in the hole; H and W multiples of 8.
        hole: bool (H, W).
        known: bool (H, W): where patches may come from.
    """
    height, width = hole.shape
    guess = image
    result: Filled | None = None
    for cell, rounds in _LEVELS:
        size = (width // cell, height // cell)
        small = cv2.resize(guess, size, interpolation=cv2.INTER_AREA)
        share = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        good = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        level = _level(small, share > 0, good > 0.99, rounds)
        if level is None:
            continue
        small, places = level
        large = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        guess = np.where(hole[..., None], large, image).astype(np.float32)
        there = cv2.resize(places, (width, height), interpolation=cv2.INTER_NEAREST)
        rest = np.stack(np.meshgrid(np.arange(width) % cell, np.arange(height) % cell), axis=-1)
        result = Filled(guess, np.asarray(there * cell + rest, np.float32))
    return result


def _level(
    image: FloatArray, hole: NDArray[np.bool_], known: NDArray[np.bool_], rounds: int
) -> tuple[FloatArray, FloatArray] | None:
    """Fill one level: the picture, and the known cell (h, w, 2) for each of the hole."""
    half = _PATCH // 2
    window = np.ones((_PATCH, _PATCH), np.uint8)
    whole = cv2.erode(known.astype(np.uint8), window, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    touched = cv2.dilate(hole.astype(np.uint8), window)
    y, x = np.nonzero(touched)
    from_y, from_x = np.nonzero(whole)
    if len(from_y) < _FEWEST or not len(y):
        return None
    away = cv2.distanceTransform(1 - touched, cv2.DIST_L2, 5)[from_y, from_x]
    nearest = np.argsort(away, kind="stable")[: 3 * _MOST]
    chosen = np.random.default_rng(0).permutation(nearest)[:_MOST]
    from_y, from_x = from_y[chosen], from_x[chosen]
    places = np.stack(np.meshgrid(np.arange(hole.shape[1]), np.arange(hole.shape[0])), axis=-1)
    result = image.copy()
    position, from_position = (
        _NEARNESS * _PATCH * np.stack(pair, axis=-1).astype(np.float32)
        for pair in ((x, y), (from_x, from_y))
    )
    for _ in range(rounds):
        padded = cv2.copyMakeBorder(result, half, half, half, half, cv2.BORDER_REFLECT_101)
        views = sliding_window_view(padded, (_PATCH, _PATCH), axis=(0, 1))
        source = views[from_y, from_x]
        best = _nearest(
            np.concatenate([views[y, x].reshape(len(y), -1), position], axis=1),
            np.concatenate([source.reshape(len(from_y), -1), from_position], axis=1),
        )
        sums, count = np.zeros_like(padded), np.zeros(padded.shape[:2], np.float32)
        taken = source[best]
        for down in range(_PATCH):
            for right in range(_PATCH):
                sums[y + down, x + right] += taken[:, :, down, right]
                count[y + down, x + right] += 1
        inner = (slice(half, -half), slice(half, -half))
        mean = sums[inner] / np.maximum(count[inner], 1)[..., None]
        result[hole] = mean[hole]
    places[y, x] = np.stack([from_x[best], from_y[best]], axis=-1)
    return result, places.astype(np.float32)


def _nearest(wanted: FloatArray, among: FloatArray) -> NDArray[np.intp]:
    """Index of the nearest row of `among` for each row of `wanted`."""
    squares = np.square(among).sum(axis=1)
    parts = np.array_split(wanted, max(1, len(wanted) // 2000))
    return np.concatenate([(squares - 2 * (part @ among.T)).argmin(axis=1) for part in parts])
