"""Face analysis: find faces, their landmarks and region maps.

`BundledFaceAnalyzer` runs the shipped networks; an app may use its own class that implements the
`FaceAnalyzer` protocol.
"""

from makeup_kernels.geometry import pupil_distance
from makeup_sdk.faces.analyzer import BundledFaceAnalyzer
from makeup_sdk.faces.geometry import visible_share, yaw_degrees
from makeup_sdk.faces.types import Detection, Face, FaceAnalysis, FaceAnalyzer, FaceStatus

__all__ = [
    "BundledFaceAnalyzer",
    "Detection",
    "Face",
    "FaceAnalysis",
    "FaceAnalyzer",
    "FaceStatus",
    "pupil_distance",
    "visible_share",
    "yaw_degrees",
]
