"""Paint that moves with the landmarks from frame to frame.

A face's paint hardly changes between frames. A part is repainted when its shape, light or occlusion
has changed, or after eight frames: per frame the two parts that need it most, and all that have
changed much. In between, a part's patch moves with its landmarks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from makeup_kernels import CROP_SIZE, similarity
from makeup_kernels.types import FloatArray
from makeup_sdk.cosmetics.canvas import Patch
from makeup_sdk.cosmetics.light import SkinLight
from makeup_sdk.cosmetics.maps import Points
from makeup_sdk.cosmetics.paint import PARTS, paint_part
from makeup_sdk.cosmetics.view import FaceView
from makeup_sdk.makeup.base import Part
from makeup_sdk.makeup.products import Product

_AT_ONCE = 2
"""Maximum parts repainted in one frame, unless more have changed by `_MUCH`."""
_MUCH = 3.0
_FRAMES = 8
_BENT, _BENT_SKIN = 0.6, 1.2
"""Tolerated deviation in crop pixels of a part's landmarks from the moved patch; more on the skin,
where all edges are soft."""
_LIGHT = 0.05
"""Tolerated drift of the log light."""
_SCALE = 0.1
"""Tolerated change of the log size of a frame pixel."""
_NEW = 0.3
"""Tolerated fraction of new picture in a part (`Step.news`)."""


@dataclass(frozen=True)
class _Painted:
    """A painted part, and the conditions when it was painted."""

    patch: Patch | None
    points: Points
    light: FloatArray
    strength: Mapping[Part, float]
    frame_pixel: float
    frame: int


class CarriedPaint:
    """Products on one face of a stream. Not thread-safe.

    Args:
        products: the products.
    """

    def __init__(self, products: Sequence[Product]) -> None:
        self._products = tuple(products)
        worn = {product.region for product in products}
        self._parts = [part for part, (regions, _) in PARTS.items() if regions & worn]
        self._painted: dict[str, _Painted] = {}
        self._news: dict[str, float] = {}
        """The largest fraction of new picture since a part was painted."""
        self._frame = 0

    def patches(
        self,
        view: Callable[[], FaceView],
        points: Points,
        light: SkinLight,
        frame_pixel: float,
        strength: Mapping[Part, float],
        news: FloatArray | None,
    ) -> list[Patch]:
        """The paint of the next frame; see `paint`.

        Args:
            view: creates the face's view; called only if a part is repainted.
            points: float64 (68, 2), its landmarks, crop pixels.
            light: the light on it.
            frame_pixel: see `FaceView`.
            strength: strength per region, in [0, 1.5].
            news: float32 (64, 64), `Step.news`; None for the first frame.
        """
        self._frame += 1
        log_light = np.log(light.color)
        change = dict.fromkeys(self._parts, np.inf)
        carried: dict[str, NDArray[np.float64]] = {}
        for part in self._parts:
            last, here = self._painted.get(part), points[PARTS[part][1]]
            if last is not None and news is not None and strength == last.strength:
                age = (self._frame - last.frame) / _FRAMES
                drift = max(
                    float(np.abs(log_light - last.light).max()) / _LIGHT,
                    float(abs(np.log(frame_pixel / last.frame_pixel))) / _SCALE,
                )
                carried[part], bent = _carried(last, here)
                bent /= _BENT_SKIN if part == "skin" else _BENT
                self._news[part] = max(self._news.get(part, 0.0), _most(news, here))
                change[part] = max(drift, bent, self._news[part] / _NEW)
                if change[part] >= 1 or age >= 1:
                    change[part] += age  # among equals, prefer the oldest
        anew = sorted((part for part in self._parts if change[part] >= 1), key=change.__getitem__)
        anew = [part for part in anew if part in anew[-_AT_ONCE:] or change[part] >= _MUCH]
        face = view() if anew else None
        patches = []
        for part in self._parts:
            if face is not None and part in anew:
                patch = paint_part(face, part, self._products, strength)
                here = points[PARTS[part][1]]
                self._painted[part] = _Painted(
                    patch, here, log_light, dict(strength), frame_pixel, self._frame
                )
                self._news[part] = 0.0
            else:
                patch = self._painted[part].patch
                if patch is not None:
                    patch = Patch(patch.change, _composed(patch.matrix, carried[part]))
            if patch is not None:
                patches.append(patch)
        return patches


def _carried(last: _Painted, points: Points) -> tuple[NDArray[np.float64], float]:
    """float64 (2, 3), current to old crop pixel, and the landmarks' deviation from it."""
    back = similarity(points, last.points)
    off = points @ back[:, :2].T + back[:, 2] - last.points
    return back, float(np.abs(off).max())


def _most(news: FloatArray, points: Points) -> float:
    """The largest fraction of new picture around points."""
    cells = CROP_SIZE // news.shape[0]
    x0, y0 = np.clip(points.min(axis=0) / cells, 0, len(news) - 1).astype(int)
    x1, y1 = np.clip(points.max(axis=0) / cells, 0, len(news) - 1).astype(int)
    return float(news[y0 : y1 + 1, x0 : x1 + 1].max())


def _composed(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 (2, 3): `inner` followed by `outer`."""
    matrix: NDArray[np.float64] = outer[:, :2] @ inner
    matrix[:, 2] += outer[:, 2]
    return matrix
