"""The face detector: from a frame to boxes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_engines import Session
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.planes import normalized_planes
from makeup_sdk.faces.types import Detection

SCORE_THRESHOLD = 0.55
_OVERLAP = 0.4
_CONTAINED = 0.75
_MULTIPLE = 32
_CANDIDATES = 400


@dataclass(frozen=True)
class Letterbox:
    """Placement of a frame in the network's input: top left, black to the right and below.

    Attributes:
        scale: scale of the frame.
        height, width: size of the scaled frame, pixels.
    """

    scale: float
    height: int
    width: int

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of the network's input, multiples of 32."""
        return self.height + -self.height % _MULTIPLE, self.width + -self.width % _MULTIPLE


class FaceDetector:
    """Anchor-free detector on a frame shrunk to a longer side of 320 pixels.

    Args:
        session: the graph `model` of the bundle `face_detector`.
        long_side: longer side of the network's input, pixels.
        strides: cell sizes of its levels, pixels.
    """

    def __init__(self, session: Session, long_side: int, strides: tuple[int, ...]) -> None:
        self.session = session
        self._long_side = long_side
        self._strides = strides

    def detect(
        self, frame: Image, max_faces: int, threshold: float = SCORE_THRESHOLD
    ) -> list[Detection]:
        """Faces of a BGR frame, uint8 (H, W, 3) of any size, best first, at most `max_faces`."""
        place = self.letterbox(*frame.shape[:2])
        cells = self.session.run({"image": _drawn(frame, place)})["cells"][0]
        return self.boxes(cells, place, max_faces, threshold)

    def letterbox(self, height: int, width: int) -> Letterbox:
        """Placement of a frame of this size in the network's input."""
        scale = self._long_side / max(height, width)
        return Letterbox(scale, max(1, round(height * scale)), max(1, round(width * scale)))

    def boxes(
        self,
        cells: FloatArray,
        place: Letterbox,
        max_faces: int,
        threshold: float = SCORE_THRESHOLD,
    ) -> list[Detection]:
        """Faces from the network's output float32 (5, N), best first, at most `max_faces`."""
        logit = float(np.log(threshold / (1 - threshold)))
        chosen = np.flatnonzero(cells[0] > logit)
        if chosen.size > _CANDIDATES:
            chosen = chosen[np.argsort(-cells[0, chosen])[:_CANDIDATES]]
        centres, strides = self._centres(*place.padded)
        x, y = centres[chosen].T
        left, top, right, bottom = np.exp(np.clip(cells[1:, chosen], -6, 5)) * strides[chosen]
        boxes = np.stack([x - left, y - top, x + right, y + bottom], axis=1) / place.scale
        scores = 1 / (1 + np.exp(-cells[0, chosen]))
        kept = _best_of_each(boxes, scores, max_faces)
        return [Detection(boxes[k].astype(np.float32), float(scores[k])) for k in kept]

    def _centres(self, height: int, width: int) -> tuple[FloatArray, FloatArray]:
        """Centres (N, 2) and sizes (N,) of the cells, in the order of the network's output."""
        centres, sizes = [], []
        for stride in self._strides:
            rows, columns = height // stride, width // stride
            y, x = np.mgrid[:rows, :columns]
            centres.append(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32) + 0.5)
            centres[-1] *= stride
            sizes.append(np.full(rows * columns, stride, np.float32))
        return np.concatenate(centres), np.concatenate(sizes)


def _drawn(frame: Image, place: Letterbox) -> FloatArray:
    """The network's input, float32 (1, 3, h, w), BGR in 0..1."""
    size = (place.width, place.height)
    method = cv2.INTER_AREA if place.scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(frame, size, interpolation=method)
    canvas = np.zeros((1, 3, *place.padded), np.float32)
    normalized_planes(small, out=canvas[:, :, : place.height, : place.width])
    return canvas


def _best_of_each(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], max_faces: int
) -> list[int]:
    """Greedy non-maximum suppression of boxes that overlap a better one, or lie within it."""
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
