"""Paint that is carried along by the landmarks from frame to frame.

A face's paint hardly changes from one frame to the next. Each part is painted anew every eighth
frame, no two in the same, and at once where its shape, its light or what covers it has changed. In
between, its patch moves with its landmarks.
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

_MOST_FRAMES = 8
_BENT, _BENT_SKIN = 0.6, 1.2
"""Crop pixels by which a part's landmarks may depart from where they were carried to; on the skin,
where all edges are soft, by more."""
_OTHER_LIGHT = 0.05
"""Log light by which the light may drift."""
_OTHER_SCALE = 0.1
"""Log size by which a pixel of the frame may differ from that painted for."""
_NEW = 0.3
"""Share of new picture (`Step.news`) from which a part is painted anew."""


@dataclass(frozen=True)
class _Painted:
    """A part as it was painted, and under which circumstances."""

    patch: Patch | None
    points: Points
    light: FloatArray
    strength: Mapping[Part, float]
    frame_pixel: float


class CarriedPaint:
    """Products on one face of a stream. For one thread.

    Args:
        products: what is worn.
    """

    def __init__(self, products: Sequence[Product]) -> None:
        self._products = tuple(products)
        self._painted: dict[str, _Painted] = {}
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
            view: makes the face's view; called only if a part is painted anew.
            points: float64 (68, 2), its landmarks, crop pixels.
            light: that it stands in.
            frame_pixel: see `FaceView`.
            strength: per region in [0, 1.5].
            news: float32 (64, 64), `Step.news`; None for the first frame.
        """
        self._frame += 1
        face: FaceView | None = None
        log_light = np.log(light.color)
        patches = []
        for number, (part, (_, index)) in enumerate(PARTS.items()):
            last = self._painted.get(part)
            here = points[index]
            carried = None
            if last is not None and news is not None:
                turn = (self._frame + number) % _MOST_FRAMES == 0
                if not turn and strength == last.strength:
                    carried = _carried(part, last, here, log_light, frame_pixel, news)
            if last is None or carried is None:
                face = face or view()
                patch = paint_part(face, part, self._products, strength)
                self._painted[part] = _Painted(patch, here, log_light, dict(strength), frame_pixel)
            elif last.patch is None:
                patch = None
            else:
                patch = Patch(last.patch.change, _composed(last.patch.matrix, carried))
            if patch is not None:
                patches.append(patch)
        return patches


def _carried(
    part: str,
    last: _Painted,
    points: Points,
    light: FloatArray,
    frame_pixel: float,
    news: FloatArray,
) -> NDArray[np.float64] | None:
    """float64 (2, 3): crop pixel now to crop pixel then; None if it has to be painted anew."""
    if abs(np.log(frame_pixel / last.frame_pixel)) > _OTHER_SCALE:
        return None
    if np.abs(light - last.light).max() > _OTHER_LIGHT:
        return None
    back = similarity(points, last.points)
    bent = points @ back[:, :2].T + back[:, 2] - last.points
    if np.abs(bent).max() > (_BENT_SKIN if part == "skin" else _BENT):
        return None
    cells = CROP_SIZE // news.shape[0]
    x0, y0 = np.clip(points.min(axis=0) / cells, 0, len(news) - 1).astype(int)
    x1, y1 = np.clip(points.max(axis=0) / cells, 0, len(news) - 1).astype(int)
    return None if news[y0 : y1 + 1, x0 : x1 + 1].max() > _NEW else back


def _composed(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 (2, 3): `inner`, then `outer`."""
    matrix: NDArray[np.float64] = outer[:, :2] @ inner
    matrix[:, 2] += outer[:, 2]
    return matrix
