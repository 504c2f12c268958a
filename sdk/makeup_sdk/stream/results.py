"""What a stream gives back."""

from dataclasses import dataclass

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
