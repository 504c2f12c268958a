"""The face detector: frame to boxes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_engines import Session
from makeup_sdk.faces.types import Detection, FloatArray, Image

SCORE_THRESHOLD = 0.55
_OVERLAP = 0.4
_CONTAINED = 0.75
_MULTIPLE = 32
_CANDIDATES = 400


class FaceDetector:
    """Anchor-free detector on a frame shrunk to a longer side of 320 pixels.

    Args:
        session: the graph `model` of the bundle `face_detector`.
        long_side: longer side of the network's input, pixels.
        strides: cell sizes of its levels, pixels.
    """

    def __init__(self, session: Session, long_side: int, strides: tuple[int, ...]) -> None:
        self._session = session
        self._long_side = long_side
        self._strides = strides

    def detect(
        self, frame: Image, max_faces: int, threshold: float = SCORE_THRESHOLD
    ) -> list[Detection]:
        """Faces of a BGR frame, uint8 (H, W, 3) of any size, best first, at most `max_faces`."""
        image, scale = self._letterbox(frame)
        cells = self._session.run({"image": image})["cells"][0]
        logit = float(np.log(threshold / (1 - threshold)))
        chosen = np.flatnonzero(cells[0] > logit)
        if chosen.size > _CANDIDATES:
            chosen = chosen[np.argsort(-cells[0, chosen])[:_CANDIDATES]]
        centres, strides = self._centres(image.shape[2], image.shape[3])
        x, y = centres[chosen].T
        left, top, right, bottom = np.exp(np.clip(cells[1:, chosen], -6, 5)) * strides[chosen]
        boxes = np.stack([x - left, y - top, x + right, y + bottom], axis=1) / scale
        scores = 1 / (1 + np.exp(-cells[0, chosen]))
        kept = _best_of_each(boxes, scores, max_faces)
        return [Detection(boxes[k].astype(np.float32), float(scores[k])) for k in kept]

    def _letterbox(self, frame: Image) -> tuple[FloatArray, float]:
        """Network input float32 (1, 3, h, w), BGR in 0..1, h and w multiples of 32; and its scale.

        The picture lies at the top left; right and below it is black.
        """
        scale = self._long_side / max(frame.shape[:2])
        height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
        shrinks = scale < 1
        small = cv2.resize(
            frame, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        canvas = np.zeros(
            (1, 3, height + -height % _MULTIPLE, width + -width % _MULTIPLE), np.float32
        )
        for channel, plane in enumerate(cv2.split(small)):
            np.multiply(plane, np.float32(1 / 255), out=canvas[0, channel, :height, :width])
        return canvas, scale

    def _centres(self, height: int, width: int) -> tuple[FloatArray, FloatArray]:
        """Centre (N, 2) and size (N,) of every cell, in the order of the network's output."""
        centres, sizes = [], []
        for stride in self._strides:
            rows, columns = height // stride, width // stride
            y, x = np.mgrid[:rows, :columns]
            centres.append(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32) + 0.5)
            centres[-1] *= stride
            sizes.append(np.full(rows * columns, stride, np.float32))
        return np.concatenate(centres), np.concatenate(sizes)


def _best_of_each(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], max_faces: int
) -> list[int]:
    """Greedy suppression of boxes that overlap a better one, or lie within it."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size and len(kept) < max_faces:
        best = int(order[0])
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.prod(np.clip(high - low, 0, None), axis=1)
        overlap = shared / (areas[best] + areas[order] - shared)
        contained = shared / np.minimum(areas[best], areas[order])
        order = order[(overlap < _OVERLAP) & (contained < _CONTAINED)]
        order = order[order != best]
    return kept
