"""What a stream gives back."""

from dataclasses import dataclass
from enum import Enum

from makeup_sdk.frame import Result


@dataclass(frozen=True)
class StreamResult(Result):
    """One processed frame of a stream.

    Attributes:
        image, faces, timings: as in `Result`; `Face.track_id` stays with a face through the stream.
        index: number of the frame in the source, dropped ones counted.
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
    SINK_FULL = "there was no more room for the results"
    FAILED = "an error was raised"
