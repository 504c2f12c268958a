"""Results of a stream."""

from dataclasses import dataclass
from enum import Enum

from makeup_sdk.frame import Result


@dataclass(frozen=True)
class StreamResult(Result):
    """One processed frame of a stream.

    Attributes:
        image, faces, timings: as in `Result`; `Face.track_id` is constant for a face.
        index: number of the frame in the source, counting dropped ones.
        timestamp: seconds since the first frame, strictly increasing.
    """

    index: int
    timestamp: float


class Ending(Enum):
    """Why a stream ended."""

    RUNNING = "running"
    FINISHED = "the source came to its end"
    INCOMPLETE = "the source came to its end, but some of its frames could not be read"
    STOPPED = "the app, or its user, stopped it"
    SOURCE_LOST = "the source was lost"
    SINK_FULL = "the results could not be written, as on a full disk"
    FAILED = "an error was raised"
