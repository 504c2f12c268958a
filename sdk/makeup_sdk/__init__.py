"""Real-time makeup try-on: put the makeup of any reference photo on live frames.

from makeup_sdk import MakeupEngine
frame_out = MakeupEngine(look="reference.jpg").process(frame)
"""

from makeup_kernels import (
    BackendUnavailableError,
    BundleError,
    InvalidInputError,
    MakeupError,
    NoFaceError,
    OutputError,
    Region,
)
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.faces import Detection, Face, FaceAnalysis, FaceAnalyzer, FaceStatus
from makeup_sdk.frame import Result
from makeup_sdk.images import read_image, write_image
from makeup_sdk.look import Look

__version__ = "0.1.0"

__all__ = [
    "BackendUnavailableError",
    "BundleError",
    "Detection",
    "Face",
    "FaceAnalysis",
    "FaceAnalyzer",
    "FaceStatus",
    "InvalidInputError",
    "Look",
    "MakeupEngine",
    "MakeupError",
    "NoFaceError",
    "OutputError",
    "Region",
    "Result",
    "read_image",
    "write_image",
]
