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
from makeup_sdk.editor import PortraitEditor
from makeup_sdk.engine import MakeupEngine
from makeup_sdk.faces import (
    BundledFaceAnalyzer,
    Detection,
    Face,
    FaceAnalysis,
    FaceAnalyzer,
    FaceStatus,
)
from makeup_sdk.frame import Result
from makeup_sdk.images import decode_image, read_image, write_image
from makeup_sdk.looks.look import Look
from makeup_sdk.stream import (
    FadeOptions,
    FrameProcessor,
    SmoothingOptions,
    StreamOptions,
    StreamResult,
    StreamStatistics,
    TrackerOptions,
    VideoFileSink,
    VideoOptions,
)

__version__ = "0.1.0"

__all__ = [
    "BackendUnavailableError",
    "BundleError",
    "BundledFaceAnalyzer",
    "Detection",
    "Face",
    "FaceAnalysis",
    "FaceAnalyzer",
    "FaceStatus",
    "FadeOptions",
    "FrameProcessor",
    "InvalidInputError",
    "Look",
    "MakeupEngine",
    "MakeupError",
    "NoFaceError",
    "OutputError",
    "PortraitEditor",
    "Region",
    "Result",
    "SmoothingOptions",
    "StreamOptions",
    "StreamResult",
    "StreamStatistics",
    "TrackerOptions",
    "VideoFileSink",
    "VideoOptions",
    "decode_image",
    "read_image",
    "write_image",
]
