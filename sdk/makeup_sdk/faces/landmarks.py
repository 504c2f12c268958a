"""The landmark and region network: face crop to 68 points, a confidence and a region map."""

from dataclasses import dataclass

import cv2
import numpy as np

from makeup_engines import Session
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.planes import normalized_planes


@dataclass(frozen=True)
class CropAnalysis:
    """landmarks float32 (68, 2) in pixels of the crop; score in [0, 1]; region logits float32
    (5, size, size)."""

    landmarks: FloatArray
    score: float
    logits: FloatArray


class LandmarkRegionModel:
    """The network on crops of any side; they are resampled to its input size.

    Args:
        session: the graph `model` of the bundle `face_landmarks_regions`.
        size: side of the network's input, pixels.
    """

    def __init__(self, session: Session, size: int) -> None:
        self.session = session
        self.size = size

    def analyze(self, crop: Image) -> CropAnalysis:
        """Landmarks, score and region logits of a BGR crop, uint8 (S, S, 3)."""
        side = crop.shape[0]
        if side != self.size:
            crop = np.asarray(
                cv2.resize(crop, (self.size, self.size), interpolation=cv2.INTER_LINEAR), np.uint8
            )
        result = self.session.run({"image": normalized_planes(crop)})
        landmarks = result["landmarks"][0] * np.float32(side) - np.float32(0.5)
        return CropAnalysis(landmarks, float(result["score"][0]), result["regions"][0])
