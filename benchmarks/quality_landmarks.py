"""The second landmark detector of measure 2 of `quality.py`: MediaPipe's, run by OpenCV."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from quality_data import Image

from makeup_sdk.faces import FaceAnalysis

SIDE, REACH = 256, 1.5
"""Side of the network's input, pixels; and its width relative to the face."""

FACE = 468
"""Number of face points; the others are on the irises."""


class MediaPipeLandmarks:
    """MediaPipe's face landmarks, 468 points, more accurate than the shipped ones (`faces.json`).

    Args:
        data: the faces folder, with `teachers/face_landmarks_detector.tflite`.
    """

    def __init__(self, data: Path) -> None:
        path = data / "teachers" / "face_landmarks_detector.tflite"
        if not path.is_file():
            raise SystemExit(f"{path}: not there; the faces folder holds MediaPipe's networks")
        self._network = cv2.dnn.readNetFromTFLite(str(path))

    def find(self, image: Image, face: FaceAnalysis) -> NDArray[np.float64]:
        """float64 (468, 2), pixels of the image, whose face analysis places the crop."""
        points = face.landmarks
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        across = points[42:48].mean(axis=0) - points[36:42].mean(axis=0)
        angle = float(np.degrees(np.arctan2(across[1], across[0])))
        scale = SIDE / (REACH * float(np.ptp(points, axis=0).max()))
        matrix = cv2.getRotationMatrix2D(middle.tolist(), angle, scale)
        matrix[:, 2] += SIDE / 2 - middle
        crop = cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
        self._network.setInput(cv2.dnn.blobFromImage(crop, 1 / 255, swapRB=True))
        found = self._network.forward("Identity").reshape(-1, 3)[:FACE, :2]
        back = cv2.invertAffineTransform(matrix)
        placed: NDArray[np.float64] = found @ back[:, :2].T + back[:, 2]
        return placed
