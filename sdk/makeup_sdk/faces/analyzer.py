"""The face analyser that ships with the package."""

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels import InvalidInputError, crop_face, crop_matrix, region_maps
from makeup_kernels.types import FloatArray, Image
from makeup_sdk.faces.detector import FaceDetector
from makeup_sdk.faces.geometry import box_crop_matrix
from makeup_sdk.faces.landmarks import LandmarkRegionModel
from makeup_sdk.faces.lips import LipModel, without_covered_lips
from makeup_sdk.faces.types import Detection, FaceAnalysis
from makeup_sdk.weights import open_shipped

_SUFFIXES = {"int8": "_int8", "fp32": ""}
"""Suffix of the shipped bundle's name, by precision."""


class BundledFaceAnalyzer:
    """`FaceAnalyzer` with the networks that ship with the package, on the CPU.

    Args:
        threads: CPU threads; None: one per core.
        precision: of the landmark, region and lip networks: "int8" (faster on CPUs) or "fp32".

    Raises:
        InvalidInputError: an unknown precision.
        BundleError: the shipped models are missing or damaged.
    """

    def __init__(self, threads: int | None = None, precision: str = "int8") -> None:
        if precision not in _SUFFIXES:
            raise InvalidInputError(
                f"precision: got {precision!r}, expected one of {tuple(_SUFFIXES)}"
            )
        detector = open_shipped("face_detector")
        network = open_shipped(f"face_landmarks_regions{_SUFFIXES[precision]}")
        constants = detector.manifest.constants
        self.detector = FaceDetector(
            detector.session("model", threads=threads),
            int(constants["long_side"]),
            tuple(int(stride) for stride in constants["strides"]),
        )
        self.network = LandmarkRegionModel(
            network.session("model", threads=threads), int(network.manifest.constants["size"])
        )
        self.lips = LipModel(network.session("lips", threads=threads))

    def detect(self, frame: Image, max_faces: int) -> list[Detection]:
        """Find faces in a BGR frame, uint8 (H, W, 3) of any size, best first."""
        return self.detector.detect(frame, max_faces)

    def analyze(self, frame: Image, start: Detection | FloatArray) -> FaceAnalysis:
        """Analyse one face, from a detection or from its landmarks in the previous frame.

        A detection needs an extra pass on an upright crop, whose landmarks align the second.

        Args:
            frame: uint8 (H, W, 3), BGR.
            start: a detection, or float32 (68, 2) landmarks in frame pixels.

        Raises:
            InvalidInputError: landmarks with a wrong shape, non-finite, or all equal.
        """
        landmarks = self._locate(frame, start) if isinstance(start, Detection) else start
        matrix = crop_matrix(landmarks)
        crop = crop_face(frame, matrix)
        found = self.network.analyze(crop)
        logits = self.lips.refine(crop, found.logits)
        regions = without_covered_lips(region_maps(logits, found.landmarks, backend="cpu"))
        return FaceAnalysis(_to_frame(found.landmarks, matrix), found.score, matrix, crop, regions)

    def _locate(self, frame: Image, detection: Detection) -> FloatArray:
        matrix = box_crop_matrix(detection.box, self.network.size)
        found = self.network.analyze(crop_face(frame, matrix, self.network.size))
        return _to_frame(found.landmarks, matrix)


def _to_frame(landmarks: FloatArray, matrix: NDArray[np.float64]) -> FloatArray:
    inverse = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    points: FloatArray = (landmarks @ inverse[:, :2].T + inverse[:, 2]).astype(np.float32)
    return points
