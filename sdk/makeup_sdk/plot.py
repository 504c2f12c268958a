"""Draw the detected faces on a frame: landmarks, boxes and status."""

from collections.abc import Sequence

import cv2
import numpy as np

from makeup_kernels.types import Image
from makeup_sdk.faces import Face

_LINES = {
    (200, 200, 200): [(range(17), False), (range(27, 31), False), (range(31, 36), False)],
    (40, 170, 230): [(range(17, 22), False), (range(22, 27), False)],
    (230, 150, 60): [(range(36, 42), True), (range(42, 48), True)],
    (90, 70, 240): [(range(48, 60), True), (range(60, 68), True)],
}
"""BGR, and the lines of landmarks in it (iBUG order), closed or not: outline and nose, brows, eyes,
lips."""
_PAINTED, _BARE = (90, 190, 80), (40, 140, 250)
_TEXT = cv2.FONT_HERSHEY_SIMPLEX


def plot_faces(image: Image, faces: Sequence[Face]) -> Image:
    """A copy of a frame with its faces drawn on it.

    Args:
        image: uint8 (H, W, 3), BGR.
        faces: its faces; each gets its number, status, and "bare" if it was not painted.

    Returns:
        uint8 (H, W, 3), BGR.
    """
    drawn = np.array(image, order="C")
    unit = max(image.shape[:2]) / 640
    thick = max(round(unit), 1)
    for face in faces:
        points = np.round(face.landmarks).astype(np.int32)
        for color, lines in _LINES.items():
            for numbers, closed in lines:
                cv2.polylines(drawn, [points[list(numbers)]], closed, color, thick, cv2.LINE_AA)
        for point in points:
            cv2.circle(drawn, tuple(map(int, point)), thick + 1, (255, 255, 255), -1, cv2.LINE_AA)
        _frame(drawn, face, unit, thick)
    return drawn


def _frame(drawn: Image, face: Face, unit: float, thick: int) -> None:
    color = _PAINTED if face.painted else _BARE
    x0, y0, x1, y1 = (int(v) for v in face.box)
    cv2.rectangle(drawn, (x0, y0), (x1, y1), color, thick + 1, cv2.LINE_AA)
    text = f"{face.track_id} {face.status.value}" + ("" if face.painted else ", bare")
    size = 0.5 * unit
    (width, height), base = cv2.getTextSize(text, _TEXT, size, thick)
    top = max(y0 - height - base - 2 * thick, 0)
    corner = (x0 + width + 4 * thick, top + height + base + 2 * thick)
    cv2.rectangle(drawn, (x0, top), corner, color, -1)
    place = (x0 + 2 * thick, top + height + thick)
    cv2.putText(drawn, text, place, _TEXT, size, (0, 0, 0), thick, cv2.LINE_AA)
