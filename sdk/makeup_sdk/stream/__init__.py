"""Streams: looks on videos and cameras, with face tracking and temporal smoothing.

`MakeupEngine.stream` creates a `Stream`; an app may implement the protocols `Source` and `Sink`.
"""

from makeup_sdk.stream.containers import VideoOptions
from makeup_sdk.stream.errors import SinkFullError, SourceLostError
from makeup_sdk.stream.options import (
    FadeOptions,
    ReconnectOptions,
    SmoothingOptions,
    StreamOptions,
    TrackerOptions,
)
from makeup_sdk.stream.pipeline import Stream, open_stream
from makeup_sdk.stream.processor import FrameProcessor
from makeup_sdk.stream.results import Ending, StreamResult
from makeup_sdk.stream.sinks import (
    CallbackSink,
    FolderSink,
    Sink,
    VirtualCameraSink,
    WindowSink,
)
from makeup_sdk.stream.source import Source, SourceInfo
from makeup_sdk.stream.statistics import StageTime, StreamStatistics
from makeup_sdk.stream.video_file import VideoFileSink

__all__ = [
    "CallbackSink",
    "Ending",
    "FadeOptions",
    "FolderSink",
    "FrameProcessor",
    "ReconnectOptions",
    "Sink",
    "SinkFullError",
    "SmoothingOptions",
    "Source",
    "SourceInfo",
    "SourceLostError",
    "StageTime",
    "Stream",
    "StreamOptions",
    "StreamResult",
    "StreamStatistics",
    "TrackerOptions",
    "VideoFileSink",
    "VideoOptions",
    "VirtualCameraSink",
    "WindowSink",
    "open_stream",
]
